"""Gives an operator's commands access to the spool of a running bridge.

The couriers own the waiting batches. A courier releases its batches once it has no request in flight.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet import task

from bridge.accounting import Ledger
from bridge.config import Config
from bridge.deliver.couriers import CourierSet
from bridge.host.interfaces import Reactor
from bridge.host.waiting import with_timeout
from bridge.operations.session import Backlog
from bridge.spool import Batch, Pack, Spool
from bridge.storage.journal_writer import JournalWriter
from bridge.storage.spool_thread import SpoolThread

QUIESCE_TIMEOUT = 45.0
"Maximum seconds to wait until a courier has no request in flight. Requests in flight are not cancelled."


class RunningSession:
    """Implements Session for a running bridge. ``config`` returns the current configuration."""

    def __init__(
        self,
        reactor: Reactor,
        *,
        config: Callable[[], Config],
        spool: Spool,
        ledger: Ledger,
        courier_set: CourierSet,
        spool_thread: SpoolThread,
        journal_writer: JournalWriter,
    ) -> None:
        self.spool = spool
        self.ledger = ledger
        self._reactor = reactor
        self._config = config
        self._courier_set = courier_set
        self._spool_thread = spool_thread
        self._journal_writer = journal_writer

    @property
    def config(self) -> Config:
        """Returns the current configuration."""
        return self._config()

    def run(self, job: Callable[[], Any]) -> Awaitable[Any]:
        """Runs a job on the spool thread."""
        return self._spool_thread.run(job)

    def next_turn(self) -> Awaitable[None]:
        """Waits for the next reactor turn."""
        return task.deferLater(self._reactor, 0, lambda: None)

    def enqueue(self, stored: Batch | Pack) -> None:
        """Adds a batch or pack to the courier of its intake."""
        if isinstance(stored, Pack):
            self._courier_set.add_pack(stored)
        else:
            self.spool.on_sealed(stored)

    async def release(self, intake: str) -> Backlog:
        """Takes the waiting batches from the courier of an intake once it has no request in flight.

        Returns an empty list if requests are still in flight after ``QUIESCE_TIMEOUT``.
        """
        self.spool.seal_of(intake)
        ends_at = self._reactor.seconds() + QUIESCE_TIMEOUT
        while self.spool.is_sealing(intake) and self._reactor.seconds() < ends_at:
            await task.deferLater(self._reactor, 0.02)
        courier = self._courier_set.couriers.get(intake)
        if courier is None:
            return []
        courier.pause()
        try:
            left = max(0.0, ends_at - self._reactor.seconds())
            is_quiescent = await with_timeout(courier.when_quiescent(), left, self._reactor)
            return courier.release() if is_quiescent else []
        finally:
            courier.resume()

    def intakes(self) -> list[str]:
        """Returns the intakes that have a courier."""
        return sorted(self._courier_set.couriers)

    def write_accounts(self) -> Awaitable[None]:
        """Writes the totals to the journal now instead of at the next full minute."""
        return self._journal_writer.write_accounts()
