"""Raises alarms when the spool is nearly full, and ends them once it has had room for some time.

The use of a small spool changes by much with each batch that is dropped or sealed.
"""

from collections.abc import Callable

from bridge.util.alarms import AlarmSink
from bridge.util.spans import size, span

PERCENTS = (70, 90)
"Used shares of the limit from which there is an alarm."
MARGIN = 5
"Percentage points below its share to which the use must fall before an alarm ends."
ENDS_AFTER = 60.0
"Seconds for which the use must stay below that. An empty spool ends an alarm at once."


class FillAlarms:
    """Raises and ends the alarms of one spool. ``clock`` is in monotonic seconds."""

    def __init__(self, alarms: AlarmSink, clock: Callable[[], float]) -> None:
        self._alarms = alarms
        self._clock = clock
        self._above: dict[int, float] = {}
        "Shares with an alarm -> the time at which the use last was not far enough below."

    def update(self, used: int, limit: int, left: float | None) -> None:
        """Records the bytes in use, their limit, and the seconds until the spool is full, None if it does not grow."""
        now = self._clock()
        for percent in PERCENTS:
            about = f"{percent} %"
            if limit and used * 100 >= limit * percent:
                if percent not in self._above:
                    # Keep the text while the alarm lasts, or the new estimate would raise it again each second.
                    when = f"; at the present rate it is full in about {span(left)}" if left else ""
                    text = f"spool: {percent} % of its limit ({size(limit)}) is used{when}"
                    self._alarms.on("budget", about, text)
                self._above[percent] = now
            elif percent not in self._above:
                continue
            elif used and used * 100 >= limit * (percent - MARGIN):
                self._above[percent] = now
            elif not used or now - self._above[percent] >= ENDS_AFTER:
                del self._above[percent]
                self._alarms.off("budget", about, f"spool: less than {percent} % of its limit is used")
