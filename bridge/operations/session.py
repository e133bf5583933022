"""What an operator's commands act on: a spool and its account, in a running bridge or, where none runs, alone.

The same commands do the same in both. In a running bridge what blocks is done in the spool's thread, and couriers hold
what waits; alone, this process has the lock, all is done at once, and what waits are the files that were found.
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

Held = list[tuple[Batch | Pack, int]]
"Batches and packs, each with the number of its events that are not settled."


class Session(Protocol):
    """One spool, with what moves with it."""

    spool: Spool
    ledger: Ledger

    @property
    def config(self) -> Config:
        """The configuration that holds."""

    def in_thread(self, job: Callable[[], Any]) -> Awaitable[Any]:
        """Run what blocks."""

    def breathe(self) -> Awaitable[None]:
        """Let others have their turn."""

    def take_in(self, held: Batch | Pack) -> None:
        """A batch or pack waits from now on; its file is there, and the account has moved."""

    def release(self, intake: str) -> Awaitable[Held]:
        """Take out all that waits of an intake, but what is in flight or in parts; its file and account stay."""

    def intakes(self) -> list[str]:
        """Those of which something waits."""

    def account(self) -> Awaitable[None]:
        """A command has moved events: the ledger's history says so then."""


def rerouter(config: Config) -> Reprocessor:
    """One with routes of its own; takes a while where there are many."""
    return Reprocessor(
        ingest_config.router(config), ingest_config.group_limits(config), storage_config.batch_limits(config)
    )


class OfflineSession:
    """A spool without its bridge: in the ledger's history a life of its own. Takes the lock; raises SpoolError where
    somebody has it."""

    def __init__(self, config: Config, wall: Callable[[], float] = time.time) -> None:
        self.config = config
        self.ledger = Ledger()
        self.said: list[str] = []
        "What had to be said of the spool's state."
        self.spool = Spool(
            config.spool.directory, limits=storage_config.batch_limits(config), wall=wall, clock=time.monotonic,
            work=lambda job, done: done(job()), bounds=storage_config.quarantine_bounds(config),
        )  # fmt: skip
        self.spool.on_error = self.said.append
        # The archive of an earlier configuration can still be replayed.
        kept = config.spool.archive.max_age if config.spool.archive else None
        age = None if kept is None else kept.total_seconds()
        self.spool.archive = Archive(
            config.spool.directory / ".archive", max_size=1 << 62, max_age=age, wall=wall,
            on_error=self.said.append,
        )  # fmt: skip
        found = self.spool.recover()
        self.said += found.notes
        self.ledger.recover_quarantined(None, self.spool.quarantine.counts.total())
        self._journal = Journal(config.spool.directory / ".ledger", keep=config.ledger.keep, wall=wall)
        self._journal.on_error = self.said.append
        self._journal.open()
        self._journal.start(
            found, quarantined=self.spool.quarantine.counts.total(), version=__version__, config_sha256=config.sha256
        )
        self._held: dict[str, Held] = {}
        everything: list[Batch | Pack] = [*found.batches, *found.packs]
        for held in everything:
            self.ledger.recover_spooled(held.intake, held.count)
            self.take_in(held)

    def in_thread(self, job: Callable[[], Any]) -> Awaitable[Any]:
        """At once."""
        return defer.maybeDeferred(job)

    def breathe(self) -> Awaitable[None]:
        """There is nobody else."""
        return defer.succeed(None)

    def take_in(self, held: Batch | Pack) -> None:
        """It is in the spool."""
        self._held.setdefault(held.intake, []).append((held, held.count))

    def release(self, intake: str) -> Awaitable[Held]:
        """All that was found."""
        return defer.succeed(self._held.pop(intake, []))

    def intakes(self) -> list[str]:
        """Those of which something was found."""
        return sorted(name for name, held in self._held.items() if held)

    def account(self) -> Awaitable[None]:
        """At the end, all of it: this life is over with its command."""
        return defer.succeed(None)

    def close(self) -> None:
        """The account, as at the end of a bridge's life; then the lock is free."""
        self._journal.stop(self.ledger.accounts, {})
        self._journal.close()
        self.spool.close()
