"""Assigns the sequences of batches: the time of reception in microseconds, unique and increasing.

A sequence is not lower than the previous one, so that what waits is sent in the order of reception. A clock that is set
back by up to ``MOST_AHEAD`` therefore does not show in the sequences: they continue after the last one until the
clock has caught up. After a larger step, or at a start with such batches in the spool, the sequences return to the
present. Only an intake with batches *ahead* of the clock continues after them, until all batches have left the spool
that waited ``LOOK_EVERY`` seconds before. Sequences that this process has used are not used again.

Used on the reactor only.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path

from bridge.spool import batch_names
from bridge.spool.pack_name import PackName
from bridge.util.clock import MOST_AHEAD

_MOST_SET_BACK = int(MOST_AHEAD * 1_000_000)
LOOK_EVERY = 3.0
"Seconds between two looks for batches ahead of the clock."
_MOST_USED = 100


class Sequences:
    """The sequences of one spool. ``wall`` is in seconds since the epoch."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.lowest = batch_names.LAST_SEQUENCE
        "The time of recovery. After a step of the clock back, the lowest sequence of this process if that is lower."
        self._first = self._last = 0
        "The current range of sequences in use. It ends where the clock is set."
        self._used: list[range] = []
        "Earlier ranges in use."
        self._ahead: dict[str, int] = {}
        "Intakes with batches ahead of the clock, and the highest of their sequences at the last look."
        self._ahead_first = self._ahead_last = 0
        self._intakes: set[str] = set()
        self._exact: list[range] = []
        "Sequences reserved with ``exact``, in order."

    def recovered(self, found: Iterable[tuple[str, int]]) -> None:
        """Continues after the sequences that recovery found, each with its intake."""
        self.lowest = min(self.lowest, self._now())
        limit = self._now() + _MOST_SET_BACK
        for intake, sequence in found:
            self._intakes.add(intake)
            if sequence <= limit:
                self._first = self._last = max(self._last, sequence)
            else:
                self._ahead[intake] = 0
                self._ahead_first = min(self._ahead_first or sequence, sequence)
                self._ahead_last = max(self._ahead_last, sequence)
        self._ahead = dict.fromkeys(self._ahead, self._ahead_last)

    def next(self, intake: str | None = None) -> int:
        """Returns the sequence of the next batch of an intake."""
        self._follow_clock()
        if intake is not None:
            self._intakes.add(intake)
            if intake in self._ahead:
                after = max(self._ahead_last + 1, self._now())
                self._ahead_last = self._free(after, range(self._first, self._last + 1))
                return self._ahead_last
        return self._take(1)

    def reserve(self, count: int, *, exact: bool) -> range:
        """Reserves ``count`` consecutive sequences. ``exact``: ``is_exact`` recognises them."""
        self._follow_clock()
        first = self._take(count)
        reserved = range(first, first + count)
        if exact:
            self._exact.append(reserved)
            self._exact.sort(key=lambda each: each.start)
        return reserved

    def _take(self, count: int) -> int:
        first = self._free(max(self._now(), self._last + 1), count=count)
        self._first, self._last = self._first or first, first + count - 1
        self.lowest = min(self.lowest, first)
        return first

    def is_exact(self, sequence: int) -> bool:
        """Returns True if this process reserved the sequence with ``exact``."""
        place = bisect_right(self._exact, sequence, key=lambda reserved: reserved.start) - 1
        return place >= 0 and sequence in self._exact[place]

    # --- after the clock was set -------------------------------------------------------------------------------------

    def look(self) -> dict[str, range]:
        """Returns the intakes with batches ahead of the clock, each with the sequences of those that must leave the
        spool before the intake returns to the present. Records those of now for the next look."""
        limit = self._now() + _MOST_SET_BACK
        looked = {intake: range(limit, last + 1) for intake, last in self._ahead.items()}
        self._ahead = dict.fromkeys(self._ahead, self._ahead_last)
        return looked

    @property
    def any_ahead(self) -> bool:
        """Returns True if an intake has batches ahead of the clock."""
        return bool(self._ahead)

    def return_to_present(self, intakes: Iterable[str]) -> None:
        """Lets intakes return to the present, because nothing of theirs waits with a sequence ahead of the clock."""
        for intake in intakes:
            self._ahead.pop(intake, None)
        if not self._ahead and self._ahead_last:
            self._use(range(self._ahead_first, self._ahead_last + 1))
            self._ahead_first = self._ahead_last = 0

    def _follow_clock(self) -> None:
        """Starts a new range of sequences if the clock was set by more than ``MOST_AHEAD``."""
        now = self._now()
        if not self._last or abs(now - self._last) <= _MOST_SET_BACK:
            return
        current = range(self._first, self._last + 1)
        start = self._free(now, current)
        if start - now > _MOST_SET_BACK:
            # The present is within sequences in use. Continue after them until the clock has caught up.
            return
        if self._last > now:
            self._ahead_first = min(self._ahead_first or self._first, self._first)
            self._ahead_last = max(self._ahead_last, self._last)
            self._ahead = dict.fromkeys(self._intakes, self._ahead_last)
        self._use(current)
        self._first, self._last = start, start - 1

    def _free(self, sequence: int, *more: range, count: int = 1) -> int:
        """Returns the first of ``count`` consecutive sequences, from ``sequence`` on, that are not in use."""
        ranges = [*self._used, *more]
        if self._ahead_last:
            ranges.append(range(self._ahead_first, self._ahead_last + 1))
        for used in sorted(ranges, key=lambda each: each.start) if ranges else ():
            if used.start < sequence + count and sequence < used.stop:
                sequence = used.stop
        return sequence

    def _use(self, used: range) -> None:
        self._used = [*self._used, used][-_MOST_USED:]

    def _now(self) -> int:
        return int(self._wall() * 1_000_000)


def settled_intakes(spool: Path, ahead: dict[str, range]) -> list[str]:
    """Returns the intakes that have no batch in their folder with one of the given sequences. Blocking."""
    return [intake for intake, sequences in ahead.items() if not _holds(spool / intake, sequences)]


def _holds(folder: Path, sequences: range) -> bool:
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return False
    except OSError:
        return True
    for text in names:
        if (name := batch_names.read(text)) is not None and name.sequence in sequences:
            return True
        if (pack := PackName.read(text)) is not None and pack.first < sequences.stop and pack.last >= sequences.start:
            return True
    return False
