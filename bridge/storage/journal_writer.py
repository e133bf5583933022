# mypy: disallow-untyped-calls=False
"""Keeps the ledger's history while the bridge runs: each full minute, and behind an operator's command that has moved
events, the accounts as they are then.

The accounts are copied on the reactor and written in the spool's thread, so a line shows one moment, and every job
that was handed to the thread before that moment has been done: an account that has moved in the same turn in which its
receipt was handed over is never behind or ahead of its receipts.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge import __version__
from bridge.accounting import Account, Ledger
from bridge.accounting.journal import Journal, Receipt
from bridge.spool.recovery import RecoveredSpool

MINUTE = 60.0

log = Logger(namespace="ledger")


class JournalWriter:
    """One bridge's history. ``in_thread`` runs a job in the spool's thread; ``kernel_drops`` is asked on the reactor;
    ``wall`` is in seconds since the epoch."""

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        in_thread: "Callable[[Callable[[], Any]], defer.Deferred[Any]]",
        reactor: IReactorTime,
        kernel_drops: Callable[[], dict[str, int]],
        wall: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._in_thread = in_thread
        self._reactor = reactor
        self._kernel_drops = kernel_drops
        self._wall = wall
        self._next: IDelayedCall | None = None
        self._started = False
        self._writing: defer.Deferred[None] = defer.succeed(None)

    # --- on the reactor ----------------------------------------------------------------------------------------------

    def start(self, found: RecoveredSpool, *, quarantined: int, config_sha256: str) -> None:
        """Blocking, once, after recovery and before the thread has work."""
        for note in self._journal.open().notes:
            log.warn("ledger history: {note}", note=note)
        self._journal.start(found, quarantined=quarantined, version=__version__, config_sha256=config_sha256)
        self._started = True
        self._schedule()

    def account(self) -> "defer.Deferred[None]":
        """Events were moved by an operator's command. Of a process that is killed before its next full minute nobody
        could tell otherwise what came from an archive, a quarantine or another intake, and what from devices."""
        return self._write() if self._started else defer.succeed(None)

    async def stop(self) -> None:
        """The last line. Called when nothing moves any more and the thread still works."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if not self._started:
            return
        self._started = False
        await self._writing
        accounts, drops = self._accounts(), self._kernel_drops()

        def last() -> None:
            self._journal.stop(accounts, drops)
            self._journal.close()

        await self._in_thread(last)

    # --- in the spool's thread ---------------------------------------------------------------------------------------

    def receipt(self, receipt: Receipt) -> None:
        """A request was accepted; before its files go."""
        self._journal.receipt(receipt)

    def refused(self, intake: str, sequence: int, count: int, reason: str, batch_events: int) -> None:
        """Events are in quarantine; before their batch's file goes."""
        self._journal.refused(intake, sequence, count, reason, batch_events)

    def receipt_of_taken(self, receipt: Receipt) -> None:
        """The same of what was taken over."""
        self._journal.receipt(replace(receipt, taken=True))

    def refused_of_taken(self, intake: str, sequence: int, count: int, reason: str, batch_events: int) -> None:
        """The same of what was taken over."""
        self._journal.refused(intake, sequence, count, reason, batch_events, taken=True)

    def handed(self, intake: str, sequence: int, count: int, batch_events: int) -> None:
        """Events are in a shared queue; before their batch's file goes."""
        self._journal.handed(intake, sequence, count, batch_events)

    # --- the minute --------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """At the next full minute; after the next, where that is now."""
        wait = MINUTE - self._wall() % MINUTE
        self._next = self._reactor.callLater(wait if wait >= 1 else wait + MINUTE, self._minute)

    def _minute(self) -> None:
        self._next = None

        def written(nothing: object) -> None:
            if self._started:
                self._schedule()

        self._write().addCallback(written)

    def _write(self) -> "defer.Deferred[None]":
        accounts, drops = self._accounts(), self._kernel_drops()

        def defect(failure: Failure) -> None:
            log.failure("defect while writing the ledger's history", failure)

        self._writing = self._in_thread(lambda: self._journal.minute(accounts, drops)).addErrback(defect)
        return self._writing

    def _accounts(self) -> dict[str, Account]:
        return {
            name: replace(account, dropped=account.dropped.copy()) for name, account in self._ledger.accounts.items()
        }
