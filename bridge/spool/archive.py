"""Delivered batches, kept for replay: ``SPOOL/.archive/<intake>/``, hourly packs and what is not packed yet.

::

    <hour>.<name of a pack>                 ``bridge.spool.pack``; the hour of reception, UTC: ``20261123T07``
    ../replayed-<first>-<last>              sequences of batches that were made of what is here, by a replay
    <name of a sealed batch>                delivered, its hour not over; its hour is that of its sequence

A batch moves here by a rename when it is settled (one that was in a pack is written anew), so delivery waits for no
compression. Every ``MANY`` batches of an hour become a pack, and when the hour is over all of it becomes one.
Bounded by allocated bytes and by age: whole hours go, the oldest of all intakes first. What is here is in no
account: it has been delivered. If it cannot be kept, the disk being full, it goes, and that is said.

Blocking; belongs to the spool's thread.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bridge.batching.groups import NO_TIME
from bridge.spool import batch_names, batch_reader, pack_writer
from bridge.spool.batch import Batch
from bridge.spool.pack import PARTIAL, Pack

MANY = 256
BLOCK = 4096
"Bytes in which a disk gives its room."
_HOUR_US = 3_600_000_000
_REPLAYED = re.compile("replayed-([0-9]{1,19})-([0-9]{1,19})")


class Archive:
    """The archive of one spool. ``wall`` is in seconds since the epoch; ``max_size`` in bytes, ``max_age`` in seconds,
    None for ever. ``on_error`` is told what could not be kept."""

    def __init__(
        self,
        directory: Path,
        *,
        max_size: int,
        max_age: float | None,
        wall: Callable[[], float],
        on_error: Callable[[str], None],
    ) -> None:
        self.directory = directory
        self.max_size = max_size
        self.max_age = max_age
        self.size = 0
        "Allocated bytes."
        self.busy = False
        "Somebody reads: nothing is packed, and nothing is let go but on a full disk."
        self._replayed: list[range] = []
        self._wall = wall
        self._on_error = on_error
        self._loose: dict[tuple[int, str], list[Batch]] = {}
        self._packs: dict[tuple[int, str], list[tuple[Pack, int]]] = {}

    def recover(self) -> None:
        """Learn from names what is here. Raises OSError."""
        self.directory.mkdir(mode=0o750, exist_ok=True)
        for folder in self.directory.iterdir():
            if match := _REPLAYED.fullmatch(folder.name):
                self._replayed.append(range(int(match[1]), int(match[2]) + 1))
            if not (folder.is_dir() and batch_names.is_intake(folder.name)):
                continue
            with os.scandir(folder) as found:
                for entry in found:
                    self._recover(folder, entry)

    def _recover(self, folder: Path, entry: "os.DirEntry[str]") -> None:
        if entry.name.endswith(PARTIAL):
            (folder / entry.name).unlink()
            return
        hour, _, rest = entry.name.partition(".")
        pack = Pack.of_name(folder.name, folder, rest)
        if pack is not None:
            pack.name = entry.name
            taken = entry.stat().st_blocks * 512
            self._packs.setdefault((_hour_of(hour), folder.name), []).append((pack, taken))
            self.size += taken
        elif (name := batch_names.read(entry.name)) is not None:
            batch = Batch(
                intake=folder.name, sequence=name.sequence, encoding=name.encoding, timed=name.timed,
                earliest=name.earliest, latest=name.earliest, count=name.events, size=name.size, directory=folder,
                sealed=0.0,
            )  # fmt: skip
            batch.latest = _latest(batch)
            self._add(batch)

    def _add(self, batch: Batch) -> None:
        self._loose.setdefault((batch.sequence // _HOUR_US, batch.intake), []).append(batch)
        self.size += _allocated(batch.size)

    # --- in ----------------------------------------------------------------------------------------------------------

    def keep(self, batches: Iterable[Batch], on_error: Callable[[Batch, OSError], None]) -> None:
        """Take settled batches out of the spool. ``on_error`` is told which could not be taken out."""
        batches = list(batches)
        if again := [batch for batch in batches if self._is_here(batch)]:
            batch_reader.remove(again, on_error)
            batches = [batch for batch in batches if not self._is_here(batch)]
        loose, packed = batch_reader.by_pack(batches)
        for batch in loose:
            try:
                kept = self._place(batch)
                batch.path.rename(kept.path)
                self._add(kept)
            except OSError as error:
                self._cannot_keep(batch, error)
                batch_reader.remove([batch], on_error)
        for members in packed.values():
            for batch in members:
                try:
                    kept = self._place(batch)
                    kept.path.write_bytes(batch.held or b"")
                    self._add(kept)
                except OSError as error:
                    self._cannot_keep(batch, error)
            batch_reader.remove(members, on_error)
        if self.size > self.max_size and not self.busy:
            self.bound()

    def _is_here(self, batch: Batch) -> bool:
        """Whether it was replayed from here."""
        return any(batch.sequence in replayed for replayed in self._replayed)

    def mark_replayed(self, numbers: range) -> Path:
        """Batches with these sequences are copies of what is here: they are not to be kept once more. The file that
        says so to the next start, which the caller makes."""
        self._replayed.append(numbers)
        return self.directory / f"replayed-{numbers[0]}-{numbers[-1]}"

    def _place(self, batch: Batch) -> Batch:
        latest = _latest(batch)
        folder = self.directory / batch.intake
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        return Batch(
            intake=batch.intake, sequence=batch.sequence, encoding=batch.encoding, timed=batch.timed,
            earliest=batch.earliest, latest=latest, count=batch.count, size=batch.size, directory=folder,
            sealed=batch.sealed,
        )  # fmt: skip

    def _cannot_keep(self, batch: Batch, error: OSError) -> None:
        self._on_error(f"archive: cannot keep a delivered batch of intake {batch.intake}: {error.strerror}")

    # --- packs -------------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Pack what is worth it, one pack for each hour that is over, and drop what is too old. Called now and then."""
        if self.busy:
            return
        now = int(self._wall() * 1_000_000) // _HOUR_US
        for (hour, intake), batches in list(self._loose.items()):
            if len(batches) >= MANY or hour < now:
                self._pack(hour, intake, batches)
        for (hour, intake), packs in list(self._packs.items()):
            if hour < now and len(packs) > 1:
                self._merge(hour, intake, packs)
        self.bound()

    def _pack(self, hour: int, intake: str, batches: list[Batch]) -> None:
        try:
            made, packed, taken, apart = pack_writer.build(batches)
            if made is not None:
                self._write(hour, made, packed)
        except OSError as error:
            self._on_error(f"archive: cannot pack {self.directory / intake}: {error.strerror}")
            return
        for batch in (*taken, *apart):
            # A damaged one cannot be replayed.
            batch.path.unlink(missing_ok=True)
            self.size -= _allocated(batch.size)
        del self._loose[hour, intake]

    def _merge(self, hour: int, intake: str, packs: list[tuple[Pack, int]]) -> None:
        packs = sorted(packs, key=lambda each: each[0].first)
        try:
            made = pack_writer.joined([pack for pack, _ in packs])
            self._packs[hour, intake] = []
            self._write(hour, made, pack_writer.moved_blocks([pack.path for pack, _ in packs]))
        except OSError:
            # A damaged one: they stay as they are.
            self._packs[hour, intake] = packs
            return
        for pack, taken in packs:
            pack.path.unlink(missing_ok=True)
            self.size -= taken

    def _write(self, hour: int, made: Pack, parts: Iterable[bytes]) -> None:
        aside = made.directory / f"{made.first}{PARTIAL}"
        made.name = f"{_text_of(hour)}.{made.name}"
        pack_writer.write(made.path, parts, aside=aside)
        taken = made.path.stat().st_blocks * 512
        self._packs.setdefault((hour, made.intake), []).append((made, taken))
        self.size += taken

    # --- out ---------------------------------------------------------------------------------------------------------

    def bound(self) -> None:
        """Let go what is too old or too much."""
        if self.max_age is not None:
            oldest = int((self._wall() - self.max_age) * 1_000_000) // _HOUR_US
            while (hour := self._oldest()) is not None and hour < oldest:
                self._drop(hour)
        self.shrink(self.max_size)

    def shrink(self, size: int) -> int:
        """Let the oldest hours go until so many allocated bytes are left at most; the bytes given back."""
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
                self.size -= _allocated(batch.size)
        for key in [key for key in self._packs if key[0] == hour]:
            for pack, taken in self._packs.pop(key):
                self._unlink(pack.path)
                self.size -= taken

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._on_error(f"archive: cannot remove {path}: {error.strerror}")

    def read(self, intake: str, from_ms: int, to_ms: int) -> Iterator[Batch]:
        """The batches of an intake that may hold events of times from ``from_ms`` to less than ``to_ms``, by hour of
        reception, with their lines in memory, each once. What is damaged is left out and said. Raises OSError."""
        seen: set[int] = set()
        for hour, _ in sorted({key for key in (*self._loose, *self._packs) if key[1] == intake}):
            for pack, _ in sorted(self._packs.get((hour, intake), ()), key=lambda each: each[0].first):
                if pack.earliest >= to_ms or (pack.latest < from_ms and pack.earliest != NO_TIME):
                    continue
                yield from self._batches(pack, from_ms, to_ms, seen)
            for batch in sorted(self._loose.get((hour, intake), ()), key=lambda batch: batch.sequence):
                if batch.earliest >= to_ms or batch.sequence in seen:
                    continue
                try:
                    batch.held = batch_reader.content(batch)
                except batch_reader.Damaged as error:
                    self._on_error(f"archive: {error}")
                    continue
                seen.add(batch.sequence)
                yield batch
                batch.held = None

    def _batches(self, pack: Pack, from_ms: int, to_ms: int, seen: set[int]) -> Iterator[Batch]:
        name = pack.name.partition(".")[2]
        reader = Pack.of_name(pack.intake, pack.directory, name)
        assert reader is not None
        reader.name = pack.name
        exhausted = False
        while not exhausted:
            fed = reader.read(most_batches=1, most_bytes=1, sealed=0.0)
            exhausted = fed.exhausted
            for loss in fed.losses:
                self._on_error(f"archive: {pack.path}: {loss.what}")
            for batch in fed.batches:
                late = batch.latest >= from_ms or batch.earliest == NO_TIME
                if batch.sequence not in seen and batch.earliest < to_ms and late:
                    seen.add(batch.sequence)
                    yield batch


def _latest(batch: Batch) -> int:
    """The time of a batch's last event. That of a timed one is not in its name, so a start does not know it."""
    if not batch.timed or batch.latest > batch.earliest:
        return batch.latest
    try:
        times = [line.partition(b"\t")[0] for line in batch_reader.content(batch).split(b"\n")]
    except (OSError, batch_reader.Damaged):
        return batch.latest
    return max((int(time) for time in times if time.lstrip(b"-").isdigit()), default=batch.latest)


def _allocated(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _text_of(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y%m%dT%H")


def _hour_of(text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y%m%dT%H").replace(tzinfo=UTC).timestamp()) // 3600
    except ValueError:
        return 0
