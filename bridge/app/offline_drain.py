"""Delivers the events in the spool while no bridge runs (``syslog-bridge drain``), with a bridge without listeners."""

import os
from importlib.resources import files

from twisted.internet import defer
from twisted.python.failure import Failure

import bridge
from bridge.app.bridge import Bridge
from bridge.app.process import Process
from bridge.config import Config
from bridge.host import logs
from bridge.host.reactor import install_reactor
from bridge.operations.command import JSON, CommandError, Progress
from bridge.operations.drain import deliver_all, events_left
from bridge.operations.operator import local_operator
from bridge.spool import SpoolError
from bridge.storage.open import wall_clock

# Modules that Python loads on first use. Root loads them before it becomes the user of the spool, who may not be
# allowed to read them.
"localhost".encode("idna")
files("bridge.admin")


def drain_spool(config: Config, timeout: float) -> JSON:
    """Delivers for at most ``timeout`` seconds, or until a signal. Returns what ``events_left`` returns.

    Raises CommandError if the bridge cannot start.
    """
    if not os.access(bridge.__file__, os.R_OK):
        raise CommandError(
            f"the user of the spool cannot read the program {bridge.__file__}. Install it where all users can read it"
        )
    reactor = install_reactor()
    logs.begin()
    failures: list[Failure] = []

    async def run(given: JSON, progress: Progress) -> JSON:
        return await deliver_all(gateway.ledger, reactor, timeout, progress)

    async def deliver(gateway: Bridge) -> None:
        await gateway.start()
        reactor.addSystemEventTrigger("before", "shutdown", lambda: defer.ensureDeferred(gateway.stop()))
        await gateway.actions.run("drain", run, {"timeout_seconds": timeout}, lambda progress: True, local_operator())

    def begin(gateway: Bridge) -> None:
        defer.ensureDeferred(deliver(gateway)).addErrback(failures.append).addBoth(lambda nothing: reactor.stop())

    try:
        gateway = Bridge(config, Process(reactor, wall_clock(config)), listening=False)
        reactor.callWhenRunning(begin, gateway)
        reactor.run()
        for failure in failures:
            failure.raiseException()
    except SpoolError as error:
        raise CommandError(str(error)) from None
    return events_left(gateway.ledger)
