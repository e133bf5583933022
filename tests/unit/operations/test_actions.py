"""Tests the records of operators' commands: before and after the command, without secrets, with the user."""

import json
import os
import socket

import pytest
from twisted.internet import defer

from bridge.operations.actions import MAX_TEXT, ActionLog, arguments
from bridge.operations.command import CommandError
from bridge.operations.operator import SIGNAL, Operator, connected_operator, local_operator


class Recorded:
    """An action log whose lines the test reads."""

    def __init__(self):
        self.rows = []
        self.waiting = None
        self.actions = ActionLog(self.write, lambda: 1_772_323_200.0)

    def write(self, command, fields):
        self.rows.append((command, fields))
        return self.waiting or defer.succeed(None)

    def run(self, command, given=None, name="spool-purge", operator=SIGNAL):
        return defer.ensureDeferred(self.actions.run(name, command, given or {}, lambda report: True, operator))

    def states(self):
        return [fields["state"] for _, fields in self.rows]


@pytest.fixture
def recorded():
    return Recorded()


def command(result=None, error=None):
    async def run(given, progress):
        if error is not None:
            raise error
        return result

    return run


def test_start_is_recorded_before_the_command_changes_anything(recorded):
    async def run(given, progress):
        assert recorded.states() == ["started"]
        return {"purged": 3, "interrupted": False}

    done = recorded.run(run, {"intake": "fw"})
    assert done.result == {"purged": 3, "interrupted": False}
    assert recorded.states() == ["started", "done"]
    (_, begun), (name, ended) = recorded.rows
    assert name == "spool-purge"
    assert begun["id"] == ended["id"]
    assert json.loads(ended["result"]) == {"purged": 3}
    assert ended["arguments"] == {"intake": "fw"}


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (CommandError("no such intake"), "refused", "no such intake"),
        (OSError(28, "No space left on device", "/spool/x"), "failed", "/spool/x: No space left on device"),
        (ZeroDivisionError("secret"), "failed", "a defect of the bridge: see its log"),
    ],
)
def test_failed_command_is_recorded_and_fails(recorded, error, state, text):
    failed = recorded.run(command(error=error))
    failed.addErrback(lambda failure: failure.trap(type(error)))
    assert recorded.states() == ["started", state]
    assert recorded.rows[1][1]["result"] == text


def test_interrupted_command_is_recorded(recorded):
    recorded.run(command({"moved": 1, "interrupted": True}))
    assert recorded.states() == ["started", "interrupted"]


def test_command_that_changes_nothing_is_not_recorded(recorded):
    assert recorded.run(command({"events": 1}), name="replay-count").result == {"events": 1}
    assert recorded.rows == []


def test_command_does_not_wait_for_the_record_of_its_start(recorded):
    recorded.waiting = defer.Deferred()
    done = recorded.run(command({}))
    assert recorded.states() == ["started", "done"]
    assert not done.called
    recorded.waiting.callback(None)
    assert done.called


def test_actions_of_one_moment_have_different_ids(recorded):
    recorded.run(command({}))
    recorded.run(command({}))
    assert len({fields["id"] for _, fields in recorded.rows}) == 2


def test_secrets_and_unknown_arguments_are_not_recorded():
    given = {"intake": "fw", "key": "k" * 16, "password": "p", "containing": "a " * 1000, "source": None}
    assert arguments(given) == {"intake": "fw", "containing": ("a " * 1000)[:MAX_TEXT]}
    assert arguments({"timeout_seconds": 0, "unreadable": False, "reasons": ["unrouted"] * 100}) == {
        "timeout_seconds": 0, "reasons": ["unrouted"] * 20,
    }  # fmt: skip


def test_key_that_a_purge_looks_for_is_not_recorded():
    text = "intake_key=abcdefgh12345678 of fw-01"
    assert arguments({"containing": text}) == {"containing": "intake_key=*** of fw-01"}


def test_user_of_a_socket_comes_from_the_kernel():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fields = connected_operator(ours, json.dumps({"uid": 7, "user": "x" * 99, "sudo_user": "alice"})).fields()
    assert (fields["uid"], fields["pid"], fields["via"]) == (os.getuid(), os.getpid(), "socket")
    assert fields["said"] == {"uid": 7, "user": "x" * 64, "sudo_user": "alice"}


@pytest.mark.parametrize("said", [None, "", "{", "[]", '{"uid": "0", "user": {}, "sudo_user": 3}'])
def test_what_a_client_says_may_be_anything(said):
    said_fields = connected_operator(None, said).said
    assert said_fields is None or set(said_fields.values()) == {None}


def test_user_of_this_process_is_named(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "bob")
    fields = local_operator().fields()
    assert (fields["via"], fields["uid"], fields["said"]["sudo_user"]) == ("files", os.getuid(), "bob")


def test_unknown_user_has_no_name():
    assert Operator("socket", 4_000_000, None).fields()["user"] is None
