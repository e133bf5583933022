"""Holds what the subsystems of one process share: reactor, clock, threads and logging."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bridge.host.interfaces import Reactor
from bridge.host.log_throttle import LogThrottle
from bridge.host.logs import Recent
from bridge.host.systemd import ServiceManager
from bridge.storage.spool_thread import SpoolThread


@dataclass(frozen=True, slots=True)
class Process:
    """The process of one bridge."""

    reactor: Reactor
    wall: Callable[[], float]
    "The only source of wall time, in seconds since the epoch."
    recent: Recent
    "The last lines of the log."
    manager: ServiceManager
    log_throttle: LogThrottle
    spool_thread: SpoolThread

    @classmethod
    def of(
        cls,
        reactor: Reactor,
        *,
        wall: Callable[[], float] = time.time,
        recent: Recent | None = None,
        manager: ServiceManager | None = None,
    ) -> "Process":
        """Returns the process of a reactor; without a service manager unless one is given."""
        throttle, thread = LogThrottle(reactor), SpoolThread(reactor)
        return cls(reactor, wall, recent or Recent(), manager or ServiceManager(), throttle, thread)
