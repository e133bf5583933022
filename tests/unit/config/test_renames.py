"""Tests that old names of keys are accepted with a warning, and what both names of a key give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from twisted.logger import capturedLogs, formatEvent

import bridge
from bridge.app.old_names import warn_about_old_names
from bridge.cli.check import check
from bridge.config import Config, ConfigurationError, linted, load, parse_text
from bridge.config.renames import ACCEPTED_UNTIL, RENAMES
from tests.harness.pki import Authority

# Every renamed key with its old name; OLD and CURRENT of `texts` are the same configuration.
OLD = """\
collector: {region: FRA1, client_certificate: own.pem, client_key: own.key}
listeners:
  - udp: "*:514"
  - {relp: "*:2514", certificate: own.pem, private_key: own.key, client_ca: ca.pem, proxy_protocol: [10.0.0.5]}
sources:
  - {source: 192.0.2.7, expect: 10m, limit: 5000/s, sequence: true}
intakes:
  all:
    intake_key: a-key
    client_certificate: own.pem
    client_key: own.key
routes:
  - {intake: all, source: 192.0.2.7, copy_to: udp://198.51.100.1:514}
batch: {catch_up_resolution: 30s}
spool:
  share: {amqp: amqp://localhost, client_certificate: own.pem, client_key: own.key, exit: paris, alone_after: 5s}
admin: {certificate: own.pem, private_key: own.key, self_events: all, self_events_format: text, self_events_every: 1m}
"""
CURRENT = """\
collector: {region: FRA1, client_cert_file: own.pem, client_key_file: own.key}
listeners:
  - udp: "*:514"
  - {relp: "*:2514", cert_file: own.pem, key_file: own.key, client_ca_file: ca.pem, trusted_proxies: [10.0.0.5]}
sources:
  - {source: 192.0.2.7, alert_if_silent_for: 10m, rate_limit: 5000/s, detect_gaps: true}
intakes:
  all:
    intake_key: a-key
    client_cert_file: own.pem
    client_key_file: own.key
routes:
  - {intake: all, source: 192.0.2.7, mirror_to: udp://198.51.100.1:514}
batch: {backlog_timestamp_resolution: 30s}
cluster:
  {amqp: amqp://localhost, client_cert_file: own.pem, client_key_file: own.key, egress_group: paris, fallback_after: 5s}
admin:
  {cert_file: own.pem, key_file: own.key, alerts_intake: all, alerts_format: text, alerts_statistics_every: 1m}
"""
MINIMAL = """\
collector: {region: FRA1}
listeners: [{udp: 514}]
intakes: {all: {intake_key: a-key}}
unrouted: {intake: all}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("renames")
    authority = Authority(directory / "pki")
    issued = authority.issue("gateway.test")
    (directory / "own.pem").write_bytes(issued.certificate.read_bytes())
    (directory / "own.key").write_bytes(issued.private_key.read_bytes())
    (directory / "ca.pem").write_bytes(authority.ca.read_bytes())
    return directory


def without_places(config: Config) -> Config:
    return replace(config, sha256="", files=(), paste_places=None, old_names=())  # type: ignore[arg-type]


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        parse_text(text)
    return [str(fault) for fault in raised.value.faults]


def test_old_names_mean_the_same_as_the_current_ones(folder: Path) -> None:
    old, current = (parse_text(text, str(folder / "bridge.yaml")) for text in (OLD, CURRENT))
    assert without_places(old) == without_places(current)
    assert current.old_names == ()


def test_each_old_name_has_one_warning_at_its_place(folder: Path) -> None:
    config = parse_text(OLD, str(folder / "bridge.yaml"))
    assert sorted(fault.message for fault in config.old_names) == sorted(rename.warning for rename in RENAMES)
    lines = OLD.splitlines()
    for fault in config.old_names:
        written = lines[fault.line - 1][fault.column - 1 :].partition(":")[0]
        assert fault.message.split()[0].rpartition(".")[2] == written
    assert list(config.old_names) == sorted(config.old_names)
    texts = {fault.message for fault in config.old_names}
    assert f"limit is now rate_limit. The old name is accepted until version {ACCEPTED_UNTIL}." in texts
    assert (
        f"spool.share is now cluster at the top level. The old name is accepted until version {ACCEPTED_UNTIL}."
        in texts
    )


def test_old_names_are_gone_from_the_version_that_is_announced() -> None:
    def number(text: str) -> tuple[int, ...]:
        return tuple(map(int, text.split(".")[:3]))

    assert number(bridge.__version__) < number(ACCEPTED_UNTIL), "empty RENAMES: the old names were to end here"


@pytest.mark.parametrize("rename", RENAMES, ids=lambda rename: rename.old)
def test_both_names_of_a_key_are_an_error_that_names_both(rename, folder: Path) -> None:
    """Adds the current name, in a line of its own, to the section that has the old one."""
    sections = {
        "collector": "collector:\n  region: FRA1\n  {}\n", "listeners": "listeners:\n  - udp: 514\n    {}\n",
        "sources": "sources:\n  - source: 192.0.2.7\n    {}\n",
        "intakes": "intakes:\n  all:\n    intake_key: k\n    {}\n",
        "routes": "routes:\n  - intake: all\n    {}\n", "batch": "batch:\n  max_age: 1s\n  {}\n",
        "cluster": "cluster:\n  amqp: amqp://localhost\n  {}\n", "admin": "admin:\n  show_messages: true\n  {}\n",
        "spool": "{}",
    }  # fmt: skip
    name = rename.section[0]
    pair = f"{rename.old_key}: x\n{rename.new_key}: x"
    if rename.is_moved:
        pair = "spool:\n  share:\n    amqp: amqp://localhost\ncluster: {amqp: amqp://localhost}"
    lines = sections[name].split("\n")
    indent = " " * next((len(line) - 2 for line in lines if line.strip() == "{}"), 0)
    section = sections[name].replace("{}", pair.replace("\n", "\n" + indent))
    kept = "".join(line for line in MINIMAL.splitlines(keepends=True) if line.partition(":")[0] != name)
    faults = faults_of(kept + section)
    text = f": {rename.old_key} is the old name of {rename.new_key}, which is given too, at <text>:"
    (fault,) = [fault for fault in faults if text in fault]
    assert fault.endswith(f". Remove {rename.old_key}.")
    assert not any("unknown key" in each for each in faults)


def test_shared_mapping_is_renamed_at_both_places_with_one_warning() -> None:
    first = "sources: [&fw {source: 192.0.2.7, limit: 5/s}, *fw]\n"
    config = parse_text(MINIMAL + first)
    assert [source.rate_limit for source in config.sources] == [5, 5]
    assert len(config.old_names) == 1


def test_backlog_section_of_an_included_file_moves_to_the_top_level(tmp_path: Path) -> None:
    main, more = tmp_path / "bridge.yaml", tmp_path / "more.yaml"
    main.write_text(f"include: more.yaml\n{MINIMAL}spool: {{max_size: 1GB}}\n")
    more.write_text("spool:\n  directory: here\n  share:\n    amqp: amqp://localhost\n    exit: lyon\n")
    config = load(main)
    assert config.cluster is not None and config.cluster.egress_group == "lyon"
    assert config.spool.directory == tmp_path / "here"
    assert [str(fault).split(": ")[0] for fault in config.old_names] == [f"{more}:3:3", f"{more}:5:5"]
    more.write_text("spool:\n  share: null\n")
    assert load(main).cluster is None


def test_check_lists_old_names_as_warnings_also_beside_errors(folder: Path) -> None:
    file = folder / "checked.yaml"
    file.write_text(OLD)
    found = CliRunner().invoke(check, ["-c", str(file)])
    assert found.exit_code == 0, found.output
    assert f"{file}:6:25: warning: expect is now alert_if_silent_for. The old name is accepted until" in found.stdout
    assert {fault.message for fault in linted(file)[1]} >= {rename.warning for rename in RENAMES}
    file.write_text(OLD + "what: 1\n")
    found = CliRunner().invoke(check, ["-c", str(file)])
    assert found.exit_code == 2
    assert f"{file}:18:1: unknown key 'what'" in found.stdout
    assert found.stdout.count(": warning: ") == len(RENAMES)
    rows = json.loads(CliRunner().invoke(check, ["-c", str(file), "--format", "json"]).stdout)
    assert [row["severity"] for row in rows] == ["error"] + ["warning"] * len(RENAMES)


def test_run_logs_one_warning_for_all_old_names(folder: Path) -> None:
    def logged(text: str) -> list[str | None]:
        with capturedLogs() as events:
            warn_about_old_names(parse_text(text, "bridge.yaml"))
        return [formatEvent(event) for event in events]

    source = "sources: [{source: 192.0.2.7, limit: 5/s%s}]\n"
    assert logged(MINIMAL) == []
    head = f"bridge.yaml:5:31: limit is now rate_limit. The old name is accepted until version {ACCEPTED_UNTIL}."
    tail = ' Run "syslog-bridge config migrate --in-place bridge.yaml" to replace the old names.'
    assert logged(MINIMAL + source % "") == [head + tail]
    assert logged(MINIMAL + source % ", expect: 5m") == [f"{head} 1 more key has an old name.{tail}"]
    assert logged(MINIMAL + source % ", expect: 5m, sequence: true") == [f"{head} 2 more keys have an old name.{tail}"]
