"""Holds what the subsystems of one process share: reactor, clock, threads and logging."""

from dataclasses import dataclass, field

from bridge.host.interfaces import Reactor
from bridge.host.log_throttle import LogThrottle
from bridge.host.logs import Recent
from bridge.host.systemd import ServiceManager
from bridge.storage.job_thread import JobThread
from bridge.util.clock import WallClock


@dataclass
class Process:
    """The process of one bridge; without a service manager unless one is given."""

    reactor: Reactor
    wall: WallClock = field(default_factory=WallClock)
    "The only source of wall time, in seconds since the epoch."
    recent: Recent = field(default_factory=Recent)
    "The last lines of the log."
    manager: ServiceManager = field(default_factory=ServiceManager)

    def __post_init__(self) -> None:
        self.log_throttle = LogThrottle(self.reactor)
        self.spool_thread = JobThread(self.reactor, "spool")
        self.sync_thread = JobThread(self.reactor, "sync")
