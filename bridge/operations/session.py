"""Gives an operator's commands access to a spool and its ledger, with or without a running bridge.

The commands have the same effect in both cases. In a running bridge, blocking jobs run on the spool thread, and the
couriers own the waiting batches. Without one, this process takes the lock of the spool and runs all jobs at once, and
the waiting batches are the files found in the spool.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from twisted.internet import defer, task

from bridge.accounting import Ledger
from bridge.config import Config
from bridge.deliver.couriers import CourierSet
from bridge.host.interfaces import Reactor, Run
from bridge.host.waiting import called_back, with_timeout
from bridge.ingest import from_config as ingest_config
from bridge.spool import Batch, Pack, Spool
from bridge.spool.reprocess import Reprocessor
from bridge.storage import from_config as storage_config
from bridge.storage.journal_writer import JournalWriter
from bridge.storage.open import Storage, make_archive, open_storage

T = TypeVar("T")
Backlog = list[tuple[Batch | Pack, int]]
"Waiting batches and packs, each with the number of its events that are not settled."

QUIESCE_TIMEOUT = 45.0
"Maximum seconds to wait until a courier has no request in flight. Requests in flight are not cancelled."


class Session(Protocol):
    """Declares what commands need of a spool, with or without a running bridge."""

    @property
    def config(self) -> Config:
        """The current configuration."""

    @property
    def spool(self) -> Spool:
        """The spool, whose lock this process has."""

    @property
    def ledger(self) -> Ledger:
        """The ledger of the spool's events."""

    @property
    def run(self) -> Run:
        """Runs a blocking job off the reactor, if a reactor runs."""

    def next_turn(self) -> Awaitable[None]:
        """Waits for the next reactor turn, so that the reactor can do other work."""

    def enqueue(self, stored: Batch | Pack) -> None:
        """Queues a batch or pack for delivery. Its file must exist, and the ledger must count its events as spooled."""

    def release(self, intake: str) -> Awaitable[Backlog]:
        """Takes the waiting batches and packs of an intake out of delivery and returns them.

        Does not take batches in flight or batches that were split. Does not change the files or the ledger.
        """

    def intakes(self) -> list[str]:
        """Returns the intakes that may have waiting batches."""

    def write_accounts(self) -> Awaitable[None]:
        """Writes the current totals to the journal. Call after a command has moved events."""


@dataclass(frozen=True, slots=True)
class RunningSession:
    """Implements Session for a running bridge."""

    current: Callable[[], Config]
    "Returns the current configuration."
    storage: Storage
    courier_set: CourierSet
    journal_writer: JournalWriter
    run: Run
    reactor: Reactor

    @property
    def config(self) -> Config:
        """The current configuration."""
        return self.current()

    @property
    def spool(self) -> Spool:
        """The spool of the bridge."""
        return self.storage.spool

    @property
    def ledger(self) -> Ledger:
        """The ledger of the bridge."""
        return self.storage.ledger

    def next_turn(self) -> Awaitable[None]:
        """Waits for the next reactor turn."""
        return task.deferLater(self.reactor, 0, lambda: None)

    def enqueue(self, stored: Batch | Pack) -> None:
        """Adds a batch or pack to the courier of its intake."""
        if isinstance(stored, Pack):
            self.courier_set.add_pack(stored)
        else:
            self.spool.announce(stored)

    async def release(self, intake: str) -> Backlog:
        """Takes the waiting batches from the courier of an intake once it has no request in flight.

        Returns an empty list if requests are still in flight after ``QUIESCE_TIMEOUT``.
        """
        ends_at = self.reactor.seconds() + QUIESCE_TIMEOUT
        self.spool.seal_of(intake)
        await with_timeout(
            called_back(lambda sealed: self.spool.when_sealed(intake, sealed)), QUIESCE_TIMEOUT, self.reactor
        )
        courier = self.courier_set.couriers.get(intake)
        if courier is None:
            return []
        courier.pause()
        try:
            await with_timeout(courier.when_quiescent(), max(0.0, ends_at - self.reactor.seconds()), self.reactor)
            return courier.release() if courier.is_quiescent else []
        finally:
            courier.resume()

    def intakes(self) -> list[str]:
        """Returns the intakes that have a courier."""
        return sorted(self.courier_set.couriers)

    def write_accounts(self) -> Awaitable[None]:
        """Writes the totals to the journal now instead of at the next full minute."""
        return self.journal_writer.write_accounts()


class OfflineSession:
    """Implements Session for a spool that no running bridge owns.

    Takes the lock of the spool. Raises SpoolError if another process has it. The journal records the session as a
    separate process run. ``on_note`` receives messages for the operator about the state of the spool.
    """

    def __init__(self, config: Config, on_note: Callable[[str], object], wall: Callable[[], float] = time.time) -> None:
        self.config = config
        self._storage = open_storage(
            config, clock=time.monotonic, wall=wall, work=lambda job, done: done(job()), on_error=on_note,
            archive=make_archive(config, wall=wall, on_error=on_note, earlier=True),
        )  # fmt: skip
        self.spool, self.ledger = self._storage.spool, self._storage.ledger
        self._backlogs: dict[str, Backlog] = {}
        found = self._storage.recover(config.sha256, on_note)
        for batch in found.batches:
            self.enqueue(batch)
        for pack in found.packs:
            self.enqueue(pack)

    def run(self, job: Callable[[], T], /) -> "defer.Deferred[T]":
        """Runs a job at once, in the calling thread."""
        return defer.execute(job)

    def next_turn(self) -> Awaitable[None]:
        """Does nothing, because no reactor runs."""
        return defer.succeed(None)

    def enqueue(self, stored: Batch | Pack) -> None:
        """Adds a batch or pack to the backlog of its intake."""
        self._backlogs.setdefault(stored.intake, []).append((stored, stored.count))

    def release(self, intake: str) -> Awaitable[Backlog]:
        """Removes the backlog of an intake from this session and returns it."""
        return defer.succeed(self._backlogs.pop(intake, []))

    def intakes(self) -> list[str]:
        """Returns the intakes that have a backlog."""
        return sorted(name for name, backlog in self._backlogs.items() if backlog)

    def write_accounts(self) -> Awaitable[None]:
        """Does nothing, because `close` writes the totals at the end of the command."""
        return defer.succeed(None)

    def close(self) -> None:
        """Writes the totals to the journal, as at a clean stop of a bridge, and releases the lock."""
        self._storage.journal.stop(self.ledger.accounts, {})
        self._storage.journal.close()
        self.spool.close()


def make_reprocessor(config: Config) -> Reprocessor:
    """Returns a Reprocessor with newly compiled routes. Blocks for a while if there are many routes."""
    return Reprocessor(
        ingest_config.router(config), ingest_config.group_limits(config), storage_config.batch_limits(config)
    )
