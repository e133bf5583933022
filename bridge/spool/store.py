"""Appends events to batch files on the reactor, and seals and removes the files on the spool thread.

An append is the only spool call in the path of a message: one ``write`` per group. Seal, rename and unlink go through
``work``, which runs a job on the spool thread and passes its result to a callback on the reactor.
"""

import errno
import os
import resource
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

from bridge.batching.groups import Group, split
from bridge.spool import batch_names, batch_reader, lock, places, recovery, transaction
from bridge.spool.archive import Archive
from bridge.spool.batch import Batch, BatchLimits, OpenBatch
from bridge.spool.budget import on_disk
from bridge.spool.lock import SpoolError
from bridge.spool.pack import Pack
from bridge.spool.quarantine import Quarantine
from bridge.spool.removals import Removals
from bridge.spool.scattered import ScatteredIntakes
from bridge.spool.sealing import Sealing
from bridge.spool.sequences import LOOK_EVERY, Sequences, settled_intakes
from bridge.spool.write_cache import WriteCache
from bridge.util.files import write_whole
from bridge.util.filesystems import network_filesystem
from bridge.util.jobs import Work
from bridge.util.os_errors import described, reason_of

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_MAY_BE_GONE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
"Errors of an append after which a second attempt may succeed."
TRY_AGAIN = 1.0
"Seconds between attempts to rename or remove a file after a failure."
MANY_SEALING = 64
"""Files that are being sealed, or files of one intake whose sealing is not complete. At this number, no more are sealed
because of their age."""
LONGEST_PROBE_WAIT = 0.1
"Seconds."


@dataclass(frozen=True, slots=True)
class SpoolTerms:
    """The limits of a spool."""

    batches: BatchLimits
    quarantine: Mapping[str, int]
    "Bytes by reason."
    cache: int = 0
    "Bytes of appended lines that are cached until they are first read."


class Spool:
    """Manages all batch files of one bridge. ``wall`` is in seconds since the epoch, ``clock`` is monotonic."""

    def __init__(
        self, directory: Path, terms: SpoolTerms, *, wall: Callable[[], float], clock: Callable[[], float], work: Work,
        on_error: Callable[[str], object], archive: Archive | None = None,
    ) -> None:  # fmt: skip
        """Locks the spool directory. ``on_error`` may be called on the spool thread. Raises SpoolError."""
        lock.refuse_root(directory)
        self.directory = directory
        self.limits = terms.batches
        self.on_error = on_error
        self.quarantine = Quarantine(directory / ".quarantine", wall=wall, bounds=terms.quarantine)
        self.archive = archive
        self.removals = Removals(on_error)
        self.probe_lock = threading.Lock()
        "Held while a probe takes up space: a write that fails meanwhile is tried again after it."
        self._clock = clock
        self._work = work
        self._sequences = Sequences(wall)
        self.scattered = ScatteredIntakes(wall=wall, clock=clock)
        self._last_look = float("-inf")
        self._slots: dict[str, dict[tuple[str, int], OpenBatch]] = {}
        # In order of opening, so due batches come first.
        self._by_age: OrderedDict[OpenBatch, None] = OrderedDict()
        self._most_open = max(64, min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
        self._write_cache = WriteCache(terms.cache)
        self._sealing = Sealing(work, clock=clock, write_cache=self._write_cache, on_error=on_error)
        self._last_retry = float("-inf")
        self._notes = places.clear_for_lock(directory)
        self._lock = lock.take(directory)

    def change(self, *, limits: BatchLimits | None = None, bounds: Mapping[str, int] | None = None) -> None:
        """Applies other limits to batches, or to the quarantine."""
        if limits is not None:
            if limits.resolution_ms != self.limits.resolution_ms:
                # With another resolution the same slot number means another time.
                self.seal_all()
            self.limits = limits
        if bounds is not None:
            self.quarantine.change(bounds)

    def use_archive(self, archive: Archive | None) -> None:
        """Moves settled batches to another, recovered archive from now on, or removes them (None)."""
        self.archive = archive

    def recover(self) -> recovery.RecoveredSpool:
        """Recovers the batches of earlier processes. Called once, before the first append. Raises SpoolError."""
        try:
            transactions, ignored = transaction.recover(self.directory)
            notes = [*self._notes, *places.clear(self.directory), *ignored]
            if (kind := network_filesystem(self.directory)) is not None:
                notes.append(f"{self.directory} is on a network filesystem ({kind}). Use a local disk")
            notes += self.quarantine.recover()
            notes += self._recover_archive()
            found = recovery.recover(self.directory, self._recovery_terms)
        except OSError as error:
            raise lock.unusable(self.directory, error) from None
        found.transactions.extend(transactions)
        found.notes[:0] = notes
        self._sequences.recovered((each.intake, each.last) for each in found.stored)
        unreadable = [(path.parent.name, batch_names.read(path.name)) for path in found.unreadable]
        self._sequences.recovered((intake, name.sequence) for intake, name in unreadable if name is not None)
        return found

    def _recover_archive(self) -> list[str]:
        """Returns a line if the archive cannot be read. The spool does not need it."""
        try:
            if self.archive is not None:
                self.archive.recover()
        except OSError as error:
            where = error.filename or self.directory
            return [f"archive: cannot read {where}: {reason_of(error)}. Its events cannot be replayed until a restart"]
        return []

    @property
    def _recovery_terms(self) -> recovery.RecoveryTerms:
        return recovery.RecoveryTerms(self.limits.resolution_ms, self._clock(), self.quarantine.move_aside)

    def recover_again(self, path: Path) -> recovery.RecoveredSpool:
        """Recovers a file or a folder that could not be read at start. On the spool thread. Raises OSError."""
        return recovery.recover_again(path, self._recovery_terms, lambda: self._sequences.lowest)

    # --- writing -----------------------------------------------------------------------------------------------------

    def parts(self, group: Group) -> Iterable[Group]:
        """Splits a group into parts that each fit one batch. Nearly always returns the group itself."""
        if group.count > self.limits.max_events or len(group.data) > self.limits.max_bytes:
            return split(group, self.limits.max_events, self.limits.max_bytes)
        return (group,)

    def append(self, group: Group) -> OpenBatch:
        """Writes the events of one part and returns their batch. From then on a kill of the process loses none.

        Only a power failure may. Tries again after an error that may be gone. Raises OSError; then none was written.
        """
        try:
            return self._append(group)
        except OSError as error:
            if error.errno not in _MAY_BE_GONE:
                raise
            if error.errno == errno.EFBIG:
                # This file must not grow further. A new one can still be written.
                self._seal([batch for batch in self._slots.get(group.intake, {}).values() if batch.count])
            # The reactor must not wait long for the disk, although a probe may then be why the second attempt fails.
            locked = self.probe_lock.acquire(timeout=LONGEST_PROBE_WAIT)
            try:
                return self._append(group)
            finally:
                if locked:
                    self.probe_lock.release()

    def _append(self, group: Group) -> OpenBatch:
        batch = self._batch_for(group)
        data = batch.lines_of(group)
        while batch.count and (
            batch.count + group.count > self.limits.max_events or batch.size + len(data) > self.limits.max_bytes
        ):
            self._seal([batch])
            # The next batch may be timed although this one was not, or the reverse.
            batch = self._batch_for(group)
            data = batch.lines_of(group)
        try:
            write_whole(batch.descriptor, data, batch.size)
        except OSError:
            if os.fstat(batch.descriptor).st_size != batch.size:
                # Truncating the short write failed too. Nothing may be appended after it; sealing truncates again.
                self._seal([batch])
            raise
        batch.appended(group, len(data))
        self._write_cache.add(batch, data)
        if batch.count >= self.limits.max_events or batch.size >= self.limits.max_bytes:
            self._seal([batch])
        return batch

    def _batch_for(self, group: Group) -> OpenBatch:
        slots = self._slots.setdefault(group.intake, {})
        batch = None if group.timed else slots.get((group.encoding, group.slot))
        if batch is not None:
            return batch
        crowded = len(self._by_age) >= self._most_open and bool(group.earliest)
        timed = crowded or not self.scattered.opens_slot(group, slots, self.limits)
        if timed and (batch := slots.get((f"timed {group.encoding}", 0))) is not None:
            return batch
        sequence = self._sequences.next(group.intake)
        folder = self.directory / group.intake
        path = folder / str(batch_names.BatchName(sequence, group.earliest, 0, 0, "open", timed, group.encoding))
        try:
            descriptor = os.open(path, _NEW, 0o640)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            # This is the first batch of the intake, or another program has removed or replaced the folder.
            if (note := places.clear_folder(folder)) is not None:
                self.on_error(f"spool: {note}")
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            descriptor = os.open(path, _NEW, 0o640)
        batch = OpenBatch(
            intake=group.intake, sequence=sequence, slot=group.slot, timed=timed, encoding=group.encoding, path=path,
            descriptor=descriptor, opened=self._clock(), earliest=group.earliest, latest=group.latest,
        )  # fmt: skip
        slots[batch.key] = batch
        self._by_age[batch] = None
        return batch

    def sequences(self, count: int, *, exact: bool = True) -> range:
        """Reserves ``count`` unique sequences.

        ``exact``: batches with these sequences keep exact event times when they are sent. Used for events that an
        operator's command brings back.
        """
        return self._sequences.reserve(count, exact=exact)

    def is_exact(self, sequence: int) -> bool:
        """Returns True if this process reserved the sequence with ``exact``."""
        return self._sequences.is_exact(sequence)

    # --- sealing -----------------------------------------------------------------------------------------------------

    def seal_due(self) -> None:
        """Seals batches older than ``max_age`` and retries failed operations. Called several times a second."""
        latest = self._clock() - self.limits.max_age
        # While the spool thread falls behind, or files of an intake cannot be renamed, open files stay open. So their
        # number is bounded.
        if self._sealing.running < MANY_SEALING:
            unsealed = Counter(batch.intake for batch in self._sealing.batches)
            due = takewhile(lambda batch: batch.opened <= latest, self._by_age)
            if sealable := [batch for batch in due if unsealed[batch.intake] < MANY_SEALING]:
                self._seal(sealable)
        if self._clock() - self._last_retry >= TRY_AGAIN:
            self._last_retry = self._clock()
            self._sealing.retry()
            if self.removals.waiting:
                self._work(self.removals.retry, lambda nothing: None)
        if self._sequences.any_ahead and self._clock() - self._last_look >= LOOK_EVERY:
            self._last_look = self._clock()
            self._work(
                partial(settled_intakes, self.directory, self._sequences.look()), self._sequences.return_to_present
            )

    def seal_of(self, intake: str) -> None:
        """Seals the open batches of one intake."""
        if batches := list(self._slots.get(intake, {}).values()):
            self._seal(batches)

    def seal_all(self) -> None:
        """Seals all open batches at shutdown."""
        if self._by_age:
            self._seal(list(self._by_age))

    def subscribe(self, callback: Callable[[Batch], object]) -> None:
        """Calls ``callback`` on the reactor with each sealed or announced batch, in the order of subscription."""
        self._sealing.subscribe(callback)

    def announce(self, batch: Batch) -> None:
        """Passes a sealed batch that recovery found or an operator's command made to all subscribers."""
        self._sealing.announce(batch)

    @property
    def idle(self) -> bool:
        """Returns True if no batch is open or being sealed."""
        return not self._by_age and self._sealing.idle

    def when_idle(self, callback: Callable[[], object]) -> None:
        """Calls ``callback`` once no batch is open or being sealed; at once if that is so now."""
        self._sealing.when(lambda: self.idle, callback)

    def when_sealed(self, intake: str, callback: Callable[[], object]) -> None:
        """Calls ``callback`` once no batch of an intake is being sealed and all were passed to the subscribers."""
        self._sealing.when(lambda: not self._sealing.of(intake), callback)

    def unsealed_batches(self) -> Iterable[OpenBatch]:
        """Returns all batches that are open or being sealed."""
        return [*self._by_age, *self._sealing.batches]

    def open_amount(self, intake: str) -> tuple[int, int]:
        """Returns the events and bytes of an intake that are not sealed yet."""
        found = self._unsealed_of(intake)
        return sum(batch.count for batch in found), sum(batch.size for batch in found)

    def open_disk(self) -> dict[str, int]:
        """Returns the estimated bytes on disk of unsealed batches, by intake."""
        found: Counter[str] = Counter()
        for batch in self.unsealed_batches():
            found[batch.intake] += on_disk(batch.size)
        return found

    def _unsealed_of(self, intake: str) -> list[OpenBatch]:
        return [*self._slots.get(intake, {}).values(), *self._sealing.of(intake)]

    def oldest_open(self, intake: str) -> int | None:
        """Returns the lowest sequence of an intake's unsealed batches, or None."""
        return min((batch.sequence for batch in self._unsealed_of(intake)), default=None)

    def _seal(self, batches: list[OpenBatch]) -> None:
        for batch in batches:
            del self._slots[batch.intake][batch.key]
            del self._by_age[batch]
        self._sealing.seal(batches)

    # --- removal -----------------------------------------------------------------------------------------------------

    def remove(self, batches: Iterable[Batch]) -> None:
        """Removes settled batches from the spool, or moves them to the archive if there is one. On the spool thread."""
        if self.archive is None:
            batch_reader.remove(batches, self.removals.failed)
        else:
            self.archive.keep(batches, self.removals.failed)

    def discard(self, dropped: Iterable[Batch | Pack]) -> None:
        """Removes undelivered batches and packs from the spool. They are not archived. On the spool thread."""
        self.removals.discard(dropped)

    def close(self) -> None:
        """Closes the quarantine and releases the lock. All batches must be sealed."""
        self.quarantine.close()
        self._lock.release()

    def renew_lock(self) -> None:
        """Makes the lock file again if another program has removed it. On the spool thread. Raises no error."""
        try:
            if self._lock.renew():
                self.on_error(
                    f"spool {self.directory}: its lock file was removed while the bridge runs; it is made again"
                )
        except (SpoolError, OSError) as error:
            self.on_error(
                f"spool {self.directory}: its lock file was removed and cannot be made again: {described(error)}"
            )
