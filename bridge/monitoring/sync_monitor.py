"""Measures how long disk syncs take that senders wait for, and raises an alarm while the disk is slow."""

from collections.abc import Callable

from bridge.monitoring.runtime_metrics import Histogram
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.util.alarms import AlarmSink

EVERY = 10.0
"Seconds between two checks."
SLOW = 0.5
"Mean seconds of a group commit above which the disk counts as slow."
CHECKS = 3
"Consecutive checks after which the alarm is raised or cleared."
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class SyncMonitor:
    """Observes the group commits of one spool. ``clock`` returns monotonic seconds."""

    def __init__(self, fsync_policy: FsyncPolicy, alarms: AlarmSink, clock: Callable[[], float]) -> None:
        self._fsync_policy = fsync_policy
        self.commits = Histogram(BOUNDS)
        "Duration of group commits in seconds."
        self._alarms = alarms
        self._clock = clock
        self._began: float | None = None
        self._seen = (0.0, 0)
        "Total and count of ``commits`` at the last check."
        self._streak = 0
        "Number of consecutive checks with a slow disk; negative: with a fast one."

    @property
    def synced_files(self) -> int:
        """Returns the number of batch files synced by the ``fsync`` setting since start."""
        return self._fsync_policy.synced

    def began(self) -> None:
        """Records the start of a group commit."""
        self._began = self._clock()

    def ended(self) -> None:
        """Records the end of a group commit."""
        if self._began is not None:
            self.commits.observe(self._clock() - self._began)
            self._began = None

    def look(self) -> None:
        """Updates the alarm. Called every ``EVERY`` seconds."""
        (total, count), self._seen = self._seen, (self.commits.total, self.commits.count)
        ended = self.commits.count - count
        mean = (self.commits.total - total) / ended if ended else 0.0
        running = 0.0 if self._began is None else self._clock() - self._began
        slowest = max(mean, running)
        self._streak = max(self._streak, 0) + 1 if slowest > SLOW else min(self._streak, 0) - 1
        if self._streak >= CHECKS and ("sync", "disk") not in self._alarms.active:
            text = (
                f"the disk is slow: a sync of the spool takes {slowest:.1f} s, and RELP and HTTPS senders wait that"
                " long for each acknowledgement"
            )
            remedy = "put the spool on a faster disk, or on one with a protected write cache"
            self._alarms.on("sync", "disk", text, remedy=remedy)
        elif self._streak <= -CHECKS:
            self._alarms.off("sync", "disk", "the disk syncs quickly again")
