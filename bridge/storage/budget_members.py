"""Declares the users of the disk budget: the waiting batches of each intake, and the archive of delivered events."""

from typing import Protocol

from bridge.spool import Batch, Pack
from bridge.spool.archive import Archive


class BudgetMember(Protocol):
    """Declares what the disk budget needs of the waiting batches of one intake; couriers implement it."""

    @property
    def waiting_disk(self) -> int:
        """Allocated bytes of the waiting batches."""

    @property
    def parked(self) -> str | None:
        """Reason why the intake is parked; None if it is not."""

    def drop_oldest(self) -> Batch | Pack | None:
        """Forgets and returns the oldest batch or pack that has no events in flight. The caller deletes its file and
        updates the ledger."""


class ArchiveUsage(Protocol):
    """Declares what the disk budget needs of the archive, which is deleted first on a full disk.

    ``shrink`` is called in the spool thread, the rest on the reactor.
    """

    @property
    def disk(self) -> int:
        """Bytes on disk."""

    def shrink(self, size: int) -> int:
        """Deletes the oldest files until ``size`` bytes are freed. Returns the bytes that were freed."""


class NoArchive:
    """Archive that is switched off."""

    disk = 0

    def shrink(self, size: int) -> int:
        """Returns 0, as nothing can be deleted."""
        return 0


class KeptArchive:
    """Archive of delivered events in the spool."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    @property
    def disk(self) -> int:
        """Bytes on disk, as last measured."""
        return self._archive.size

    def shrink(self, size: int) -> int:
        """Deletes whole hours, the oldest first, until ``size`` bytes are freed."""
        return self._archive.shrink(max(0, self._archive.size - size))
