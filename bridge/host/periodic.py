"""What is done again and again while a bridge runs."""

from collections.abc import Callable
from typing import Any

from twisted.internet import task
from twisted.logger import Logger

log = Logger(namespace="app")


class PeriodicTasks:
    """The rounds of one bridge, by its reactor's clock; each begins one interval after ``start``.

    A defect of one look is told and is no reason not to look again: without its rounds a bridge would receive and seal
    nothing.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: list[tuple[task.LoopingCall, float]] = []

    def add(self, look: Callable[[], None], every: float) -> task.LoopingCall:
        """One more, in seconds; before ``start``."""

        def guarded() -> None:
            try:
                look()
            except Exception:
                log.failure("defect in a round of {look}; it goes on", look=look)

        call = task.LoopingCall(guarded)
        call.clock = self._reactor
        self._calls.append((call, every))
        return call

    def start(self) -> None:
        """Begin all of them."""
        for call, every in self._calls:
            call.start(every, now=False)

    def stop(self) -> None:
        """End those that run."""
        for call, _ in self._calls:
            if call.running:
                call.stop()
