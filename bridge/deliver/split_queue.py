"""Splits requests, and queues the parts until they are sent. They are not joined with others.

The smallest requests come first (the halves of the latest refused request), so that one bad event among 5,000 is found
in about thirty requests. Each batch may send 64 of them per minute, so that a batch full of bad events does not use up
the request rate.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterator
from itertools import accumulate

from bridge.spool import Batch, Piece, batch_reader

PER_MINUTE = 64
MOST_RANGES = 32
"Number of ranges in a search above which no fresh batch is sent, because ranges are held in memory."


class SplitQueue:
    """Split requests of one intake. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._units: deque[list[Piece]] = deque()
        self._sent_at: dict[Batch, deque[float]] = {}
        self._not_before: dict[Batch, float] = {}
        "When a request of a batch may be sent again that was postponed."

    def __len__(self) -> int:
        return len(self._units)

    @property
    def searching_few_ranges(self) -> bool:
        """Returns True if a search for a bad event holds so few ranges that a second search may begin beside it."""
        return 0 < len(self._units) <= MOST_RANGES and any(piece.suspected is not None for piece in self._units[0])

    def add(self, *units: list[Piece]) -> None:
        """Adds requests at the front, in this order."""
        self._units.extendleft(reversed([unit for unit in units if unit]))

    def postpone(self, unit: list[Piece], until: float) -> None:
        """Adds a request at the end, and sends requests of its batch no earlier than ``until``."""
        self._units.append(unit)
        self._not_before[unit[0].batch] = until

    def ready_in(self, now: float) -> float | None:
        """Returns the seconds until a request may be sent; None if the queue is empty."""
        waits = [self._wait(unit, now) for unit in self._units]
        return min(waits, default=None)

    def take(self, now: float) -> list[Piece]:
        """Takes out the next request that may be sent; empty if no request may be sent."""
        for i, unit in enumerate(self._units):
            if self._wait(unit, now) <= 0:
                del self._units[i]
                self._sent_at.setdefault(unit[0].batch, deque()).append(now)
                return unit
        return []

    def pieces(self) -> Iterator[Piece]:
        """Returns all pieces in the queue."""
        for unit in self._units:
            yield from unit

    def remove(self, batches: Collection[Batch]) -> None:
        """Takes the pieces of these batches out."""
        kept = ([piece for piece in unit if piece.batch not in batches] for unit in self._units)
        self._units = deque(unit for unit in kept if unit)

    def clear(self) -> list[list[Piece]]:
        """Takes all requests out and returns them."""
        units = list(self._units)
        self._units.clear()
        return units

    def forget(self, batch: Batch) -> None:
        """Forgets the request times of a settled batch."""
        self._sent_at.pop(batch, None)
        self._not_before.pop(batch, None)

    def _wait(self, unit: list[Piece], now: float) -> float:
        batch = unit[0].batch
        postponed = max(0.0, self._not_before.get(batch, 0.0) - now)
        sent_at = self._sent_at.get(batch)
        if not sent_at:
            return postponed
        while sent_at and now - sent_at[0] >= 60:
            sent_at.popleft()
        return max(postponed, 60 - (now - sent_at[0]) if len(sent_at) >= PER_MINUTE else 0.0)


def halves(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Splits the pieces of one request into two lists: between batches if there are several, otherwise in the middle
    of the events, which are then held in memory.

    ``pieces`` must hold at least two events. Blocks. Raises Damaged, OSError.
    """
    if len(pieces) > 1:
        # Splits where both halves hold about the same number of events, as far as whole batches allow.
        totals = list(accumulate(piece.count for piece in pieces))
        position = max(1, bisect_right(totals, totals[-1] // 2))
        return pieces[:position], pieces[position:]
    (piece,) = pieces
    lines, times = batch_reader.rows_of(piece)
    middle = len(lines) // 2
    parts = (slice(0, middle), slice(middle, len(lines)))
    first, second = ([batch_reader.part_of(piece, lines, times, part)] for part in parts)
    return first, second


def single_out(pieces: list[Piece], positions: set[int]) -> tuple[list[tuple[int, Piece]], list[Piece]]:
    """Cuts the events at some positions of a request out as pieces of one event, each with its position. Returns them
    and the rest.

    Blocks. Raises Damaged, OSError.
    """
    chosen: list[tuple[int, Piece]] = []
    others: list[Piece] = []
    position = 0
    for piece in pieces:
        wanted = [i for i in range(position, position + piece.count) if i in positions]
        if not wanted:
            others.append(piece)
        else:
            lines, times = batch_reader.rows_of(piece)
            chosen.extend(
                (i, batch_reader.part_of(piece, lines, times, slice(i - position, i - position + 1))) for i in wanted
            )
            kept = [row for row in range(len(lines)) if row + position not in positions]
            if kept:
                rest = None if times is None else [times[row] for row in kept]
                others.append(batch_reader.part_of(piece, [lines[row] for row in kept], rest, slice(0, len(kept))))
        position += piece.count
    return chosen, others
