"""Raises an alarm for each intake whose oldest event is overdue, whatever the state of the intake."""

from collections.abc import Callable
from typing import Any

from bridge.monitoring.alarms import Alarms
from bridge.util.spans import span

EVERY = 5.0
"Seconds between two checks."
OVERDUE_SECONDS = 600.0
"Age in seconds from which a waiting event raises an alarm, unless it becomes late only after that."

JSON = dict[str, Any]


class WaitingEvents:
    """Checks the oldest event of each intake. ``intakes`` returns the rows of ``/api/status``."""

    def __init__(self, alarms: Alarms, intakes: Callable[[], list[JSON]]) -> None:
        self._alarms = alarms
        self._intakes = intakes
        self._overdue: set[str] = set()

    def look(self) -> None:
        """Raises and ends the alarms."""
        overdue: set[str] = set()
        for row in self._intakes():
            limit = max(OVERDUE_SECONDS, float(row.get("late_after_seconds") or 0))
            if (row.get("oldest_seconds") or 0) > limit:
                name = str(row["name"])
                overdue.add(name)
                text = f"intake {name}: its oldest event has waited for more than {span(limit)}"
                self._alarms.on("waiting", name, text, remedy='run "syslog-bridge status": it says why')
        for name in self._overdue - overdue:
            self._alarms.off("waiting", name, f"intake {name}: no event waits for that long any more")
        self._overdue = overdue
