"""Tests ``status`` of a running bridge through its control socket, and of the spool files of a stopped one."""

import fcntl
import json
import os

import pytest
from click.testing import CliRunner

from bridge.cli.status import status
from bridge.cli.status_text import of_running
from bridge.spool import lock
from tests.harness import status_server

REPORT = {
    "ledger": {
        "received": 1200, "recovered": 3, "replayed": 0, "delivered": 1000, "spooled": 200, "buffered": 0,
        "quarantined": 1, "filtered": 0, "dropped": {"spool_write_failed": 2},
    },
    "intakes": [
        {"name": "good", "state": "idle", "backlog_events": 0, "backlog_bytes": 0, "oldest_seconds": None,
         "last_error": None},
        {"name": "bad", "state": "backing-off", "backlog_events": 200, "backlog_bytes": 40960, "oldest_seconds": 200.5,
         "last_cause": "server", "last_error": "the collector answered 503: \x1b[2J"},
    ],
    "sources": [
        {"address": "10.0.0.1", "listener": "udp", "name": "fw", "route": "r", "intake": "good", "events": 1200,
         "last_seen": "2026-11-23T07:24:00.000Z", "clock_offset_seconds": -3600.2, "clock": "1 hour behind"},
    ],
    "unrouted": [],
    "kernel_drops": {"udp": 7},
    "listeners": {"udp": 5514},
    "quarantine": {"unrouted": 0, "oversize": 1},
    "alarms": [{"kind": "clock", "about": "10.0.0.1", "text": "10.0.0.1: its clock is wrong\x07"}],
}  # fmt: skip


def running_bridge(spool, code=200, body=None):
    return status_server.running_bridge(spool, REPORT if body is None else body, code=code)


@pytest.fixture
def spool(tmp_path):
    # Longer than the path of a Unix socket may be.
    path = tmp_path / ("deep" * 20) / ("er" * 40) / "spool"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def run(tmp_path, spool):
    file = tmp_path / "bridge.yaml"
    file.write_text(
        'collector: {url: "http://127.0.0.1:9"}\nlisteners: [{udp: "127.0.0.1:5514"}]\n'
        "intakes: {all: {intake_key: {file: nowhere}}}\nunrouted: {intake: all}\n"
        f"spool: {{directory: {spool}}}\n"
    )
    return lambda *options: CliRunner().invoke(status, ["-c", str(file), *options])


# --- running ----------------------------------------------------------------------------------------------------------


def test_json_is_the_status_of_the_running_bridge(spool, run):
    with running_bridge(spool):
        result = run("--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == REPORT


def test_first_sentence_names_the_problem(spool, run):
    with running_bridge(spool):
        first, *rest = run("--sources").stdout.splitlines()
    assert first == (
        "Intake bad cannot deliver: the collector answered 503: \\x1b[2J; 200 events safe on disk; not growing."
    )
    text = "\n".join([*rest, ""])
    for shown in (
        "backing-off",
        "41.0 kB",
        "3 m 20 s",
        "10.0.0.1 (fw)",
        "1 hour behind",
        "5514",
        "spool_write_failed 2",
        "quarantined: oversize 1\n",
        "delivery resumes by itself",
    ):
        assert shown in text
    assert not {"\x1b", "\x07"} & set(text)


def test_fields_of_the_contract_are_enough(spool, run):
    contract = {name: REPORT[name] for name in ("ledger", "intakes", "sources", "unrouted", "kernel_drops")}
    with running_bridge(
        spool, body=json.dumps(contract | {"intakes": REPORT["intakes"][:1], "kernel_drops": 0}).encode()
    ):
        result = run()
    assert result.exit_code == 0
    assert "2 events dropped" in result.stdout


@pytest.mark.parametrize(
    ("code", "body", "message"),
    [
        (404, b"", "HTTP status 404"),
        (200, b"<html>", "not return a JSON object"),
        (200, b"[1]", "not return a JSON object"),
    ],
)
def test_unexpected_response_is_an_error(spool, run, code, body, message):
    with running_bridge(spool, code, body):
        result = run()
    assert result.exit_code == 1
    assert message in result.stderr
    assert str(os.getpid()) in result.stderr


def test_locked_spool_without_a_control_socket_is_an_error(spool, run):
    spool_lock = lock.take(spool)
    try:
        result = run()
    finally:
        spool_lock.release()
    assert result.exit_code == 1
    assert f"process {os.getpid()} has locked the spool" in result.stderr
    assert "control.sock does not exist" in result.stderr


# --- not running ------------------------------------------------------------------------------------------------------


def fill(spool):
    (spool / "format").write_text("1\n")
    (spool / "lock").write_text("1\n")
    (spool / "a").mkdir()
    (spool / "a" / "1795415040000000-1795415040000-2-12.lines").write_text("one\ntwo 45\n\n")
    (spool / "a" / "1795415041000000-1795415040000-3-30.sending.lines").write_text("x" * 30)
    (spool / "a" / "1795415042000000-1795415040000.open.timed.json").write_text('1\t"a"\n1\t"b"\ntorn')
    (spool / "a" / "foreign").touch()
    (spool / "empty").mkdir()
    folder = spool / ".quarantine" / "unrouted"
    folder.mkdir(parents=True)
    (folder / "1795415040000000-41.jsonl").touch()
    (folder / "1795415040000001.open.jsonl").write_text("{}\n")
    (spool / ".quarantine" / "damaged" / "files").mkdir(parents=True)


def contents(spool):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(spool.rglob("*"))}


def test_spool_files_without_a_bridge_are_reported_and_not_changed(spool, run):
    fill(spool)
    before = contents(spool)
    result = run("--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    oldest = found["intakes"][0].pop("oldest_seconds")
    assert oldest >= 0
    assert found == {
        "running": False,
        "spool": str(spool),
        "intakes": [
            {"name": "a", "state": "stopped", "backlog_events": 7, "backlog_bytes": 58, "last_error": None},
            {"name": "empty", "state": "stopped", "backlog_events": 0, "backlog_bytes": 0, "oldest_seconds": None,
             "last_error": None},
        ],
        "quarantine": {"damaged": 0, "unrouted": 42},
        "possible_duplicates": 3,
        "foreign_files": 1,
        "unreadable_files": 0,
    }  # fmt: skip
    assert contents(spool) == before


def test_first_sentence_says_that_the_bridge_is_not_running(spool, run):
    fill(spool)
    text = run().stdout
    assert text.startswith(f"The bridge is not running; 7 events wait in {spool}.\n")
    for shown in (
        "unrouted 42",
        "3 of these events may have been accepted already",
        "1 file is no batch: the next start moves it to quarantine",
    ):
        assert shown in text


def test_lock_is_released_afterwards(spool, run):
    fill(spool)
    run()
    with (spool / "lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_missing_spool_is_an_error(spool, run):
    spool.rmdir()
    result = run()
    assert result.exit_code == 1
    assert "has never run" in result.stderr


def test_invalid_configuration_exits_2(tmp_path):
    result = CliRunner().invoke(status, ["-c", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "none.yaml:1:1" in result.stderr


def test_unix_listener_is_shown_with_its_path_instead_of_a_port():
    details = {"local": {"kind": "unix_datagram", "address": "/run/syslog-bridge/log"}, "udp": {"address": "*:514"}}
    text = of_running({"listeners": {"udp": 5514, "local": 0}, "listener_details": details})
    rows = [line.split()[:2] for line in text.splitlines() if line.startswith(("  udp", "  local"))]
    assert rows == [["udp", "5514"], ["local", "/run/syslog-bridge/log"]]


def test_sentences_of_the_complete_status_are_wrapped_for_a_terminal():
    spool = {"bytes": 1, "limit_bytes": 10**9, "limited_by": "min_free", "free_bytes": 10**9, "min_free_bytes": 10**8}
    ledger = dict.fromkeys(
        ("received", "recovered", "replayed", "delivered", "spooled", "buffered", "quarantined"), 10**9
    )
    status = {"ledger": ledger | {"filtered": 0, "dropped": {}}, "spool": spool, "intakes": []}
    assert max(map(len, of_running(status).splitlines())) > 80
    lines = of_running(status, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == " ".join(of_running(status).split())


def test_lists_that_are_cut_say_so():
    one = {"kind": "rejected", "state": "degraded", "text": "one", "remedy": "", "since": None, "ended": "2026-11-29"}
    headline = {"state": "degraded", "text": "one", "problems": [one] * 33, "ended": [one] * 7}
    lines = of_running({"headline": headline}).splitlines()
    assert "... and 3 more problems; use --output json to see all" in lines
    assert "  ... and 2 more" in lines
