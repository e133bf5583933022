"""Requests that were made smaller and wait to be sent again, each as it is: they are not joined with others.

The smallest questions come first (the halves of what was refused last), so that one bad event among 5,000 is found in
some thirty requests. A batch may ask 64 of them a minute: a batch full of bad events must not use up the request rate.
"""

from collections import deque
from collections.abc import Collection, Iterator

from bridge.spool import Batch, Piece

PER_MINUTE = 64
MOST_RANGES = 32
"Of a search, beyond which no fresh batch is asked about: ranges are held in memory."


class SplitQueue:
    """The split requests of one intake. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._units: deque[list[Piece]] = deque()
        self._asked: dict[Batch, deque[float]] = {}

    def __len__(self) -> int:
        return len(self._units)

    @property
    def few_suspected(self) -> bool:
        """Whether a bad event is being searched for, and in so few ranges that another search may begin beside it."""
        return 0 < len(self._units) <= MOST_RANGES and any(piece.suspected is not None for piece in self._units[0])

    def add(self, *units: list[Piece]) -> None:
        """These come next, in this order."""
        self._units.extendleft(reversed([unit for unit in units if unit]))

    def ready_in(self, now: float) -> float | None:
        """Seconds until one may go; None: there is none."""
        waits = [self._wait(unit, now) for unit in self._units]
        return min(waits, default=None)

    def take(self, now: float) -> list[Piece]:
        """The next one that may go; empty: none."""
        for i, unit in enumerate(self._units):
            if self._wait(unit, now) <= 0:
                del self._units[i]
                self._asked.setdefault(unit[0].batch, deque()).append(now)
                return unit
        return []

    def pieces(self) -> Iterator[Piece]:
        """All that is here."""
        for unit in self._units:
            yield from unit

    def take_out(self, batches: Collection[Batch]) -> None:
        """Take out what is of these."""
        kept = ([piece for piece in unit if piece.batch not in batches] for unit in self._units)
        self._units = deque(unit for unit in kept if unit)

    def clear(self) -> list[list[Piece]]:
        """Take all away."""
        units = list(self._units)
        self._units.clear()
        return units

    def forget(self, batch: Batch) -> None:
        """A batch is settled."""
        self._asked.pop(batch, None)

    def _wait(self, unit: list[Piece], now: float) -> float:
        asked = self._asked.get(unit[0].batch)
        if not asked:
            return 0.0
        while asked and now - asked[0] >= 60:
            asked.popleft()
        return 60 - (now - asked[0]) if len(asked) >= PER_MINUTE else 0.0
