"""Installs the reactor of the process: Twisted's epoll reactor with timers on the monotonic clock."""

import sys
import time
from collections.abc import Callable

from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger
from zope.interface import implementer

from bridge.host.interfaces import Reactor
from bridge.host.resolver import DualStackResolver, system_resolver

log = Logger(namespace="reactor")


@implementer(Reactor)
class SteadyReactor(EPollReactor):  # type: ignore[override]
    """Runs Twisted's epoll reactor with timers on the monotonic clock.

    With Twisted's own reactor, all timers would stop for an hour if the wall clock were set back by one hour.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.installNameResolver(DualStackResolver(self, system_resolver(self)))
        self._after_turn: list[Callable[[], None]] = []
        self._turn_began = self.seconds()
        self._longest_turn = 0.0

    def after_turn(self, call: Callable[[], None]) -> None:
        """Calls a function once, after all readable sockets of this turn have been read and before any timer."""
        self._after_turn.append(call)

    def longest_turn(self) -> float:
        """Returns the seconds of the longest turn since the last call, with the current one so far.

        A turn is the time between two waits for sockets. Nobody is served meanwhile, whatever the turn does.
        """
        longest, self._longest_turn = max(self._longest_turn, self.seconds() - self._turn_began), 0.0
        return longest

    def seconds(self) -> float:
        """Returns the time of the monotonic clock in seconds."""
        return time.monotonic()

    def stop(self) -> None:
        """Stops the reactor. Does nothing if it is stopping already, as a signal may arrive twice."""
        if not (self._stopped and self._startedBefore):
            super().stop()

    def doPoll(self, timeout: float | None) -> None:
        """Reads and writes all ready sockets once.

        Does the same as Twisted's method, but without a context of Twisted's old logger around each socket. The gateway
        does not use that context, and it costs 2 µs of about 30 µs for a read with one message.
        """
        self._longest_turn = max(self._longest_turn, self.seconds() - self._turn_began)
        ready = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
        self._turn_began = self.seconds()
        for descriptor, event in ready:
            selectable = self._selectables.get(descriptor)
            if selectable is None:
                continue
            try:
                self._doReadOrWrite(selectable, descriptor, event)  # type: ignore[no-untyped-call]
            except Exception:
                log.failure("defect while a socket was read or written")
        while self._after_turn:
            try:
                self._after_turn.pop()()
            except Exception:
                log.failure("defect in a callback at the end of a reactor turn")

    doIteration = doPoll


def install_reactor() -> SteadyReactor:
    """Returns the reactor of the process; the first call installs it. Raises RuntimeError if there is another one."""
    installed = sys.modules.get("twisted.internet.reactor")
    if installed is None:
        from twisted.internet.main import installReactor  # noqa: PLC0415

        installReactor(SteadyReactor())
    from twisted.internet import reactor  # noqa: PLC0415

    if not isinstance(reactor, SteadyReactor):
        raise RuntimeError("another Twisted reactor is already installed")
    return reactor
