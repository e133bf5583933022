"""Drains a gateway: closes the listeners and delivers all events. A reload opens the listeners again."""

from collections.abc import Callable

from twisted.internet import task

from bridge.accounting import Ledger
from bridge.host.interfaces import Reactor
from bridge.listen.listener_set import ListenerSet
from bridge.monitoring.alarms import Alarms
from bridge.operations.command import Progress

POLL_INTERVAL = 0.25
"Seconds between two checks of the number of events left."


class Drain:
    """Drains one running bridge.

    ``finish`` appends to the spool the socket reads that were held back because the spool was full.
    """

    def __init__(
        self, reactor: Reactor, *, listener_set: ListenerSet, ledger: Ledger, alarms: Alarms, finish: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._listener_set = listener_set
        self._ledger = ledger
        self._alarms = alarms
        self._finish = finish

    async def run(self, timeout: float, progress: Progress) -> dict[str, object]:
        """Closes the listeners and waits until no events are left.

        Stops after ``timeout`` seconds, or once ``progress`` returns False. Returns the number of events left, in total
        and by intake.
        """
        ends_at = self._reactor.seconds() + timeout
        self._alarms.on(
            "drain", "listeners", "drained by command: the listeners are closed. A reload or a restart opens them"
        )
        await self._listener_set.close()
        self._finish()
        while self._left():
            if self._reactor.seconds() >= ends_at or not progress({"left": self._left()}):
                break
            await task.deferLater(self._reactor, POLL_INTERVAL)
        return {"left": self._left(), "by_intake": {
            name: account.spooled for name, account in self._ledger.accounts.items() if account.spooled
        }}  # fmt: skip

    def _left(self) -> int:
        total = self._ledger.total()
        return total.spooled + total.buffered
