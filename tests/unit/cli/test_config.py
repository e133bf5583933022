"""Tests `schema`, `config show`, `test`, and the 60 sites of conf/."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bridge.cli.main import main
from bridge.config.document import Document, keys_of
from bridge.config.schema import schema

CONF = Path(__file__).parents[3] / "conf"


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == code, result.output
    return result.stdout


def fits(value: Any, rule: dict[str, Any]) -> bool:
    """Validates a value against the part of JSON Schema that our schema uses."""
    if "anyOf" in rule or "oneOf" in rule:
        return any(fits(value, one) for one in rule.get("anyOf") or rule["oneOf"])
    if "const" in rule or "enum" in rule:
        return value in (rule.get("enum") or [rule["const"]])
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": int | float, "boolean": bool}
    names = [rule["type"]] if isinstance(rule.get("type"), str) else rule.get("type", list(kinds))
    if value is None:
        return "null" in names
    if not any(isinstance(value, kinds[name]) for name in names if name != "null"):
        return False
    if isinstance(value, str):
        return re.search(rule.get("pattern", ""), value) is not None
    if isinstance(value, list):
        return all(fits(one, rule.get("items", {})) for one in value)
    if isinstance(value, dict):
        known = rule.get("properties", {})
        other = rule.get("additionalProperties", {})
        return all(
            fits(one, known[key]) if key in known else isinstance(other, dict) and fits(one, other)
            for key, one in value.items()
        )
    return True


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_schema_accepts_valid_configurations(path: Path) -> None:
    assert fits(yaml.safe_load(path.read_text()), schema())


def test_schema_accepts_old_names_as_deprecated() -> None:
    old = {
        "sources": [{"source": "192.0.2.7", "limit": "5/s"}],
        "spool": {"share": {"amqp": "amqps://mq.example", "exit": "lyon"}},
    }
    assert fits(old, schema())
    assert not fits({"routes": [{"limit": "5/s"}]}, schema())
    properties = schema()["properties"]
    for key, entry in properties["sources"]["items"]["properties"].items():
        assert entry.get("deprecated", False) == (key in ("expect", "limit", "sequence")), key
    assert properties["spool"]["properties"]["share"]["deprecated"]


def test_schema_rejects_invalid_configurations() -> None:
    good = yaml.safe_load((CONF / "site-office.yaml").read_text())
    for key, value in (("tiemzone", "UTC"), ("batch", {"max_age": "5 minutes"}), ("oversize", "drop"), ("routes", {})):
        assert not fits(good | {key: value}, schema()), key
    made = json.loads(run("schema"))
    assert set(made["properties"]) == set(keys_of(Document))
    assert "except" in made["properties"]["routes"]["items"]["properties"]


def test_effective_configuration_shows_defaults_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    shutil.copytree(CONF / "sites", tmp_path, dirs_exist_ok=True)
    file.write_text(
        "include: [more.yaml]\nlisteners: [{udp: '127.0.0.1:5514'}]\nunrouted: {intake: all}\n"
        "spool: {directory: spool}\ncollector: {region: FRA1}\n"
    )
    (tmp_path / "more.yaml").write_text("intakes: {all: {intake_key: SecretSecret1234}}\n")
    output = run("config", "show", "--effective", "-c", str(file))
    shown = yaml.safe_load(output)
    assert shown["intakes"]["all"]["intake_key"] == "****" and "SecretSecret1234" not in output
    assert shown["batch"]["max_age"] == "2s" and shown["listeners"][0]["receive_buffer"] == 16 << 20
    assert shown["intakes"]["all"]["endpoint"] == "/plain/batch"
    assert shown["intakes"]["all"]["url"] and "urls" not in shown["intakes"]["all"]
    # Keys that do not apply to a UDP listener are not shown with a default.
    assert set(shown["listeners"][0]) == {"name", "udp", "receive_buffer"}


def test_samples_are_compared_with_their_expectations(tmp_path: Path) -> None:
    file = CONF / "site-office.yaml"
    samples = tmp_path / "samples.yaml"
    right = """
- name: zone of the office
  from: 10.0.0.1
  received: 2026-11-23T08:00:00Z
  frame: '<189>date=2026-11-23 time=07:24:00 devname="fw" logid="0000000013" type="traffic"'
  expect: {intake: firewall, route: firewall}
- base64: aGVsbG8=
  from: 203.0.113.9
  expect: {intake: null, event: null}
"""
    samples.write_text(right)
    assert run("test", "-c", str(file), str(samples)) == "2 of 2 samples match their expectations\n"
    samples.write_text(right.replace("route: firewall}", "route: linux}"))
    output = run("test", "-c", str(file), str(samples), code=1)
    assert f"{samples}:2: zone of the office: route is 'firewall', expected 'linux'" in output
    assert "1 of 2" in output
    for wrong in ("- {frame: x}", "hello: 1", "- {frame: x, expect: {intak: a}}", "- {frame: x, from: y, expect: {}}"):
        samples.write_text(wrong)
        run("test", "-c", str(file), str(samples), code=2)


def test_file_of_samples_must_be_regular_and_small(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large.yaml", tmp_path / "pipe.yaml"
    with large.open("wb") as file:
        file.truncate((16 << 20) + 1)
    os.mkfifo(pipe)
    for path, text in ((large, "the file is larger than 16 MiB. Is it a list of samples?"), (pipe, "a FIFO, not a")):
        result = subprocess.run(
            [sys.executable, "-m", "bridge", "test", "-c", str(CONF / "site-office.yaml"), str(path)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (result.returncode, text in result.stderr) == (2, True), result.stderr


def test_sixty_generated_sites_are_valid_and_pass_their_samples(tmp_path: Path) -> None:
    """Generates the sites as `conf/sites/render` does; all are valid and handle their samples as expected."""
    folder = CONF / "sites"
    sites = list(csv.DictReader((folder / "sites.csv").read_text().splitlines()))
    assert len({site["site"] for site in sites}) == 60
    for site in sites:
        shutil.copy(folder / "common.yaml", tmp_path)
        for name in ("site.yaml", "samples.yaml"):
            text = (folder / f"{name}.in").read_text()
            for key, value in site.items():
                text = text.replace(f"@{key.upper()}@", value)
            assert "@" not in text.replace("@ ", "")
            (tmp_path / name).write_text(text)
        output = run("check", "--no-secrets", "-c", str(tmp_path / "site.yaml"), "--format", "json")
        assert json.loads(output) == [], site
        run("test", "-c", str(tmp_path / "site.yaml"), str(tmp_path / "samples.yaml"))
