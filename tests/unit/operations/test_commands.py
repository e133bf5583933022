"""Tests the table of commands: what each one writes to the journal."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet import defer

from bridge.accounting import Ledger
from bridge.operations.command import CommandError
from bridge.operations.commands import on_spool


class FakeSession:
    """A session with one intake; ``recorded`` has the purged events of the ledger at each journal entry."""

    def __init__(self, directory):
        self.directory = directory
        self.ledger = Ledger()
        self.ledger.recover_spooled("fw", 5)
        self.recorded = []
        self.discarded = 0
        self.failure = None
        self.batch = SimpleNamespace(intake="fw", path=directory / "1-0-5-10.lines")
        self.batch.path.touch()

    @property
    def spool(self):
        return self

    @property
    def backlogs(self):
        return self

    def sequences(self, count, *, exact):
        return range(7, 7 + count)

    def discard(self, batches):
        self.discarded += len(batches)

    async def release(self, intake):
        return [(self.batch, 5)]

    def run(self, job):
        return defer.maybeDeferred(job)

    def intakes(self):
        return ["fw"]

    async def settle(self, transaction):
        self.ledger.apply(transaction.changes)
        if self.failure is not None:
            raise self.failure

    async def write_accounts(self):
        self.recorded.append(self.ledger.of("fw").dropped["purged"])


@pytest.fixture
def session(tmp_path):
    return FakeSession(tmp_path)


def purge(session):
    return defer.ensureDeferred(on_spool(session)["spool-purge"]({}, lambda progress: True))


def test_command_that_removes_events_writes_the_journal(session):
    assert purge(session).result == {"purged": 5, "interrupted": False}
    assert not session.batch.path.exists()
    assert session.recorded == [5]


def test_command_that_fails_half_way_writes_the_journal(session):
    session.failure = CommandError("no room")
    done = purge(session)
    with pytest.raises(CommandError):
        done.result.raiseException()
    done.addErrback(lambda failure: None)
    assert session.recorded == [5]


def test_purge_needs_no_room_on_the_disk(session, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    assert purge(session).result == {"purged": 5, "interrupted": False}
    assert session.discarded == 1
    assert session.recorded == [5]
