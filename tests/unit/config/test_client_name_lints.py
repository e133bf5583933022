"""Tests that ``check`` names the clients that ``client_names`` refuses, and doubtful patterns."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bridge.config import linted
from bridge.tls.refused_clients import MOST_NAMED
from bridge.tls.seen_clients import FILE, WEEK_MS
from tests.harness.pki import Authority


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration with `client_names: NAMES`, which the test replaces."""
    pki = Authority(tmp_path / "pki")
    issued = pki.issue("gateway")
    (tmp_path / "spool").mkdir()
    (tmp_path / "a.key").write_text("a" * 16)
    (tmp_path / "a.key").chmod(0o600)
    path = tmp_path / "bridge.yaml"
    path.write_text(
        "collector: {region: FRA1}\nlisteners:\n"
        f"- {{name: secure, tls: '*:6514', cert_file: {issued.certificate}, key_file: {issued.private_key},\n"
        f"   client_ca_file: {pki.ca}, client_names: NAMES}}\n"
        "intakes: {a: {intake_key: {file: a.key}}}\nunrouted: {intake: a}\nspool: {directory: spool}\n"
    )
    return path


def seen(file: Path, *clients: tuple[str, float]) -> None:
    """Writes the file of the seen clients: the name of each and its age in milliseconds."""
    now = time.time() * 1000
    rows = [["secure", [name], "192.0.2.1", int(now - age)] for name, age in clients]
    (file.parent / "spool" / FILE).write_text(json.dumps({"clients": rows}))


def warnings(file: Path, names: str, *, secrets: bool = True) -> list[str]:
    whole = file.read_text()
    file.write_text(whole.replace("NAMES", names))
    try:
        return [f"{fault.line}:{fault.message}" for fault in linted(file, secrets=secrets)[1]]
    finally:
        file.write_text(whole)


def test_clients_of_the_last_week_are_checked(file: Path) -> None:
    seen(file, ("a.branch.example", 0), ("a.b.branch.example", WEEK_MS - 60_000), ("x.y.branch.example", WEEK_MS + 1))
    (text,) = warnings(file, '["*.branch.example"]')
    assert text.startswith("4:client_names: the client a.b.branch.example (192.0.2.1, last seen ")
    assert text.endswith('is refused. A * stands for one label. Add "*.*.branch.example" to accept it.')
    assert warnings(file, '["*.branch.example", "*.*.branch.example"]') == []
    assert warnings(file, '["*.branch.example"]', secrets=False) == []


def test_number_of_named_clients_is_bounded(file: Path) -> None:
    seen(file, *((f"a{n}.b.branch.example", 0) for n in range(MOST_NAMED + 3)))
    found = warnings(file, '["*.branch.example"]')
    assert len(found) == MOST_NAMED + 1
    assert found[-1] == "4:client_names: 3 more clients of the last week are refused."


def test_star_alone_is_doubtful(file: Path) -> None:
    (text,) = warnings(file, '["*"]')
    assert "matches names without a dot only" in text


@pytest.mark.parametrize("content", ["", "{}", '{"clients": [["secure", ["x"], "", 1e300]]}'])
def test_damaged_file_of_seen_clients_is_ignored(file: Path, content: str) -> None:
    (file.parent / "spool" / FILE).write_text(content)
    assert warnings(file, '["*.branch.example"]') == []
