"""Tests the token bucket for request bodies, and the join width."""

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from bridge.deliver.bandwidth import Bandwidth
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.join_window import JoinWidth


def test_bodies_go_in_order_at_the_rate():
    clock = Clock()
    bandwidth = Bandwidth(clock, 1000)
    gone = []
    for i, size in enumerate((500, 1000, 100)):
        bandwidth.acquire(size).addCallback(lambda nothing, i=i: gone.append((i, clock.seconds())))
    assert gone == [(0, 0)]
    clock.pump([0.05] * 40)
    assert [i for i, _ in gone] == [0, 1, 2]
    assert [round(when, 2) for _, when in gone] == [0, 0.25, 1.25]


def test_the_mean_is_right_over_a_long_time():
    clock = Clock()
    bandwidth = Bandwidth(clock, 10_000)
    gone = []
    for _ in range(200):
        bandwidth.acquire(700).addCallback(lambda nothing: gone.append(700))
    clock.pump([0.1] * 100)
    assert abs(sum(gone) - 10 * 10_000) <= 2500 + 700


def test_a_body_larger_than_the_bucket_goes_too():
    clock = Clock()
    bandwidth = Bandwidth(clock, 10)
    gone = []
    bandwidth.acquire(1000).addCallback(gone.append)
    bandwidth.acquire(1).addCallback(gone.append)
    assert len(gone) == 1
    clock.advance(99)
    assert len(gone) == 1
    clock.advance(1)
    assert len(gone) == 2


def test_a_request_that_waits_for_its_bytes_is_not_stalled():
    clock = Clock()
    dispatcher = Dispatcher(clock, connections=1, rate=None, bandwidth=10)
    first, second = dispatcher.begin(5), dispatcher.begin(5)
    ensureDeferred(dispatcher.send(first, 1000, 5))
    ensureDeferred(dispatcher.send(second, 1000, 5))
    clock.advance(6)
    assert (first.stalled, second.stalled) == (True, False)
    dispatcher.stop()


def test_the_width_doubles_when_a_minute_brought_nothing_and_comes_back():
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


def test_the_width_stays_while_the_backlog_shrinks_or_something_else_is_the_limit():
    width = JoinWidth(60_000)
    assert not any(width.falls_behind(second, waiting=10_000 - second) for second in range(1000))
    for second in range(1000, 2000):
        if second % 50 == 0:
            width.limited_elsewhere()
        assert not width.falls_behind(second, waiting=second)
