"""Drains a gateway: closes the listeners and delivers all events. A reload opens the listeners again."""

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet import task
from twisted.internet.interfaces import IReactorTime

from bridge.accounting import Ledger
from bridge.listen.listener_set import ListenerSet
from bridge.operations.command import JSON, Progress
from bridge.util.alarms import AlarmSink

PROGRESS_INTERVAL = 0.25
"Seconds between two reports of the number of events left. The last one ends the wait."


@dataclass(frozen=True, slots=True)
class Drain:
    """Drains one running bridge.

    ``finish`` appends to the spool the socket reads that were held back because the spool was full.
    """

    clock: IReactorTime
    listener_set: ListenerSet
    ledger: Ledger
    alarms: AlarmSink
    finish: Callable[[], None]

    async def run(self, timeout: float, progress: Progress) -> JSON:
        """Closes the listeners, and delivers all events as ``deliver_all`` does."""
        ends_at = self.clock.seconds() + timeout
        text = "drained by command: the listeners are closed"
        self.alarms.on("drain", "listeners", text, remedy="a reload or a restart opens them")
        await self.listener_set.close()
        self.finish()
        return await deliver_all(self.ledger, self.clock, ends_at - self.clock.seconds(), progress)


async def deliver_all(ledger: Ledger, clock: IReactorTime, timeout: float, progress: Progress) -> JSON:
    """Waits until the couriers have delivered all events.

    Stops after ``timeout`` seconds, or once ``progress`` returns False. Returns what ``events_left`` returns.
    """
    ends_at = clock.seconds() + timeout
    # Only the ledger knows when the last event is gone: it also counts events that are parked or held by a sender.
    while (left := events_left(ledger)["left"]) and clock.seconds() < ends_at and progress({"left": left}):
        await task.deferLater(clock, PROGRESS_INTERVAL)
    return events_left(ledger)


def events_left(ledger: Ledger) -> JSON:
    """Returns the number of events that are not delivered, in total and by intake."""
    total = ledger.total()
    by_intake = {name: account.spooled for name, account in ledger.accounts.items() if account.spooled}
    return {"left": total.spooled + total.buffered, "by_intake": by_intake}
