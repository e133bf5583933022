"""Lets callers wait for something to happen, without polling."""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet import defer, task
from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")


def called_back(register: Callable[[Callable[[], object]], object]) -> "defer.Deferred[None]":
    """Returns a Deferred that fires when the callback that ``register`` receives is called for the first time."""
    waiting: defer.Deferred[None] = defer.Deferred()
    register(lambda: None if waiting.called else waiting.callback(None))
    return waiting


def reported(start: "Callable[[Callable[[Exception | None], None]], object]") -> "defer.Deferred[None]":
    """Returns a Deferred that fires, or fails, when the callback that ``start`` receives gets None or an error."""
    waiting: defer.Deferred[None] = defer.Deferred()
    start(lambda error: waiting.callback(None) if error is None else waiting.errback(error))
    return waiting


async def with_timeout(waiting: "defer.Deferred[T]", seconds: float, clock: IReactorTime) -> bool:
    """Waits at most ``seconds``. Returns False if the time is over; a negative time is over at once.

    Returns in a later reactor turn than the one in which ``waiting`` fires, because the code that fires it may not have
    finished its own work.
    """
    waiting.addTimeout(max(0.0, seconds), clock, onTimeoutCancel=_timed_out)
    try:
        await waiting
    except defer.TimeoutError:
        return False
    await task.deferLater(clock, 0)
    return True


def _timed_out(result: object, seconds: float) -> None:
    # A Deferred that waits for others, such as a DeferredList, fails with an error of its own when it is cancelled.
    raise defer.TimeoutError(seconds)


class Waiters:
    """Deferreds that fire once ``condition`` returns True. Its owner calls ``check`` when it may have become true."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition
        self._waiting: list[defer.Deferred[None]] = []

    def wait(self) -> "defer.Deferred[None]":
        """Returns a Deferred that fires once the condition holds. It may be cancelled."""
        if self._condition():
            return defer.succeed(None)
        waiting: defer.Deferred[None] = defer.Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def check(self) -> None:
        """Fires the Deferreds if the condition holds."""
        while self._waiting and self._condition():
            self._waiting.pop(0).callback(None)
