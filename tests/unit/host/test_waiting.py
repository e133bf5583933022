"""Tests waiting for a condition, and for a limited time: what fires in time, late, or twice."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet import defer
from twisted.internet.task import Clock

from bridge.host.waiting import Waiters, called_back, with_timeout
from tests.harness.strict_clock import StrictClock


def test_waiting_ends_in_the_turn_after_the_deferred_has_fired() -> None:
    clock, fires = Clock(), defer.Deferred[None]()
    waited = defer.ensureDeferred(with_timeout(fires, 5, clock))
    clock.advance(4)
    fires.callback(None)
    assert not waited.called
    clock.advance(0)
    assert waited.result is True


def test_waiting_ends_after_the_timeout() -> None:
    clock, fires = Clock(), defer.Deferred[None]()
    waited = defer.ensureDeferred(with_timeout(fires, 5, clock))
    clock.advance(5)
    assert waited.result is False
    fires.callback(None)


def test_time_that_is_over_before_the_wait_is_no_error() -> None:
    clock, fires = StrictClock(), defer.Deferred[None]()
    waited = defer.ensureDeferred(with_timeout(fires, -1, clock))
    clock.advance(0)
    assert waited.result is False
    waited = defer.ensureDeferred(with_timeout(defer.succeed(None), -1, clock))
    clock.advance(0)
    assert waited.result is True


def test_callback_fires_once_even_after_the_timeout() -> None:
    clock, registered = Clock(), list[Callable[[], object]]()
    waited = defer.ensureDeferred(with_timeout(called_back(registered.append), 5, clock))
    clock.advance(5)
    assert waited.result is False
    registered[0]()
    registered[0]()


def test_a_timeout_of_several_deferreds_is_no_error() -> None:
    clock, fires = Clock(), [defer.Deferred[None](), defer.Deferred[None]()]
    waited = defer.ensureDeferred(with_timeout(defer.gatherResults(fires, consumeErrors=True), 5, clock))
    fires[0].callback(None)
    clock.advance(5)
    assert waited.result is False


def test_waiters_fire_once_the_condition_holds() -> None:
    left = [1]
    waiters = Waiters(lambda: not left)
    first, cancelled = waiters.wait(), waiters.wait()
    waiters.check()
    assert not first.called
    cancelled.addErrback(lambda failure: failure.trap(defer.CancelledError))
    cancelled.cancel()
    left.clear()
    waiters.check()
    assert first.called
    assert waiters.wait().called
