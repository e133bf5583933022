"""Tests `status --output nagios`: one line, Nagios' exit codes, performance data, no secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.cli import status_nagios
from bridge.cli.status import status
from tests.unit.cli.test_status import REPORT, running_bridge

HEALTHY: dict[str, Any] = {
    "taken": "2026-11-29T05:00:00Z",
    "ledger": {"received": 1200, "delivered": 1000, "dropped": {}},
    "intakes": [
        {"name": "good", "state": "delivering", "backlog_events": 200, "backlog_bytes": 4096, "oldest_seconds": 1.25}
    ],
    "kernel_drops": {"udp": 0}, "refused_connections": {"tcp": 4}, "spool": {"bytes": 8192, "limit_bytes": 1000000},
    "rates": {"received": 5.0}, "sources_count": {"total": 3},
}  # fmt: skip
ITEM = r"[a-z_]+=[0-9.]+(?:c|s|B)?;[0-9.]*;[0-9.]*;[0-9.]*(?:;[0-9.]*)?"
PERFORMANCE = re.compile(f"{ITEM}(?: {ITEM})*")


def problem(kind: str, text: str) -> dict[str, Any]:
    return {"kind": kind, "about": "x", "text": text, "remedy": "", "since": "2026-11-29T04:00:00Z"}


@pytest.mark.parametrize(
    ("alarms", "code", "begin"),
    [
        ([], 0, "SYSLOG-BRIDGE OK - 3 sources, 1 intake, 5 events/s, 200 events waiting for up to 1 s."),
        ([problem("silence", "source fw1 is silent")], 1, "SYSLOG-BRIDGE WARNING - Source fw1 is silent |"),
        ([problem("silence", "source fw1 is silent"), problem("spool", "the spool cannot be written")], 2,
         "SYSLOG-BRIDGE CRITICAL - The spool cannot be written; Source fw1 is silent |"),
    ],
)  # fmt: skip
def test_code_and_text_follow_the_problems(alarms: list[dict[str, Any]], code: int, begin: str) -> None:
    text, found = status_nagios.line(HEALTHY | {"alarms": alarms})
    assert found == code
    assert text.startswith(begin)


def test_notice_is_no_warning() -> None:
    rejection = {
        "listener": "secure", "address": "192.0.2.7", "reason": "plain_text", "meaning": "plain text on a TLS port",
        "count": 1, "seconds_ago": 5, "first": "2026-11-29T04:00:00Z", "remedy": "x",
    }  # fmt: skip
    text, code = status_nagios.line(HEALTHY | {"rejected_sources": [rejection]})
    assert (code, "WARNING" in text) == (0, False)


def test_performance_data_is_complete_and_well_formed() -> None:
    text, _ = status_nagios.line(HEALTHY)
    _, bar, data = text.partition(" | ")
    assert (bar, text.count("|")) == (" | ", 1)
    assert PERFORMANCE.fullmatch(data), data
    assert data == (
        "received=1200c;;;0 delivered=1000c;;;0 dropped=0c;;;0 kernel_drops=0c;;;0 waiting=200;;;0 oldest=1.2s;;;0"
        " spool=8192B;;;0;1000000 rejected=4c;;;0 problems=0;;;0"
    )


def test_text_of_other_hosts_cannot_forge_lines_or_data() -> None:
    hostile = problem("silence", "source a|received=7\nOK\x1b[2J " + "x" * 5000)
    text, code = status_nagios.line(HEALTHY | {"alarms": [hostile]})
    assert code == 1
    assert text.isprintable()
    assert text.count("|") == 1
    assert len(text) < 1000
    assert text.endswith("problems=1;;;0"), "the performance data is not cut"


# --- the command -----------------------------------------------------------------------------------------------------


def run(folder: Path, configuration: str | None = None) -> tuple[int, str]:
    file = folder / "bridge.yaml"
    file.write_text(
        configuration
        or f"collector: {{region: FRA1}}\nspool: {{directory: {folder}/spool}}\n"
        "listeners: [{udp: '*:514', intake: fw}]\nintakes: {fw: {intake_key: SECRET-key-of-fw}}\n"
    )
    result = CliRunner().invoke(status, ["--output", "nagios", "-c", str(file)])
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    assert "SECRET" not in result.stdout
    return result.exit_code, result.stdout


def test_running_bridge_is_asked(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    with running_bridge(tmp_path / "spool", body=json.dumps(REPORT).encode()):
        code, text = run(tmp_path)
    assert (code, text.split(" - ")[0]) == (2, "SYSLOG-BRIDGE CRITICAL")


def test_stopped_bridge_is_critical(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    assert run(tmp_path) == (2, "SYSLOG-BRIDGE CRITICAL - the bridge is not running\n")


@pytest.mark.parametrize("code", [500, 404])
def test_bridge_that_does_not_answer_is_unknown(tmp_path: Path, code: int) -> None:
    (tmp_path / "spool").mkdir()
    with running_bridge(tmp_path / "spool", code=code):
        found, text = run(tmp_path)
    assert (found, text.split(" - ")[0]) == (3, "SYSLOG-BRIDGE UNKNOWN")


def test_spool_that_never_existed_is_unknown(tmp_path: Path) -> None:
    code, text = run(tmp_path)
    assert code == 3
    assert "has never run" in text


def test_configuration_with_errors_is_unknown(tmp_path: Path) -> None:
    code, text = run(tmp_path, "collector: {region: nowhere}\nlisteners: 7\n")
    assert (code, text.split(" - ")[0]) == (3, "SYSLOG-BRIDGE UNKNOWN")
    assert "bridge.yaml:1:" in text


def test_missing_configuration_is_unknown(tmp_path: Path) -> None:
    result = CliRunner().invoke(status, ["--output", "nagios", "-c", str(tmp_path / "none.yaml")])
    assert result.exit_code == 3
    assert result.stdout.startswith("SYSLOG-BRIDGE UNKNOWN - ")


def test_output_json_is_the_same_as_json(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    run(tmp_path)
    outputs = [
        CliRunner().invoke(status, [*options, "-c", str(tmp_path / "bridge.yaml")]).stdout
        for options in (["--json"], ["--output", "json"])
    ]
    assert outputs[0] == outputs[1] != ""
