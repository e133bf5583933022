"""Tests that ready connections are read within a budget per turn, in fair shares per address."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.listen.stream_turns import (
    LIMIT_DOUBLES_AFTER,
    MAX_ALL_UNSENT,
    MAX_BYTES,
    MAX_LIMITED,
    MAX_TIME,
    MAX_UNSENT,
    StreamTurns,
    UnsentTotal,
)


class Turns:
    """Turns on a clock that only reads move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ends: list[Callable[[], None]] = []
        self.turns = StreamTurns(lambda: self.now, self.ends.append)

    def turn(self, ready: list[Connection]) -> None:
        """Does what the reactor does in one turn."""
        for connection in ready:
            self.turns.ready(connection)
        ends, self.ends[:] = list(self.ends), []
        for end in ends:
            end()


class Connection:
    """A connection that always has data, or one message per turn."""

    def __init__(self, turns: Turns, source: str, *, seconds: float = 0.0, size: int = 1, endless: bool = True) -> None:
        self.source, self.turn, self.reads, self._endless = source, 0, 0, endless
        self.costs: list[tuple[int, float]] = []
        self._turns, self.seconds, self._size = turns, seconds, size

    def read(self, turn: int) -> int:
        self.turn = turn
        self.reads += 1
        self._turns.now += self.seconds
        return self._size

    def note_cost(self, size: int, seconds: float) -> bool:
        self.costs.append((size, seconds))
        return self._endless


@pytest.fixture
def turns() -> Turns:
    return Turns()


def test_all_connections_are_read_within_the_budget(turns: Turns) -> None:
    ready = [Connection(turns, f"192.0.2.{n}", seconds=MAX_TIME / 100) for n in range(50)]
    turns.turn(ready)
    assert {connection.reads for connection in ready} == {1}
    assert ready[0].costs == [(1, pytest.approx(MAX_TIME / 100))]


def test_turn_ends_after_its_time(turns: Turns) -> None:
    ready = [Connection(turns, "192.0.2.1", seconds=MAX_TIME / 2.5) for _ in range(50)]
    for _ in range(10):
        before = turns.now
        turns.turn(ready)
        assert turns.now - before <= MAX_TIME * 1.4
    assert sum(connection.reads for connection in ready) == 30


def test_turn_ends_after_its_bytes(turns: Turns) -> None:
    ready = [Connection(turns, "192.0.2.1", size=MAX_BYTES // 4) for _ in range(50)]
    turns.turn(ready)
    turns.turn(ready)
    assert sum(connection.reads for connection in ready) == 8


def test_connections_of_an_address_are_read_in_turn(turns: Turns) -> None:
    ready = [Connection(turns, "192.0.2.1", seconds=MAX_TIME / 2.5) for _ in range(50)]
    for _ in range(100):
        turns.turn(ready)
    reads = [connection.reads for connection in ready]
    assert (sum(reads), max(reads) - min(reads) <= 2) == (300, True)


def test_addresses_get_equal_time_however_many_connections_they_have(turns: Turns) -> None:
    costly = [Connection(turns, "192.0.2.1", seconds=MAX_TIME / 2) for _ in range(50)]
    ordinary = [Connection(turns, f"192.0.2.{n}", seconds=MAX_TIME / 20) for n in range(2, 5)]
    for _ in range(200):
        turns.turn([*costly, *ordinary])
    for connection in ordinary:
        assert connection.reads / 10 == pytest.approx(sum(each.reads for each in costly), rel=0.1)


def test_address_that_sends_now_and_then_is_read_at_once(turns: Turns) -> None:
    costly = [Connection(turns, "192.0.2.1", seconds=MAX_TIME) for _ in range(50)]
    now_and_then = Connection(turns, "192.0.2.2", endless=False)
    turns.turn(costly)
    for number in range(1, 101):
        turns.turn(costly)
        turns.turn([*costly, now_and_then])
        assert now_and_then.reads == number


def test_silence_saves_no_time(turns: Turns) -> None:
    """An address that was silent for long gets its share from now on, and not all of what it missed."""
    busy, late = Connection(turns, "192.0.2.1", seconds=MAX_TIME), Connection(turns, "192.0.2.2", seconds=MAX_TIME)
    other = Connection(turns, "192.0.2.3", seconds=MAX_TIME)
    for _ in range(100):
        turns.turn([busy, other])
    before = busy.reads
    for _ in range(90):
        turns.turn([busy, other, late])
    assert late.reads == pytest.approx(30, abs=8)
    assert busy.reads - before == pytest.approx(30, abs=5)


def test_pausing_does_not_renew_a_share(turns: Turns) -> None:
    """An address that sends in every second turn gets no more time than the others."""
    steady = [Connection(turns, f"192.0.2.{n}", seconds=MAX_TIME) for n in range(2, 5)]
    swaying = [Connection(turns, "192.0.2.1", seconds=MAX_TIME) for _ in range(50)]
    for _ in range(100):
        turns.turn([*swaying, *steady])
        turns.turn(steady)
    assert sum(each.reads for each in swaying) <= min(each.reads for each in steady) + 2


def test_endless_new_connections_keep_no_established_one_waiting(turns: Turns) -> None:
    """More new connections than a turn has time for, each of an address of its own; the established one sent before."""
    other, established = (Connection(turns, f"192.0.2.{n}", seconds=MAX_TIME / 50, endless=False) for n in (1, 2))
    new = [Connection(turns, f"10.0.0.{n}", seconds=MAX_TIME / 10, endless=False) for n in range(10)]
    turns.turn([other, established, *new])
    waiting, reads = list(new), established.reads
    for number in range(100):
        waiting = [each for each in waiting if not each.reads]
        waiting += [Connection(turns, f"10.1.{number}.{n}", seconds=MAX_TIME / 10, endless=False) for n in range(20)]
        turns.turn([*waiting, established, *([other] if number % 2 else [])])
    assert established.reads - reads >= 95


def test_address_that_sent_much_before_a_flood_is_read_during_it(turns: Turns) -> None:
    """Before, it used time that nobody else needed. Addresses of the flood send twice each, as TLS clients do."""
    sent_much = [Connection(turns, "192.0.2.1", seconds=MAX_TIME / 2) for _ in range(50)]
    quiet = Connection(turns, "192.0.2.2", seconds=MAX_TIME / 100, endless=False)
    for _ in range(100):
        turns.turn([*sent_much, quiet])
    sent_much[0].seconds = MAX_TIME / 20
    before = sent_much[0].reads
    waiting: list[Connection] = []
    for number in range(200):
        waiting = [each for each in waiting if each.reads < 2]
        waiting += [Connection(turns, f"10.1.{number}.{n}", seconds=MAX_TIME / 20, endless=False) for n in range(20)]
        turns.turn([*waiting, sent_much[0], quiet])
    assert sent_much[0].reads - before >= 5


def test_new_connections_are_read_beside_established_ones_in_the_order_in_which_they_came(turns: Turns) -> None:
    busy = [Connection(turns, f"192.0.2.{n}", seconds=MAX_TIME / 10) for n in range(100)]
    while not all(each.reads for each in busy):
        turns.turn(busy)
    new = [Connection(turns, f"10.0.0.{n}", seconds=MAX_TIME / 10, endless=False) for n in range(30)]
    for turn in range(1, 5):
        waiting = [each for each in reversed(new) if not each.reads] if turn > 1 else new
        turns.turn([*busy, *waiting])
        reads = [each.reads for each in new]
        assert reads == sorted(reads, reverse=True)
        assert 4 * turn <= sum(reads) <= 6 * turn + 1


def test_without_a_reactor_that_ends_turns_each_connection_is_read_at_once() -> None:
    turns = Turns()
    connection = Connection(turns, "192.0.2.1")
    StreamTurns().ready(connection)
    assert connection.reads == 1


def test_unsent_bytes_are_limited_per_connection_and_in_all() -> None:
    unsent = UnsentTotal()
    assert not unsent.stops(MAX_UNSENT)
    assert unsent.stops(MAX_UNSENT + 1)
    unsent.change(MAX_ALL_UNSENT + 1)
    assert unsent.stops(1)
    assert not unsent.stops(0), "a client that reads everything is served"
    unsent.change(-1)
    assert not unsent.stops(MAX_UNSENT)


def test_limit_of_an_address_ends_by_and_by(turns: Turns) -> None:
    size = lambda source="192.0.2.1": turns.turns.read_size(source, 10_000)  # noqa: E731
    assert size() == 10_000
    turns.turns.limit_reads("192.0.2.1", 1000)
    assert (size(), size("192.0.2.2")) == (1000, 10_000)
    sizes = []
    for _ in range(5):
        turns.now += LIMIT_DOUBLES_AFTER
        sizes.append(size())
    assert sizes == [2000, 4000, 8000, 10_000, 10_000]
    turns.now += 1e9
    assert size() == 10_000


def test_limits_of_few_addresses_are_remembered(turns: Turns) -> None:
    for number in range(MAX_LIMITED + 1):
        turns.turns.limit_reads(str(number), 1)
    assert [turns.turns.read_size(str(number), 2) for number in (0, 1, MAX_LIMITED)] == [2, 1, 1]
