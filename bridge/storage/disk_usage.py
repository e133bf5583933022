"""What is asked of the spool's filesystem, and given up on it. Blocking; in the spool's thread."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.spool.budget import (
    MOST_GRANULE,
    BudgetTerms,
    DiskState,
    limit,
)
from bridge.spool.reserve import Reserve

SOME = 64 * 1024
"Bytes beside the reserve without which a disk is full."
FULL = (errno.ENOSPC, errno.EDQUOT)
"What a write fails with on a full disk."


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What a look found."""

    disk: DiskState | None
    mended: list[str] = field(default_factory=list)
    "Intakes for which files can be made again."
    room: bool = True


def is_nearly_full(directory: Path) -> bool:
    """Whether the filesystem says so itself; also where it says nothing."""
    try:
        return _free(os.statvfs(directory)) < MOST_GRANULE
    except OSError:
        return True


def see(
    directory: Path, reserve: Reserve, *, terms: BudgetTerms, bound: int, needed: int, broken: Sequence[str]
) -> DiskUsage:
    """Ask how much is free, make the reserve again where ``needed`` bytes are, and try the intakes that are ``broken``.
    ``bound``: the spool's limit in bytes; 0: it is not known yet."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return DiskUsage(None)
    disk = DiskState(found.f_blocks * found.f_frsize, _free(found))
    if not reserve.held and disk.available >= needed and found.f_favail != 0:
        try:
            reserve.make(bound or limit(terms, disk, used=0), disk.available - SOME // 2)
        except OSError:
            # Perhaps a quota: then the probes below say whether anything can be written.
            pass
        else:
            disk = DiskState(disk.total, max(0, disk.available - reserve.size))
    mended = [intake for intake in broken if _can_write(directory / intake)]
    return DiskUsage(disk, mended, room=reserve.held)


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o750, exist_ok=True)
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(4096))
        finally:
            os.close(descriptor)
    except OSError as error:
        # Where a file cannot be nameless the next write will tell.
        return error.errno in (errno.EOPNOTSUPP, errno.EISDIR)
    return True


def _free(found: os.statvfs_result) -> int:
    return found.f_bavail * found.f_frsize
