"""Runs one bridge as a process (``syslog-bridge run``): reactor, signals, resource limits and exit code."""

import gc
import resource
import signal
import sys
from pathlib import Path

from twisted.internet import defer
from twisted.logger import Logger

from bridge.app.bridge import Bridge
from bridge.app.old_names import warn_about_old_names
from bridge.app.process import Process
from bridge.app.unconfirmed import choose
from bridge.config import Config, ConfigurationError, load
from bridge.host import logs
from bridge.host.memory import Allocator
from bridge.host.reactor import install_reactor
from bridge.host.systemd import ServiceManager, first_environment
from bridge.listen.sockets import ListenError
from bridge.spool import SpoolError
from bridge.storage.open import wall_clock
from bridge.syslog.reader import uses_pcre2
from bridge.util.counts import counted, verb

log = Logger(namespace="app")


def _raise_descriptor_limit(config: Config) -> None:
    """Raises the soft limit of file descriptors to the hard limit; the usual soft limit is only 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = sum(listener.max_connections for listener in config.listeners if not listener.takes_datagrams)
    if hard != resource.RLIM_INFINITY and wanted > hard - 200:
        log.warn(
            "the listeners may open {wanted}, but this process is limited to {hard}. Raise LimitNOFILE= or"
            " ulimit -Hn, or lower max_connections", wanted=counted(wanted, "connection"),
            hard=counted(hard, "file descriptor"),
        )  # fmt: skip


def _warn_about_missing_libraries() -> None:
    """Logs a warning for each missing library that the bridge can run without, but slower."""
    if not uses_pcre2():
        log.warn(
            "libpcre2-8 is not installed: parsing uses more CPU, several times as much if one connection carries"
            " messages of many kinds. Install it (Debian: libpcre2-8-0)"
        )


def _tune_garbage_collector() -> None:
    """Excludes the objects built so far from Python's garbage collection, as they live as long as the process.

    Also raises the collection threshold, so that a collection does not run for every few hundred rows of a read.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def run(path: Path, *, log_format: str = "auto", log_level: str = "info") -> int:
    """Runs the bridge until it is stopped and returns the exit code. ``log_format`` and ``log_level``: as in
    ``logs.begin``.

    The code is 2 only for a faulty configuration, which no further start can correct; the unit does not restart then. A
    port in use or a spool that cannot be opened gives 1: the port may get free, and the disk may be mounted later.
    """
    try:
        config = load(path)
    except ConfigurationError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)  # noqa: T201
        return 2
    reactor = install_reactor()
    recent = logs.begin(log_format, log_level)
    Allocator().tune()
    # After logs.begin: earlier warnings would be lost.
    _raise_descriptor_limit(config)
    _warn_about_missing_libraries()
    warn_about_old_names(config)
    code = 0
    wall = wall_clock(config)
    # The configuration on disk may wait for its confirmation.
    config, unconfirmed, text = choose(config, wall())
    if text:
        log.warn("{text}", text=text)

    async def start() -> None:
        nonlocal code
        # SIGHUP is ignored until the bridge runs; its default action would end the process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            manager = ServiceManager(first_environment())
            bridge = Bridge(config, Process(reactor, wall, recent=recent, manager=manager), unconfirmed=unconfirmed)
            await bridge.start()
        except (SpoolError, ListenError) as error:
            print(f"syslog-bridge: {error}", file=sys.stderr)  # noqa: T201
            code = 1
            reactor.stop()
        except Exception:
            log.failure("defect while starting")
            code = 1
            reactor.stop()
        else:
            _tune_garbage_collector()
            reactor.addSystemEventTrigger("before", "shutdown", lambda: defer.ensureDeferred(_stop(bridge)))
            signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(bridge.reload_on_signal))
            bridge.report_ready()

    reactor.callWhenRunning(lambda: defer.ensureDeferred(start()))
    reactor.run()
    return code


async def _stop(bridge: Bridge) -> None:
    log.info("stopping")
    try:
        await bridge.stop()
    except Exception:
        log.failure("defect while stopping")
    left = bridge.ledger.total().spooled
    log.info("stopped; {events} in the spool", events=f"{counted(left, 'event')} {verb(left, 'waits', 'wait')}")
