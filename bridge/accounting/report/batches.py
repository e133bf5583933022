"""What a report knows of each batch: what it has been receipted for, and whether it can come once more.

The batches of a killed process that a request had carried are sent again, whole. What a batch has been receipted for,
beyond the most that one process has receipted, is twice delivered. ``start`` names the batches that are there again, so
of each earlier batch it is known whether it can come once more.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

_MOST_COMPLETE = 100_000
"Batches receipted whole that are remembered within a process's life; older ones are taken to be unlinked."


@dataclass(slots=True)
class _Settled:
    """Events of one batch that were settled in one way."""

    now: int = 0
    "By the process at work."
    most: int = 0
    "The most by one process."

    def add(self, events: int) -> int:
        """The process at work has settled these; how many of them for the first time."""
        self.now += events
        anew = max(0, self.now - self.most)
        self.most = max(self.most, self.now)
        return anew


@dataclass(slots=True)
class _Book:
    """What is known of one batch."""

    intake: str
    total: int
    accepted: _Settled = field(default_factory=_Settled)
    refused: _Settled = field(default_factory=_Settled)
    handed: _Settled = field(default_factory=_Settled)

    @property
    def ways(self) -> tuple[_Settled, ...]:
        return self.accepted, self.refused, self.handed

    @property
    def settled_now(self) -> int:
        return sum(delivery_path.now for delivery_path in self.ways)


class BatchReceipts:
    """One of each batch that a process has settled events of, and that may be there still."""

    def __init__(self) -> None:
        self._books: dict[int, _Book] = {}
        self._complete: OrderedDict[int, None] = OrderedDict()

    def accept(self, sequence: int, intake: str, events: int, total: int) -> int:
        """Events of a batch were accepted; how many of them for the first time."""
        book = self._of(sequence, intake, total)
        return self._settle(sequence, book, book.accepted, events)

    def refuse(self, sequence: int, intake: str, events: int, total: int) -> int:
        """The same of refused ones."""
        book = self._of(sequence, intake, total)
        return self._settle(sequence, book, book.refused, events)

    def hand_over(self, sequence: int, intake: str, events: int, total: int) -> None:
        """Events of a batch went to a queue that gateways share."""
        book = self._of(sequence, intake, total)
        self._settle(sequence, book, book.handed, events)

    def queued_again(self, start: dict[str, Any]) -> Counter[str]:
        """A process begins. By intake: events that the one before had settled, in batches that are there again whole.

        Where a ``start`` counts more possible duplicates than its batches hold (there were too many, or it is an early
        one, that does not name packed ones), the rest are taken to be batches that were settled in part.
        """
        there = {sequence for batches in start["sending"].values() for sequence, _ in batches}
        unnamed = Counter(start["possible_duplicates"])
        for intake, batches in start["sending"].items():
            unnamed[intake] -= sum(events for _, events in batches)
        again: Counter[str] = Counter()
        kept: dict[int, _Book] = {}
        for sequence, book in self._books.items():
            if sequence not in there:
                if book.settled_now >= book.total or book.total > unnamed[book.intake]:
                    continue
                unnamed[book.intake] -= book.total
            again[book.intake] += book.settled_now
            for delivery_path in book.ways:
                delivery_path.now = 0
            kept[sequence] = book
        self._books = kept
        self._complete.clear()
        return again

    def _of(self, sequence: int, intake: str, total: int) -> _Book:
        book = self._books.get(sequence)
        if book is None:
            book = self._books[sequence] = _Book(intake, total)
        # An operator may have moved it, or a part of it, to another intake.
        book.intake, book.total = intake, total
        return book

    def _settle(self, sequence: int, book: _Book, delivery_path: _Settled, events: int) -> int:
        anew = delivery_path.add(events)
        if book.settled_now >= book.total:
            self._complete[sequence] = None
            if len(self._complete) > _MOST_COMPLETE:
                self._books.pop(self._complete.popitem(last=False)[0], None)
        return anew
