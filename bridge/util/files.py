"""Writes and syncs files so that they survive a killed process or a power cut. Blocking calls."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path


def fsync_path(path: Path) -> None:
    """Syncs the contents of a file, or the names in a directory. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def allocated_bytes(path: Path) -> int:
    """Returns the allocated bytes of a file, or 0 if they cannot be read."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def write_new(
    path: Path, parts: Iterable[bytes], *, mode: int = 0o640, finish: Callable[[int], None] = lambda descriptor: None
) -> None:
    """Writes and syncs a new file. ``finish`` may change its attributes through its descriptor before the sync.

    The caller syncs the directory. Raises OSError, also if the file exists; a file that could not be written remains.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        for part in parts:
            write_all(descriptor, part)
        finish(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of ``data``, also if the kernel takes it in several parts. Raises OSError."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def write_whole(descriptor: int, data: bytes, size: int) -> None:
    """Appends all of ``data`` to a file of ``size`` bytes, or nothing: truncates the file after a short write.

    Raises OSError.
    """
    try:
        write_all(descriptor, data)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
