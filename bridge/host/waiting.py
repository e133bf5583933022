"""Waits for something to happen, for a limited time."""

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


async def with_timeout(waiting: "defer.Deferred[T]", seconds: float, clock: IReactorTime) -> bool:
    """Waits at most ``seconds``. Returns False if the time is over.

    Returns in a later reactor turn than the one in which ``waiting`` fires, because the code that fires it may not have
    finished its own work.
    """
    waiting.addTimeout(seconds, clock)
    try:
        await waiting
    except defer.TimeoutError:
        return False
    await task.deferLater(clock, 0)
    return True
