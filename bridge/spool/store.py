"""The spool's front: appends on the reactor, everything that may block in the one spool thread.

Appending is the only call on the road of a message: one ``write`` per group. Seal, rename and unlink go through
``work``, which runs a job in the thread and its result on the reactor.
"""

import errno
import os
import resource
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bridge.batching import Group
from bridge.batching.groups import split
from bridge.spool import (
    batch_names,
    batch_reader,
    lock,
    recovery,
    transaction,
)
from bridge.spool.archive import Archive
from bridge.spool.batch import Batch, OpenBatch
from bridge.spool.budget import on_disk
from bridge.spool.lock import SpoolError
from bridge.spool.pack import Pack
from bridge.spool.quarantine import Quarantine, write_whole
from bridge.spool.write_cache import WriteCache

__all__ = ["BatchLimits", "Spool", "SpoolError"]

T = TypeVar("T")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
TRY_AGAIN = 1.0
"Seconds between two attempts to rename or remove a file that could not be."
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
        keep: int = 0,
    ) -> None:
        """``keep``: bytes of what was appended that stay in memory until they are first read."""
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
        self._exact_firsts: list[int] = []
        self._exact_lasts: list[int] = []
        self._slots: dict[str, dict[tuple[str, int], OpenBatch]] = {}
        # In the order of opening: what is due is at its front. One timed file an intake is keyed by slot None.
        self._by_age: OrderedDict[OpenBatch, None] = OrderedDict()
        self._folders: set[str] = set()
        self._most_open = max(64, min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
        self._leaving: dict[OpenBatch, None] = {}
        "Closed to appends, not handed over yet: being sealed, or waiting to be tried again."
        self._unsealed: list[OpenBatch] = []
        "Could not be renamed; tried again."
        self._unremoved: list[Callable[[], None]] = []
        "Settled, but could not be removed: what tries again. The thread's."
        self._tried_again = float("-inf")
        self._sealing = 0
        self._fresh = WriteCache(keep)
        self._lock = lock.take(directory)

    def recover(self) -> recovery.RecoveredSpool:
        """Find what is there from before. Called once, before the first append. Raises SpoolError."""
        try:
            transaction.recover(self.directory)
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
        try:
            self._append(group)
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            # This file may not grow; another may.
            self._seal([batch for batch in self._slots.get(group.intake, {}).values() if batch.count])
            self._append(group)

    def _append(self, group: Group) -> None:
        batch = self._batch_for(group)
        data = self._lines(group, batch)
        while batch.count and (
            batch.count + group.count > self.limits.max_events or batch.size + len(data) > self.limits.max_bytes
        ):
            self._seal([batch])
            # The next may be timed where this one was not, and the other way round.
            batch = self._batch_for(group)
            data = self._lines(group, batch)
        try:
            write_whole(batch.descriptor, data, batch.size)
        except OSError:
            if os.fstat(batch.descriptor).st_size != batch.size:
                # Not even the cutting worked: nothing may be appended behind the torn piece. Sealing cuts again.
                self._seal([batch])
            raise
        batch.size += len(data)
        batch.count += group.count
        self._fresh.add(batch, data)
        batch.earliest = min(batch.earliest, group.earliest)
        batch.latest = max(batch.latest, group.latest)
        if batch.count >= self.limits.max_events or batch.size >= self.limits.max_bytes:
            self._seal([batch])

    def _batch_for(self, group: Group) -> OpenBatch:
        slots = self._slots.setdefault(group.intake, {})
        batch = None if group.timed else slots.get((group.encoding, group.slot))
        if batch is not None:
            return batch
        crowded = len(slots) >= self.limits.max_slots or len(self._by_age) >= self._most_open
        timed = group.timed or (crowded and bool(group.earliest))
        if timed and (batch := slots.get((f"timed {group.encoding}", 0))) is not None:
            return batch
        sequence = self._next()
        folder = self.directory / group.intake
        if group.intake not in self._folders:
            folder.mkdir(mode=0o750, exist_ok=True)
            self._folders.add(group.intake)
        path = folder / str(batch_names.BatchName(sequence, group.earliest, 0, 0, "open", timed, group.encoding))
        try:
            descriptor = os.open(path, _NEW, 0o640)
        except FileNotFoundError:
            # Somebody has removed the folder.
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            descriptor = os.open(path, _NEW, 0o640)
        batch = OpenBatch(
            intake=group.intake, sequence=sequence, slot=group.slot, timed=timed, encoding=group.encoding, path=path,
            descriptor=descriptor, opened=self._clock(), earliest=group.earliest, latest=group.latest,
        )  # fmt: skip
        slots[self._key(batch)] = batch
        self._by_age[batch] = None
        return batch

    @staticmethod
    def _lines(group: Group, batch: OpenBatch) -> bytes:
        return batch_reader.timed_lines(group.data, group.earliest) if batch.timed and not group.timed else group.data

    @staticmethod
    def _key(batch: OpenBatch) -> tuple[str, int]:
        return (f"timed {batch.encoding}", 0) if batch.timed else (batch.encoding, batch.slot)

    def _next(self) -> int:
        self._sequence = max(int(self._wall() * 1_000_000), self._sequence + 1)
        return self._sequence

    def sequences(self, count: int, *, exact: bool = True) -> range:
        """So many sequences that nobody else gets; ``exact``: the times of what an operator brings back stay so."""
        first = self._next()
        self._sequence += count - 1
        if exact:
            self._exact_firsts.append(first)
            self._exact_lasts.append(first + count - 1)
        return range(first, first + count)

    def is_exact(self, sequence: int) -> bool:
        """Whether it is one of these; as far as this process knows."""
        place = bisect_right(self._exact_firsts, sequence) - 1
        return place >= 0 and sequence <= self._exact_lasts[place]

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
        if self._clock() - self._tried_again >= TRY_AGAIN:
            self._tried_again = self._clock()
            if self._unsealed:
                again, self._unsealed = self._unsealed, []
                self._hand_over(again)
            if self._unremoved:
                self._work(self._remove_again, lambda nothing: None)

    def seal_of(self, intake: str) -> None:
        """Seal what is open of one intake."""
        if batches := list(self._slots.get(intake, {}).values()):
            self._seal(batches)

    def is_sealing(self, intake: str) -> bool:
        """Whether something of an intake is being sealed, and has not been handed over yet."""
        return any(batch.intake == intake for batch in self._leaving)

    def seal_all(self) -> None:
        """Seal everything, at the end."""
        if self._by_age:
            self._seal(list(self._by_age))

    @property
    def idle(self) -> bool:
        """Whether nothing is open or being sealed."""
        return not self._by_age and not self._sealing

    def being_written(self) -> Iterable[OpenBatch]:
        """Every file that is open, or being sealed."""
        return [*self._by_age, *self._leaving]

    def open_amount(self, intake: str) -> tuple[int, int]:
        """Events and bytes of an intake that are not sealed yet."""
        found = self._open_ones(intake)
        return sum(batch.count for batch in found), sum(batch.size for batch in found)

    def open_disk(self) -> dict[str, int]:
        """Bytes on disk of what is not sealed yet, by intake."""
        found = {
            intake: sum(on_disk(batch.size) for batch in slots.values())
            for intake, slots in self._slots.items() if slots
        }  # fmt: skip
        for batch in self._leaving:
            found[batch.intake] = found.get(batch.intake, 0) + on_disk(batch.size)
        return found

    def _open_ones(self, intake: str) -> list[OpenBatch]:
        leaving = [batch for batch in self._leaving if batch.intake == intake]
        return [*self._slots.get(intake, {}).values(), *leaving]

    def oldest_open(self, intake: str) -> int | None:
        """The lowest sequence that is being written."""
        return min((batch.sequence for batch in self._open_ones(intake)), default=None)

    def _seal(self, batches: list[OpenBatch]) -> None:
        for batch in batches:
            del self._slots[batch.intake][self._key(batch)]
            del self._by_age[batch]
            self._leaving[batch] = None
        self._hand_over(batches)

    def _hand_over(self, batches: list[OpenBatch]) -> None:
        self._sealing += len(batches)

        def done(sealed: object) -> None:
            self._sealing -= len(batches)
            assert isinstance(sealed, list)
            now = self._clock()
            for batch, made in zip(batches, sealed, strict=True):
                if isinstance(made, OSError):
                    self._unsealed.append(batch)
                    continue
                del self._leaving[batch]
                if made is not None:
                    made.sealed = now
                    self._fresh.hand_over(batch, made)
                    self.on_sealed(made)

        self._work(lambda: [self._sealed(batch) for batch in batches], done)

    def _sealed(self, batch: OpenBatch) -> Batch | OSError | None:
        """Close and rename one file; in the spool's thread. An OSError: the events are there under the open name, to be
        tried again, if need be by the next start."""
        sealed = Batch(
            intake=batch.intake, sequence=batch.sequence, encoding=batch.encoding, timed=batch.timed,
            earliest=batch.earliest, latest=batch.latest, count=batch.count, size=batch.size,
            directory=batch.path.parent, sealed=0.0,
        )  # fmt: skip
        batch.sealed = sealed
        try:
            if batch.descriptor >= 0:
                if os.fstat(batch.descriptor).st_size != batch.size:
                    os.ftruncate(batch.descriptor, batch.size)
                os.close(batch.descriptor)
                batch.descriptor = -1
            if not batch.count:
                batch.path.unlink(missing_ok=True)
                return None
            batch.path.rename(sealed.path)
            sealed.disk = sealed.path.stat().st_blocks * 512 or sealed.disk
        except FileNotFoundError:
            # There is nothing to rename. The courier finds the file missing, and its events are counted so.
            return sealed
        except OSError as error:
            self.on_error(f"spool: cannot seal {batch.path}: {error.strerror}; tried again")
            return error
        return sealed

    # --- the end -----------------------------------------------------------------------------------------------------

    def remove(self, batches: Iterable[Batch]) -> None:
        """Settled batches leave the spool, for the archive where there is one; in the spool's thread."""
        if self.archive is None:
            batch_reader.remove(batches, self.cannot_remove)
        else:
            self.archive.keep(batches, self.cannot_remove)

    def give_up(self, dropped: Iterable[Batch | Pack]) -> None:
        """These were not delivered, and leave the spool all the same, for no archive; in the spool's thread."""
        loose = []
        for each in dropped:
            if isinstance(each, Batch):
                loose.append(each)
            else:
                self._remove_pack(each)
        batch_reader.remove(loose, self.cannot_remove)

    def _remove_pack(self, pack: Pack) -> None:
        try:
            pack.path.unlink(missing_ok=True)
        except OSError as error:
            self._try_later(lambda: pack.path.unlink(missing_ok=True), pack.path, error)

    def _remove_again(self) -> None:
        again, self._unremoved = self._unremoved, []
        for remove in again:
            try:
                remove()
            except OSError:
                self._unremoved.append(remove)

    def cannot_remove(self, batch: Batch, error: OSError) -> None:
        """Say so, and try again now and then; in the spool's thread."""
        pack = batch.pack
        if pack is None:
            self._try_later(lambda: batch.path.unlink(missing_ok=True), batch.path, error)
        else:
            # The pack knows what is settled of it, and has still to write it down.
            self._try_later(lambda: pack.settle(()), pack.path, error)

    def _try_later(self, remove: Callable[[], None], path: Path, error: OSError) -> None:
        self._unremoved.append(remove)
        self.on_error(
            f"spool: cannot remove {path}: {error.strerror}; tried again, but after a restart it would be sent again"
        )

    def close(self) -> None:
        """Give the spool up. Everything has been sealed."""
        self.quarantine.close()
        os.close(self._lock)
