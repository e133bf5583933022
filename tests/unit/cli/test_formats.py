"""Tests that ``formats`` shows the text formats, and ``explain --payloads`` the forms that match a format."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.batching.payload import FORMS
from bridge.cli.explain import explain
from bridge.cli.formats import formats
from bridge.cli.status_text import of_running
from bridge.formats import FORMATS

UNBOUND = "<30>Nov 23 07:24:00 ns1 unbound[17265]: [17265:0] info: 192.0.2.10 www.example.org. A IN"
EVENT = "2026-11-23T07:24:00.000Z ns1 unbound[17265]: [17265:0] info: 192.0.2.10 www.example.org. A IN"

CONFIGURATION = """
collector: {url: "http://127.0.0.1:9"}
listeners: [{name: udp, udp: "127.0.0.1:5514"}]
intakes:
  dns: {intake_key: {file: nowhere}, format: unbound}
  bare: {intake_key: {file: nowhere}, format: unbound, payload: content}
  all: {intake_key: {file: nowhere}}
routes:
  - {name: dns, intake: dns, hostname: ns1}
  - {name: bare, intake: bare, hostname: ns2}
unrouted: {intake: all}
spool: {directory: unused}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIGURATION)
    return str(path)


def explain_text(file: str, frame: str, *options: str) -> str:
    given = ["-c", file, "--received", "2026-11-23T07:24:05Z", *options]
    result = CliRunner().invoke(explain, given, input=f"{frame}\n")
    assert result.exit_code == 0, result.output
    return result.stdout


# --- formats ---------------------------------------------------------------------------------------------------------


def test_all_formats_are_listed() -> None:
    result = CliRunner().invoke(formats)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["format", "payload", "time", "product"]
    assert [line.split()[0] for line in lines[1 : 1 + len(FORMATS)]] == list(FORMATS)
    row = next(line for line in lines if line.startswith("cisco-ios "))
    assert row.split(maxsplit=3) == ["cisco-ios", "device+", "text", "Cisco IOS and IOS-XE"]


def test_one_format_is_shown_with_its_example() -> None:
    text = CliRunner().invoke(formats, ["ios"]).stdout
    rows = [line[:12].strip() for line in text.splitlines()]
    assert rows == [
        "format", "also called", "product", "payload", "rule", "time", "lost", "begins with", "on device", "note",
        "note",
        "frame", "event",
    ]  # fmt: skip
    assert "event        sw-core-01: Nov 23 07:24:00.631 CET: %SYS-5-CONFIG_I: Configured" in text


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_shown(name: str) -> None:
    result = CliRunner().invoke(formats, [name])
    assert result.exit_code == 0
    assert result.stdout.count("\n") == len(result.stdout.splitlines())
    assert FORMATS[name].product in result.stdout


def test_json_output_has_one_line_per_format() -> None:
    rows = [json.loads(line) for line in CliRunner().invoke(formats, ["--json"]).stdout.splitlines()]
    assert [row["name"] for row in rows] == list(FORMATS)
    (one,) = [row for row in rows if row["name"] == "unbound"]
    assert one["example"]["event"] == EVENT
    assert (one["payload"], one["payloads"], one["own_time"]) == ("line", ["line", "message"], None)
    assert json.loads(CliRunner().invoke(formats, ["unbound", "--json"]).stdout) == one


def test_an_unknown_format_is_a_usage_error() -> None:
    result = CliRunner().invoke(formats, ["fortigat"])
    assert result.exit_code == 2
    assert "unknown format 'fortigat': did you mean fortigate?" in result.stderr


@pytest.mark.parametrize("vendor", ["fortinet", "Cisco", "juniper"])
def test_a_vendor_lists_its_formats(vendor: str) -> None:
    result = CliRunner().invoke(formats, [vendor])
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.partition("\n\n")[0].splitlines()[1:]]
    assert listed == [name for name in FORMATS if name.startswith(vendor.lower())]
    assert len(listed) > 1


def test_the_command_has_a_help_text() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bridge", "formats", "--help"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0
    assert "syslog-bridge formats fortigate" in result.stdout


# --- explain ---------------------------------------------------------------------------------------------------------


def test_explain_shows_the_event_in_the_payload_form_of_the_format(file: str) -> None:
    text = explain_text(file, UNBOUND)
    assert "payload     line, as set by format unbound" in text
    assert f"event       {EVENT}" in text


def test_explain_notes_an_event_that_does_not_match_the_format(file: str) -> None:
    assert "note" not in explain_text(file, UNBOUND)
    wrong = explain_text(file, UNBOUND.replace("ns1", "ns2"))
    assert "note        the event does not match the intake's format unbound" in wrong


def test_payloads_marks_the_forms_that_match_the_intakes_format(file: str) -> None:
    found = json.loads(explain_text(file, UNBOUND, "--json", "--payloads"))
    assert list(found["payloads"]) == list(FORMS)
    assert found["payloads"]["line"] == found["event"] == EVENT
    assert (found["intake_format"], found["fitting"], found["look_alikes"]) == (
        "unbound",
        ["message", "auto", "line", "structured"],
        [],
    )
    text = explain_text(file, UNBOUND, "--payloads")
    assert f"* line      {EVENT}" in text
    assert "    content   unbound[17265]:" in text
    assert "* matches   message, auto, line, structured, for format unbound" in text


def test_payloads_without_a_format_name_the_product(file: str) -> None:
    found = json.loads(explain_text(file, UNBOUND.replace("ns1", "elsewhere"), "--json", "--payloads"))
    assert (found["intake_format"], found["fitting"]) == (None, [])
    assert (found["look_alikes"], found["product"]) == (["unbound"], "Unbound")
    text = explain_text(file, UNBOUND.replace("ns1", "elsewhere"), "--payloads")
    assert "product     Unbound, format unbound (program unbound, [PID:thread] info: in 1 of 1 message)" in text
    text = explain_text(file, "<13>nothing that anyone knows", "--payloads")
    assert "product     not identified (no known product in 1 message)" in text


def test_payloads_show_the_time_that_would_be_sent(file: str) -> None:
    """A timestamp out of range is replaced by the time of reception, as in the pipeline."""
    frame = "<13>Mar 06 2016 12:53:10 gw app: text"
    found = json.loads(explain_text(file, frame, "--json", "--payloads", "--received", "2026-11-23T10:00:00Z"))
    assert found["payloads"]["line"] == "2026-11-23T10:00:00.000Z gw app: text"


def test_fields_are_those_of_the_contract_without_payloads(file: str) -> None:
    assert "payloads" not in json.loads(explain_text(file, UNBOUND, "--json"))


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_shows_events_that_do_not_match_their_format() -> None:
    row = {"name": "fw", "state": "idle", "format_sampled": 1200, "format_mismatches": 1100}
    text = of_running({"intakes": [row, row | {"name": "good", "format_mismatches": 0}]})
    lines = [line for line in text.splitlines() if "do not match its format" in line]
    assert len(lines) == 1
    assert lines[0].startswith("Intake fw: 1,100 of the latest 1,200 sampled events do not match its format")


def test_refused_clients_that_the_status_does_not_name_are_counted():
    row = {"names": ["a.b.example"], "listener": "secure", "address": "192.0.2.1", "last_seen": "", "pattern": "*"}
    text = of_running({"clients_not_in_client_names": [row] * 20, "clients_not_in_client_names_count": 25})
    assert "\n  ... and 5 more\n" in text
