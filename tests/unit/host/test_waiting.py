"""Tests waiting for an event that is reported to a callback."""

from collections.abc import Callable

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from bridge.host.waiting import within


def test_wait_ends_with_the_event_or_after_the_time() -> None:
    clock, callbacks, results = Clock(), list[Callable[[], None]](), list[bool]()

    def begin(register: Callable[[Callable[[], None]], object]) -> None:
        ensureDeferred(within(clock, 5.0, register)).addCallback(results.append)

    begin(lambda callback: callback())
    assert results == [True]
    begin(callbacks.append)
    callbacks[0]()
    assert results == [True, True]
    begin(callbacks.append)
    clock.advance(4)
    assert results == [True, True]
    clock.advance(1)
    assert results == [True, True, False]
    # The event that came too late has no effect.
    callbacks[1]()
    assert not clock.getDelayedCalls()
