"""Gives an operator's commands access to the files of a spool that no running bridge owns."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet import defer

from bridge import __version__
from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.config import Config
from bridge.operations.session import Backlog
from bridge.spool import Batch, Pack, Spool, SpoolTerms
from bridge.spool.archive import Archive
from bridge.storage import from_config as storage_config


class OfflineSession:
    """Implements Session for a spool without a running bridge.

    Takes the lock of the spool. Raises SpoolError if another process has the lock. The journal records the session as a
    separate process run.
    """

    def __init__(self, config: Config, wall: Callable[[], float] = time.time) -> None:
        self.config = config
        self.ledger = Ledger()
        self.notes: list[str] = []
        "Messages for the operator about the state of the spool."
        # Open the archive even if it is not configured: an archive of an earlier configuration can still be replayed.
        max_age = config.spool.archive.max_age if config.spool.archive else None
        age = None if max_age is None else max_age.total_seconds()
        archive = Archive(
            config.spool.directory / ".archive", max_size=1 << 62, max_age=age, wall=wall,
            on_error=self.notes.append,
        )  # fmt: skip
        self.spool = Spool(
            config.spool.directory,
            SpoolTerms(storage_config.batch_limits(config), storage_config.quarantine_bounds(config)),
            wall=wall, clock=time.monotonic, work=lambda job, done: done(job()), on_error=self.notes.append,
            archive=archive,
        )  # fmt: skip
        found = self.spool.recover()
        self.notes += found.notes
        self.ledger.recover_quarantined(None, self.spool.quarantine.counts.total())
        self._journal = Journal(
            config.spool.directory / ".ledger", keep=config.ledger.keep, wall=wall, on_error=self.notes.append
        )
        self._journal.open()
        self._journal.start(
            found, quarantined=self.spool.quarantine.counts.total(), version=__version__, config_sha256=config.sha256
        )
        self._backlogs: dict[str, Backlog] = {}
        recovered: list[Batch | Pack] = [*found.batches, *found.packs]
        for stored in recovered:
            self.ledger.recover_spooled(stored.intake, stored.count)
            self.enqueue(stored)

    def run(self, job: Callable[[], Any]) -> Awaitable[Any]:
        """Runs a job at once, in the calling thread."""
        return defer.maybeDeferred(job)

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
        self._journal.stop(self.ledger.accounts, {})
        self._journal.close()
        self.spool.close()
