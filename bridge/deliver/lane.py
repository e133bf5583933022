"""Keeps the waiting pieces of one lane of an intake in the order of sending."""

from collections import deque
from collections.abc import Iterable
from itertools import islice
from operator import attrgetter

from bridge.spool import Piece
from bridge.spool.pack_writer import LARGEST_BATCH

order_of = attrgetter("order")


def is_uncut(piece: Piece) -> bool:
    """Returns True for a whole timed batch: its file has a time in each line."""
    return piece.batch.timed and piece.lines is None


def is_whole(piece: Piece) -> bool:
    """Returns True for a whole batch of which nothing is settled."""
    return piece.lines is None and piece.batch.unacknowledged == piece.batch.count


def is_droppable(piece: Piece) -> bool:
    """Returns True for a batch in its own file of which nothing is settled."""
    return piece.batch.pack is None and is_whole(piece)


def is_packable(piece: Piece) -> bool:
    """Returns True for a small batch in its own file of which nothing is settled."""
    return is_droppable(piece) and piece.batch.size <= LARGEST_BATCH


class Lane(deque[Piece]):
    """The waiting pieces of one lane, in order."""

    def __init__(self, pieces: Iterable[Piece] = ()) -> None:
        super().__init__(pieces)
        self.packable = sum(map(is_packable, self))
        "Number of pieces that may be packed."

    def note(self, pieces: Iterable[Piece], sign: int) -> None:
        """Counts pieces that are added to the lane (1) or taken out of it (-1)."""
        self.packable += sign * sum(map(is_packable, pieces))

    def candidates(self, skipped: int) -> list[Piece]:
        """Returns the pieces that may be packed, in order, but not those among the first ``skipped`` of the lane."""
        # Most pieces at the front may be ranges of cut batches, tens of thousands of them, so the search begins at the
        # other end.
        found: list[Piece] = []
        for piece in islice(reversed(self), max(0, len(self) - skipped)):
            if len(found) == self.packable:
                break
            if is_packable(piece):
                found.append(piece)
        return found[::-1]

    def insert_run(self, run: list[Piece]) -> None:
        """Inserts sorted pieces. They nearly always belong at one end, or behind a few pieces at the front. A batch
        with random times has a thousand pieces, so the lane is searched once for all of them."""
        self.note(run, 1)
        if not run:
            return
        if not self or self[-1].order < run[0].order:
            self.extend(run)
            return
        moved = []
        while self[0].order < run[0].order:
            moved.append(self.popleft())
        if self[0].order < run[-1].order:
            run = sorted([*run, *self], key=order_of)
            self.clear()
        self.extendleft(reversed(run))
        self.extendleft(reversed(moved))
