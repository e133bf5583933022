"""Tests an intake's pending batches and their amounts: adding, settling, dropping, releasing, damaged files."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import defer

from bridge.batching import Group
from bridge.deliver import pending
from bridge.spool import Pack, Piece, batch_reader
from bridge.util.alarms import A_DAY
from tests.harness.builders import NOON
from tests.unit.deliver.intake import IntakeFixture


@pytest.fixture
def intake(tmp_path: Path) -> IntakeFixture:
    return IntakeFixture(tmp_path / "spool")


def test_sealed_batches_are_counted_with_events_and_bytes(intake: IntakeFixture) -> None:
    intake.add(b"one", b"two")
    intake.add(b"three", second=1)
    assert (intake.pending.events, intake.pending.size) == (3, len(b"one\ntwo\nthree\n"))
    assert intake.pending.disk > 0
    assert bool(intake.pending)
    intake.check()


def test_oldest_is_the_batch_with_the_lowest_sequence(intake: IntakeFixture) -> None:
    assert intake.pending.oldest_sequence is None
    first = intake.add(b"one")
    intake.add(b"two", second=1)
    assert intake.pending.oldest_sequence == first.sequence


def test_batch_is_settled_with_its_last_event(intake: IntakeFixture) -> None:
    batch = intake.add(b"one", b"two")
    lines, times = batch_reader.rows_of(Piece.whole(batch))
    parts = [batch_reader.part_of(Piece.whole(batch), lines, times, slice(i, i + 1)) for i in range(2)]
    intake.ledger.deliver("fw", 1)
    assert intake.pending.settle(parts[:1]) == []
    intake.check()
    intake.ledger.deliver("fw", 1)
    assert intake.pending.settle(parts[1:]) == [batch]
    intake.check()
    assert not intake.pending
    assert (intake.pending.size, intake.pending.disk) == (0, 0)


def test_drop_oldest_forgets_the_oldest_batch_only(intake: IntakeFixture) -> None:
    first = intake.add(b"one", b"two")
    second = intake.add(b"three", second=1)
    assert intake.pending.drop_oldest() is first
    assert (intake.pending.events, intake.pending.oldest_sequence) == (1, second.sequence)
    assert intake.pending.drop_oldest() is second
    assert intake.pending.drop_oldest() is None
    assert (intake.pending.events, intake.pending.size, intake.pending.disk) == (0, 0, 0)


def test_batch_in_flight_is_not_dropped(intake: IntakeFixture) -> None:
    intake.add(b"one")
    taken = intake.take()
    assert sum(piece.count for piece in taken) == 1
    assert intake.pending.drop_oldest() is None
    intake.pending.put_back(taken, split=False)
    assert intake.pending.drop_oldest() is not None


def test_release_returns_all_that_waits_with_its_events(intake: IntakeFixture) -> None:
    intake.add(b"one", b"two")
    intake.add(b"three", second=1)
    released = intake.pending.release()
    assert [events for _, events in released] == [2, 1]
    assert not intake.pending
    assert (intake.pending.events, intake.pending.size, intake.pending.disk) == (0, 0, 0)


def test_pack_found_at_start_is_counted_and_released_whole(intake: IntakeFixture) -> None:
    batches = [intake.add(b"event %d" % n, second=n) for n in range(3)]
    intake.pending.release()
    made, _ = intake.pack(batches)
    assert isinstance(made, Pack)
    intake.pending.add_pack(made)
    assert (intake.pending.events, intake.pending.oldest_sequence) == (3, batches[0].sequence)
    assert [events for _, events in intake.pending.release()] == [3]
    assert intake.pending.events == 0


def test_missing_file_is_a_counted_loss_with_an_alarm(intake: IntakeFixture) -> None:
    batch = intake.add(b"one", b"two")
    intake.pending.cannot_read([Piece.whole(batch)], batch_reader.Missing(batch), split=False)
    assert intake.ledger.total().dropped == {"spool_file_missing": 2}
    assert "2 events" in intake.alarms["damaged", "fw"]
    assert intake.quarantined == []
    intake.check()


def test_damaged_file_is_quarantined_with_an_alarm(intake: IntakeFixture) -> None:
    batch = intake.add(b"one", b"two")
    intake.pending.cannot_read([Piece.whole(batch)], batch_reader.Damaged(batch, "3 events instead of 2"), split=False)
    assert intake.ledger.total().quarantined == 2
    assert intake.quarantined == [batch]
    assert "3 events instead of 2" in intake.alarms["damaged", "fw"]
    intake.check()


def test_damage_alarm_ends_a_day_after_the_last_damage(intake: IntakeFixture) -> None:
    def damage(name: str) -> None:
        batch = intake.add(name.encode())
        intake.pending.cannot_read([Piece.whole(batch)], batch_reader.Damaged(batch, "it is shorter"), split=False)

    damage("one")
    intake.clock.advance(A_DAY - 1)
    damage("two")
    intake.clock.advance(A_DAY - 1)
    intake.alarm_sink.look()
    assert ("damaged", "fw") in intake.alarms
    intake.clock.advance(1)
    intake.alarm_sink.look()
    assert intake.alarms == {}


def test_forgotten_batches_leave_no_amount(intake: IntakeFixture) -> None:
    first = intake.add(b"one", b"two")
    second = intake.add(b"three", second=1)
    intake.pending.forget([first])
    assert (intake.pending.events, list(intake.pending.batches)) == (1, [second])


def test_release_gives_a_batch_that_was_cut_unless_a_part_is_settled(intake: IntakeFixture) -> None:
    data = b"".join(b"%d\tevent %d\n" % ((NOON + second) * 1000, second) for second in range(9))
    for _ in range(2):
        intake.spool.append(Group("fw", "lines", NOON, NOON * 1000, (NOON + 8) * 1000, 9, data, timed=True))
        intake.ledger.receive_spooled("fw", 9)
        intake.spool.seal_all()
    queue, limits = intake.pending.send_queue, {"width_ms": 1000, "max_events": 100, "max_bytes": 10_000}
    for _ in range(2):
        whole = queue.take(0, **limits)
        defer.ensureDeferred(intake.pending.cut(whole, 1000, 100, 10_000))
    settled = queue.take(0, **limits)
    intake.pending.settle(settled)
    partly = settled[0].batch
    released = intake.pending.release()
    assert [(batch is partly, events) for batch, events in released] == [(False, 9)]
    assert (intake.pending.events, list(intake.pending.batches)) == (8, [partly])
    assert {piece.batch for piece in queue.pieces()} == {partly}


def test_ranges_of_a_cut_batch_enter_the_lanes_in_several_turns(
    intake: IntakeFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "PUT_BACK_AT_ONCE", 10)
    seconds = [chance * 7 % 101 for chance in range(101)]
    data = b"".join(b"%d\tevent %d\n" % ((NOON + second) * 1000, second) for second in seconds)
    intake.spool.append(Group("fw", "lines", NOON, NOON * 1000, (NOON + 100) * 1000, 101, data, timed=True))
    intake.ledger.receive_spooled("fw", 101)
    intake.spool.seal_all()
    queue = intake.pending.send_queue
    whole = queue.take(0, width_ms=1000, max_events=100, max_bytes=10_000, max_uncut_bytes=1 << 20)
    defer.ensureDeferred(intake.pending.cut(whole, 1000, 100, 10_000))
    assert len(queue) == 10
    intake.check()
    intake.clock.advance(0)
    assert len(queue) == 101
    found = [queue.take(0, width_ms=1000, max_events=100, max_bytes=10_000) for _ in range(101)]
    assert [piece.lines for (piece,) in found] == [b"event %d\n" % second for second in range(101)]
