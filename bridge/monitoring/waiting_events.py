"""Raises an alarm for each intake whose oldest event is overdue, whatever the state of the intake."""

from collections.abc import Callable

from bridge.monitoring import headline
from bridge.monitoring.alarms import Alarms

EVERY = 5.0
"Seconds between two checks."


class WaitingEvents:
    """Checks the oldest event of each intake. ``intakes`` returns the rows of ``/api/status``."""

    def __init__(self, alarms: Alarms, intakes: Callable[[], list[headline.JSON]]) -> None:
        self._alarms = alarms
        self._intakes = intakes
        self._overdue: set[str] = set()

    def look(self) -> None:
        """Raises and ends the alarms."""
        overdue: set[str] = set()
        for row in self._intakes():
            if headline.is_overdue(row):
                name, minutes = str(row["name"]), headline.overdue_after(row) / 60
                overdue.add(name)
                self._alarms.on(
                    "waiting", name,
                    f"intake {name}: its oldest event has waited for more than {minutes:.0f} minutes. Its state and"
                    ' last error say why: run "syslog-bridge status"',
                )  # fmt: skip
        for name in self._overdue - overdue:
            self._alarms.off("waiting", name, f"intake {name}: no event waits for that long any more")
        self._overdue = overdue
