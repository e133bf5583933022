"""Drops the oldest waiting batches of intakes, to make room for newer events."""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from bridge.accounting import Ledger
from bridge.spool import Batch, Pack
from bridge.spool.budget import Shares


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


class Eviction:
    """Drops batches of the members of a disk budget and counts their events."""

    def __init__(self, members: Mapping[str, BudgetMember], ledger: Ledger) -> None:
        self.evicted: Counter[str] = Counter()
        "Events dropped to make room for newer ones, by intake."
        self._members = members
        self._ledger = ledger
        self._dropped: list[Batch | Pack] = []

    def take_dropped(self) -> list[Batch | Pack]:
        """Returns the batches and packs dropped since the last call. Their files are still on disk."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def reclaim_borrowed(self, wanted: str, size: int, shares: Shares, names: list[str]) -> None:
        """Makes room for ``size`` bytes of an intake. Intakes that borrow more than it lose batches first, the largest
        borrower first."""
        own = shares.borrowed(wanted)
        for name in names:
            # A parked intake takes no borrowed space from intakes that are not parked.
            if shares.borrowed(name) > own and (not own or not shares.parked(wanted) or shares.parked(name)):
                self.make_room(wanted, size, shares, evict_from=name, down_to=own)
        self.make_room(wanted, size, shares)

    def make_room(
        self, name: str, size: int, shares: Shares, *, evict_from: str | None = None, down_to: int = -1
    ) -> None:
        """Drops the oldest batches of an intake, or of a borrower, until the intake has room for ``size`` bytes."""
        victim = evict_from or name
        while shares.room(name) < size and shares.borrowed(victim) > down_to and shares.uses[victim]:
            member = self._members.get(victim)
            batch = None if member is None else member.drop_oldest()
            if batch is None:
                return
            shares.release(victim, batch.disk)
            self._ledger.drop_spooled(victim, batch.unacknowledged, "spool_full")
            self.evicted[victim] += batch.unacknowledged
            self._dropped.append(batch)
