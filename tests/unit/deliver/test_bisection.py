"""Tests the search for refused events: when they are quarantined, and when the collector is at fault instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.deliver.bisection import MOST_REFUSALS, Bisection
from bridge.deliver.split_queue import halves
from bridge.spool import Piece
from tests.unit.deliver.intake import IntakeFixture


@pytest.fixture
def intake(tmp_path: Path) -> IntakeFixture:
    return IntakeFixture(tmp_path / "spool")


@pytest.fixture
def bisection(intake: IntakeFixture) -> Bisection:
    return Bisection("fw", pending=intake.pending, context=intake.context)


def split(intake: IntakeFixture, *events: bytes, second: int = 0) -> tuple[Piece, Piece]:
    """Adds a batch of two events, takes it for a request, and halves it."""
    intake.add(*events, second=second)
    (piece,) = intake.take()
    (first,), (last,) = halves([piece])
    return first, last


def test_refused_event_waits_until_another_is_accepted(intake: IntakeFixture, bisection: Bisection) -> None:
    good, bad = split(intake, b"good", b"bad")
    assert bisection.record_refusal([good, bad])
    bisection.add_refused((bad, "HTTP 400"))
    assert list(bisection.refused_pieces()) == [bad]
    assert intake.refused == []
    intake.ledger.deliver("fw", 1)
    intake.pending.settle([good])
    bisection.accepted()
    assert intake.refused == [b"bad\n"]
    assert list(bisection.refused_pieces()) == []
    assert intake.ledger.total().quarantined == 1
    intake.check()


def test_batch_is_settled_with_its_refused_event(intake: IntakeFixture, bisection: Bisection) -> None:
    good, bad = split(intake, b"good", b"bad")
    bisection.record_refusal([bad])
    bisection.add_refused((bad, "HTTP 400"))
    intake.ledger.deliver("fw", 1)
    intake.pending.settle([good])
    bisection.accepted()
    assert intake.acknowledged == [bad.batch]
    assert not intake.pending


def test_earlier_acceptance_is_enough_if_only_refused_events_are_left(
    intake: IntakeFixture, bisection: Bisection
) -> None:
    good, bad = split(intake, b"good", b"bad")
    bisection.record_refusal([good, bad])
    intake.ledger.deliver("fw", 1)
    intake.pending.settle([good])
    bisection.accepted()
    bisection.record_refusal([bad])
    bisection.add_refused((bad, "HTTP 400"))
    bisection.quarantine_refused(since_suspected=True)
    assert intake.refused == [b"bad\n"]


def test_nothing_is_quarantined_without_an_acceptance(intake: IntakeFixture, bisection: Bisection) -> None:
    _, bad = split(intake, b"good", b"bad")
    bisection.record_refusal([bad])
    bisection.add_refused((bad, "HTTP 400"))
    bisection.quarantine_refused(since_suspected=True)
    assert intake.refused == []
    assert list(bisection.refused_pieces()) == [bad]


def test_too_many_consecutive_refusals_are_the_collectors_fault(intake: IntakeFixture, bisection: Bisection) -> None:
    _, bad = split(intake, b"good", b"bad")
    assert [bisection.record_refusal([bad]) for _ in range(MOST_REFUSALS)] == [True] * (MOST_REFUSALS - 1) + [False]
    assert bisection.consecutive_refusals == 0
    assert bad.suspected is None


def test_undoing_splits_makes_an_untouched_batch_whole(intake: IntakeFixture, bisection: Bisection) -> None:
    first, last = split(intake, b"one", b"two")
    intake.pending.split_queue.add([first])
    bisection.add_refused((last, "HTTP 400"))
    bisection.undo_splits()
    assert len(intake.pending.split_queue) == 0
    assert list(bisection.refused_pieces()) == []
    (again,) = intake.take()
    assert (again.count, again.lines) == (2, None)


def test_undoing_splits_leaves_the_rest_of_a_settled_batch_a_range(intake: IntakeFixture, bisection: Bisection) -> None:
    first, last = split(intake, b"one", b"two")
    intake.ledger.deliver("fw", 1)
    intake.pending.settle([first])
    intake.pending.split_queue.add([last])
    bisection.undo_splits()
    assert list(intake.pending.split_queue.pieces()) == [last]


def test_refused_events_of_purged_batches_are_forgotten(intake: IntakeFixture, bisection: Bisection) -> None:
    _, bad = split(intake, b"good", b"bad")
    bisection.add_refused((bad, "HTTP 400"))
    bisection.forget([bad.batch])
    assert list(bisection.refused_pieces()) == []
