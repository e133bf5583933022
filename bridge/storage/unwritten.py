"""Keeps batches whose events could not be moved to quarantine, until the quarantine can be written again.

The file of such a batch stays in the spool, so a restart sends the events again and they are refused again. Used on the
spool thread only.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.spool import Batch
from bridge.spool.batch_reader import Unreadable

Tally = Counter[tuple[str, str]]
"Numbers of events by intake and by what happened to them."


@dataclass(frozen=True, slots=True)
class Move:
    """A move of some events of a batch to quarantine. ``write`` raises OSError if it must be tried again."""

    batch: Batch
    events: int
    write: Callable[[Tally], None]


class UnwrittenMoves:
    """Moves to quarantine that wait for another attempt. ``remove`` removes settled batches."""

    def __init__(self, remove: Callable[[list[Batch]], None]) -> None:
        self._remove = remove
        self._moves: list[Move] = []
        self._settled: list[Batch] = []
        "Settled batches whose files must stay until the moves of their events are written."

    @property
    def events(self) -> Counter[str]:
        """Returns the number of events that wait, by intake."""
        waiting: Counter[str] = Counter()
        for move in self._moves:
            waiting[move.batch.intake] += move.events
        return waiting

    def write(self, moves: Sequence[Move], tally: Tally) -> OSError | None:
        """Writes moves after the waiting ones. Returns the error for which some wait now, if any."""
        waiting, self._moves = [*self._moves, *moves], []
        failed: OSError | None = None
        for i, move in enumerate(waiting):
            try:
                move.write(tally)
            except OSError as error:
                failed = failed or error
                self._moves.append(move)
                if not isinstance(error, Unreadable):
                    # The quarantine cannot be written for the others either.
                    self._moves += waiting[i + 1 :]
                    break
        settled, self._settled = self._settled, []
        self.remove(settled)
        return failed

    def remove(self, batches: Sequence[Batch]) -> None:
        """Removes settled batches, once no move of their events waits."""
        waiting = {move.batch for move in self._moves}
        self._settled += [batch for batch in batches if batch in waiting]
        self._remove([batch for batch in batches if batch not in waiting])
