"""Gives an operator's commands access to a spool and its ledger, with or without a running bridge.

The commands have the same effect in both cases. In a running bridge, blocking jobs run on the spool thread, and the
couriers own the waiting batches. Without one, this process takes the lock of the spool and runs all jobs at once, and
the waiting batches are the files found in the spool.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from twisted.internet import defer

from bridge import __version__
from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.config import Config
from bridge.ingest import from_config as ingest_config
from bridge.spool import Batch, Pack, Spool
from bridge.spool.archive import Archive
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

    def in_thread(self, job: Callable[[], Any]) -> Awaitable[Any]:
        """Runs a blocking job off the reactor, if a reactor runs."""

    def next_turn(self) -> Awaitable[None]:
        """Lets the reactor process other work."""

    def enqueue(self, stored: Batch | Pack) -> None:
        """Queues a batch or pack for delivery. Its file must exist, and the ledger must count its events as spooled."""

    def release(self, intake: str) -> Awaitable[Backlog]:
        """Takes the waiting batches and packs of an intake out of delivery; returns them.

        Leaves out batches in flight and batches that were split. The files and the ledger do not change.
        """

    def intakes(self) -> list[str]:
        """Returns the intakes that may have waiting batches."""

    def write_accounts(self) -> Awaitable[None]:
        """Writes the current totals to the journal, after a command has moved events."""


def make_reprocessor(config: Config) -> Reprocessor:
    """Returns a Reprocessor with newly compiled routes. Blocks for a while if there are many routes."""
    return Reprocessor(
        ingest_config.router(config), ingest_config.group_limits(config), storage_config.batch_limits(config)
    )


class OfflineSession:
    """Implements Session for a spool without a running bridge. The journal records it as a process run of its own.

    Takes the lock of the spool. Raises SpoolError if another process has it.
    """

    def __init__(self, config: Config, wall: Callable[[], float] = time.time) -> None:
        self.config = config
        self.ledger = Ledger()
        self.notes: list[str] = []
        "Messages for the operator about the state of the spool."
        self.spool = Spool(
            config.spool.directory, limits=storage_config.batch_limits(config), wall=wall, clock=time.monotonic,
            work=lambda job, done: done(job()), bounds=storage_config.quarantine_bounds(config),
        )  # fmt: skip
        self.spool.on_error = self.notes.append
        # Open the archive even if it is not configured: an archive of an earlier configuration can still be replayed.
        max_age = config.spool.archive.max_age if config.spool.archive else None
        age = None if max_age is None else max_age.total_seconds()
        self.spool.archive = Archive(
            config.spool.directory / ".archive", max_size=1 << 62, max_age=age, wall=wall,
            on_error=self.notes.append,
        )  # fmt: skip
        found = self.spool.recover()
        self.notes += found.notes
        self.ledger.recover_quarantined(None, self.spool.quarantine.counts.total())
        self._journal = Journal(config.spool.directory / ".ledger", keep=config.ledger.keep, wall=wall)
        self._journal.on_error = self.notes.append
        self._journal.open()
        self._journal.start(
            found, quarantined=self.spool.quarantine.counts.total(), version=__version__, config_sha256=config.sha256
        )
        self._backlogs: dict[str, Backlog] = {}
        recovered: list[Batch | Pack] = [*found.batches, *found.packs]
        for stored in recovered:
            self.ledger.recover_spooled(stored.intake, stored.count)
            self.enqueue(stored)

    def in_thread(self, job: Callable[[], Any]) -> Awaitable[Any]:
        """Runs a job at once, in this thread."""
        return defer.maybeDeferred(job)

    def next_turn(self) -> Awaitable[None]:
        """Does nothing: no reactor runs."""
        return defer.succeed(None)

    def enqueue(self, stored: Batch | Pack) -> None:
        """Adds a batch or pack to the backlog of its intake."""
        self._backlogs.setdefault(stored.intake, []).append((stored, stored.count))

    def release(self, intake: str) -> Awaitable[Backlog]:
        """Takes the backlog of an intake."""
        return defer.succeed(self._backlogs.pop(intake, []))

    def intakes(self) -> list[str]:
        """Returns the intakes that have a backlog."""
        return sorted(name for name, backlog in self._backlogs.items() if backlog)

    def write_accounts(self) -> Awaitable[None]:
        """Does nothing: `close` writes the totals at the end of the command."""
        return defer.succeed(None)

    def close(self) -> None:
        """Writes the totals to the journal, as at a clean stop of a bridge, and releases the lock."""
        self._journal.stop(self.ledger.accounts, {})
        self._journal.close()
        self.spool.close()
