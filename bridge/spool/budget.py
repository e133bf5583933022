"""How much of a disk the spool may hold, and who of the intakes may have it. Arithmetic only.

All sizes are bytes in allocated blocks: a batch of three events takes a block like any other.

The **limit** is ``max_size``, less where ``min_free`` would not be left. That others fill the disk makes no events go
as long as there is any room: the limit then stands where the spool is, and what drains is theirs. A small *floor*
stays for the live road: a gateway whose disk holds too much of somebody else's must still pass on what comes.

Each intake is guaranteed an equal **share** of the limit. Beyond it an intake **borrows** what the others leave. What
is lent comes back by dropping the borrower's oldest; where nothing may be dropped (``pause``) only half is lent, so
that an intake that needs its share finds it. Parked intakes together have at most half of what may be lent: their
events wait for a key, those of the others for a network.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.config.units import Share

BLOCK = 4096
"Bytes; what a file's size is rounded up to where its blocks are not known yet."
MOST_GRANULE = 1 << 20
MOST_FLOOR = 64 << 20


def on_disk(size: int) -> int:
    """What a file of ``size`` bytes takes, where the filesystem has not been asked."""
    return -(-size // BLOCK) * BLOCK


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What the configuration says."""

    max_size: int | Share
    min_free: int | Share
    pause: bool = False
    "``when_full``: senders wait, nothing is dropped that is spooled."


@dataclass(frozen=True, slots=True)
class DiskState:
    """What the filesystem says."""

    total: int
    available: int


def limit(
    terms: BudgetTerms,
    disk: DiskState,
    *,
    used: int,
    before: int | None = None,
    kept_free: int = 0,
    most: int | None = None,
) -> int:
    """Bytes that the spool may hold, now that it holds ``used`` and ``before`` was the answer a moment ago.

    ``kept_free``: of what is available, what nobody may take (a reserve that is to be made again). ``most``: a bound
    that the filesystem does not tell, such as a quota, learnt the hard way.
    """
    max_size, min_free = _bytes(terms.max_size, disk.total), _bytes(terms.min_free, disk.total)
    if most is not None:
        max_size = min(max_size, most)
    there = used + disk.available - kept_free
    stands = used + MOST_GRANULE if before is None else min(before, used + MOST_GRANULE)
    left = max(used + disk.available - min_free, stands, min(MOST_FLOOR, max_size // 20))
    return max(0, min(max_size, there, left))


def _bytes(amount: int | Share, total: int) -> int:
    return total * amount.percent // 100 if isinstance(amount, Share) else amount


class Shares:
    """Who may have how much, at one moment. ``uses``: what each holds; ``parked``: whose collector takes nothing."""

    def __init__(self, limit: int, uses: Mapping[str, int], parked: frozenset[str], *, pause: bool) -> None:
        self.limit = limit
        self.share = limit // max(1, len(uses))
        self.granule = max(2 * BLOCK, min(MOST_GRANULE, self.share // 16))
        "Who has less room than this has none."
        self.uses = dict(uses)
        self._parked = parked
        self._lending = 2 if pause else 1
        self._kept = self._borrowed = self._borrowed_parked = 0
        for name, size in self.uses.items():
            self._count(name, size, 1)

    @property
    def used(self) -> int:
        """What all hold."""
        return self._kept + self._borrowed

    def borrowed(self, name: str) -> int:
        """What an intake holds beyond its share."""
        return max(0, self.uses[name] - self.share)

    def parked(self, name: str) -> bool:
        """Whether its collector takes nothing."""
        return name in self._parked

    def room(self, name: str) -> int:
        """Bytes by which an intake may grow; below 0: by which it must shrink."""
        own = max(0, self.share - self.uses[name])
        # It borrows only after it has all of its own.
        lendable = max(0, self.limit - self._kept - own) // self._lending
        spare = lendable - self._borrowed
        if name in self._parked:
            spare = min(spare, lendable // 2 - self._borrowed_parked)
        return own + max(0, spare) if own else spare

    def release(self, name: str, size: int) -> None:
        """An intake has given back."""
        self._count(name, self.uses[name], -1)
        self.uses[name] = max(0, self.uses[name] - size)
        self._count(name, self.uses[name], 1)

    def _count(self, name: str, size: int, sign: int) -> None:
        beyond = max(0, size - self.share)
        self._kept += sign * (size - beyond)
        self._borrowed += sign * beyond
        if name in self._parked:
            self._borrowed_parked += sign * beyond


class Forecast:
    """When the spool is full, if it goes on as in the last minutes."""

    OVER = 600.0
    "Seconds that are looked back."
    LEAST = 10.0

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def note(self, now: float, used: int) -> None:
        """What is held now; called about once a second, kept every ten."""
        if not self._seen or now - self._seen[-1][0] >= self.LEAST:
            self._seen.append((now, used))
            while now - self._seen[0][0] > self.OVER:
                del self._seen[0]

    def seconds(self, now: float, used: int, limit: int) -> float | None:
        """Until the limit is reached; None: it does not grow, or there is nothing to tell it by."""
        if not self._seen:
            return None
        then, was = self._seen[0]
        if now - then < self.LEAST or used <= was:
            return None
        return max(0, limit - used) * (now - then) / (used - was)
