"""Gives an operator's commands access to a spool and its ledger, with or without a running bridge.

The commands have the same effect in both cases. In a running bridge, blocking jobs run on the spool thread, and the
couriers own the waiting batches. Without one, this process takes the lock of the spool and runs all jobs at once, and
the waiting batches are the files found in the spool.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from twisted.internet import defer

from bridge.accounting import Ledger
from bridge.config import Config
from bridge.deliver.couriers import CourierSet
from bridge.host.interfaces import Reactor, Run
from bridge.host.waiting import called_back, with_timeout
from bridge.spool import Batch, Pack, Spool
from bridge.spool.transaction import Transaction
from bridge.storage.open import make_archive, open_storage, wall_clock

Backlog = list[tuple[Batch | Pack, int]]
"Waiting batches and packs, each with the number of its events that are not settled."

QUIESCE_TIMEOUT = 45.0
"Maximum seconds to wait until a courier has no request in flight. Requests in flight are not cancelled."


class Backlogs(Protocol):
    """Declares what commands need of the waiting batches of all intakes."""

    def enqueue(self, stored: Batch | Pack) -> None:
        """Queues a batch or pack for delivery. Its file must exist, and the ledger must count its events as spooled."""

    def release(self, intake: str) -> Awaitable[Backlog]:
        """Takes the waiting batches and packs of an intake out of delivery and returns them.

        Does not take batches in flight or batches that were split. Does not change the files or the ledger.
        """

    def intakes(self) -> list[str]:
        """Returns the intakes that may have waiting batches."""


@dataclass(frozen=True, slots=True)
class Session:
    """Gives commands access to a spool, its ledger and its accounts."""

    spool: Spool
    "The spool, whose lock this process has."
    ledger: Ledger
    "The ledger of the spool's events."
    backlogs: Backlogs
    run: Run
    "Runs a blocking job off the reactor, if a reactor runs."
    record: Callable[[Transaction], None]
    "Writes the account of a finished transaction to the journal, and closes it. Blocking."
    record_action: Callable[[str, dict[str, object]], None]
    "Writes a line about a command and its user to the journal. Blocking."
    next_turn: Callable[[], Awaitable[None]]
    "Waits for the next reactor turn, so that the reactor can do other work."
    write_accounts: Callable[[], Awaitable[None]]
    "Writes the current totals to the journal. Called after a command has moved events."
    current: Callable[[], Config]
    "Returns the current configuration."

    @property
    def config(self) -> Config:
        """The current configuration."""
        return self.current()

    async def settle(self, transaction: Transaction | None, made: Iterable[Batch | Pack] = ()) -> None:
        """Counts the events of a finished transaction, and queues the batches and packs that it made.

        The ledger changes in the reactor turn in which the journal's line is queued, so no figures in the journal are
        ahead of the line or behind it. If the process is killed before the line is written, the next start writes it.
        """
        recorded: Awaitable[None] | None = None
        if transaction is not None:
            self.ledger.apply(transaction.changes)
            recorded = self.run(partial(self.record, transaction))
        for each in made:
            self.backlogs.enqueue(each)
        if recorded is not None:
            await recorded


@dataclass(frozen=True, slots=True)
class CourierBacklogs:
    """Implements Backlogs for the couriers of a running bridge."""

    spool: Spool
    courier_set: CourierSet
    reactor: Reactor

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
        sealed = called_back(lambda callback: self.spool.when_sealed(intake, callback))
        await with_timeout(sealed, QUIESCE_TIMEOUT, self.reactor)
        courier = self.courier_set.couriers.get(intake)
        if courier is None:
            return []
        courier.pause()
        try:
            await with_timeout(courier.when_quiescent(), ends_at - self.reactor.seconds(), self.reactor)
            return courier.release() if courier.is_quiescent else []
        finally:
            courier.resume()

    def intakes(self) -> list[str]:
        """Returns the intakes that have a courier."""
        return sorted(self.courier_set.couriers)


class FileBacklogs:
    """Implements Backlogs for the files that were found in a spool."""

    def __init__(self) -> None:
        self._backlogs: dict[str, Backlog] = {}

    def enqueue(self, stored: Batch | Pack) -> None:
        """Adds a batch or pack to the backlog of its intake."""
        self._backlogs.setdefault(stored.intake, []).append((stored, stored.count))

    def release(self, intake: str) -> Awaitable[Backlog]:
        """Removes the backlog of an intake and returns it."""
        return defer.succeed(self._backlogs.pop(intake, []))

    def intakes(self) -> list[str]:
        """Returns the intakes that have a backlog."""
        return sorted(name for name, backlog in self._backlogs.items() if backlog)


@contextmanager
def offline_session(
    config: Config, on_note: Callable[[str], object], wall: Callable[[], float] | None = None
) -> Iterator[Session]:
    """Locks the spool of a configuration for commands; no bridge may run. Raises SpoolError.

    The journal records the session as a process run that ends cleanly. ``on_note`` receives messages for the operator
    about the state of the spool.
    """
    wall = wall or wall_clock(config)
    archive = make_archive(config, wall=wall, on_error=on_note, earlier=True)
    storage = open_storage(
        config, clock=time.monotonic, wall=wall, work=lambda job, done: done(job()), on_error=on_note, archive=archive
    )
    try:
        found, backlogs = storage.recover(config.sha256, on_note, offline=True), FileBacklogs()
        for stored in found.stored:
            backlogs.enqueue(stored)
        try:
            at_once = defer.succeed(None)
            yield Session(
                storage.spool, storage.ledger, backlogs, defer.execute, storage.record, storage.journal.action,
                lambda: at_once, lambda: at_once, lambda: config,
            )  # fmt: skip
        finally:
            storage.journal.stop(storage.ledger.accounts, {})
            storage.journal.close()
    finally:
        storage.spool.close()
