"""Tests that a file of the spool that cannot be read is left out, named and tried again, while all others are sent."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from bridge.deliver.unreadable import AT_ONCE, EVERY, RARELY
from bridge.spool import pack_blocks, pack_writer
from tests.harness.file_errors import FileErrors
from tests.unit.deliver.test_courier import CourierFixture
from tests.unit.deliver.test_pack_queue import add_during_outage, pack_names


class Fixture(CourierFixture):
    """A courier that records the texts of its alarms."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.active: dict[tuple[str, str], str] = {}
        super().__init__(*args, **named)

    def on(self, kind: str, about: str, text: str, *, lasts: float | None = None) -> None:
        super().on(kind, about, text)
        self.active[kind, about] = text

    def off(self, kind: str, about: str, text: str) -> None:
        self.active.pop((kind, about), None)

    def run_for(self, seconds: float) -> list[bytes]:
        """Accepts all requests of some seconds. Returns their events."""
        accepted: list[bytes] = []
        for _ in range(int(seconds * 4)):
            self.courier.tidy()
            self.clock.advance(0.25)
            while self.posted:
                accepted += self.bodies[0].split(b"\n")
                self.accept()
            self.check()
        return accepted


@pytest.fixture
def fixture(tmp_path: Any) -> Fixture:
    return Fixture(tmp_path / "spool", in_flight=1)


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> FileErrors:
    return FileErrors(monkeypatch)


def add_waiting(fixture: Fixture, *events: bytes) -> None:
    """Seals one batch for each event, far apart in time, while the collector does not answer."""
    for second, event in enumerate(events):
        fixture.seal(event, ms=second * 60_000)


def has_one(path: str) -> bool:
    """Returns True for the path of the second of several batches."""
    return "-1795435260000-1-" in path


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ELOOP])
def test_file_that_fails_for_ever_is_held_and_named_and_the_others_are_sent(
    fixture: Fixture, errors: FileErrors, number: int
) -> None:
    errors.fail("open", has_one, number)
    add_waiting(fixture, b"zero", b"one", b"two", b"three")
    assert fixture.run_for(2) == [b"zero", b"two", b"three"]
    assert ("unreadable", "a") not in fixture.active, "an alarm after one failure"
    fixture.run_for(10)
    text = fixture.active["unreadable", "a"]
    assert "-1795435260000-1-4.lines" in text
    assert "1 event is held" in text
    assert "spool purge --unreadable --intake a" in text
    assert fixture.courier.last_error == text
    assert fixture.ledger.of("a").spooled == 1
    add_waiting(fixture, b"later")
    assert fixture.run_for(1) == [b"later"]
    errors.stop()
    assert fixture.run_for(EVERY + 1) == [b"one"]
    assert fixture.active == {}
    assert (fixture.courier.state, fixture.courier.last_error, fixture.files) == ("idle", None, [])


def test_file_that_fails_once_is_sent_a_second_later_without_an_alarm(fixture: Fixture, errors: FileErrors) -> None:
    errors.fail("open", has_one, errno.ESTALE, times=1)
    add_waiting(fixture, b"zero", b"one", b"two")
    assert fixture.run_for(3) == [b"zero", b"two", b"one"]
    assert not fixture.alarms


def test_file_that_cannot_be_renamed_is_sent(fixture: Fixture, errors: FileErrors) -> None:
    errors.fail("rename", has_one, errno.ESTALE)
    add_waiting(fixture, b"zero", b"one", b"two")
    assert fixture.run_for(3) == [b"zero", b"one", b"two"]
    assert ("unreadable", "a") not in fixture.active


def test_held_file_is_tried_every_minute_and_later_every_ten(fixture: Fixture, errors: FileErrors) -> None:
    errors.fail("open", has_one, errno.EIO)
    add_waiting(fixture, b"zero", b"one")
    fixture.run_for(10)
    assert len(errors.calls) == 3
    fixture.run_for(10 * EVERY)
    assert len(errors.calls) == 13
    fixture.run_for(2 * RARELY)
    assert len(errors.calls) in (14, 15)
    assert fixture.alarms["unreadable"] == 1


def test_all_held_files_are_tried_once_one_can_be_read(fixture: Fixture, errors: FileErrors) -> None:
    names = [b"number%d" % n for n in range(40)]
    errors.fail("open", lambda path: path.endswith(("-8.lines", "-9.lines")), errno.EIO)
    add_waiting(fixture, b"first", *names)
    assert fixture.run_for(20) == [b"first"], "the first batch is still in memory"
    assert "and 39 more files" in fixture.active["unreadable", "a"]
    assert "40 events" in fixture.active["unreadable", "a"]
    tried = len(errors.calls)
    fixture.run_for(EVERY)
    assert len(errors.calls) > tried + AT_ONCE
    errors.stop()
    assert fixture.run_for(EVERY + 5) == names
    assert fixture.active == {}


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EROFS])
def test_error_of_every_file_backs_off_and_holds_nothing(fixture: Fixture, errors: FileErrors, number: int) -> None:
    errors.fail("open", has_one, number)
    add_waiting(fixture, b"zero", b"one", b"two")
    fixture.run_for(10)
    assert fixture.courier.state == "backing-off"
    errors.stop()
    assert fixture.run_for(60) == [b"one", b"two"]


def test_held_batch_is_dropped_and_released_like_any_other(fixture: Fixture, errors: FileErrors) -> None:
    errors.fail("open", has_one, errno.EIO)
    add_waiting(fixture, b"zero", b"one", b"two", b"three")
    held = fixture.run_for(10)
    assert held == [b"zero", b"two", b"three"]
    fixture.seal(b"new", ms=3_600_000)
    ((batch, count),) = fixture.courier.release()
    assert (batch.count, count) == (1, 1)
    fixture.courier.add(batch)
    fixture.run_for(10)
    fixture.seal(b"newest", ms=7_200_000)
    fixture.seal(b"newest", ms=9_200_000)
    dropped = fixture.courier.drop_oldest()
    assert dropped is batch
    fixture.ledger.drop_spooled("a", 1, "spool_full")
    fixture.check()
    fixture.run_for(1)
    assert fixture.active == {}


def test_unreadable_batch_does_not_keep_the_others_from_being_packed(fixture: Fixture, errors: FileErrors) -> None:
    errors.fail("open", lambda path: "-1795435300000-1-" in path, errno.EIO)
    events = add_during_outage(fixture, 150)
    assert pack_names(fixture)
    assert sorted(fixture.run_for(200)) == sorted(set(events) - {b"50.0"})
    assert fixture.ledger.of("a").spooled == 1


def test_unreadable_block_of_a_pack_is_held_and_the_others_are_sent(
    fixture: Fixture, errors: FileErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_writer, "BLOCK", 100)
    events = add_during_outage(fixture, 150)
    path = fixture.spool.directory / "a" / pack_names(fixture)[-1]
    found = [block for _, block in pack_blocks.blocks(path)]
    bad = found[len(found) // 2]
    assert bad.header is not None
    errors.fail("pread", lambda path: path.endswith(f"@{bad.offset}+{bad.header.length}"), errno.EIO)
    accepted = fixture.run_for(200)
    assert len(accepted) == 150 - bad.header.events
    assert ".pack: Input/output error" in fixture.active["unreadable", "a"]
    assert f"{bad.header.events} events are held" in fixture.active["unreadable", "a"]
    assert fixture.ledger.of("a").spooled == bad.header.events
    errors.stop()
    accepted += fixture.run_for(RARELY + 30)
    assert sorted(accepted) == sorted(events)
    assert (fixture.active, fixture.files, fixture.courier.state) == ({}, [], "idle")


@pytest.mark.parametrize("nth", [1, 3, 4, 5])
def test_pack_that_cannot_be_read_further_is_held_and_newer_batches_are_sent(
    fixture: Fixture, errors: FileErrors, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    monkeypatch.setattr(pack_writer, "BLOCK", 100)
    events = add_during_outage(fixture, 150)
    reads: list[str] = []

    def fails(path: str) -> bool:
        if ".pack@" not in path:
            return False
        reads.append(path)
        return len(reads) >= nth

    errors.fail("pread", fails, errno.EIO)
    accepted = fixture.run_for(200)
    assert b"149.0" in accepted, "the newest batch waits behind the pack"
    assert len(accepted) == len(set(accepted)) < 150
    assert ".pack" in fixture.active["unreadable", "a"]
    assert fixture.ledger.of("a").spooled == 150 - len(accepted)
    assert fixture.courier.oldest_sequence is not None
    errors.stop()
    accepted += fixture.run_for(RARELY + 30)
    assert sorted(accepted) == sorted(events)
    assert (fixture.active, fixture.files, fixture.courier.state) == ({}, [], "idle")


def test_damaged_block_waits_while_quarantine_cannot_be_written(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_writer, "BLOCK", 100)
    events = add_during_outage(fixture, 150)
    path = fixture.spool.directory / "a" / pack_names(fixture)[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    kept, writable = fixture.keep_damaged, False

    def keep_damaged(pack: Any, loss: Any) -> None:
        if not writable:
            raise OSError(errno.EACCES, "Permission denied")
        kept(pack, loss)

    monkeypatch.setattr(fixture, "keep_damaged", keep_damaged)
    accepted = fixture.run_for(200)
    assert fixture.ledger.of("a").spooled == 150 - len(accepted) > 0
    assert fixture.ledger.of("a").quarantined == 0
    assert "unreadable" in fixture.alarms
    writable = True
    accepted += fixture.run_for(RARELY + 30)
    totals = fixture.ledger.of("a")
    assert totals.quarantined + totals.dropped.total() == 150 - len(accepted) > 0
    assert set(accepted) < set(events)
    assert (fixture.active.get(("unreadable", "a")), fixture.files) == (None, [])


def test_missing_file_is_not_held(fixture: Fixture) -> None:
    add_waiting(fixture, b"zero", b"one", b"two")
    next(path for path in (fixture.spool.directory / "a").iterdir() if has_one(str(path))).unlink()
    assert fixture.run_for(10) == [b"zero", b"two"]
    assert fixture.ledger.of("a").dropped == {"spool_file_missing": 1}
