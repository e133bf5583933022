"""What the budget is kept among: what waits for the intakes, and what was delivered and is kept all the same."""

from typing import Protocol

from bridge.spool import Batch, Pack
from bridge.spool.archive import Archive as Delivered


class BudgetMember(Protocol):
    """What waits for one intake: a courier."""

    @property
    def waiting_disk(self) -> int:
        """Allocated bytes of what waits."""

    @property
    def parked(self) -> str | None:
        """Why the collector takes nothing of it; None: it does."""

    def drop_oldest(self) -> Batch | Pack | None:
        """Forget the oldest batch, or pack, of which nothing is in flight; the caller sees to file and account."""


class ArchiveUsage(Protocol):
    """What was delivered and is kept all the same: the first to go on a full disk. ``shrink`` is called in the spool's
    thread, the rest on the reactor."""

    @property
    def disk(self) -> int:
        """Bytes on disk."""

    def shrink(self, size: int) -> int:
        """Delete the oldest until ``size`` bytes are free; how many became so."""


class NoArchive:
    """Keeps nothing."""

    disk = 0

    def shrink(self, size: int) -> int:
        """There is nothing to delete."""
        return 0


class KeptArchive:
    """The spool's own archive of what was delivered."""

    def __init__(self, archive: Delivered) -> None:
        self._archive = archive

    @property
    def disk(self) -> int:
        """Bytes on disk, a moment ago."""
        return self._archive.size

    def shrink(self, size: int) -> int:
        """Delete whole hours, the oldest first, until ``size`` bytes are free."""
        return self._archive.shrink(max(0, self._archive.size - size))
