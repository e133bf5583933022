"""Measures the free space of the spool's filesystem, probes it after failed writes, and recreates the reserve.

Blocking; runs in the spool thread.
"""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from bridge.spool.budget import MOST_GRANULE, BudgetTerms, DiskState, limit
from bridge.spool.reserve import Reserve
from bridge.storage import probe

SOME = 64 * 1024
"Bytes that must be free beside the reserve; a disk with less is full."
FEW_INODES = 16
"Free inodes below which a filesystem takes no more files."


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """States what to probe after failed writes."""

    intakes: tuple[str, ...] = ()
    "Intakes whose last write failed."
    sync: bool = False
    "Probe whether files can be synced."
    size: int = 0
    "Bytes that must fit before a provisional limit is lifted; 0: no probe is due."
    available: int | None = None
    "Bytes that the provisional limit leaves; None: there is no such limit."


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Result of one check of the filesystem."""

    disk: DiskState | None
    recovered: list[str] = field(default_factory=list)
    "Intakes for which files can be created again."
    room: bool = True
    "True if the reserve is on disk."
    synced: bool = False
    "True if the probe of syncs succeeded."
    fits: bool = False
    "True if the filesystem takes as many bytes as the probe plan asks for."
    works_elsewhere: bool = False
    "True if files can be created in the folder of the spool, but not for all of the planned intakes."


def query(directory: Path) -> DiskState | None:
    """Returns the state of a filesystem, or None if it cannot be queried."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    # Some filesystems, such as btrfs, do not count inodes.
    inodes = None if not found.f_favail and not found.f_files else found.f_favail
    return DiskState(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, inodes)


def explains_failure(disk: DiskState | None) -> str | None:
    """Returns what the filesystem has run out of, ``disk`` or ``inodes``; None if the figures show room."""
    if disk is None or disk.available < MOST_GRANULE:
        # Some filesystems, such as XFS, create inodes as long as there is space. A full one has few of them, too.
        return "disk"
    return "inodes" if disk.inodes is not None and disk.inodes < FEW_INODES else None


def fits(folder: Path, size: int, disk: DiskState | None, space: threading.Lock) -> bool:
    """Returns True if a file of ``size`` bytes, or as large as the filesystem reports as free, can be written."""
    if disk is None or explains_failure(disk) is not None:
        return False
    return probe.error_of(folder, min(size, probe.MOST_SIZE, disk.available // 2), space) is None


def measure(
    directory: Path, reserve: Reserve, *, terms: BudgetTerms, spool_limit: int, needed: int, plan: ProbePlan,
    space: threading.Lock,
) -> DiskUsage:  # fmt: skip
    """Measures the free space, probes as planned, and recreates the reserve if ``needed`` bytes are free.

    ``spool_limit`` is the spool's limit in bytes; 0 if it is not known yet.
    """
    disk = query(directory)
    if disk is None:
        return DiskUsage(None, room=reserve.held)
    fitting = plan.size > 0 and fits(directory, plan.size, disk, space)
    available = disk.available
    if plan.available is not None and not fitting:
        available = min(available, plan.available)
    if not reserve.held and available >= needed and disk.inodes != 0:
        try:
            reserve.make(spool_limit or limit(terms, disk, used=0), available - SOME // 2)
        except OSError:
            # A quota may be the cause. The probes show whether anything can be written.
            pass
        else:
            disk = DiskState(disk.total, max(0, disk.available - reserve.size), disk.inodes)
    recovered = [name for name in plan.intakes if probe.error_of(directory / name, probe.SMALL, space) is None]
    elsewhere = len(recovered) < len(plan.intakes) and probe.error_of(directory, probe.SMALL, space) is None
    synced = plan.sync and probe.can_sync(directory)
    return DiskUsage(disk, recovered, room=reserve.held, synced=synced, fits=fitting, works_elsewhere=elsewhere)
