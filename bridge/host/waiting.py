"""Waits in a coroutine for an event that is reported to a callback."""

from collections.abc import Callable

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime


async def within(reactor: IReactorTime, seconds: float, register: Callable[[Callable[[], None]], object]) -> bool:
    """Waits until ``register`` calls its callback, at most some seconds. Returns True if it was called in time."""
    happened: defer.Deferred[None] = defer.Deferred()

    def report() -> None:
        # A callback of an event that came too late has no effect.
        if not happened.called:
            happened.callback(None)

    register(report)
    happened.addTimeout(seconds, reactor)
    try:
        await happened
    except defer.TimeoutError:
        return False
    return True
