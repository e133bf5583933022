"""Delivers the events in the spool while no bridge runs (``syslog-bridge drain``), with a bridge without listeners."""

from typing import Any

from twisted.internet import defer, task
from twisted.python.failure import Failure

from bridge.app.bridge import Bridge
from bridge.config import Config
from bridge.host import logs
from bridge.host.reactor import install_reactor
from bridge.listen.sockets import ListenError
from bridge.operations.command import CommandError
from bridge.spool import SpoolError

POLL_INTERVAL = 0.25
"Seconds between two checks whether the spool is empty."


def drain_spool(config: Config, timeout: float) -> dict[str, Any]:
    """Delivers for at most ``timeout`` seconds and returns the number of events left, in total and by intake.

    Raises CommandError if the bridge cannot start.
    """
    reactor = install_reactor()
    logs.begin()
    ended: list[dict[str, Any] | Failure] = []

    async def deliver() -> dict[str, Any]:
        bridge = Bridge(config, reactor, listening=False)
        await bridge.start()
        try:
            ends_at = reactor.seconds() + timeout
            while bridge.ledger.total().spooled and reactor.seconds() < ends_at:
                await task.deferLater(reactor, POLL_INTERVAL)
        finally:
            await bridge.stop()
        accounts = bridge.ledger.accounts.items()
        return {
            "left": bridge.ledger.total().spooled,
            "by_intake": {name: account.spooled for name, account in accounts if account.spooled},
        }

    def begin() -> None:
        defer.ensureDeferred(deliver()).addBoth(ended.append).addBoth(lambda nothing: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    (result,) = ended
    if isinstance(result, Failure):
        if result.check(SpoolError, ListenError):
            raise CommandError(result.getErrorMessage())
        result.raiseException()
    assert isinstance(result, dict)
    return result
