"""Writes one file of the quarantine."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bridge.util.clock import EARLIEST, MOST_AHEAD
from bridge.util.files import fsync_path, write_whole

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC


class QuarantineFile:
    """A quarantine file."""

    def __init__(
        self, path: Path, sequence: int, *, count: int = 0, size: int = 0, intakes: Mapping[str, int] | None = None
    ) -> None:
        self.path = path
        self.sequence = sequence
        self.count = count
        self.size = size
        self.intakes = Counter(intakes)
        "Frames by intake. ``-``: frames without an intake."
        self._descriptor: int | None = None
        self._awaited = False

    def take_awaited(self) -> int | None:
        """Returns a duplicated descriptor if a sender awaits the sync of frames since the last call, else None. Raises
        OSError."""
        if self._descriptor is None or not self._awaited:
            return None
        duplicate = os.dup(self._descriptor)
        self._awaited = False
        return duplicate

    def is_older(self, age: float, now: float) -> bool:
        """Returns True if the newest frame is older than ``age`` seconds, or the file is missing.

        A modification time that no right clock could have set is replaced with ``now``, so the age counts from then.
        Only the owner of the file may do that. Another user's file with such a time does not expire.
        """
        try:
            written = self.path.stat().st_mtime
            if EARLIEST <= written <= now + MOST_AHEAD:
                return now - written > age
            os.utime(self.path, (now, now))
        except FileNotFoundError:
            return True
        except OSError:
            # The age is not known.
            return False
        return False

    def append(self, data: bytes, count: int, *, sync: bool = False, awaited: bool = False) -> None:
        """Appends the lines of ``count`` frames, and syncs them. Raises OSError; then nothing was appended."""
        if self._descriptor is None:
            self._descriptor = self._open()
        write_whole(self._descriptor, data, self.size)
        if sync:
            try:
                self.sync()
            except OSError:
                os.ftruncate(self._descriptor, self.size)
                raise
        self.size += len(data)
        self.count += count
        self._awaited |= awaited

    def _open(self) -> int:
        try:
            return os.open(self.path, _APPEND, 0o640)
        except FileNotFoundError:
            # Another program has removed the folder.
            self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            return os.open(self.path, _APPEND, 0o640)

    def sync(self) -> None:
        """Syncs the file and its folder, so that its frames survive a power cut. Raises OSError."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            fsync_path(self.path.parent)

    def close(self) -> None:
        """Closes the file and renames it to include its number of frames. Raises OSError."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        target = self.path.with_name(f"{self.sequence}-{self.count}.jsonl")
        # If the first append failed, the file may never have been created.
        if self.path.exists() and not target.exists():
            self.path.rename(target)
            self.path = target
