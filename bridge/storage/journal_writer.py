"""Writes the ledger's accounts to the journal at each full minute, and after an operator's command has moved events.

The accounts are copied on the reactor and written in the spool thread. So a line shows one moment, and all jobs queued
before that moment are done. An account that changes in the same reactor turn in which its receipt is queued is neither
behind nor ahead of its receipts.
"""
# mypy: disallow-untyped-calls=False

from collections.abc import Callable
from dataclasses import replace

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from bridge.accounting import Account, Ledger
from bridge.accounting.journal import Journal
from bridge.host.interfaces import Run

MINUTE = 60.0

log = Logger(namespace="ledger")


class JournalWriter:
    """Writes the journal of one process run. ``run`` runs a job in the spool thread, ``kernel_drops`` is called
    on the reactor, ``wall`` is in seconds since the epoch."""

    def __init__(
        self, journal: Journal, ledger: Ledger, run: Run, reactor: IReactorTime,
        kernel_drops: Callable[[], dict[str, int]], wall: Callable[[], float],
        sources: Callable[[bool], dict[str, object] | None] = lambda last: None,
    ) -> None:  # fmt: skip
        """``sources`` returns the events by source since its last result, or None if they are not due yet. Its argument
        is True at the end."""
        self._journal = journal
        self._ledger = ledger
        self._run = run
        self._reactor = reactor
        self._kernel_drops = kernel_drops
        self._wall = wall
        self._sources = sources
        self._next: IDelayedCall | None = None
        self._started = False
        self._writing: defer.Deferred[None] = defer.succeed(None)

    def start(self) -> None:
        """Schedules the minutes. Call once, after the journal has been started."""
        self._started = True
        self._schedule()

    def write_accounts(self) -> "defer.Deferred[None]":
        """Writes the accounts after an operator's command has moved events.

        If the process is killed before its next full minute, the journal would otherwise not show which events came
        from an archive, a quarantine or another intake, and which from devices.
        """
        return self._write() if self._started else defer.succeed(None)

    async def stop(self) -> None:
        """Writes the last line and closes the journal. Call when no event moves any more and the thread still runs."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if not self._started:
            return
        self._started = False
        await self._writing
        accounts, drops, sources = self._accounts(), self._kernel_drops(), self._sources(True)

        def write_last() -> None:
            self._journal.stop(accounts, drops, sources)
            self._journal.close()

        await self._run(write_last)

    def _schedule(self) -> None:
        """Schedules the next full minute, or the one after it if it is less than a second away."""
        wait = MINUTE - self._wall() % MINUTE
        self._next = self._reactor.callLater(wait if wait >= 1 else wait + MINUTE, self._minute)

    def _minute(self) -> None:
        self._next = None
        self._write().addCallback(lambda nothing: self._schedule() if self._started else None)

    def _write(self) -> "defer.Deferred[None]":
        accounts, drops, sources = self._accounts(), self._kernel_drops(), self._sources(False)
        writing = self._run(lambda: self._journal.minute(accounts, drops, sources))
        self._writing = writing.addErrback(lambda failure: log.failure("defect while writing the journal", failure))
        return self._writing

    def _accounts(self) -> dict[str, Account]:
        return {
            name: replace(account, dropped=account.dropped.copy()) for name, account in self._ledger.accounts.items()
        }
