"""Tests the order in which batches are sent, and which are joined."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.deliver import lane
from bridge.deliver import send_queue as queue_module
from bridge.deliver.send_queue import ENOUGH, SendQueue
from bridge.spool import Batch, Pack, Piece
from bridge.spool.pack_name import PackName
from tests.harness.examples import examples

WIDE = {"width_ms": 1000, "max_events": 100, "max_bytes": 10_000}
ALONE = {"width_ms": 1, "max_events": 1, "max_bytes": 1}


def batch(sequence, *, sealed=0.0, earliest=0, latest=None, count=1, size=10, timed=False):
    return Batch(
        "a", sequence, "lines", timed, earliest, earliest if latest is None else latest, count, size, Path("/x"),
        sealed
    )  # fmt: skip


def take_sequences(send_queue, now, **limits):
    return [piece.batch.sequence for piece in send_queue.take(now, **(limits or ALONE))]


def test_backlog_gets_every_fifth_turn_while_live_events_wait():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in range(40):
        send_queue.add(batch(i, sealed=0), now=100)
    for i in range(100, 180):
        send_queue.add(batch(i, sealed=100), now=100)
    order = [take_sequences(send_queue, 100)[0] for _ in range(50)]
    assert [i for i in order if i < 100] == list(range(10))
    assert [i for i in order if i >= 100] == list(range(100, 140))
    assert all(any(i < 100 for i in order[start : start + 5]) for start in range(45))


def test_single_lane_gets_every_turn():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in (3, 1, 2):
        send_queue.add(batch(i), now=100)
    assert send_queue.has_backlog
    assert [take_sequences(send_queue, 100) for _ in range(4)] == [[1], [2], [3], []]


def test_batch_that_has_waited_becomes_backlog():
    send_queue = SendQueue(live_for=10, live_first=True)
    send_queue.add(batch(1, sealed=0), now=0)
    assert not send_queue.has_backlog
    send_queue.add(batch(2, sealed=11), now=11)
    assert take_sequences(send_queue, 11) == [2]
    assert send_queue.has_backlog


def test_oldest_first_uses_one_lane():
    send_queue = SendQueue(live_for=10, live_first=False)
    for i in range(5):
        send_queue.add(batch(i, sealed=0 if i < 3 else 100), now=100)
    assert [take_sequences(send_queue, 100)[0] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_pack_that_is_older_than_all_batches_in_memory_is_read():
    """It is written while enough batches of a newer pack are in memory, which must wait for it."""
    newer, older = (Pack("a", Path("/x"), PackName(first, first + 99, 0, 0, 100, 100, 1000, 0)) for first in (200, 100))

    def packed(pack, sequences):
        return [
            Batch("a", sequence, "lines", False, 0, 0, 1, 10, Path("/x"), 0.0, pack=pack, held=b"x\n")
            for sequence in sequences
        ]

    send_queue = SendQueue(live_for=10, live_first=True)
    send_queue.unread_begin_at(200)
    send_queue.add(*packed(newer, range(200, 200 + ENOUGH)), now=100)
    send_queue.unread_begin_at(200 + ENOUGH)
    assert not send_queue.needs_packs
    send_queue.unread_begin_at(100)
    assert send_queue.needs_packs
    assert take_sequences(send_queue, 100) == []
    send_queue.add(*packed(older, range(100, 102)), now=100)
    send_queue.unread_begin_at(102)
    assert not send_queue.needs_packs
    assert [take_sequences(send_queue, 100) for _ in range(3)] == [[100], [101], []]
    assert send_queue.needs_packs


def test_neighbouring_batches_within_the_width_are_joined():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i, (earliest, latest) in enumerate([(0, 400), (500, 999), (900, 950), (1000, 1000), (100, 200)]):
        send_queue.add(batch(i, earliest=earliest, latest=latest), now=0)
    assert [take_sequences(send_queue, 0, **WIDE) for _ in range(4)] == [[0, 1, 2], [3, 4], [], []]


def test_limits_apply_to_joined_batches_but_not_to_a_single_one():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i, (count, size) in enumerate([(60, 10), (41, 10), (59, 10), (1, 9_970), (1, 11), (500, 99_999), (1, 1)]):
        send_queue.add(batch(i, count=count, size=size), now=0)
    assert [take_sequences(send_queue, 0, **WIDE) for _ in range(6)] == [[0], [1, 2], [3, 4], [5], [6], []]


def test_timed_batch_is_taken_alone():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in range(3):
        send_queue.add(batch(i, timed=i == 1), now=0)
    assert [take_sequences(send_queue, 0, **WIDE) for _ in range(3)] == [[0], [1], [2]]


def test_adjacent_timed_batches_are_taken_together():
    send_queue = SendQueue(live_for=10, live_first=True, exact=lambda sequence: sequence >= 6)
    for i in range(9):
        send_queue.add(batch(i, timed=i != 3, size=10), now=0)
    most = WIDE | {"max_uncut_bytes": 25 + 2 * queue_module.RANGE_BYTES}
    assert [take_sequences(send_queue, 0, **most) for _ in range(7)] == [[0, 1], [2], [3], [4, 5], [6, 7], [8], []]


def test_cut_pieces_count_towards_the_limit_of_uncut_bytes():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in range(5):
        send_queue.add(batch(i, timed=True, size=10), now=0)
    cut = Piece(batch(9, timed=True), 0, 0, 1, 15, b"x" * 15)
    send_queue.put_back([cut], 0)
    most = WIDE | {"max_uncut_bytes": 30 + 3 * queue_module.RANGE_BYTES}
    assert take_sequences(send_queue, 0, **most) == [0]
    send_queue.forget([cut.batch])
    assert take_sequences(send_queue, 0, **most) == [1, 2, 3]


def test_small_events_count_with_the_memory_of_their_ranges():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in range(4):
        send_queue.add(batch(i, timed=True, latest=30 * 86_400_000, count=20_000, size=40_000), now=0)
    most = WIDE | {"max_uncut_bytes": 3 * 20_000 * queue_module.RANGE_BYTES}
    assert take_sequences(send_queue, 0, **most) == [0, 1]


def test_events_of_few_windows_count_with_the_memory_of_these():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in range(5):
        send_queue.add(batch(i, timed=True, latest=9999, count=20_000, size=40_000), now=0)
    most = WIDE | {"max_uncut_bytes": 3 * (40_000 + 10 * queue_module.RANGE_BYTES)}
    assert take_sequences(send_queue, 0, **most) == [0, 1, 2]


def test_pieces_cut_together_are_taken_by_time_window():
    send_queue = SendQueue(live_for=10, live_first=True)
    one, two = batch(1, timed=True), batch(2, timed=True)
    pieces = [
        Piece(whole, ms, ms, 1, 2, b"x\n", start=at, times=[ms], place=(1, ms, whole.sequence, at))
        for whole in (one, two) for at, ms in enumerate((0, 1000))
    ]  # fmt: skip
    send_queue.put_back(pieces, 0)
    send_queue.add(batch(3), now=0)
    assert [take_sequences(send_queue, 0, **WIDE) for _ in range(3)] == [[1, 2], [1, 2], [3]]


def test_put_back_restores_the_position():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in range(6):
        send_queue.add(batch(i), now=0)
    first = send_queue.take(0, width_ms=1000, max_events=2, max_bytes=1000)
    second = send_queue.take(0, width_ms=1000, max_events=2, max_bytes=1000)
    send_queue.put_back(second, 0)
    send_queue.put_back(first, 0)
    assert [take_sequences(send_queue, 0)[0] for _ in range(6)] == [0, 1, 2, 3, 4, 5]


@settings(max_examples=examples(100, long=300), deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 900), st.integers(1, 60), st.booleans()), max_size=25),
    st.randoms(use_true_random=False), st.sampled_from([100, 1000, 60_000]),
)  # fmt: skip
def test_any_batches_are_taken_once_in_order_within_the_limits(rows, random, width):
    send_queue = SendQueue(live_for=10, live_first=True)
    order = list(range(len(rows)))
    random.shuffle(order)
    for i in order:
        earliest, long, count, old = rows[i]
        send_queue.add(
            batch(i, earliest=earliest, latest=earliest + long, count=count, sealed=0 if old else 100), now=105
        )
    seen = []
    while pieces := send_queue.take(105, width_ms=width, max_events=100, max_bytes=200):
        if random.random() < 0.2:
            send_queue.put_back(pieces, 105)
            continue
        span = max(p.latest for p in pieces) - min(p.earliest for p in pieces)
        assert len(pieces) == 1 or (span < width and sum(p.count for p in pieces) <= 100)
        assert len(pieces) == 1 or sum(p.size for p in pieces) <= 200
        seen.append([p.batch.sequence for p in pieces])
    assert sorted(i for request in seen for i in request) == list(range(len(rows)))
    for old in (True, False):
        lane = [i for request in seen for i in request if rows[i][3] is old]
        assert all(a < b for a, b in pairwise(lane))
    assert len(send_queue) == 0


def test_pieces_of_one_batch_are_taken_in_order():
    send_queue = SendQueue(live_for=10, live_first=True)
    whole = batch(1, timed=True)
    pieces = [Piece(whole, i, i, 1, 2, b"x\n", start=i) for i in range(4)]
    send_queue.put_back(pieces[::-1], 0)
    assert [send_queue.take(0, **ALONE)[0].start for _ in range(4)] == [0, 1, 2, 3]


def test_drop_oldest_returns_the_oldest_untouched_batch():
    send_queue = SendQueue(live_for=10, live_first=True)
    batches = [batch(number) for number in range(4)]
    for one in batches:
        send_queue.add(one, now=0)
    taken = send_queue.take(0, width_ms=1, max_events=1, max_bytes=1)
    assert [piece.batch for piece in taken] == batches[:1]
    assert send_queue.drop_oldest() is batches[1], "a batch in flight is not in the queue"
    send_queue.put_back(taken, 0)
    batches[0].unacknowledged -= 1
    assert send_queue.drop_oldest() is batches[2], "the first batch is partly settled"
    assert send_queue.drop_oldest() is batches[3]
    assert send_queue.drop_oldest() is None
    assert len(send_queue) == 1


# --- random clocks: a range for nearly every event --------------------------------------------------------------------


class CountedPiece(Piece):
    """Counts how often its place in the order is read."""

    __slots__ = ()
    reads = 0

    @property
    def order(self):
        CountedPiece.reads += 1
        return self.place


def ranges(batches, per_batch):
    """Returns ranges of one event of batches that were cut together: each window has one of every batch."""
    return [
        CountedPiece(each, window, window, 1, 2, b"x\n", times=[window], place=(0, window, each.sequence, window))
        for window in range(per_batch)
        for each in batches
    ]


def test_ranges_of_cut_batches_age_in_linear_time():
    """When the newer half of the batches that were cut together becomes old, its ranges belong among the others."""
    send_queue = SendQueue(live_for=10, live_first=True)
    pieces = ranges([batch(i, sealed=i, count=400, timed=True) for i in range(10)], 400)
    send_queue.put_back(pieces, 14.5)
    CountedPiece.reads = 0
    taken = send_queue.take(30, **ALONE)
    assert CountedPiece.reads < 10 * len(pieces)
    assert taken + [send_queue.take(30, **ALONE)[0] for _ in pieces[1:]] == pieces


def test_ranges_of_cut_batches_are_not_searched_for_batches_to_pack(monkeypatch):
    examined = []
    is_packable = lane.is_packable
    monkeypatch.setattr(lane, "is_packable", lambda piece: examined.append(piece) or is_packable(piece))
    send_queue = SendQueue(live_for=10, live_first=True)
    send_queue.put_back(ranges([batch(i, sealed=0, count=400, timed=True) for i in range(10)], 400), 100)
    for i in range(10, 10 + queue_module.MANY - 1):
        send_queue.add(batch(i, sealed=0), now=100)
    for i in range(5000, 5000 + queue_module.MANY):
        send_queue.add(batch(i, sealed=100), now=100)
    examined.clear()
    # There are enough, but most are live.
    assert send_queue.take_packable(100, blocked=False) == []
    assert len(examined) < 2 * queue_module.MANY
    send_queue.add(batch(4000, sealed=0), now=100)
    packed = send_queue.take_packable(100, blocked=False)
    assert sorted(each.sequence for each in packed) == [*range(10, 10 + queue_module.MANY - 1), 4000]


def test_small_requests_are_filled_with_batches_of_any_time():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in range(6):
        send_queue.add(batch(i, earliest=5000 * i, count=20), now=0)
    fill = {"width_ms": 1000, "max_events": 100, "max_bytes": 10_000, "fill": True}
    assert take_sequences(send_queue, 0, **fill) == [0, 1, 2, 3, 4]
    assert take_sequences(send_queue, 0, **fill) == [5]


def test_large_requests_are_not_filled():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i, count in enumerate((30, 30, 10, 10)):
        send_queue.add(batch(i, earliest=0 if i < 2 else 5000, count=count), now=0)
    fill = {"width_ms": 1000, "max_events": 100, "max_bytes": 10_000, "fill": True}
    assert [take_sequences(send_queue, 0, **fill) for _ in range(2)] == [[0, 1], [2, 3]]


def test_timed_batches_gather_in_the_backlog_behind_ranges():
    send_queue = SendQueue(live_for=10, live_first=True)
    send_queue.put_back(ranges([batch(0, sealed=0, count=3, timed=True)], 3), 100)
    for i in (1, 2):
        send_queue.add(batch(i, sealed=100, timed=True), now=100)
    gather = {"width_ms": 1, "max_events": 1, "max_bytes": 1, "collect": True, "max_uncut_bytes": 1 << 20}
    assert [take_sequences(send_queue, 100, **gather) for _ in range(4)] == [[0], [0], [0], [1, 2]]


def test_timed_batches_do_not_wait_for_an_ordinary_backlog():
    send_queue = SendQueue(live_for=10, live_first=True)
    for i in range(3):
        send_queue.add(batch(i, sealed=0), now=100)
    send_queue.add(batch(9, sealed=100, timed=True), now=100)
    gather = {"width_ms": 1, "max_events": 1, "max_bytes": 1, "collect": True}
    assert take_sequences(send_queue, 100, **gather) == [9]
