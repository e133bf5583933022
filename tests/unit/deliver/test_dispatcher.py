"""Tests that connections and request rate are shared fairly."""

from collections import Counter

import pytest
from twisted.internet.task import Clock

from bridge.deliver.dispatcher import BURST, Dispatcher


class Sender:
    stall_timeout = 1000.0

    def __init__(self, name, dispatcher, log, waiting=0, starts_nothing=False):
        self.name, self.dispatcher, self.log, self.waiting, self.starts_nothing = (
            name,
            dispatcher,
            log,
            waiting,
            starts_nothing,
        )
        self.slots = []

    def ready(self):
        return self.waiting > 0

    def start(self):
        if self.starts_nothing:
            self.waiting = 0
            return False
        self.waiting -= 1
        self.log.append(self.name)
        self.slots.append(self.dispatcher.begin(self.stall_timeout))
        return True

    def end(self):
        self.dispatcher.end(self.slots.pop(0))


def make_dispatcher(*waiting, connections=100, rate=None):
    clock, log = Clock(), []
    dispatcher = Dispatcher(clock, connections=connections, rate=rate)
    senders = [Sender(name, dispatcher, log, count) for name, count in zip("abcdefgh", waiting, strict=False)]
    for sender in senders:
        dispatcher.add(sender)
    return clock, dispatcher, senders, log


def test_connections_limit_the_requests_in_flight():
    _, dispatcher, (a, _), log = make_dispatcher(5, 5, connections=3)
    dispatcher.wake()
    assert (log, len(dispatcher._slots)) == (["a", "b", "a"], 3)
    a.end()
    assert (log, len(dispatcher._slots)) == (["a", "b", "a", "b"], 3)


def test_busy_sender_does_not_starve_a_quiet_one():
    _, dispatcher, (a, b, c), log = make_dispatcher(1000, 0, 0, connections=2)
    dispatcher.wake()
    b.waiting = c.waiting = 1
    a.end()
    a.end()
    assert log == ["a", "a", "b", "c"]


def test_offer_polls_only_the_offering_sender():
    """In an outage, each new batch is offered while no request may start."""
    _, dispatcher, senders, log = make_dispatcher(0, 0, 0)
    polled = Counter()
    for sender in senders:
        sender.ready = lambda sender=sender: (polled.update(sender.name), sender.waiting > 0)[1]
    b = senders[1]
    dispatcher.offer(b)
    assert (log, polled) == ([], {"b": 1})
    b.waiting = 1
    dispatcher.offer(b)
    assert log == ["b"]


def test_offer_respects_turns_limits_and_stop():
    _, dispatcher, (a, b), log = make_dispatcher(2, 0, connections=1)
    dispatcher.offer(a)
    b.waiting = 1
    dispatcher.offer(b)
    assert log == ["a"]
    a.end()
    assert log == ["a", "b"]
    dispatcher.stop()
    b.end()
    dispatcher.offer(a)
    assert log == ["a", "b"]


def test_senders_get_equal_turns():
    _, dispatcher, senders, log = make_dispatcher(50, 50, 50, connections=1)
    dispatcher.wake()
    for _ in range(89):
        next(sender for sender in senders if sender.slots).end()
    assert Counter(log) == {"a": 30, "b": 30, "c": 30}


@pytest.mark.parametrize("rate", [0.5, 3, 20])
def test_request_rate_is_respected(rate):
    clock, dispatcher, _, log = make_dispatcher(10_000, 10_000, connections=10_000, rate=rate)
    dispatcher.wake()
    assert len(log) == 1
    for _ in range(1000):
        clock.advance(0.02)
    assert rate * 20 - 1 <= len(log) <= rate * 20 + 1 + rate * BURST
    assert abs(log.count("a") - log.count("b")) <= 1


def test_idle_time_allows_a_small_burst():
    clock, dispatcher, (a,), log = make_dispatcher(0, rate=20)
    clock.advance(60)
    a.waiting = 100
    dispatcher.wake()
    assert len(log) == 5


def test_limited_is_true_while_the_rate_delays_requests():
    clock, dispatcher, (a,), _ = make_dispatcher(1, rate=1)
    dispatcher.wake()
    assert not dispatcher.limited
    a.waiting = 1
    dispatcher.wake()
    assert dispatcher.limited
    clock.advance(1)
    assert a.waiting == 0
    clock.advance(1.5)
    assert not dispatcher.limited


def test_sender_that_starts_nothing_consumes_no_rate():
    clock, dispatcher, (a, _), log = make_dispatcher(5, 5, rate=1)
    a.starts_nothing = True
    dispatcher.wake()
    assert (log, len(dispatcher._slots)) == (["b"], 1)
    clock.advance(1)
    assert log == ["b", "b"]


def test_stalled_request_delays_no_other():
    clock, dispatcher, (a, _), log = make_dispatcher(1, 3, connections=1)
    a.stall_timeout = 2.0
    dispatcher.wake()
    assert log == ["a"]
    clock.advance(2)
    assert log == ["a", "b"]
    a.end()
    assert (log, len(dispatcher._slots)) == (["a", "b"], 1)


def test_stop_cancels_timers_and_starts_no_request():
    clock, dispatcher, (a,), log = make_dispatcher(5, rate=1)
    dispatcher.wake()
    dispatcher.wake()
    dispatcher.stop()
    clock.advance(10)
    a.end()
    assert (log, clock.getDelayedCalls()) == (["a"], [])


def test_when_idle_fires_once_the_last_request_ends():
    _, dispatcher, (a,), _ = make_dispatcher(2)
    assert dispatcher.when_idle().called
    dispatcher.wake()
    idle, cancelled = dispatcher.when_idle(), dispatcher.when_idle()
    cancelled.addErrback(lambda failure: None).cancel()
    a.end()
    assert not idle.called
    a.end()
    assert idle.called


def test_when_idle_waits_for_a_request_that_the_ended_one_makes_room_for():
    _, dispatcher, (a,), log = make_dispatcher(2, connections=1)
    dispatcher.wake()
    idle = dispatcher.when_idle()
    a.end()
    assert (log, idle.called) == (["a", "a"], False)
