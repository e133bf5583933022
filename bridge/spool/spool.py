"""The spool's front: appends on the reactor, everything that may block in the one spool thread.

Appending is the only call on the road of a message: one ``write`` per group. Seal, rename and unlink go through
``work``, which runs a job in the thread and its result on the reactor.
"""

import os
import resource
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bridge.batching import Group
from bridge.batching.grouping import split
from bridge.spool import lock, names, reading, recovery
from bridge.spool.archive import Archive
from bridge.spool.batch import Batch, OpenBatch
from bridge.spool.lock import SpoolError
from bridge.spool.quarantine import Quarantine, write_whole

__all__ = ["BatchLimits", "Spool", "SpoolError"]

T = TypeVar("T")
Work = Callable[[Callable[[], object], Callable[[object], None]], None]
"""Runs the first in the spool's thread, then the second, with its result, on the reactor."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is sealed."""

    max_age: float = 2.0
    "Seconds."
    max_events: int = 20_000
    max_bytes: int = 5_000_000
    resolution_ms: int = 1000
    max_slots: int = 64
    "Open slots of one intake; events beyond go to its timed file."


class Spool:
    """All batch files of one bridge. ``wall`` is in seconds since the epoch, ``clock`` rises steadily."""

    def __init__(
        self,
        directory: Path,
        *,
        limits: BatchLimits,
        wall: Callable[[], float],
        clock: Callable[[], float],
        work: Work,
        bounds: dict[str, int],
    ) -> None:
        self.directory = directory
        self.limits = limits
        self.on_sealed: Callable[[Batch], None] = lambda batch: None
        self.on_error: Callable[[str], None] = lambda text: None
        self.quarantine = Quarantine(directory / ".quarantine", wall=wall, bounds=bounds)
        self.archive: Archive | None = None
        self._wall = wall
        self._clock = clock
        self._work = work
        self._sequence = 0
        self._slots: dict[str, dict[tuple[str, int], OpenBatch]] = {}
        # In the order of opening: what is due is at its front. One timed file an intake is keyed by slot None.
        self._by_age: OrderedDict[OpenBatch, None] = OrderedDict()
        self._folders: set[str] = set()
        self._most_open = max(64, min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
        self._sealing = 0
        self._lock = lock.take(directory)

    def recover(self) -> recovery.Found:
        """Find what is there from before. Called once, before the first append. Raises SpoolError."""
        try:
            self.quarantine.recover()
            if self.archive is not None:
                self.archive.recover()
            found = recovery.recover(
                self.directory, resolution_ms=self.limits.resolution_ms, sealed=self._clock(),
                move_aside=self.quarantine.move_aside,
            )  # fmt: skip
        except OSError as error:
            raise SpoolError(f"spool {self.directory}: {error.filename or ''}: {error.strerror}") from None
        self._sequence = max(self._sequence, found.sequence)
        return found

    # --- writing -----------------------------------------------------------------------------------------------------

    def parts(self, group: Group) -> Iterable[Group]:
        """A group as parts that each fit one batch; nearly always the group."""
        if group.count > self.limits.max_events or len(group.data) > self.limits.max_bytes:
            return split(group, self.limits.max_events, self.limits.max_bytes)
        return (group,)

    def append(self, group: Group) -> None:
        """Write the events of one part; then they survive the process. Raises OSError: none was written."""
        batch = self._batch_for(group)
        data = self._lines(group, batch)
        while batch.count and (
            batch.count + group.count > self.limits.max_events or batch.size + len(data) > self.limits.max_bytes
        ):
            self._seal([batch])
            # The next may be timed where this one was not, and the other way round.
            batch = self._batch_for(group)
            data = self._lines(group, batch)
        write_whole(batch.descriptor, data, batch.size)
        batch.size += len(data)
        batch.count += group.count
        batch.earliest = min(batch.earliest, group.earliest)
        batch.latest = max(batch.latest, group.latest)
        if batch.count >= self.limits.max_events or batch.size >= self.limits.max_bytes:
            self._seal([batch])

    def _batch_for(self, group: Group) -> OpenBatch:
        slots = self._slots.setdefault(group.intake, {})
        batch = slots.get((group.encoding, group.slot))
        if batch is not None:
            return batch
        timed = (len(slots) >= self.limits.max_slots or len(self._by_age) >= self._most_open) and bool(group.earliest)
        if timed and (batch := slots.get((f"timed {group.encoding}", 0))) is not None:
            return batch
        sequence = self._next()
        folder = self.directory / group.intake
        if group.intake not in self._folders:
            folder.mkdir(mode=0o750, exist_ok=True)
            self._folders.add(group.intake)
        path = folder / str(names.Name(sequence, group.earliest, 0, 0, "open", timed, group.encoding))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        batch = OpenBatch(
            intake=group.intake, sequence=sequence, slot=group.slot, timed=timed, encoding=group.encoding, path=path,
            descriptor=descriptor, opened=self._clock(), earliest=group.earliest, latest=group.latest,
        )  # fmt: skip
        slots[self._key(batch)] = batch
        self._by_age[batch] = None
        return batch

    @staticmethod
    def _lines(group: Group, batch: OpenBatch) -> bytes:
        return reading.timed_lines(group.data, group.earliest) if batch.timed else group.data

    @staticmethod
    def _key(batch: OpenBatch) -> tuple[str, int]:
        return (f"timed {batch.encoding}", 0) if batch.timed else (batch.encoding, batch.slot)

    def _next(self) -> int:
        self._sequence = max(int(self._wall() * 1_000_000), self._sequence + 1)
        return self._sequence

    # --- sealing -----------------------------------------------------------------------------------------------------

    def seal_due(self) -> None:
        """Seal what is older than ``max_age``. Called several times a second."""
        latest = self._clock() - self.limits.max_age
        due = []
        for batch in self._by_age:
            if batch.opened > latest:
                break
            due.append(batch)
        if due:
            self._seal(due)

    def seal_all(self) -> None:
        """Seal everything, at the end."""
        if self._by_age:
            self._seal(list(self._by_age))

    @property
    def idle(self) -> bool:
        """Whether nothing is open or being sealed."""
        return not self._by_age and not self._sealing

    def open_amount(self, intake: str) -> tuple[int, int]:
        """Events and bytes of an intake that are not sealed yet."""
        slots = self._slots.get(intake, {}).values()
        return sum(batch.count for batch in slots), sum(batch.size for batch in slots)

    def oldest_open(self, intake: str) -> int | None:
        """The lowest sequence that is being written."""
        return min((batch.sequence for batch in self._slots.get(intake, {}).values()), default=None)

    def _seal(self, batches: list[OpenBatch]) -> None:
        for batch in batches:
            del self._slots[batch.intake][self._key(batch)]
            del self._by_age[batch]
        self._sealing += len(batches)

        def done(sealed: object) -> None:
            self._sealing -= len(batches)
            assert isinstance(sealed, list)
            now = self._clock()
            for batch in sealed:
                batch.sealed = now
                self.on_sealed(batch)

        self._work(lambda: [batch for batch in map(self._sealed, batches) if batch is not None], done)

    def _sealed(self, batch: OpenBatch) -> Batch | None:
        """Close and rename one file; in the spool's thread."""
        sealed = Batch(
            intake=batch.intake, sequence=batch.sequence, encoding=batch.encoding, timed=batch.timed,
            earliest=batch.earliest, latest=batch.latest, count=batch.count, size=batch.size,
            directory=batch.path.parent, sealed=0.0,
        )  # fmt: skip
        os.close(batch.descriptor)
        if not batch.count:
            batch.path.unlink(missing_ok=True)
            return None
        try:
            batch.path.rename(sealed.path)
        except OSError as error:
            # The events are still there under the open name: the next start finds them.
            self.on_error(f"spool: cannot seal {batch.path}: {error.strerror}")
            return None
        return sealed

    # --- the end -----------------------------------------------------------------------------------------------------

    def remove(self, batches: Iterable[Batch]) -> None:
        """Settled batches leave the spool, for the archive where there is one; in the spool's thread."""
        if self.archive is None:
            reading.remove(batches, self.cannot_remove)
        else:
            self.archive.keep(batches, self.cannot_remove)

    def cannot_remove(self, batch: Batch, error: OSError) -> None:
        """Say so."""
        self.on_error(f"spool: cannot remove {batch.path}: {error.strerror}; it will be sent again after a restart")

    def close(self) -> None:
        """Give the spool up. Everything has been sealed."""
        self.quarantine.close()
        os.close(self._lock)
