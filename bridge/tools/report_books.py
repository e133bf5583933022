"""What a report knows of each batch: what it has been receipted for, and whether it can come once more.

The batches of a killed process that a request had carried are sent again, whole. What a batch has been receipted for,
beyond the most that one process has receipted, is twice delivered. ``start`` names the batches that are there again, so
of each earlier batch it is known whether it can come once more.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any

_MOST_COMPLETE = 100_000
"Batches receipted whole that are remembered within a process's life; older ones are taken to be unlinked."


@dataclass(slots=True)
class _Book:
    """What is known of one batch."""

    intake: str
    total: int
    accepted: int = 0
    "The most events that one process has receipted."
    refused: int = 0
    accepted_now: int = 0
    "By the process at work."
    refused_now: int = 0
    handed_now: int = 0

    @property
    def settled_now(self) -> int:
        return self.accepted_now + self.refused_now + self.handed_now


class Books:
    """One of each batch that a process has settled events of, and that may be there still."""

    def __init__(self) -> None:
        self._books: dict[int, _Book] = {}
        self._complete: OrderedDict[int, None] = OrderedDict()

    def accept(self, sequence: int, intake: str, events: int, total: int) -> int:
        """Events of a batch were accepted; how many of them for the first time."""
        book = self._of(sequence, intake, total)
        book.accepted_now += events
        unique = max(0, book.accepted_now - book.accepted)
        book.accepted = max(book.accepted, book.accepted_now)
        self._completed(sequence, book)
        return unique

    def refuse(self, sequence: int, intake: str, events: int, total: int) -> int:
        """The same of refused ones."""
        book = self._of(sequence, intake, total)
        book.refused_now += events
        unique = max(0, book.refused_now - book.refused)
        book.refused = max(book.refused, book.refused_now)
        self._completed(sequence, book)
        return unique

    def hand_over(self, sequence: int, intake: str, events: int, total: int) -> None:
        """Events of a batch went to a queue that gateways share."""
        book = self._of(sequence, intake, total)
        book.handed_now += events
        self._completed(sequence, book)

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
            book.accepted_now = book.refused_now = book.handed_now = 0
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

    def _completed(self, sequence: int, book: _Book) -> None:
        if book.settled_now >= book.total:
            self._complete[sequence] = None
            if len(self._complete) > _MOST_COMPLETE:
                self._books.pop(self._complete.popitem(last=False)[0], None)
