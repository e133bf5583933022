"""Gives an operator's commands access to a spool and its ledger, with or without a running bridge.

The commands have the same effect in both cases. In a running bridge (``running_session``), blocking jobs run on the
spool thread, and the couriers own the waiting batches. Without one (``offline_session``), this process takes the lock
of the spool and runs all jobs at once, and the waiting batches are the files found in the spool.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from bridge.accounting import Ledger
from bridge.config import Config
from bridge.ingest import from_config as ingest_config
from bridge.spool import Batch, Pack, Spool
from bridge.spool.reprocess import Reprocessor
from bridge.storage import from_config as storage_config

Backlog = list[tuple[Batch | Pack, int]]
"Waiting batches and packs, each with the number of its events that are not settled."


class Session(Protocol):
    """Declares what commands need of a spool, with or without a running bridge."""

    spool: Spool
    ledger: Ledger

    @property
    def config(self) -> Config:
        """Returns the current configuration."""

    def run(self, job: Callable[[], Any]) -> Awaitable[Any]:
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


def make_reprocessor(config: Config) -> Reprocessor:
    """Returns a Reprocessor with newly compiled routes. Blocks for a while if there are many routes."""
    return Reprocessor(
        ingest_config.router(config), ingest_config.group_limits(config), storage_config.batch_limits(config)
    )
