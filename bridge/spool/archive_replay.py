"""Batches out of the archive into the spool again: all of a period, in one transfer.

A period is of event times. A batch's events lie within the resolution of its name's time, so a batch is taken whole if
that time is in the period, whose ends are therefore rounded down to the resolution; of a timed batch the events are
taken one by one; where events have no time, that of reception counts. The copies have sequences of their own, and the
archive is told of these: delivered, they are not kept once more, so a second replay of the period is as long as the
first.

Blocking; in the spool's thread. The work is cut into steps, as deliveries wait for the same thread.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from bridge.spool.archive import Archive
from bridge.spool.batch import Batch
from bridge.spool.store import Spool
from bridge.spool.transaction import Transaction

STEP_SECONDS = 0.05
"What one step may take; then others have their turn."


class ArchiveChanged(Exception):
    """It is not what was counted."""


@dataclass(slots=True)
class Amount:
    """How much a replay is."""

    events: int = 0
    size: int = 0
    "Bytes."
    batches: int = 0

    def add(self, batch: Batch) -> None:
        """One more batch."""
        self.events += batch.count
        self.size += batch.size
        self.batches += 1


@dataclass(slots=True)
class Replay:
    """One replay of an intake's events with times from ``from_ms`` to less than ``to_ms``."""

    spool: Spool
    archive: Archive
    intake: str
    from_ms: int
    to_ms: int
    resolution_ms: int
    amount: Amount = field(default_factory=Amount)
    made: list[Batch] = field(default_factory=list)
    _found: Iterator[Batch] | None = None
    _transfer: Transaction | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: iter(()))

    def __post_init__(self) -> None:
        self.from_ms -= self.from_ms % self.resolution_ms
        self.to_ms -= self.to_ms % self.resolution_ms
        self._found = self._chosen()

    def count(self) -> bool:
        """Look how much it is; True: all was looked at. Raises OSError."""
        return self._step(lambda batch: None)

    def stage(self, numbers: range) -> bool:
        """Write the next copies, with these sequences; True: that was the last. Raises OSError."""
        if self._transfer is None:
            self._numbers = iter(numbers)
            self._transfer = Transaction(self.spool.directory, next(self._numbers))
            # For the next start, if this process dies; the name is made of all of them.
            self._transfer.write(self.archive.mark_replayed(numbers), b"")
        return self._step(self._write)

    def commit(self) -> None:
        """Bring all of it into the spool. Raises OSError: nothing has happened; Unfinished."""
        assert self._transfer is not None
        try:
            self._transfer.commit()
        except BaseException:
            self.give_up()
            raise
        self._transfer.finish()

    def give_up(self) -> None:
        """Nothing of it shall happen."""
        if self._transfer is not None:
            self._transfer.give_up()

    def _step(self, take: Callable[[Batch], None]) -> bool:
        assert self._found is not None
        ends_at = time.monotonic() + STEP_SECONDS
        for batch in self._found:
            self.amount.add(batch)
            take(batch)
            if time.monotonic() >= ends_at:
                return False
        return True

    def _write(self, batch: Batch) -> None:
        assert self._transfer is not None
        number = next(self._numbers, None)
        if number is None:
            raise ArchiveChanged("the archive has grown since it was counted: nothing was replayed; try again")
        made = replace(
            batch, sequence=number, directory=self.spool.directory / self.intake, sealed=float("-inf"),
            sending=False, doubtful=False, synced=True, pack=None, position=0, held=None, disk=0,
        )  # fmt: skip
        self._transfer.write(made.path, batch.held or b"")
        self.made.append(made)

    def _chosen(self) -> Iterator[Batch]:
        for batch in self.archive.read(self.intake, self.from_ms, self.to_ms):
            if batch.timed:
                lines = [line for line in (batch.held or b"").split(b"\n")[:-1] if self._takes(_time_of(line))]
                if lines:
                    data = b"\n".join((*lines, b""))
                    times = [_time_of(line) for line in lines]
                    yield replace(
                        batch, count=len(lines), size=len(data), held=data, earliest=min(times), latest=max(times)
                    )
            elif self._takes(batch.earliest or batch.sequence // 1000):
                yield batch

    def _takes(self, ms: int) -> bool:
        return self.from_ms <= ms < self.to_ms


def _time_of(line: bytes) -> int:
    text = line.partition(b"\t")[0]
    return int(text) if text.lstrip(b"-").isdigit() else 0
