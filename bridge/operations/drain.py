"""Empty a gateway: take no more messages, deliver what is there. A reload opens the listeners again."""

from collections.abc import Callable
from typing import Any

from twisted.internet import task

from bridge.accounting import Ledger
from bridge.listen.listener_set import ListenerSet
from bridge.monitoring.alarms import Alarms
from bridge.operations.quarantine import Progress

LOOK_EVERY = 0.25
"Seconds."


class Drain:
    """One bridge's. ``finish`` appends what was held back for want of room."""

    def __init__(
        self, reactor: Any, *, listener_set: ListenerSet, ledger: Ledger, alarms: Alarms, finish: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._listener_set = listener_set
        self._ledger = ledger
        self._alarms = alarms
        self._finish = finish

    async def run(self, timeout: float, progress: Progress) -> dict[str, object]:
        """Until nothing waits, or so many seconds have passed, or nobody asks any more; what is left then."""
        ends_at = self._reactor.seconds() + timeout
        self._alarms.on("drain", "listeners", "drained by command: no messages are taken until a reload, or a restart")
        await self._listener_set.close()
        self._finish()
        while self._left():
            if self._reactor.seconds() >= ends_at or not progress({"left": self._left()}):
                break
            await task.deferLater(self._reactor, LOOK_EVERY)
        return {"left": self._left(), "by_intake": {
            name: account.spooled for name, account in self._ledger.accounts.items() if account.spooled
        }}  # fmt: skip

    def _left(self) -> int:
        total = self._ledger.total()
        return total.spooled + total.buffered
