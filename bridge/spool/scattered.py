"""Decides which event times get a slot of their own, by what is known of the times of an intake.

A file for nearly every event costs much more than the event: it is opened, written, renamed, sent and removed. Clocks
that are right need slots near the present only. So an intake opens few slots far from it. Once these run out, its times
are *scattered*, and for a while all events far from the present go to its timed file.
"""

from collections.abc import Callable, Mapping

from bridge.batching import Group
from bridge.spool.batch import BatchLimits, OpenBatch

MOST_FAR = 8
"Open slots of one intake whose times are far from the present."
REMEMBERED = 60.0
"Seconds for which the times of an intake count as scattered."


class ScatteredIntakes:
    """The intakes of one spool with scattered times. ``wall`` is in seconds since the epoch, ``clock`` is monotonic."""

    def __init__(self, *, wall: Callable[[], float], clock: Callable[[], float]) -> None:
        self._wall = wall
        self._clock = clock
        self._until: dict[str, float] = {}

    def __contains__(self, intake: str | None) -> bool:
        return intake in self._until and self._until[intake] > self._clock()

    def opens_slot(self, group: Group, slots: Mapping[tuple[str, int], OpenBatch], limits: BatchLimits) -> bool:
        """Returns True if a group may open a slot besides the open ``slots`` of its intake, False if it belongs in the
        timed file."""
        if group.timed:
            self._note(group.intake)
            return False
        if not group.earliest:
            return True
        present, near = int(self._wall() * 1000) // limits.resolution_ms, limits.max_slots
        if len(slots) >= limits.max_slots:
            return False
        if abs(group.slot - present) <= near or group.earliest != group.latest:
            # In the timed file, all events of a group have its earliest time.
            return True
        if group.intake in self:
            return False
        if sum(abs(slot - present) > near for _, slot in slots) < MOST_FAR:
            return True
        self._note(group.intake)
        return False

    def _note(self, intake: str) -> None:
        self._until[intake] = self._clock() + REMEMBERED
