"""Tests that refused and damaged events stay in the spool while the quarantine cannot be written."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.monitoring.alarms import Alarms
from bridge.spool import Batch, Piece, batch_reader
from bridge.storage import unwritten
from bridge.storage.delivery_store import TRY_AGAIN
from tests.harness.builders import NOON, build_delivery_store, build_spool
from tests.harness.file_errors import FileErrors


class Fixture:
    """A spool with one batch, and the store of its outcomes."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.ledger, self.alarms = Clock(), Ledger(), Alarms()
        self.sealed: list[Batch] = []
        self.journal: list[object] = []
        self.spool = build_spool(directory)
        self.spool.subscribe(self.sealed.append)
        self.store = build_delivery_store(
            self.spool, self.ledger, clock=self.clock, alarms=self.alarms,
            refused=lambda *line: self.journal.append(line),
        )  # fmt: skip

    def seal(self, *events: bytes) -> Batch:
        ms = NOON * 1000
        self.spool.append(Group("fw", "lines", NOON, ms, ms, len(events), b"".join(event + b"\n" for event in events)))
        self.ledger.receive_spooled("fw", len(events))
        self.spool.seal_all()
        return self.sealed[-1]

    def refuse(self, piece: Piece, settled: list[Batch]) -> None:
        self.ledger.quarantine("fw", piece.count)
        self.store.refuse("fw", [(piece, "HTTP 400")], settled)

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in (self.spool.directory / "fw").iterdir())

    def check(self) -> None:
        assert self.ledger.imbalance == 0


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path / "spool")


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> FileErrors:
    return FileErrors(monkeypatch)


def rows(batch: Batch) -> list[Piece]:
    """Returns the single events of a batch."""
    whole = Piece.whole(batch)
    lines, times = batch_reader.rows_of(whole)
    return [batch_reader.part_of(whole, lines, times, slice(i, i + 1)) for i in range(len(lines))]


def in_quarantine(path: str) -> bool:
    return "/.quarantine/" in path


@pytest.mark.parametrize(
    ("call", "number"),
    [("open", errno.EACCES), ("open", errno.ENOSPC), ("open", errno.EROFS), ("fsync", errno.EIO)],
)
def test_refused_event_waits_in_its_batch_until_the_quarantine_can_be_written(
    fixture: Fixture, errors: FileErrors, call: str, number: int
) -> None:
    errors.fail(call, in_quarantine, number)
    batch = fixture.seal(b"good", b"bad")
    good, bad = rows(batch)
    fixture.refuse(bad, [])
    text = fixture.alarms.active["quarantine", "spool"]
    assert "(1 now) stay in the spool" in text
    # The other event is accepted, and its batch is settled.
    fixture.ledger.deliver("fw", good.count)
    fixture.store.acknowledge([batch], None)
    assert len(fixture.files) == 1
    fixture.clock.advance(TRY_AGAIN)
    assert (len(fixture.files), fixture.journal) == (1, [])
    assert (fixture.ledger.of("fw").spooled, fixture.ledger.of("fw").quarantined) == (1, 0)
    fixture.check()
    assert len(errors.calls) == 2
    errors.stop()
    fixture.clock.advance(TRY_AGAIN)
    assert (fixture.files, len(fixture.journal)) == ([], 1)
    assert fixture.spool.quarantine.counts == {"refused": 1}
    assert fixture.alarms.active == {}
    total = fixture.ledger.total()
    assert (total.delivered, total.quarantined, dict(total.dropped)) == (1, 1, {})
    assert not fixture.clock.getDelayedCalls()
    fixture.check()
    (file,) = (fixture.spool.directory / ".quarantine/refused").iterdir()
    assert file.read_bytes().count(b"\n") == 1


def test_events_refused_meanwhile_wait_too_and_keep_their_order(fixture: Fixture, errors: FileErrors) -> None:
    errors.fail("open", in_quarantine, errno.ENOSPC)
    batches = [fixture.seal(b"bad %d" % n) for n in range(3)]
    for batch in batches:
        fixture.refuse(rows(batch)[0], [batch])
    assert len(fixture.files) == 3
    assert len(fixture.clock.getDelayedCalls()) == 1
    errors.stop()
    fixture.clock.advance(TRY_AGAIN)
    assert fixture.files == []
    assert [line[1] for line in fixture.journal] == [batch.sequence for batch in batches]  # type: ignore[index]
    fixture.check()


def test_restart_meanwhile_finds_the_batch(fixture: Fixture, errors: FileErrors, tmp_path: Path) -> None:
    errors.fail("open", in_quarantine, errno.EACCES)
    batch = fixture.seal(b"bad")
    fixture.refuse(rows(batch)[0], [batch])
    errors.stop()
    fixture.spool.close()
    found = build_spool(tmp_path / "spool", recover=False).recover()
    assert [each.count for each in found.batches] == [1]


def test_damaged_file_stays_in_the_spool_until_it_can_be_moved(fixture: Fixture, errors: FileErrors) -> None:
    batch = fixture.seal(b"one", b"two")
    batch.path.write_bytes(b"something else\n")
    errors.fail("rename", lambda path: path.endswith(".lines"), errno.EACCES)
    fixture.ledger.quarantine("fw", 2)
    fixture.store.quarantine_batch(batch, "damaged")
    assert len(fixture.files) == 1
    assert ("quarantine", "spool") in fixture.alarms.active
    errors.stop()
    fixture.clock.advance(TRY_AGAIN)
    assert (fixture.files, fixture.alarms.active) == ([], {})
    assert len(list((fixture.spool.directory / ".quarantine/damaged/files").iterdir())) == 1
    fixture.check()


def test_refused_event_that_cannot_be_read_does_not_keep_the_others(fixture: Fixture, errors: FileErrors) -> None:
    bad, other = fixture.seal(b"bad"), fixture.seal(b"other")
    bad.take_fresh()
    errors.fail("open", lambda path: f"/fw/{bad.sequence}-" in path, errno.EIO)
    fixture.ledger.quarantine("fw", 2)
    fixture.store.refuse("fw", [(Piece.whole(bad), "HTTP 400"), (rows(other)[0], "HTTP 400")], [bad, other])
    assert [line[1] for line in fixture.journal] == [other.sequence]  # type: ignore[index]
    assert len(fixture.files) == 1
    errors.stop()
    fixture.clock.advance(TRY_AGAIN)
    assert (fixture.files, len(fixture.journal)) == ([], 2)


def test_batches_that_stay_for_their_refused_events_count_as_used_disk(fixture: Fixture, errors: FileErrors) -> None:
    errors.fail("open", in_quarantine, errno.EACCES)
    batch = fixture.seal(b"good", b"bad")
    good, bad = rows(batch)
    fixture.refuse(bad, [])
    assert fixture.store.kept_disk.get("fw", 0) == 0, "an unsettled batch is counted by its courier"
    fixture.ledger.deliver("fw", good.count)
    fixture.store.acknowledge([batch], None)
    assert fixture.store.kept_disk == {"fw": batch.disk}
    fixture.clock.advance(TRY_AGAIN)
    assert fixture.store.kept_disk == {"fw": batch.disk}
    errors.stop()
    fixture.clock.advance(TRY_AGAIN)
    assert fixture.store.kept_disk == {"fw": 0}


def test_damaged_file_that_cannot_be_moved_counts_as_used_disk(fixture: Fixture, errors: FileErrors) -> None:
    batch = fixture.seal(b"one", b"two")
    errors.fail("rename", lambda path: path.endswith(".lines"), errno.EACCES)
    fixture.ledger.quarantine("fw", 2)
    fixture.store.quarantine_batch(batch, "damaged")
    assert fixture.store.kept_disk == {"fw": batch.disk}
    errors.stop()
    fixture.clock.advance(TRY_AGAIN)
    assert fixture.store.kept_disk == {"fw": 0}


def test_refused_events_make_no_attempt_while_others_wait(fixture: Fixture, errors: FileErrors) -> None:
    errors.fail("open", in_quarantine, errno.EACCES)
    for _ in range(5):
        fixture.refuse(rows(batch := fixture.seal(b"bad"))[0], [batch])
    assert len(errors.calls) == 1
    fixture.clock.advance(TRY_AGAIN)
    assert len(errors.calls) == 2


@pytest.mark.parametrize("limit", ["MOST_EVENTS", "MOST_BYTES"])
def test_refused_events_beyond_the_limit_are_lost_and_counted(
    fixture: Fixture, errors: FileErrors, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(unwritten, limit, {"MOST_EVENTS": 3, "MOST_BYTES": 12}[limit])
    errors.fail("open", in_quarantine, errno.EACCES)
    batches = [fixture.seal(b"bad") for _ in range(3)]
    for batch in batches:
        fixture.refuse(rows(batch)[0], [batch])
        fixture.check()
    assert "further refused events are lost" in fixture.alarms.active["quarantine", "spool"]
    fixture.refuse(rows(lost := fixture.seal(b"bad"))[0], [lost])
    assert not lost.path.exists()
    assert len(fixture.files) == 3
    total = fixture.ledger.total()
    assert (total.spooled, total.quarantined, dict(total.dropped)) == (3, 0, {"quarantine_write_failed": 1})
    fixture.check()
    errors.stop()
    fixture.clock.advance(TRY_AGAIN)
    total = fixture.ledger.total()
    assert (total.spooled, total.quarantined, fixture.alarms.active) == (0, 3, {})
    fixture.check()


def test_many_waiting_events_are_written_in_several_attempts(
    fixture: Fixture, errors: FileErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten, "AT_ONCE", 2)
    errors.fail("open", in_quarantine, errno.EACCES)
    for _ in range(3):
        fixture.refuse(rows(batch := fixture.seal(b"bad"))[0], [batch])
    errors.stop()
    fixture.clock.advance(TRY_AGAIN)
    assert (fixture.ledger.of("fw").spooled, fixture.ledger.of("fw").quarantined) == (1, 2)
    assert ("quarantine", "spool") in fixture.alarms.active
    fixture.clock.advance(TRY_AGAIN)
    assert (fixture.ledger.of("fw").spooled, fixture.files, fixture.alarms.active) == (0, [], {})
    fixture.check()


def test_alarm_stays_while_an_unreadable_event_waits(fixture: Fixture, errors: FileErrors) -> None:
    bad, other = fixture.seal(b"bad"), fixture.seal(b"other")
    bad.take_fresh()
    errors.fail("open", lambda path: f"/fw/{bad.sequence}-" in path, errno.EIO)
    fixture.refuse(Piece.whole(bad), [bad])
    fixture.refuse(rows(other)[0], [other])
    assert len(fixture.files) == 1
    assert ("quarantine", "spool") in fixture.alarms.active
