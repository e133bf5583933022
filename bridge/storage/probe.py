"""Writes probe files, to find out whether the filesystem of the spool takes new files and bytes. Blocking calls."""

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

from bridge.spool import places

NAME = places.PROBE
"Name of a probe file. Recovery removes those that a killed process left in the folder of an intake."
SMALL = 4096
"Bytes of a probe that only shows whether a folder can be written."
MOST_SIZE = 16 << 20
"Maximum bytes of a probe."
_CHUNK = 1 << 16


def error_of(folder: Path, size: int, space: threading.Lock) -> OSError | None:
    """Creates a file of ``size`` bytes in a folder and removes it. Returns the error, or None if that works.

    ``space`` is held while the file takes up space, because a write that fails meanwhile does not show a full disk.
    """
    try:
        with space:
            _write(folder, size)
    except OSError as error:
        # A limit on the size of one file does not limit the spool: a full file is followed by another.
        return None if error.errno == errno.EFBIG else error
    return None


def can_sync(folder: Path) -> bool:
    """Returns True if a small file can be written to a folder and synced to disk."""
    try:
        _write(folder, SMALL, sync=True)
    except OSError:
        return False
    return True


def remove_leftover(folder: Path) -> None:
    """Removes the probe file of a killed process."""
    with suppress(OSError):
        (folder / NAME).unlink()


def _write(folder: Path, size: int, *, sync: bool = False) -> None:
    path = folder / NAME
    folder.mkdir(mode=0o750, exist_ok=True)
    # A file that is there already would not show whether one can be created.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Written, not allocated: some filesystems allocate what they cannot write. Random: some compress zeros away.
        block = os.urandom(min(size, _CHUNK))
        left = size
        while left > 0:
            left -= os.write(descriptor, block[:left])
        if sync:
            os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    else:
        path.unlink()
    finally:
        os.close(descriptor)
