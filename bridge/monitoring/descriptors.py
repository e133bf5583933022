"""Raises an alarm while listeners do not accept connections because few file descriptors are left."""

from collections.abc import Callable

from bridge.monitoring.alarms import Alarms


class DescriptorMonitor:
    """Watches the descriptor reserve of the listeners. ``exhausted`` returns True while they do not accept."""

    def __init__(self, alarms: Alarms, exhausted: Callable[[], bool]) -> None:
        self._alarms = alarms
        self._exhausted = exhausted

    def look(self) -> None:
        """Raises or ends the alarm."""
        if self._exhausted():
            text = "listeners accept no new connections: nearly all file descriptors of the process are in use"
            remedy = "raise LimitNOFILE of the service, or lower max_connections"
            self._alarms.on("descriptors", "listeners", text, remedy=remedy)
        else:
            self._alarms.off("descriptors", "listeners", "listeners accept connections again")
