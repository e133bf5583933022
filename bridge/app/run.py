"""``syslog-bridge run``: one process around a bridge. Its reactor, its signals, what it may have, its exit code."""

import gc
import resource
import signal
import sys
from pathlib import Path

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.app.bridge import Bridge
from bridge.config import Config, ConfigurationError, load
from bridge.host import logs
from bridge.host.reactor import install_reactor
from bridge.host.systemd import ServiceManager, first_environment
from bridge.listen.sockets import ListenError
from bridge.spool import SpoolError
from bridge.syslog.fast import pcre2

log = Logger(namespace="app")


def _raise_descriptors(config: Config) -> None:
    """As many descriptors as we may have: most shells and units give a program 1,024 until it asks for more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = sum(listener.max_connections for listener in config.listeners if not listener.takes_datagrams)
    if hard != resource.RLIM_INFINITY and wanted > hard - 200:
        log.warn(
            "the listeners may have {wanted} connections, and this process {hard} descriptors: raise LimitNOFILE= or"
            " ulimit -Hn, or lower max_connections", wanted=wanted, hard=hard,
        )  # fmt: skip


def _tell_what_is_missing() -> None:
    """What the bridge works without, but not as well."""
    if pcre2.load() is None:
        log.warn(
            "libpcre2-8 is not on this machine (Debian: libpcre2-8-0): to read costs more CPU, and several times as"
            " much where one connection carries messages of many kinds"
        )


def _spare_the_collector() -> None:
    """What has been built lives as long as the process: Python's garbage collector need not look at it again and again,
    and not at every few hundred rows of a read."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def run(path: Path, *, log_format: str = "auto", log_level: str = "info") -> int:
    """``syslog-bridge run``: the exit code. The log's format and level are those of ``logs``."""
    try:
        config = load(path)
    except ConfigurationError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)  # noqa: T201
        return 2
    reactor = install_reactor()
    recent = logs.begin(log_format, log_level)
    # Only now: what is said before the log begins is said to nobody.
    _raise_descriptors(config)
    _tell_what_is_missing()
    code = 0

    async def live() -> None:
        try:
            bridge = Bridge(config, reactor, recent=recent, manager=ServiceManager(first_environment()))
            await bridge.start()
        except (SpoolError, ListenError) as error:
            print(f"syslog-bridge: {error}", file=sys.stderr)  # noqa: T201
            nonlocal code
            code = 2
            reactor.stop()
            return
        _spare_the_collector()
        reactor.addSystemEventTrigger("before", "shutdown", lambda: stop(bridge))
        signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(bridge.reload.asked))
        bridge.tell_ready()

    def stop(bridge: Bridge) -> "defer.Deferred[None]":
        log.info("stopping")
        ended = defer.ensureDeferred(bridge.stop())
        ended.addErrback(lambda failure: log.failure("defect while stopping", failure))
        ended.addCallback(
            lambda nothing: log.info("stopped; {n} events wait in the spool", n=bridge.ledger.total().spooled)
        )
        return ended

    def begin() -> None:
        # Until there is something to reload.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

        def defect(failure: Failure) -> None:
            nonlocal code
            log.failure("defect while starting", failure)
            code = 1
            reactor.stop()

        defer.ensureDeferred(live()).addErrback(defect)

    reactor.callWhenRunning(begin)
    reactor.run()
    return code
