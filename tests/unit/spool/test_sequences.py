"""Tests that sequences are unique, keep the order of what waits, and return to the present after a clock was ahead."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.spool.sequences import LOOK_EVERY, Sequences

NOON = 1_795_435_200
DAY = 86_400
YEARS = 3650 * DAY


class Wall:
    def __init__(self):
        self.now = float(NOON)

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


@given(st.lists(st.tuples(st.sampled_from([0, 1e-6, 1, 3600, 3 * DAY, YEARS]), st.booleans(), st.sampled_from("ab"))))
# Three sequences are reserved one before a range in use.
@example([(0, False, "a"), (1e-6, True, "a"), (3 * DAY, False, "a"), (3 * DAY, True, "a")])
# The present is within the range ahead of an earlier present.
@example([*[(0, False, "a")] * 6, (3 * DAY, False, "a"), (YEARS, True, "a"), (3 * DAY, True, "a"), (YEARS, False, "a")])
def test_sequences_are_unique_whatever_the_clock_does(steps):
    wall = Wall()
    sequences, given_out = Sequences(wall), []
    for step, back, intake in steps:
        wall.now += -step if back else step
        given_out.append(sequences.next(intake))
        given_out += sequences.reserve(3, exact=True)
        if len(given_out) % 3:
            sequences.return_to_present(sequences.look())
    assert len(given_out) == len(set(given_out))


def test_clock_set_back_by_hours_continues_after_the_last_sequence(wall):
    sequences = Sequences(wall)
    first = sequences.next("a")
    wall.now -= 3600
    assert sequences.next("a") == first + 1
    wall.now += 7200
    assert sequences.next("a") == (NOON + 3600) * 1_000_000


def test_other_intakes_return_to_the_present_at_once_and_one_with_waiting_batches_later(wall):
    ahead = (NOON + YEARS) * 1_000_000
    sequences = Sequences(wall)
    sequences.recovered([("a", ahead), ("b", NOON * 1_000_000 - 5)])
    assert sequences.next("b") == NOON * 1_000_000
    assert sequences.next("a") == ahead + 1
    assert list(sequences.look()) == ["a"]
    assert sequences.any_ahead
    sequences.return_to_present(["a"])
    assert sequences.next("a") == NOON * 1_000_000 + 1
    assert not sequences.any_ahead


def test_moment_ten_years_ahead_leaves_no_sequence_in_the_future(wall):
    sequences = Sequences(wall)
    sequences.next("a")
    wall.now += YEARS
    ahead = sequences.next("a")
    assert ahead == (NOON + YEARS) * 1_000_000
    wall.now -= YEARS - 6
    assert sequences.next("a") == ahead + 1
    sequences.return_to_present(sequences.look())
    assert sequences.next("a") == (NOON + 6) * 1_000_000


def test_spool_that_was_empty_while_the_clock_was_ahead_returns_to_the_present(wall):
    wall.now += YEARS
    sequences = Sequences(wall)
    sequences.recovered([])
    ahead = sequences.next("a")
    assert ahead == (NOON + YEARS) * 1_000_000
    wall.now -= YEARS - 60
    assert sequences.next("b") == (NOON + 60) * 1_000_000
    assert sequences.next("a") == ahead + 1
    sequences.return_to_present(sequences.look())
    assert sequences.next("a") == (NOON + 60) * 1_000_000 + 1


def test_clock_that_is_set_years_ahead_once_is_followed(wall):
    wall.now -= YEARS
    sequences = Sequences(wall)
    sequences.recovered([("a", NOON * 1_000_000)])
    assert sequences.next("a") == NOON * 1_000_000 + 1
    wall.now += YEARS + 60
    assert sequences.next("a") == (NOON + 60) * 1_000_000
    assert sequences.next("b") == (NOON + 60) * 1_000_000 + 1


def test_intake_returns_to_the_present_once_what_waited_has_left_the_spool(spool_fixture):
    def names():
        return [name.partition("-")[0] for name in spool_fixture.names()]

    def look():
        spool_fixture.clocks.monotonic += LOOK_EVERY
        spool_fixture.spool.seal_due()

    def deliver():
        spool_fixture.spool.remove(spool_fixture.sealed)
        spool_fixture.sealed.clear()

    real = spool_fixture.clocks.wall
    spool_fixture.clocks.wall = real + YEARS
    spool_fixture.append(b"one")
    spool_fixture.seal()
    spool_fixture.crash()
    spool_fixture.clocks.wall = real
    waiting = spool_fixture.open().batches
    spool_fixture.append(b"two")
    spool_fixture.append(b"other", intake="b")
    spool_fixture.spool.seal_all()
    ahead = f"{int(real + YEARS)}"[:5]
    assert [name[:5] for name in names() if name[:5] == ahead] == [ahead] * 2
    for _ in range(3):
        look()
    spool_fixture.append(b"three")
    spool_fixture.spool.seal_all()
    assert len([name for name in names() if name[:5] == ahead]) == 3, "the oldest still waits"
    # The first look finds what came since the last one, and the second finds that it has left the spool.
    spool_fixture.spool.remove(waiting)
    deliver()
    look()
    look()
    spool_fixture.append(b"four")
    spool_fixture.spool.seal_all()
    assert [name[:5] for name in names()] == [f"{int(real)}"[:5]]
