"""Implements ``syslog-bridge demo``: runs a collector, a bridge and a dozen devices in one process."""

import shutil
import tempfile
from pathlib import Path

import click
from twisted.internet import defer, task
from twisted.python.failure import Failure

from bridge.cli.options import CliCommand, example
from bridge.host import logs
from bridge.host.interfaces import Reactor
from bridge.host.reactor import install_reactor
from bridge.listen.sockets import ListenError
from bridge.spool import SpoolError
from bridge.trial.demo import WITHIN_SECONDS, Demo
from bridge.util.errors import BridgeError


def _write(text: str, color: str | None, bold: bool) -> None:
    # click removes the colour if stdout is not a terminal.
    click.secho(text, fg=color, bold=bold or None)


@click.command(cls=CliCommand, epilog=example("syslog-bridge demo"))
@click.option("--once", is_flag=True, help="Exit when the events of all devices have arrived.")
def demo(once: bool) -> None:
    """Run a demonstration: a collector, a bridge and sample devices in one process. Needs no configuration."""
    reactor = install_reactor()
    recent = logs.begin("text", "warn", kept="info")
    spool = Path(tempfile.mkdtemp(prefix="syslog-bridge-demo-"))
    try:
        code = _run(reactor, Demo(reactor, spool, _write, recent=recent), once=once)
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    raise SystemExit(code)


def _run(reactor: Reactor, system: Demo, *, once: bool) -> int:
    code = 0

    def fail(text: str) -> None:
        nonlocal code
        code = 1
        click.echo(f"demo: {text}", err=True)
        _stop(reactor)

    async def run_demo() -> None:
        await system.start()
        await system.arrivals.complete.addTimeout(WITHIN_SECONDS, reactor)
        if once:
            _stop(reactor)
        else:
            system.print_next_steps()

    def failed(failure: Failure) -> None:
        if failure.check(defer.TimeoutError):
            missing = ", ".join(f"{sample.device} (intake {sample.intake})" for sample in system.arrivals.missing)
            fail(f"no event arrived within {WITHIN_SECONDS:g} s from {missing}")
        elif failure.check(BridgeError, SpoolError, ListenError):
            fail(str(failure.value))
        elif not failure.check(defer.CancelledError):
            fail(f"unexpected error. Please report this as a defect: {failure.getTraceback()}")

    system.arrivals.broken.addCallback(lambda error: fail(f"cannot write to stdout: {error.strerror}"))
    reactor.addSystemEventTrigger("before", "shutdown", lambda: defer.ensureDeferred(system.stop()))
    reactor.callWhenRunning(lambda: defer.ensureDeferred(run_demo()).addErrback(failed))
    reactor.run()
    return code


def _stop(reactor: Reactor) -> None:
    # Stop in the next reactor turn: if a request is being handled, its response must still be written.
    task.deferLater(reactor, 0, reactor.stop)
