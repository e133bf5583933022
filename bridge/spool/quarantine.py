"""Whole frames that could not be delivered, as JSON lines, so that a route or a repair can bring them back.

One folder a reason (refused, oversize, damaged, unrouted), in files that are named by sequence and, once full, by their
number of frames. A folder that passes its bound loses its oldest file, and says how many frames went with it.
"""

import base64
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REASONS = ("refused", "oversize", "damaged", "unrouted")
ROLL_BYTES = 8 * 1024 * 1024
EVIDENCE = 16
"Copies of requests that are kept."

_NAME = re.compile(r"([0-9]+)(?:-([0-9]+)|\.open)\.jsonl")


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One frame in quarantine."""

    received_ms: int
    listener: str
    peer: str
    frame: bytes
    detail: str
    intake: str | None = None
    key: tuple[int, int] | None = None
    "Of an event that was spooled: its batch's sequence and its position there."
    time_ms: int | None = None
    "Of an event that was spooled: its time; 0: it is sent without one."

    def line(self) -> bytes:
        """The entry as one JSON line."""
        fields: dict[str, object] = {
            "received_ms": self.received_ms, "listener": self.listener, "peer": self.peer, "intake": self.intake,
            "reason": self.detail, "frame": base64.b64encode(self.frame).decode(),
        }  # fmt: skip
        if self.key is not None:
            fields["sequence"], fields["position"] = self.key
        if self.time_ms is not None:
            fields["time_ms"] = self.time_ms
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "QuarantineEntry | None":
        """The entry of a line, None where it is not one."""
        try:
            fields = json.loads(line)
            key = (int(fields["sequence"]), int(fields["position"])) if "sequence" in fields else None
            return cls(
                int(fields["received_ms"]), str(fields["listener"]), str(fields["peer"]),
                base64.b64decode(fields["frame"], validate=True), str(fields["reason"]), fields["intake"], key,
                fields.get("time_ms"),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            return None


class Quarantine:
    """The quarantine of one spool. ``wall`` is in seconds since the epoch, ``bounds`` are bytes by reason."""

    def __init__(self, directory: Path, *, wall: Callable[[], float], bounds: dict[str, int]) -> None:
        self.directory = directory
        self.counts: Counter[str] = Counter()
        "Frames held, by reason."
        self.by_intake: Counter[tuple[str, str]] = Counter()
        "The same, by intake and reason; ``-``: of none, or from before the start."
        self._wall = wall
        self._last = 0
        self.bounds = bounds
        self._open: dict[str, QuarantineFile] = {}
        self._full: dict[str, list[QuarantineFile]] = {reason: [] for reason in REASONS}
        self.remembers = False
        "Whether somebody asks for what is not on the disk yet."
        self._closed: list[tuple[int, Path]] = []
        "Descriptors of files that were closed before they were on the disk."
        self._keys: set[tuple[int, int]] = set()
        self._aside: dict[Path, tuple[str, int]] = {}
        "Files moved aside since start: intake, and the events that are counted as quarantined for them."

    def recover(self) -> int:
        """Count what is held from before; the number of frames. Raises OSError."""
        for reason in REASONS:
            folder = self.directory / reason
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):
                match = _NAME.fullmatch(path.name)
                if match is None:
                    continue
                size = path.stat().st_size
                count = int(match[2]) if match[2] else path.read_bytes().count(b"\n")
                file = QuarantineFile(path, int(match[1]), count=count, size=size)
                if not match[2]:
                    file.close()
                self._full[reason].append(file)
                file.intakes["-"] = count
                self._count(reason, file, 1)
                if reason == "refused":
                    self._keys.update(_keys_of(path if match[2] else file.path))
            self._full[reason].sort(key=lambda file: file.sequence)
        return self.counts.total()

    def add(self, reason: str, entries: Sequence[QuarantineEntry], *, sync: bool = False) -> int:
        """Hold frames; the number of older ones that had to go for them. Raises OSError, then nothing was held."""
        lines = [entry.line() for entry in entries]
        file = self._open_file(reason)
        file.append(b"".join(lines), len(lines))
        if sync:
            file.sync()
        for entry in entries:
            file.intakes[entry.intake or "-"] += 1
            self.by_intake[entry.intake or "-", reason] += 1
        self.counts[reason] += len(lines)
        if file.size >= min(ROLL_BYTES, self.bounds[reason] // 4):
            self._close(reason, file)
        return self._bound(reason)

    def _close(self, reason: str, file: "QuarantineFile") -> None:
        """Name a file that was written to by what it holds."""
        if self.remembers and reason != "refused" and (descriptor := file.unsynced()) is not None:
            self._closed.append((descriptor, file.path.parent))
        file.close()
        self._full[reason].append(self._open.pop(reason))

    def unsynced(self) -> list[tuple[int, Path]]:
        """Descriptors of files with frames that are not on the disk, and their folders; the caller syncs and closes
        them. *Refused* is written by the spool's thread, and synced there."""
        found, self._closed = self._closed, []
        for reason, file in self._open.items():
            if reason != "refused" and (descriptor := file.unsynced()) is not None:
                found.append((descriptor, file.path.parent))
        return found

    def add_once(self, reason: str, entry: QuarantineEntry) -> int | None:
        """Hold an event that was spooled, on disk when this returns; the number of older ones that had to go for it,
        None: it is held already. Raises OSError."""
        assert entry.key is not None
        if entry.key in self._keys:
            return None
        gone = self.add(reason, [entry], sync=True)
        self._keys.add(entry.key)
        return gone

    # --- for an operator's command -----------------------------------------------------------------------------------

    def claim(self, reason: str) -> "list[QuarantineFile]":
        """Take all files of a reason out of reach of bounds and expiry, for whoever works on them; they are still
        counted, and read by nobody else. Each is to be given to ``give_back`` or ``replace``."""
        if reason in self._open:
            self._close(reason, self._open[reason])
        claimed, self._full[reason] = self._full[reason], []
        return claimed

    def give_back(self, reason: str, files: "Sequence[QuarantineFile]") -> None:
        """Nothing was done with these."""
        self._full[reason] = sorted([*self._full[reason], *files], key=lambda file: file.sequence)

    def replace(self, reason: str, file: "QuarantineFile", left: "QuarantineFile | None") -> None:
        """A claimed file has gone; ``left`` holds what has not gone with it."""
        self._count(reason, file, -1)
        if left is not None:
            self._count(reason, left, 1)
            self.give_back(reason, [left])

    def expire(self, reason: str, max_age: float | None) -> int:
        """Remove the files of a reason whose last frame is older than ``max_age`` seconds; how many frames went.

        A file that is being written is closed in time for this to be true within a tenth of the age.
        """
        if max_age is None:
            return 0
        now = self._wall()
        file = self._open.get(reason)
        if file is not None and now - file.sequence / 1_000_000 > max_age / 10:
            self._close(reason, file)
        dropped = 0
        for old in list(self._full[reason]):
            try:
                if now - old.path.stat().st_mtime <= max_age:
                    continue
                old.path.unlink()
            except FileNotFoundError:
                pass
            except OSError:
                # It is still there, so its frames are still held.
                continue
            self._full[reason].remove(old)
            dropped += old.count
        self.counts[reason] -= dropped
        return dropped

    def trim_aside(self, max_age: float | None) -> Iterator[tuple[Path, str, int]]:
        """Remove files that were moved aside: those older than ``max_age`` seconds, and the oldest beyond the bound of
        *damaged*. What went, with its intake and the events that are counted for it; raises OSError."""
        folder = self.directory / "damaged" / "files"
        if not folder.is_dir():
            return
        # Named by the time at which they came, which a file's own time is not.
        found = sorted((path for path in folder.iterdir() if path.is_file()), key=_number_of)
        size = sum(path.lstat().st_size for path in found)
        for path in found:
            old = max_age is not None and self._wall() - _number_of(path) / 1_000_000 > max_age
            if not old and size <= self.bounds["damaged"]:
                break
            size -= path.lstat().st_size
            path.unlink()
            yield (path, *self._aside.pop(path, ("", 0)))

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> Path:
        """Keep a copy of a request's body; the oldest of ``EVIDENCE`` copies goes for it. Raises OSError."""
        folder = self.directory / "evidence"
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        path = folder / f"{sequence}-{intake}.lines"
        path.write_bytes(body)
        for old in sorted(folder.iterdir())[:-EVIDENCE]:
            old.unlink(missing_ok=True)
        return path

    def move_aside(self, path: Path, events: int = 0) -> Path:
        """Take a file out of the spool's way, whole; ``events`` of it are counted as quarantined. Raises OSError."""
        folder = self.directory / "damaged" / "files"
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        target = folder / f"{self._number()}-{path.parent.name}-{path.name}"
        shutil.move(path, target)
        self._aside[target] = path.parent.name, events
        return target

    def put_aside(self, intake: str, name: str, data: bytes, events: int) -> Path:
        """Keep bytes that were part of a file which is still in use; ``events`` of it are counted as quarantined.
        Raises OSError."""
        folder = self.directory / "damaged" / "files"
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        target = folder / f"{self._number()}-{intake}-{name}"
        target.write_bytes(data)
        self._aside[target] = intake, events
        return target

    def close(self) -> None:
        """Name the files that are being written by what they hold."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _number(self) -> int:
        self._last = max(int(self._wall() * 1_000_000), self._last + 1)
        return self._last

    def _open_file(self, reason: str) -> "QuarantineFile":
        file = self._open.get(reason)
        if file is None:
            number = self._number()
            file = self._open[reason] = QuarantineFile(self.directory / reason / f"{number}.open.jsonl", number)
        return file

    def _bound(self, reason: str) -> int:
        dropped = 0
        files = self._full[reason]
        while files and sum(file.size for file in files) > self.bounds[reason]:
            try:
                files[0].path.unlink(missing_ok=True)
            except OSError:
                # It is still there, so its frames are still held.
                break
            gone = files.pop(0)
            dropped += gone.count
            self._count(reason, gone, -1)
        return dropped

    def _count(self, reason: str, file: "QuarantineFile", sign: int) -> None:
        """A whole file came or went."""
        self.counts[reason] += sign * file.count
        for intake, count in file.intakes.items():
            self.by_intake[intake, reason] += sign * count


class QuarantineFile:
    """One file of a reason."""

    def __init__(self, path: Path, sequence: int, *, count: int = 0, size: int = 0) -> None:
        self.path = path
        self.sequence = sequence
        self.count = count
        self.size = size
        self.intakes: Counter[str] = Counter()
        "Frames by intake; ``-``: of none."
        self._descriptor: int | None = None
        self._asked = 0
        "Bytes of it that somebody has asked for, to sync them."

    def unsynced(self) -> int | None:
        """A descriptor of its own, where there is something that nobody has asked for yet."""
        if self._descriptor is None or self.size <= self._asked:
            return None
        self._asked = self.size
        return os.dup(self._descriptor)

    def append(self, data: bytes, count: int) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        write_whole(self._descriptor, data, self.size)
        self.size += len(data)
        self.count += count

    def sync(self) -> None:
        """What was appended survives a power cut."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        target = self.path.with_name(f"{self.sequence}-{self.count}.jsonl")
        # A file whose first append failed was perhaps never made.
        if self.path.exists() and not target.exists():
            self.path.rename(target)
            self.path = target


def _number_of(path: Path) -> int:
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _keys_of(path: Path) -> set[tuple[int, int]]:
    keys = set()
    for line in path.read_bytes().splitlines():
        try:
            fields = json.loads(line)
            keys.add((int(fields["sequence"]), int(fields["position"])))
        except (ValueError, KeyError, TypeError):
            continue
    return keys


def write_whole(descriptor: int, data: bytes, size: int) -> None:
    """Append all of ``data`` to a file of ``size`` bytes, or nothing: a short write is cut off again.

    Raises OSError.
    """
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
    except OSError:
        os.ftruncate(descriptor, size)
        raise
