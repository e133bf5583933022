"""Keeps delivered batches for replay in ``SPOOL/.archive/<intake>/``: hourly packs, and batches not packed yet.

::

    <hour>.<name of a pack>                 a ``bridge.spool.pack``; the hour of reception, UTC: ``20261123T07``
    ../replayed-<first>-<last>              sequences of batches that a replay copied from the archive
    <name of a sealed batch>                a delivered batch that is not packed yet; its sequence gives its hour

A settled batch is renamed into the archive, so delivery does not wait for compression. A batch from a pack is written
to a new file. ``tidy`` packs an hour once it has ``MANY`` batches, and merges its packs into one when the hour is over.
The archive is limited by allocated bytes and by age. Whole hours are deleted, the oldest of all intakes first. Ages
count only while the clock is settled. An hour that is then ahead of the clock, because the clock was wrong at
reception, becomes the current hour. Archived events were delivered, so no ledger account counts them. If a batch cannot
be archived, for example because the disk is full, it is deleted and an error is reported.

Blocking calls; runs on the spool thread.
"""

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bridge.batching.groups import NO_TIME
from bridge.spool import batch_names, batch_reader, pack_writer
from bridge.spool.batch import Batch
from bridge.spool.budget import on_disk
from bridge.spool.pack import PARTIAL, Pack
from bridge.util.clock import MOST_AHEAD
from bridge.util.files import is_folder, is_foreign, is_nfs_leftover, shown_path, write_unsynced
from bridge.util.os_errors import described

MANY = 256
_HOUR_US = 3_600_000_000
_MOST_AHEAD = int(MOST_AHEAD) // 3600
_REPLAYED = re.compile("replayed-([0-9]{1,19})-([0-9]{1,19})")


class Archive:
    """The archive of one spool.

    ``wall`` is in seconds since the epoch, ``max_size`` in bytes, ``max_age`` in seconds (None: no age limit).
    ``on_error`` receives a text for each failure. ``settled`` returns False while ``wall`` may be wrong.
    """

    def __init__(
        self, directory: Path, *, max_size: int, max_age: float | None, wall: Callable[[], float],
        on_error: Callable[[str], object], settled: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self.directory = directory
        self._max_size = max_size
        self._max_age = max_age
        self.size = 0
        "Allocated bytes."
        self.busy = False
        "True while the archive is read: nothing is packed, and hours are deleted only if the disk is full."
        self._replayed: list[range] = []
        self._wall = wall
        self._settled = settled
        self._on_error = on_error
        self._loose: dict[tuple[int, str], list[Batch]] = {}
        self._packs: dict[tuple[int, str], list[Pack]] = {}
        self._unmergeable: set[tuple[int, str]] = set()
        "Hours and intakes with a damaged pack."

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Sets ``busy`` within the context."""
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    def change(self, *, max_size: int, max_age: float | None) -> None:
        """Applies other limits, at the next ``tidy``."""
        self._max_size, self._max_age = max_size, max_age

    def recover(self) -> None:
        """Reads the file names of the archive. Reports files that cannot be read.

        Raises OSError if its directory cannot be made or read.
        """
        self.directory.mkdir(mode=0o750, exist_ok=True)
        for folder in self.directory.iterdir():
            if match := _REPLAYED.fullmatch(folder.name):
                self._replayed.append(range(int(match[1]), int(match[2]) + 1))
            if batch_names.is_intake(folder.name) and is_folder(folder):
                try:
                    for text in os.listdir(folder):
                        self._recover(folder, text)
                except OSError as error:
                    self._on_error(f"archive: cannot read {error.filename or folder}: {error.strerror}")

    def _recover(self, folder: Path, text: str) -> None:
        if is_nfs_leftover(text):
            return
        if is_foreign(folder / text):
            self._on_error(f"archive: {shown_path(folder / text)}: not a file of the archive, ignored")
            return
        if text.endswith(PARTIAL):
            (folder / text).unlink()
            return
        hour = text.partition(".")[0]
        if (pack := Pack.of_name(folder.name, folder, text, prefix=f"{hour}.")) is not None:
            pack.measure()
            self._add_pack(_hour_of(hour), pack)
        elif (name := batch_names.read(text)) is not None:
            found = Batch.of_name(folder.name, folder, name, latest=name.earliest, sealed=0.0)
            self._add(replace(found, latest=_latest(found)))

    def _add(self, batch: Batch) -> None:
        self._loose.setdefault((batch.sequence // _HOUR_US, batch.intake), []).append(batch)
        self.size += on_disk(batch.size)

    # --- adding ------------------------------------------------------------------------------------------------------

    def keep(self, batches: Iterable[Batch], on_error: Callable[[Batch, OSError], None]) -> None:
        """Moves settled batches from the spool to the archive. ``on_error`` receives batches that cannot be removed."""
        batches = list(batches)
        batch_reader.remove([batch for batch in batches if self._is_replayed(batch)], on_error)
        loose, packed = batch_reader.by_pack(batch for batch in batches if not self._is_replayed(batch))
        for batch in loose:
            if not self._keep(batch):
                batch_reader.remove([batch], on_error)
        for members in packed.values():
            for batch in members:
                self._keep(batch)
            batch_reader.remove(members, on_error)
        if self.size > self._max_size and not self.busy:
            self.enforce_limits()

    def _is_replayed(self, batch: Batch) -> bool:
        """Returns True if the batch is a replayed copy of an archived batch."""
        return any(batch.sequence in replayed for replayed in self._replayed)

    def mark_replayed(self, numbers: range) -> Path:
        """Records sequences of replayed copies, which are not archived again.

        Returns the path of the marker file for the next start. The caller creates the file.
        """
        self._replayed.append(numbers)
        return self.directory / f"replayed-{numbers[0]}-{numbers[-1]}"

    def _keep(self, batch: Batch) -> bool:
        """Moves a loose batch to the archive, or copies a batch of a pack. Returns False after an error."""
        folder = self.directory / batch.intake
        name = batch.name._replace(state="sealed")
        try:
            kept = Batch.of_name(batch.intake, folder, name, latest=_latest(batch), sealed=batch.sealed)
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            if batch.pack is None:
                batch.path.rename(kept.path)
            else:
                write_unsynced(kept.path, batch.held or b"")
        except OSError as error:
            self._on_error(f"archive: cannot keep a delivered batch of intake {batch.intake}: {error.strerror}")
            return False
        self._add(kept)
        return True

    # --- packs -------------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Packs batches, merges the packs of finished hours, and enforces the limits. Called periodically."""
        if self.busy:
            return
        now = self._hour()
        if self._settled():
            self._correct_hours(now)
        for (hour, intake), batches in list(self._loose.items()):
            if len(batches) >= MANY or hour < now:
                self._pack(hour, intake, batches)
        for (hour, intake), packs in list(self._packs.items()):
            if hour < now and len(packs) > 1 and (hour, intake) not in self._unmergeable:
                self._merge(hour, intake, packs)
        self.enforce_limits()

    def _hour(self) -> int:
        return int(self._wall() * 1_000_000) // _HOUR_US

    def _correct_hours(self, now: int) -> None:
        """Moves batches and packs of hours ahead of the clock to the current hour."""
        for key in [key for key in self._loose if key[0] > now + _MOST_AHEAD]:
            self._loose.setdefault((now, key[1]), []).extend(self._loose.pop(key))
        for hour, intake in [key for key in self._packs if key[0] > now + _MOST_AHEAD]:
            for pack in self._packs.pop((hour, intake)):
                self._packs.setdefault((now, intake), []).append(self._renamed(pack, now) or pack)

    def _renamed(self, pack: Pack, hour: int) -> Pack | None:
        name = _prefix(hour) + pack.name.partition(".")[2]
        try:
            pack.path.rename(pack.directory / name)
        except OSError as error:
            self._on_error(f"archive: cannot rename {pack.path}: {error.strerror}")
            return None
        return Pack.of_name(pack.intake, pack.directory, name, prefix=_prefix(hour), disk=pack.disk)

    def _pack(self, hour: int, intake: str, batches: list[Batch]) -> None:
        try:
            made, packed, damaged = pack_writer.build(batches, prefix=_prefix(hour))
            if made is not None:
                self._add_pack(hour, made)
        except OSError as error:
            self._on_error(f"archive: cannot pack {self.directory / intake}: {error.strerror}")
            return
        for batch in (*packed, *damaged):
            # A damaged batch cannot be replayed, so it is deleted too.
            self._unlink(batch.path)
            self.size -= on_disk(batch.size)
        done = {*packed, *damaged}
        if unreadable := [batch for batch in batches if batch not in done]:
            self._loose[hour, intake] = unreadable
        else:
            del self._loose[hour, intake]

    def _merge(self, hour: int, intake: str, packs: list[Pack]) -> None:
        packs.sort(key=lambda pack: pack.first)
        try:
            made = pack_writer.merged(packs, prefix=_prefix(hour))
        except OSError as error:
            # The packs stay as they are. A damaged one will not become readable again.
            if error.errno == errno.EIO:
                self._unmergeable.add((hour, intake))
            self._on_error(f"archive: cannot merge {error.filename or self.directory / intake}: {error.strerror}")
            return
        self._drop_packs(hour, intake)
        self._add_pack(hour, made)

    def _drop_packs(self, hour: int, intake: str) -> None:
        for pack in self._packs.pop((hour, intake), ()):
            self._unlink(pack.path)
            self.size -= pack.disk

    def _add_pack(self, hour: int, pack: Pack) -> None:
        self._packs.setdefault((hour, pack.intake), []).append(pack)
        self.size += pack.disk

    # --- removal and reading -----------------------------------------------------------------------------------------

    def enforce_limits(self) -> None:
        """Deletes hours that exceed the age or size limit."""
        if self._max_age is not None and self._settled():
            oldest = int((self._wall() - self._max_age) * 1_000_000) // _HOUR_US
            while (hour := self._oldest()) is not None and hour < oldest:
                self._drop(hour)
        self.shrink(self._max_size)

    def shrink(self, size: int) -> int:
        """Deletes the oldest hours until at most ``size`` allocated bytes remain. Returns the freed bytes."""
        before = self.size
        while self.size > size and (hour := self._oldest()) is not None:
            self._drop(hour)
        return before - self.size

    def _oldest(self) -> int | None:
        return min((hour for hour, _ in (*self._loose, *self._packs)), default=None)

    def _drop(self, hour: int) -> None:
        for key in [key for key in self._loose if key[0] == hour]:
            for batch in self._loose.pop(key):
                self._unlink(batch.path)
                self.size -= on_disk(batch.size)
        for key in [key for key in self._packs if key[0] == hour]:
            self._drop_packs(*key)

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._on_error(f"archive: cannot remove {path}: {error.strerror}")

    def read(self, intake: str, from_ms: int, to_ms: int) -> Iterator[Batch]:
        """Yields the batches of an intake that may contain events with times from ``from_ms`` to before ``to_ms``.

        Each batch is yielded once, in order of the hour of reception, with its lines in memory. Damaged batches and
        blocks are skipped and reported. Raises OSError.
        """
        seen: set[int] = set()
        for hour, _ in sorted({key for key in (*self._loose, *self._packs) if key[1] == intake}):
            for pack in sorted(self._packs.get((hour, intake), ()), key=lambda pack: pack.first):
                if pack.earliest >= to_ms or (pack.latest < from_ms and pack.earliest != NO_TIME):
                    continue
                yield from self._batches(pack, from_ms, to_ms, seen)
            for batch in sorted(self._loose.get((hour, intake), ()), key=lambda batch: batch.sequence):
                if batch.earliest >= to_ms or batch.sequence in seen:
                    continue
                try:
                    batch.held = batch_reader.content(batch)
                except (batch_reader.Damaged, batch_reader.Unreadable) as error:
                    self._on_error(f"archive: {described(error)}")
                    continue
                seen.add(batch.sequence)
                yield batch
                batch.held = None

    def _batches(self, pack: Pack, from_ms: int, to_ms: int, seen: set[int]) -> Iterator[Batch]:
        try:
            for fed in pack.read_all(sealed=0.0):
                for loss in fed.losses:
                    self._on_error(f"archive: {pack.path}: {loss.what}")
                for batch in fed.batches:
                    late = batch.latest >= from_ms or batch.earliest == NO_TIME
                    if batch.sequence not in seen and batch.earliest < to_ms and late:
                        seen.add(batch.sequence)
                        yield batch
        except OSError as error:
            self._on_error(f"archive: cannot read {pack.path}: {error.strerror}")


def _latest(batch: Batch) -> int:
    """Returns the time of a batch's last event. Reads it from the lines of a timed batch found at start."""
    if not batch.timed or batch.latest > batch.earliest:
        return batch.latest
    try:
        lines = batch_reader.content(batch).split(b"\n")[:-1]
    except (OSError, batch_reader.Damaged):
        return batch.latest
    return max((batch_reader.time_of(line, batch.latest) for line in lines), default=batch.latest)


def _prefix(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y%m%dT%H.")


def _hour_of(text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y%m%dT%H").replace(tzinfo=UTC).timestamp()) // 3600
    except ValueError:
        return 0
