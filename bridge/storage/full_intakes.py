"""Reports which intakes are full, without a report for each moment in which a full intake has some room.

While the oldest events of an intake are dropped for new ones, it is full and has room many times a second.
"""

from collections.abc import Callable, Collection

from bridge.util.alarms import AlarmSink

ENDS_AFTER = 10.0
"Seconds with room after which an intake is no longer reported as full."


class FullIntakes:
    """Raises and ends the alarms of full intakes. ``clock`` is in monotonic seconds."""

    def __init__(self, alarms: AlarmSink, clock: Callable[[], float]) -> None:
        self._alarms = alarms
        self._clock = clock
        self._at: dict[str, float] = {}
        "Intakes that are reported as full -> the time at which they last were full."

    @property
    def names(self) -> set[str]:
        """Returns the intakes that are full, or were within the last ``ENDS_AFTER`` seconds."""
        return set(self._at)

    def update(self, full: Collection[str], effect: Callable[[], str]) -> None:
        """Records which intakes are full now. ``effect`` returns what limits the spool, and what follows."""
        now = self._clock()
        for name in full:
            if name not in self._at:
                self._alarms.on("full", name, f"intake {name} has no room left in the spool {effect()}")
            self._at[name] = now
        for name in [name for name, at in self._at.items() if name not in full and now - at >= ENDS_AFTER]:
            del self._at[name]
            self._alarms.off("full", name, f"intake {name} has room in the spool again")
