"""Delivers the events in the spool while no bridge runs (``syslog-bridge drain``), with a bridge without listeners."""

from twisted.internet import defer
from twisted.python.failure import Failure

from bridge.app.bridge import Bridge
from bridge.app.process import Process
from bridge.config import Config
from bridge.host import logs
from bridge.host.reactor import install_reactor
from bridge.operations.command import JSON, CommandError
from bridge.operations.drain import deliver_all, events_left
from bridge.spool import SpoolError
from bridge.storage.open import wall_clock


def drain_spool(config: Config, timeout: float) -> JSON:
    """Delivers for at most ``timeout`` seconds, or until a signal. Returns what ``events_left`` returns.

    Raises CommandError if the bridge cannot start.
    """
    reactor = install_reactor()
    logs.begin()
    failures: list[Failure] = []

    async def deliver(bridge: Bridge) -> None:
        await bridge.start()
        reactor.addSystemEventTrigger("before", "shutdown", lambda: defer.ensureDeferred(bridge.stop()))
        await deliver_all(bridge.ledger, reactor, timeout, lambda progress: True)

    def begin(bridge: Bridge) -> None:
        defer.ensureDeferred(deliver(bridge)).addErrback(failures.append).addBoth(lambda nothing: reactor.stop())

    try:
        bridge = Bridge(config, Process(reactor, wall_clock(config)), listening=False)
        reactor.callWhenRunning(begin, bridge)
        reactor.run()
        for failure in failures:
            failure.raiseException()
    except SpoolError as error:
        raise CommandError(str(error)) from None
    return events_left(bridge.ledger)
