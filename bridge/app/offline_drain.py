"""Delivers the events in the spool while no bridge runs (``syslog-bridge drain``), with a bridge without listeners."""

from twisted.internet import defer
from twisted.python.failure import Failure

from bridge.app.bridge import Bridge
from bridge.app.process import Process
from bridge.config import Config
from bridge.host import logs
from bridge.host.reactor import install_reactor
from bridge.operations.command import JSON, CommandError
from bridge.operations.drain import deliver_all
from bridge.spool import SpoolError


def drain_spool(config: Config, timeout: float) -> JSON:
    """Delivers for at most ``timeout`` seconds and returns the number of events left, in total and by intake.

    Raises CommandError if the bridge cannot start.
    """
    reactor = install_reactor()
    logs.begin()
    ended: list[JSON | Failure] = []

    async def deliver() -> JSON:
        bridge = Bridge(config, Process.of(reactor), listening=False)
        await bridge.start()
        try:
            return await deliver_all(bridge.ledger, reactor, timeout, lambda progress: True)
        finally:
            await bridge.stop()

    def begin() -> None:
        defer.ensureDeferred(deliver()).addBoth(ended.append).addBoth(lambda nothing: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    (result,) = ended
    if isinstance(result, Failure):
        if result.check(SpoolError):
            raise CommandError(result.getErrorMessage())
        result.raiseException()
    return result
