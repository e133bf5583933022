"""Tests the table of commands: what each one writes to the journal."""

import pytest
from twisted.internet import defer

from bridge.accounting import Ledger
from bridge.operations.command import CommandError
from bridge.operations.commands import on_spool


class FakeSession:
    """A session with one intake; ``recorded`` has the purged events of the ledger at each journal entry."""

    def __init__(self):
        self.ledger = Ledger()
        self.ledger.recover_spooled("fw", 5)
        self.recorded = []

    @property
    def spool(self):
        return self

    @property
    def backlogs(self):
        return self

    def discard(self, batches):
        pass

    async def release(self, intake):
        return [(None, 5)]

    def run(self, job):
        return defer.maybeDeferred(job)

    def intakes(self):
        return ["fw"]

    async def write_accounts(self):
        self.recorded.append(self.ledger.of("fw").dropped["purged"])


def test_command_that_removes_events_writes_the_journal():
    session = FakeSession()
    done = defer.ensureDeferred(on_spool(session)["spool-purge"]({}, lambda progress: True))
    assert done.result == {"purged": 5, "interrupted": False}
    assert session.recorded == [5]


def test_command_that_fails_half_way_writes_the_journal(monkeypatch):
    session = FakeSession()

    def full(batches):
        raise CommandError("no room")

    monkeypatch.setattr(session, "discard", full, raising=True)
    done = defer.ensureDeferred(on_spool(session)["spool-purge"]({}, lambda progress: True))
    with pytest.raises(CommandError):
        done.result.raiseException()
    done.addErrback(lambda failure: None)
    assert session.recorded == [5]
