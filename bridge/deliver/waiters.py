"""Lets callers wait for a condition without polling."""

from collections.abc import Callable

from twisted.internet import defer


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
