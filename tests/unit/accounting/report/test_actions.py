"""Tests that the report joins the lines of an operator's command, and that earlier versions can read them."""

import pytest

from bridge.accounting.journal import Journal
from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report import actions as report_actions
from bridge.cli.report import build_report
from bridge.spool.recovery import RecoveredSpool
from tests.harness.builders import fail

MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z
ABOUT = {"arguments": {"intake": "fw"}, "via": "socket", "uid": 998, "user": "bridge", "pid": 7}


class Recorder:
    """A journal whose clock the test sets."""

    def __init__(self, directory):
        self.folder = directory / ".ledger"
        self.now = float(MARCH)
        self.journal = Journal(self.folder, keep=None, wall=lambda: self.now, on_error=fail)
        self.journal.open()
        self.journal.start(RecoveredSpool(), quarantined=0, version="1", config_sha256="c")

    def action(self, number, state, *, command="spool-purge", **more):
        self.journal.action(command, {"id": number, "state": state, **ABOUT, **more})
        self.now += 1

    def report(self, begin=None, end=None):
        reader = JournalReader(self.folder)
        result = build_report(reader, begin, end)
        assert reader.faults == []
        return result.actions


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path)


def test_begin_and_end_are_one_action(recorder):
    recorder.action(1, "started")
    recorder.action(2, "started", command="reload")
    recorder.action(1, "done", result="3 events")
    first, second = recorder.report().all()
    assert (first.state, first.result, first.time, first.ended) == (
        "done", "3 events", "2026-03-01T00:00:00.000Z", "2026-03-01T00:00:02.000Z",
    )  # fmt: skip
    assert (second.command, second.state, second.ended) == ("reload", "started", None)


def test_lines_of_an_action_are_commands_that_moved_nothing(recorder):
    """So the report of an earlier version, which refuses unknown kinds, reads them."""
    recorder.action(1, "started")
    recorder.action(1, "done", result="")
    lines = [fields for _, fields in JournalReader(recorder.folder)][1:]
    assert {(line["kind"], line["transaction"], tuple(line["changes"])) for line in lines} == {("command", -1, ())}


def test_no_action_is_written_behind_the_last_line(recorder):
    recorder.journal.stop({}, {})
    recorder.action(1, "done", result="")
    assert [fields["kind"] for _, fields in JournalReader(recorder.folder)] == ["start", "stop"]


def test_oldest_actions_are_left_out_beyond_the_limit(recorder, monkeypatch):
    monkeypatch.setattr(report_actions, "MOST_ACTIONS", 2)
    for number in (1, 2, 3):
        recorder.action(number, "done", result=str(number))
    found = recorder.report()
    assert [action.result for action in found.all()] == ["2", "3"]
    assert found.left_out == 1


@pytest.mark.parametrize(
    ("user", "who"),
    [
        ({"via": "signal"}, "unknown (SIGHUP)"),
        ({"via": "socket", "uid": 0, "user": "root"}, "root"),
        ({"via": "socket", "uid": 12345}, "uid 12345"),
        ({"uid": 998, "user": "bridge", "login_uid": 1000, "login": "alice"}, "bridge, alice (login)"),
        ({"uid": 998, "user": "bridge", "login_uid": 1000}, "bridge, uid 1000 (login)"),
        (
            {"uid": 998, "user": "bridge", "said": {"uid": 0, "user": "root", "sudo_user": "alice"}},
            "bridge, alice (as the client says)",
        ),
        ({"uid": 998, "user": "bridge", "said": {"uid": 998, "user": "bridge", "sudo_user": None}}, "bridge"),
    ],
)
def test_user_is_named_by_what_is_verified_first(user, who):
    action = report_actions.Action("t", None, "reload", "done", {}, "", user)
    assert action.who == who


def test_line_of_unknown_kind_is_no_fault(recorder):
    recorder.journal._append([{"kind": "of a later version"}])
    reader = JournalReader(recorder.folder)
    assert build_report(reader, None, None).unknown_kinds == {"of a later version": 1}
    assert reader.fault_count == 0
