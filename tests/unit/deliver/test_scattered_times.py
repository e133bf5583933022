"""Tests that timed batches with many times wait for others, so that requests are fewer and larger."""

import random
from pathlib import Path

from bridge.deliver.send_queue import COLLECT_EVENTS, COLLECT_FOR, FEW_RANGES, SendQueue
from bridge.spool import Batch, BatchLimits
from tests.unit.deliver.test_courier import CourierFixture

HOUR_MS = 3_600_000
LIMITS = {"width_ms": 60_000, "max_events": 20_000, "max_bytes": 10**6, "max_uncut_bytes": 10**8, "collect": True}


def timed(sequence, *, count=100, sealed=0.0, latest=HOUR_MS):
    return Batch("a", sequence, "lines", True, 0, latest, count, 10 * count, Path("/x"), sealed)


def sequences(send_queue, now, **limits):
    return [piece.batch.sequence for piece in send_queue.take(now, **LIMITS | limits)]


def test_timed_batches_wait_for_others_for_a_while_and_are_cut_together():
    send_queue = SendQueue(live_for=10, live_first=True)
    send_queue.add(timed(1), now=0)
    assert (sequences(send_queue, 0), len(send_queue)) == ([], 0)
    send_queue.add(timed(2, sealed=1.0), now=1)
    assert (sequences(send_queue, 1), len(send_queue)) == ([], 0)
    assert not send_queue.ends_collecting(COLLECT_FOR - 0.1)
    assert send_queue.ends_collecting(COLLECT_FOR)
    assert len(send_queue) == 2
    assert sequences(send_queue, COLLECT_FOR) == [1, 2]


def test_timed_batches_that_make_large_or_few_requests_do_not_wait():
    for batch in (timed(1, count=61 * COLLECT_EVENTS), timed(1, latest=(FEW_RANGES - 1) * 60_000)):
        send_queue = SendQueue(live_for=10, live_first=True)
        send_queue.add(batch, now=0)
        assert sequences(send_queue, 0) == [1]


def test_timed_batches_do_not_wait_without_a_limit_or_with_too_many_bytes():
    for limits in ({"collect": False}, {"max_uncut_bytes": 500}):
        send_queue = SendQueue(live_for=10, live_first=True)
        send_queue.add(timed(1), now=0)
        assert sequences(send_queue, 0, **limits) == [1]


def test_current_events_do_not_wait_behind_timed_batches():
    send_queue = SendQueue(live_for=10, live_first=True)
    send_queue.add(timed(1), now=0)
    send_queue.add(Batch("a", 2, "lines", False, 0, 0, 1, 10, Path("/x"), 0.0), now=0)
    assert sequences(send_queue, 0) == [2]


def test_scattered_times_make_requests_of_the_width_of_a_backlog_at_a_high_request_rate(tmp_path):
    fixture = CourierFixture(tmp_path / "spool", rate=50, limits=BatchLimits(max_slots=0))
    chance = random.Random(22)
    moments = [chance.randrange(HOUR_MS) for _ in range(1000)]
    for part in (moments[:500], moments[500:]):
        for ms in part:
            fixture.seal(b"at %d" % ms, ms=ms, seal=False)
        fixture.spool.seal_all()
    bodies = []
    assert not fixture.posted
    fixture.clock.advance(COLLECT_FOR)
    fixture.courier.tidy()
    while fixture.courier.waiting_events:
        fixture.next_request()
        bodies.append(fixture.bodies[0])
        fixture.accept()
    events = [int(line[3:]) for body in bodies for line in body.split(b"\n")]
    assert sorted(events) == sorted(moments)
    assert len(bodies) <= 2 * 61
    for body in bodies:
        times = [int(line[3:]) for line in body.split(b"\n")]
        assert max(times) - min(times) < 60_000
