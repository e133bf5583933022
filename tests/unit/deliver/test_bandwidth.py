"""Tests the token bucket for request bodies, and the join width."""

from twisted.internet.defer import CancelledError, ensureDeferred
from twisted.internet.task import Clock

from bridge.deliver.dispatcher import Bandwidth, Dispatcher
from bridge.deliver.next_request import JoinWidth


def test_bodies_are_sent_in_order_at_the_rate():
    clock = Clock()
    bandwidth = Bandwidth(clock, 1000)
    sent = []
    for i, size in enumerate((500, 1000, 100)):
        bandwidth.acquire(size).addCallback(lambda nothing, i=i: sent.append((i, clock.seconds())))
    assert sent == [(0, 0)]
    clock.pump([0.001] * 2000)
    assert [i for i, _ in sent] == [0, 1, 2]
    assert [round(when, 2) for _, when in sent] == [0, 0.25, 1.25]


def test_mean_rate_over_ten_seconds_equals_the_limit():
    clock = Clock()
    bandwidth = Bandwidth(clock, 10_000)
    sent = []
    for _ in range(200):
        bandwidth.acquire(700).addCallback(lambda nothing: sent.append(700))
    clock.pump([0.1] * 100)
    assert abs(sum(sent) - 10 * 10_000) <= 2500 + 700


def test_body_larger_than_the_bucket_is_sent():
    clock = Clock()
    bandwidth = Bandwidth(clock, 10)
    sent = []
    bandwidth.acquire(1000).addCallback(sent.append)
    bandwidth.acquire(1).addCallback(sent.append)
    assert len(sent) == 1
    clock.advance(99)
    assert len(sent) == 1
    clock.advance(1)
    assert len(sent) == 2


def test_cancelled_body_takes_no_tokens():
    clock = Clock()
    bandwidth = Bandwidth(clock, 1000)
    sent = []
    bandwidth.acquire(1250)
    bandwidth.acquire(100_000).addErrback(lambda failure: failure.trap(CancelledError)).cancel()
    bandwidth.acquire(100).addCallback(lambda nothing: sent.append(clock.seconds()))
    assert sent == []
    clock.pump([0.1] * 20)
    assert [round(when, 1) for when in sent] == [1.1]


def test_bodies_that_wait_follow_a_changed_limit():
    clock = Clock()
    bandwidth = Bandwidth(clock, 10)
    sent = []
    for size in (1000, 1, 1):
        bandwidth.acquire(size).addCallback(sent.append)
    bandwidth.change(None)
    assert (len(sent), clock.getDelayedCalls()) == (3, [])


def test_request_waiting_for_bandwidth_is_not_stalled():
    clock = Clock()
    dispatcher = Dispatcher(clock, connections=1, rate=None, bandwidth=10)
    first, second = dispatcher.begin(5), dispatcher.begin(5)
    ensureDeferred(dispatcher.send(first, 1000, 5))
    ensureDeferred(dispatcher.send(second, 1000, 5))
    clock.advance(6)
    assert (first.stalled, second.stalled) == (True, False)
    dispatcher.stop()


def test_join_width_doubles_each_minute_without_progress_and_is_restored():
    width = JoinWidth(60_000)
    now = 0.0
    doubled = []
    while now < 1000:
        if width.falls_behind(now, waiting=100 + int(now)):
            doubled.append((now, width.ms))
        now += 1
    assert [ms for _, ms in doubled] == [120_000, 240_000, 480_000, 600_000]
    assert doubled[0][0] == 60
    assert width.caught_up()
    assert width.ms == 60_000
    assert not width.caught_up()


def test_join_width_stays_if_backlog_shrinks_or_another_limit_applies():
    width = JoinWidth(60_000)
    assert not any(width.falls_behind(second, waiting=10_000 - second) for second in range(1000))
    for second in range(1000, 2000):
        if second % 50 == 0:
            width.limited_elsewhere()
        assert not width.falls_behind(second, waiting=second)
