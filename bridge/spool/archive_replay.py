"""Copies the batches of a period from the archive back into the spool, in one transaction.

The period refers to event times. All events of a batch lie within the resolution of the time in its name, so the period
is rounded down to the resolution and such a batch is copied as a whole. Events of a timed batch are selected one by
one. For events without a time, the time of reception counts. The copies get new sequences, which the archive records:
it does not keep these batches again after delivery, so a second replay of the period has the same events as the first.

Blocking calls; runs on the spool thread. The work is split into short steps, because deliveries wait for the same
thread.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from bridge.spool.archive import Archive
from bridge.spool.batch import Batch
from bridge.spool.batch_reader import time_of
from bridge.spool.store import Spool
from bridge.spool.transaction import Transaction
from bridge.util.errors import BridgeError

STEP_SECONDS = 0.05
"Seconds that one step may take before other jobs of the spool thread run."


class ArchiveChanged(BridgeError):
    """Raised when the archive has grown since its batches were counted."""


@dataclass(slots=True)
class Amount:
    """The amount of data in a replay."""

    events: int = 0
    size: int = 0
    "Bytes."
    batches: int = 0

    def add(self, batch: Batch) -> None:
        """Adds the amount of one batch."""
        self.events += batch.count
        self.size += batch.size
        self.batches += 1


@dataclass(slots=True)
class Replay:
    """A replay of an intake's events with times from ``from_ms`` to before ``to_ms``."""

    spool: Spool
    archive: Archive
    intake: str
    from_ms: int
    to_ms: int
    resolution_ms: int
    amount: Amount = field(default_factory=Amount)
    made: list[Batch] = field(default_factory=list)
    _batches: Iterator[Batch] = field(init=False)
    _transaction: Transaction | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: iter(()))

    def __post_init__(self) -> None:
        self.from_ms -= self.from_ms % self.resolution_ms
        self.to_ms -= self.to_ms % self.resolution_ms
        self._batches = self._select()

    def count(self) -> bool:
        """Counts more batches. Returns True when all are counted. Raises OSError."""
        return self._step(lambda batch: None)

    def stage(self, numbers: range) -> bool:
        """Stages more copies, which get the sequences ``numbers``. Returns True when all are staged.

        Raises OSError, or ArchiveChanged if there are more batches than sequences.
        """
        if self._transaction is None:
            self._numbers = iter(numbers)
            self._transaction = Transaction(self.spool.directory, next(self._numbers), "replay")
            # Record all sequences in a file name, for the next start in case this process dies.
            self._transaction.write(self.archive.mark_replayed(numbers), b"")
        return self._step(self._write)

    def commit(self) -> Transaction:
        """Moves all staged copies into the spool. Returns the transaction, whose account is not in the ledger yet.

        Raises OSError; then nothing has changed. Raises UnfinishedTransaction.
        """
        assert self._transaction is not None
        with self._transaction.completion():
            # All copies are staged already.
            self._transaction.account("replay", None, self.intake, self.amount.events)
        return self._transaction

    def discard(self) -> None:
        """Cancels the replay and deletes the staged copies."""
        if self._transaction is not None:
            self._transaction.discard()

    def _step(self, process: Callable[[Batch], None]) -> bool:
        deadline = time.monotonic() + STEP_SECONDS
        for batch in self._batches:
            self.amount.add(batch)
            process(batch)
            if time.monotonic() >= deadline:
                return False
        return True

    def _write(self, batch: Batch) -> None:
        assert self._transaction is not None
        number = next(self._numbers, None)
        if number is None:
            raise ArchiveChanged("the archive has grown since it was counted", "Nothing was replayed; try again")
        made = replace(
            batch, sequence=number, directory=self.spool.directory / self.intake, sealed=float("-inf"),
            sending=False, doubtful=False, synced=True, pack=None, position=0, held=None, disk=0,
        )  # fmt: skip
        self._transaction.write(made.path, batch.held or b"")
        self.made.append(made)

    def _select(self) -> Iterator[Batch]:
        for batch in self.archive.read(self.intake, self.from_ms, self.to_ms):
            if batch.timed:
                lines = [line for line in (batch.held or b"").split(b"\n")[:-1] if self._in_period(time_of(line))]
                if lines:
                    data = b"\n".join((*lines, b""))
                    times = [time_of(line) for line in lines]
                    yield replace(
                        batch, count=len(lines), size=len(data), held=data, earliest=min(times), latest=max(times)
                    )
            elif self._in_period(batch.earliest or batch.sequence // 1000):
                yield batch

    def _in_period(self, ms: int) -> bool:
        return self.from_ms <= ms < self.to_ms
