"""Keeps batches whose events could not be moved to quarantine, until the quarantine can be written again.

The file of such a batch stays in the spool, so a restart sends the events again and they are refused again. Used on the
spool thread only, except ``kept_disk``.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.spool import Batch
from bridge.spool.batch_reader import Unreadable

MOST_EVENTS, MOST_BYTES = 20_000, 64 << 20
"Refused events that may wait in memory, and their bytes. Further ones are lost."
AT_ONCE = 1000
"Waiting moves that one attempt writes: each is synced to disk."

Tally = Counter[tuple[str, str]]
"Numbers of events by intake and by what happened to them."


@dataclass(frozen=True, slots=True)
class Move:
    """A move of some events of a batch to quarantine. ``write`` raises OSError if it must be tried again."""

    batch: Batch
    events: int
    write: Callable[[Tally], None]
    size: int | None = None
    "Bytes of a refused event in memory. None: the whole file of the batch moves, and none of it is in memory."


class UnwrittenMoves:
    """Moves to quarantine that wait for another attempt. ``remove`` removes settled batches."""

    def __init__(self, remove: Callable[[list[Batch]], None]) -> None:
        self.error: OSError | None = None
        "An error for which moves wait; None if none waits."
        self.events: Counter[str] = Counter()
        "Events that wait, by intake."
        self.kept_disk: Mapping[str, int] = {}
        "Allocated bytes by intake of the batches that stay only until their events are moved. Replaced, never changed."
        self._remove = remove
        self._moves: list[Move] = []
        self._waiting: Counter[Batch] = Counter()
        "Moves that wait, by batch."
        self._refused = self._refused_bytes = 0
        "Refused events that wait, and their bytes in memory."
        self._settled: dict[Batch, None] = {}
        "Settled batches whose files must stay until the moves of their events are written."
        self._kept: dict[Batch, int] = {}
        "Allocated bytes of the batches that stay."
        self._blocked = False
        "True if the quarantine could not be written at the last attempt."

    @property
    def is_full(self) -> bool:
        """True if no more refused events can wait."""
        return self._refused >= MOST_EVENTS or self._refused_bytes >= MOST_BYTES

    def write(self, moves: Sequence[Move], tally: Tally) -> None:
        """Writes moves. They wait without an attempt if the quarantine could not be written at the last one."""
        for move in moves:
            if not self._blocked:
                try:
                    move.write(tally)
                except OSError as error:
                    self.error = error
                    # Another error concerns all moves.
                    self._blocked = not isinstance(error, Unreadable)
                else:
                    continue
            self._wait(move, tally)

    def retry(self, tally: Tally) -> None:
        """Writes the oldest waiting moves, and removes settled batches that had to stay for them."""
        moves, self._moves = self._moves[:AT_ONCE], self._moves[AT_ONCE:]
        for move in moves:
            self._forget(move)
        if not self._moves:
            self.error = None
        self._blocked = False
        self.write(moves, tally)
        settled, self._settled = self._settled, {}
        self.remove(list(settled))

    def _wait(self, move: Move, tally: Tally) -> None:
        batch = move.batch
        if move.size is None:
            self._keep(batch)
        elif self.is_full:
            tally[batch.intake, "lost"] += move.events
            return
        self._moves.append(move)
        self._count(move, 1)

    def _forget(self, move: Move) -> None:
        self._count(move, -1)
        if not self._waiting[move.batch]:
            del self._waiting[move.batch]
        if move.size is None:
            self._release(move.batch)

    def _count(self, move: Move, sign: int) -> None:
        self._waiting[move.batch] += sign
        self.events[move.batch.intake] += sign * move.events
        if move.size is not None:
            self._refused += sign
            self._refused_bytes += sign * move.size

    def remove(self, batches: Sequence[Batch]) -> None:
        """Removes settled batches, once no move of their events waits."""
        removed: list[Batch] = []
        for batch in batches:
            if batch in self._waiting:
                self._settled[batch] = None
                self._keep(batch)
            else:
                self._release(batch)
                removed.append(batch)
        self._remove(removed)

    def _keep(self, batch: Batch) -> None:
        if batch not in self._kept:
            self._kept[batch] = batch.disk
            self._add_kept(batch.intake, batch.disk)

    def _release(self, batch: Batch) -> None:
        if (size := self._kept.pop(batch, None)) is not None:
            self._add_kept(batch.intake, -size)

    def _add_kept(self, intake: str, size: int) -> None:
        self.kept_disk = {**self.kept_disk, intake: self.kept_disk.get(intake, 0) + size}
