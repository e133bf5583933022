"""Measures the free space of the spool's filesystem and recreates the reserve. Blocking; runs in the spool thread."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.spool.budget import MOST_GRANULE, BudgetTerms, DiskState, limit
from bridge.spool.reserve import Reserve

SOME = 64 * 1024
"Bytes that must be free beside the reserve; a disk with less is full."
FULL = (errno.ENOSPC, errno.EDQUOT)
"Errors of a write to a full disk."


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Result of one check of the filesystem."""

    disk: DiskState | None
    recovered: list[str] = field(default_factory=list)
    "Intakes for which files can be created again."
    room: bool = True
    "True if the reserve is on disk."


def is_nearly_full(directory: Path) -> bool:
    """Returns True if the filesystem reports little free space, or cannot be queried."""
    try:
        return _free(os.statvfs(directory)) < MOST_GRANULE
    except OSError:
        return True


def measure(
    directory: Path, reserve: Reserve, *, terms: BudgetTerms, spool_limit: int, needed: int, broken: Sequence[str]
) -> DiskUsage:
    """Measures the free space, recreates the reserve if ``needed`` bytes are free, and probes the ``broken`` intakes.

    ``spool_limit`` is the spool's limit in bytes; 0 if it is not known yet.
    """
    try:
        found = os.statvfs(directory)
    except OSError:
        return DiskUsage(None)
    disk = DiskState(found.f_blocks * found.f_frsize, _free(found))
    if not reserve.held and disk.available >= needed and found.f_favail != 0:
        try:
            reserve.make(spool_limit or limit(terms, disk, used=0), disk.available - SOME // 2)
        except OSError:
            # A quota may be the cause. The probes below show whether anything can be written.
            pass
        else:
            disk = DiskState(disk.total, max(0, disk.available - reserve.size))
    recovered = [intake for intake in broken if _can_write(directory / intake)]
    return DiskUsage(disk, recovered, room=reserve.held)


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o750, exist_ok=True)
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(4096))
        finally:
            os.close(descriptor)
    except OSError as error:
        # The filesystem does not support O_TMPFILE: the next write shows whether writing works.
        return error.errno in (errno.EOPNOTSUPP, errno.EISDIR)
    return True


def _free(found: os.statvfs_result) -> int:
    return found.f_bavail * found.f_frsize
