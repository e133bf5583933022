"""Runs periodic tasks while the gateway runs."""

from collections.abc import Callable

from twisted.internet import task
from twisted.logger import Logger

from bridge.host.interfaces import Reactor

log = Logger(namespace="app")


class PeriodicTasks:
    """Calls functions at fixed intervals of the reactor's clock. The first call comes one interval after ``start``.

    An exception is logged and does not end the task, because a gateway without its periodic tasks would neither receive
    messages nor seal batches.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._calls: list[tuple[task.LoopingCall, float]] = []

    def add(self, function: Callable[[], None], every: float) -> task.LoopingCall:
        """Adds a function to call every ``every`` seconds. Call before ``start``."""

        def guarded() -> None:
            try:
                function()
            except Exception:
                log.failure("defect in the periodic task {function}; it runs again", function=function)

        call = task.LoopingCall(guarded)
        call.clock = self._reactor
        self._calls.append((call, every))
        return call

    def start(self) -> None:
        """Starts all tasks."""
        for call, every in self._calls:
            call.start(every, now=False)

    def stop(self) -> None:
        """Stops all running tasks."""
        for call, _ in self._calls:
            if call.running:
                call.stop()
