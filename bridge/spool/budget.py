"""Computes how much disk space the spool may use, and how the intakes share it. Arithmetic only.

All sizes are bytes in allocated blocks: even a batch of three events takes a whole block.

The **limit** is ``max_size``, or less if ``min_free`` would not stay available. If other programs fill the disk, the
spool drops no events while there is any space: the limit stays at the current use of the spool, and space that the
spool frees goes to the other programs. A small *floor* remains for live delivery: a gateway whose disk is full of other
data must still deliver new events.

Each intake is guaranteed an equal **share** of the limit. Beyond its share an intake **borrows** unused space of the
others. Borrowed space is reclaimed by dropping the oldest batches of the borrower. With ``pause`` nothing may be
dropped, so only half of the unused space is lent, and an intake that needs its share still finds space. Parked intakes
together may borrow at most half of the space that can be lent: their events wait for a key, the events of other intakes
wait for the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bridge.config.units import Share

BLOCK = 4096
"Block size in bytes. File sizes are rounded up to it while the allocated blocks are unknown."
MOST_GRANULE = 1 << 20
MOST_FLOOR = 64 << 20


def on_disk(size: int) -> int:
    """Estimates the allocated bytes of a file of ``size`` bytes, without asking the filesystem."""
    return -(-size // BLOCK) * BLOCK


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """The disk space settings of the configuration."""

    max_size: int | Share
    min_free: int | Share
    pause: bool = False
    "True for ``when_full: pause``: senders wait, and spooled events are not dropped."


@dataclass(frozen=True, slots=True)
class DiskState:
    """The size and the available space of a filesystem, in bytes."""

    total: int
    available: int
    inodes: int | None = None
    "Free inodes; None if the filesystem does not count them."


class Reserved:
    """Grants room for what is written in the same reactor turn."""

    __slots__ = ()


RESERVED = Reserved()


class Full(NamedTuple):
    """No room: the reason code under which events that cannot wait are dropped."""

    reason: str


def limit(terms: BudgetTerms, disk: DiskState, *, used: int, before: int | None = None, kept_free: int = 0) -> int:
    """Returns the bytes that the spool may use, given its current use ``used`` and the previous result ``before``.

    ``kept_free``: available bytes that must stay unused, for a reserve that is to be allocated again.
    """
    max_size, min_free = _bytes(terms.max_size, disk.total), _bytes(terms.min_free, disk.total)
    available = used + disk.available - kept_free
    frozen_limit = used + MOST_GRANULE if before is None else min(before, used + MOST_GRANULE)
    allowed = max(used + disk.available - min_free, frozen_limit, min(MOST_FLOOR, max_size // 20))
    return max(0, min(max_size, available, allowed))


def limit_facts(terms: BudgetTerms, disk: DiskState | None, spool_limit: int, fault: str | None) -> dict[str, object]:
    """Returns what determines the limit, with its figures: ``fault``, a fault of the filesystem (disk, inodes or
    quota), or else ``max_size``, ``min_free``, or ``disk`` for a disk without free space."""
    if disk is None:
        return {"limited_by": fault or "max_size"}
    max_size, min_free = _bytes(terms.max_size, disk.total), _bytes(terms.min_free, disk.total)
    by_space = "disk" if disk.available < MOST_GRANULE else "min_free"
    return {
        "limited_by": fault or ("max_size" if spool_limit >= max_size else by_space),
        "max_size_bytes": max_size,
        "min_free_bytes": min_free,
        "disk_free_bytes": disk.available,
        "when_full": "pause" if terms.pause else "drop-oldest",
    }


def _bytes(amount: int | Share, total: int) -> int:
    return total * amount.percent // 100 if isinstance(amount, Share) else amount


class Shares:
    """The space that each intake may use, at one moment.

    ``uses``: bytes that each intake uses. ``parked``: intakes whose delivery is parked.
    """

    def __init__(self, limit: int, uses: Mapping[str, int], parked: frozenset[str], *, pause: bool) -> None:
        self.limit = limit
        self.share = limit // max(1, len(uses))
        self.granule = max(2 * BLOCK, min(MOST_GRANULE, self.share // 16))
        "An intake with less room than this counts as full."
        self.uses = dict(uses)
        self._parked = parked
        self._lending = 2 if pause else 1
        self._kept = self._borrowed = self._borrowed_parked = 0
        for name, size in self.uses.items():
            self._count(name, size, 1)

    @property
    def used(self) -> int:
        """Returns the bytes that all intakes use."""
        return self._kept + self._borrowed

    def borrowed(self, name: str) -> int:
        """Returns the bytes that an intake uses beyond its share."""
        return max(0, self.uses[name] - self.share)

    def parked(self, name: str) -> bool:
        """Returns True if the intake is parked."""
        return name in self._parked

    def room(self, name: str) -> int:
        """Returns the bytes by which an intake may grow; a negative value is the bytes by which it must shrink."""
        own = max(0, self.share - self.uses[name])
        # An intake borrows only after it has used all of its share.
        lendable = max(0, self.limit - self._kept - own) // self._lending
        spare = lendable - self._borrowed
        if name in self._parked:
            spare = min(spare, lendable // 2 - self._borrowed_parked)
        return own + max(0, spare) if own else spare

    def release(self, name: str, size: int) -> None:
        """Records that an intake has freed ``size`` bytes."""
        self._count(name, self.uses[name], -1)
        self.uses[name] = max(0, self.uses[name] - size)
        self._count(name, self.uses[name], 1)

    def _count(self, name: str, size: int, sign: int) -> None:
        excess = max(0, size - self.share)
        self._kept += sign * (size - excess)
        self._borrowed += sign * excess
        if name in self._parked:
            self._borrowed_parked += sign * excess
