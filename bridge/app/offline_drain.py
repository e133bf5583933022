"""``syslog-bridge drain`` where no bridge runs: one without listeners delivers what its spool holds."""

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

LOOK_EVERY = 0.25
"Seconds."


def emptied(config: Config, timeout: float) -> dict[str, Any]:
    """Deliver for so many seconds at most; what is left. Raises CommandError if it cannot start."""
    reactor = install_reactor()
    logs.begin()
    ended: list[dict[str, Any] | Failure] = []

    async def deliver() -> dict[str, Any]:
        bridge = Bridge(config, reactor, listening=False)
        await bridge.start()
        try:
            ends_at = reactor.seconds() + timeout
            while bridge.ledger.total().spooled and reactor.seconds() < ends_at:
                await task.deferLater(reactor, LOOK_EVERY)
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
