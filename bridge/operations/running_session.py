"""The estate of a running bridge: couriers hold what waits, and let it go when they are at rest."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet import task

from bridge.accounting import Ledger
from bridge.config import Config
from bridge.deliver.couriers import CourierSet
from bridge.operations.session import Held
from bridge.spool import Batch, Pack, Spool
from bridge.storage.journal_writer import JournalWriter
from bridge.storage.spool_thread import SpoolThread

REST_WITHIN = 45.0
"Seconds that a courier may need to come to rest: what is in flight is not called back."


class RunningSession:
    """One bridge's. ``config`` gives the configuration that holds."""

    def __init__(
        self,
        reactor: Any,
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
        """The configuration that holds."""
        return self._config()

    def in_thread(self, job: Callable[[], Any]) -> Awaitable[Any]:
        """In the spool's thread."""
        return self._spool_thread.in_thread(job)

    def breathe(self) -> Awaitable[None]:
        """Until the next reactor turn."""
        return task.deferLater(self._reactor, 0, lambda: None)

    def take_in(self, held: Batch | Pack) -> None:
        """To its courier."""
        if isinstance(held, Pack):
            self._courier_set.add_pack(held)
        else:
            self._courier_set.add(held)

    async def release(self, intake: str) -> Held:
        """Once the intake is at rest; what is in flight all the same stays."""
        self.spool.seal_of(intake)
        ends_at = self._reactor.seconds() + REST_WITHIN
        while self.spool.is_sealing(intake) and self._reactor.seconds() < ends_at:
            await task.deferLater(self._reactor, 0.02)
        courier = self._courier_set.couriers.get(intake)
        if courier is None:
            return []
        courier.pause()
        try:
            while not courier.is_quiescent and self._reactor.seconds() < ends_at:
                await task.deferLater(self._reactor, 0.02)
            return courier.release() if courier.is_quiescent else []
        finally:
            courier.resume()

    def intakes(self) -> list[str]:
        """Those that have a courier."""
        return sorted(self._courier_set.couriers)

    def account(self) -> Awaitable[None]:
        """Not only at the next full minute."""
        return self._journal_writer.write_accounts()
