"""Stores frames that could not be delivered, as JSON lines, so that they can be retried or rerouted later.

Each reason (``REASONS``) has one folder. Files are named by sequence and, once full, by their number of frames. When a
folder exceeds its size limit, its oldest file is deleted and its frames are counted.
"""

import errno
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bridge.spool.held_tally import HeldTally
from bridge.spool.newest_entries import newest_entries
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.quarantine_file import QuarantineFile
from bridge.util.clock import MOST_AHEAD
from bridge.util.files import is_foreign, is_nfs_leftover, read_regular, shown_path, write_unsynced

UNREDACTED = "unredacted"
"Reason code of frames that could not be redacted."
REASONS = ("refused", "oversize", "damaged", "unrouted", UNREDACTED)
ROLL_BYTES = 8 * 1024 * 1024
EVIDENCE = 16
"Number of request bodies that are kept."

_NAME = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,10})|\.open)\.jsonl")
_LONGEST_PART = 150
"Bytes of a damaged file's name that are kept."


class Quarantine:
    """The quarantine of one spool. ``wall`` is in seconds since the epoch, ``bounds`` are size limits by reason."""

    def __init__(self, directory: Path, *, wall: Callable[[], float], bounds: Mapping[str, int]) -> None:
        self.directory = directory
        self.counts: Counter[str] = Counter()
        "Quarantined frames by reason."
        self.by_intake: Counter[tuple[str, str]] = Counter()
        "Quarantined frames by intake and reason. ``-``: frames without an intake, or from before the start."
        self.tallies = {reason: HeldTally() for reason in REASONS}
        "Whose frames were quarantined since the start, and the newest before it, by reason."
        self._wall = wall
        self._last = 0
        self._bounds = bounds
        self._open: dict[str, QuarantineFile] = {}
        self._full: dict[str, list[QuarantineFile]] = {reason: [] for reason in REASONS}
        self._awaited: list[tuple[int, Path]] = []
        "Descriptors and folders of closed files whose sync a sender awaits."
        self._keys: set[tuple[int, int]] = set()
        self._damaged = directory / "damaged" / "files"
        self._moved: dict[Path, tuple[str, int]] = {}
        "Damaged files moved here since start: their intake, and the events counted as quarantined for them."

    def change(self, bounds: Mapping[str, int]) -> None:
        """Applies other size limits, when the next frame of a reason is added."""
        self._bounds = bounds

    def recover(self) -> list[str]:
        """Counts the frames in quarantine at start. Returns one line for each file that is not counted."""
        notes: list[str] = []
        for reason in REASONS:
            folder = self.directory / reason
            try:
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
                paths = sorted(path for path in folder.iterdir() if not is_nfs_leftover(path.name))
            except OSError as error:
                notes.append(f"{folder}: {error.strerror}; its frames are not counted until the next start")
                continue
            for path in paths:
                match = _NAME.fullmatch(path.name)
                if match is not None and not is_foreign(path):
                    notes += self._recover(reason, path, int(match[1]), None if match[2] is None else int(match[2]))
                elif path.name != "files" or reason != "damaged":
                    notes.append(f"{shown_path(path)}: not a file of the quarantine, ignored")
            self._full[reason].sort(key=lambda file: file.sequence)
            if self.counts[reason]:
                self.tallies[reason].recover(newest_entries(folder))
        return notes

    def _recover(self, reason: str, path: Path, sequence: int, count: int | None) -> list[str]:
        notes: list[str] = []
        data = b""
        if count is None or reason == "refused":
            try:
                data = read_regular(path)
            except OSError as error:
                notes.append(f"{path}: {error.strerror}; its refused events may be quarantined twice")
                if count is None:
                    return [f"{path}: {error.strerror}; its frames are not counted until the next start"]
        frames = data.count(b"\n") if count is None else count
        try:
            file = QuarantineFile(path, sequence, count=frames, size=path.stat().st_size, intakes={"-": frames})
            if count is None:
                file.close()
        except OSError as error:
            return [f"{path}: {error.strerror}; its frames are not counted until the next start"]
        self._full[reason].append(file)
        self._count(reason, file, 1)
        if reason == "refused":
            entries = map(QuarantineEntry.read, data.splitlines())
            self._keys.update(entry.key for entry in entries if entry is not None and entry.key is not None)
        return notes

    def add(self, reason: str, entries: Sequence[QuarantineEntry], *, sync: bool = False, awaited: bool = False) -> int:
        """Quarantines frames. Returns the number of older frames that were deleted to make room.

        ``awaited``: their sender waits until ``take_awaited`` was called and the result was synced. Raises OSError;
        then no frame was quarantined.
        """
        lines = [entry.line() for entry in entries]
        file = self._open_file(reason)
        file.append(b"".join(lines), len(lines), sync=sync, awaited=awaited)
        for entry in entries:
            file.intakes[entry.intake or "-"] += 1
            self.by_intake[entry.intake or "-", reason] += 1
        self.counts[reason] += len(lines)
        self.tallies[reason].note(entries)
        if file.size >= min(ROLL_BYTES, self._bounds[reason] // 4):
            self._close(reason, file)
        return self._bound(reason)

    def oldest(self, reason: str) -> float | None:
        """Returns when the oldest frame was quarantined, in seconds since the epoch; None if none is held."""
        files = [*self._full[reason][:1], *filter(None, [self._open.get(reason)])]
        return min((file.sequence / 1_000_000 for file in files if file.count), default=None)

    def _close(self, reason: str, file: QuarantineFile) -> None:
        """Closes an open file and renames it to include its number of frames. If that fails, it is tried again after
        the next frame: the frames are quarantined already."""
        try:
            self._take_awaited(file)
            file.close()
        except OSError:
            return
        self._full[reason].append(self._open.pop(reason))

    def take_awaited(self) -> list[tuple[int, Path]]:
        """Returns descriptors of files with frames that were added with ``awaited``, and their folders.

        The caller syncs and closes them. Raises OSError if descriptors are used up; then a later call returns the rest.
        """
        for file in list(self._open.values()):
            self._take_awaited(file)
        found, self._awaited = self._awaited, []
        return found

    def _take_awaited(self, file: QuarantineFile) -> None:
        if (descriptor := file.take_awaited()) is not None:
            self._awaited.append((descriptor, file.path.parent))

    def add_once(self, reason: str, entry: QuarantineEntry) -> int | None:
        """Quarantines an event that was spooled, and syncs it to disk.

        Returns the number of older frames that were deleted to make room, or None if the event is in quarantine
        already. Raises OSError.
        """
        assert entry.key is not None
        if entry.key in self._keys:
            return None
        deleted = self.add(reason, [entry], sync=True)
        self._keys.add(entry.key)
        return deleted

    # --- for an operator's command -----------------------------------------------------------------------------------

    def claim(self, reason: str) -> list[QuarantineFile]:
        """Reserves all files of a reason for an operator's command.

        Size limits and expiry do not apply to claimed files, and no other command reads them. Their frames are still
        counted. Pass each file to ``give_back`` or ``replace`` afterwards.
        """
        if reason in self._open:
            self._close(reason, self._open[reason])
        claimed, self._full[reason] = self._full[reason], []
        return claimed

    def give_back(self, reason: str, files: Sequence[QuarantineFile]) -> None:
        """Returns unchanged claimed files to the quarantine."""
        self._full[reason] = sorted([*self._full[reason], *files], key=lambda file: file.sequence)

    def replace(self, reason: str, file: QuarantineFile, left: QuarantineFile | None) -> None:
        """Records that a claimed file was removed. ``left`` is the new file with the frames that stay, if any."""
        self._count(reason, file, -1)
        if left is not None:
            self._count(reason, left, 1)
            self.give_back(reason, [left])

    def expire(self, reason: str, max_age: float | None) -> int:
        """Deletes the files of a reason whose newest frame is older than ``max_age`` seconds.

        Returns the number of deleted frames. Closes an open file once it is older than a tenth of ``max_age``, so
        frames expire within that tolerance.
        """
        if max_age is None:
            return 0
        now = self._wall()
        file = self._open.get(reason)
        if file is not None and abs(now - file.sequence / 1_000_000) > max_age / 10:
            self._close(reason, file)
        return sum(
            old.count for old in list(self._full[reason]) if old.is_older(max_age, now) and self._delete(reason, old)
        )

    def trim_damaged(self, max_age: float | None) -> Iterator[tuple[Path, str, int]]:
        """Deletes damaged files that are older than ``max_age`` seconds, and the oldest beyond the limit of *damaged*.

        Yields each deleted file with its intake and the events counted as quarantined for it. Raises OSError.
        """
        if not self._damaged.is_dir():
            return
        if max_age is not None:
            self._correct_numbers()
        # Sort by the time of quarantine in the name; the modification time of the file is older.
        found = sorted((path for path in self._damaged.iterdir() if not is_foreign(path)), key=_number_of)
        size = sum(path.lstat().st_size for path in found)
        for path in found:
            old = max_age is not None and self._wall() - _number_of(path) / 1_000_000 > max_age
            if not old and size <= self._bounds["damaged"]:
                break
            size -= path.lstat().st_size
            path.unlink()
            yield (path, *self._moved.pop(path, ("", 0)))

    def _correct_numbers(self) -> None:
        """Gives damaged files that are dated ahead of the clock the current time. Raises OSError."""
        limit = (self._wall() + MOST_AHEAD) * 1_000_000
        for path in [path for path in self._damaged.iterdir() if _number_of(path) > limit]:
            target = path.with_name(f"{self._number()}-{path.name.partition('-')[2]}")
            path.rename(target)
            if path in self._moved:
                self._moved[target] = self._moved.pop(path)

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> Path:
        """Keeps a copy of a request body, and deletes the oldest copies beyond ``EVIDENCE``. Raises OSError."""
        folder = self.directory / "evidence"
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        path = folder / f"{sequence}-{intake}.lines"
        write_unsynced(path, body)
        for old in sorted(path for path in folder.iterdir() if not is_foreign(path))[:-EVIDENCE]:
            old.unlink(missing_ok=True)
        return path

    def move_aside(self, path: Path, events: int = 0) -> Path:
        """Moves a whole file or folder from the spool to quarantine. ``events`` of it are counted as quarantined.

        Returns its new path. Raises OSError.
        """
        target = self._new_damaged(path.parent.name, path.name)
        try:
            path.rename(target)
        except OSError as error:
            # Copy to another filesystem, but never a folder or a FIFO.
            if error.errno != errno.EXDEV or is_foreign(path):
                raise
            shutil.move(path, target)
        self._moved[target] = path.parent.name, events
        return target

    def save_damaged(self, intake: str, name: str, data: bytes, events: int) -> Path:
        """Saves damaged bytes of a file that stays in use. ``events`` of it are counted as quarantined.

        Returns the path of the copy. Raises OSError.
        """
        target = self._new_damaged(intake, name)
        write_unsynced(target, data)
        self._moved[target] = intake, events
        return target

    def _new_damaged(self, intake: str, name: str) -> Path:
        self._damaged.mkdir(mode=0o750, parents=True, exist_ok=True)
        # A name may have 255 bytes, and the name of a foreign file may have all of them.
        short = os.fsdecode(os.fsencode(name)[-_LONGEST_PART:])
        return self._damaged / f"{self._number()}-{intake}-{short}"

    def close(self) -> None:
        """Closes the open files and renames them to include their number of frames. The next start reads files that
        cannot be renamed."""
        for file in self._open.values():
            with suppress(OSError):
                file.close()
        self._open.clear()

    def _number(self) -> int:
        now = int(self._wall() * 1_000_000)
        ahead = self._last > now + MOST_AHEAD * 1_000_000
        self._last = now if ahead else max(now, self._last + 1)
        return self._last

    def _open_file(self, reason: str) -> QuarantineFile:
        file = self._open.get(reason)
        if file is None:
            number = self._number()
            file = self._open[reason] = QuarantineFile(self.directory / reason / f"{number}.open.jsonl", number)
        return file

    def _bound(self, reason: str) -> int:
        dropped = 0
        files = self._full[reason]
        while files and sum(file.size for file in files) > self._bounds[reason]:
            oldest = files[0]
            if not self._delete(reason, oldest):
                break
            dropped += oldest.count
        return dropped

    def _delete(self, reason: str, file: QuarantineFile) -> bool:
        """Deletes a closed file. Returns False if it still exists, so that its frames are still in quarantine."""
        try:
            file.path.unlink(missing_ok=True)
        except OSError:
            return False
        self._full[reason].remove(file)
        self._count(reason, file, -1)
        return True

    def _count(self, reason: str, file: QuarantineFile, sign: int) -> None:
        """Adds (``sign`` 1) or subtracts (-1) the frames of a whole file."""
        self.counts[reason] += sign * file.count
        for intake, count in file.intakes.items():
            self.by_intake[intake, reason] += sign * count


def _number_of(path: Path) -> int:
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0
