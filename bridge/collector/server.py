"""Runs the collector as a program, from its options until SIGTERM or SIGINT."""

import sys
from collections.abc import Collection
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import FilteringLogObserver, LogLevel, LogLevelFilterPredicate, globalLogBeginner
from twisted.logger import textFileLogObserver as text_log
from twisted.python.failure import Failure

from bridge.collector.api import IntakeResource
from bridge.collector.delivery import Sink
from bridge.collector.listening import CollectorError, ListenAddress, listen
from bridge.collector.output import Counting, JsonLines
from bridge.collector.site import IntakeSite
from bridge.host.interfaces import Reactor
from bridge.host.reactor import install_reactor
from bridge.util.errors import BridgeError

_COUNT_INTERVAL_SECONDS = 1.0
_LAST_ANSWER_SECONDS = 0.1


class OutputError(BridgeError):
    """Raised when the collector has ended because its output could not be written."""


def run(
    address: ListenAddress, *, keys: Collection[str], certificate: Path | None, private_key: Path | None,
    output: Path | None, count: bool,
) -> None:  # fmt: skip
    """Serves until the reactor stops. Prints the URL in one line on stderr once the port is bound.

    ``output``: file to which the events are appended, None for stdout. ``count``: count the events (a JSON line with
    totals per second) instead of writing them. Raises CollectorError if it cannot start. Raises OutputError if the
    output failed (full disk, closed pipe); the events not written were not acknowledged.
    """
    reactor = install_reactor()
    observer = FilteringLogObserver(text_log(sys.stderr), [LogLevelFilterPredicate(LogLevel.warn)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
    with ExitStack() as ending:
        file = ending.enter_context(closing(_Output(output, reactor)))
        sink = _counting_sink(file, reactor, ending) if count else JsonLines(file.write)
        site = IntakeSite(IntakeResource(sink, keys=frozenset(keys) or None), reactor)
        port = _fired_result(ensureDeferred(listen(reactor, address, site, certificate, private_key)))
        bound = ListenAddress(address.host, port.getHost().port)  # type: ignore[attr-defined]  # an IPv4Address or IPv6Address
        scheme = "http" if certificate is None else "https"
        line = f"collector: listening on {scheme}://{bound}/"
        # Printed after the reactor has installed its signal handlers: from then on a signal ends the program cleanly.
        reactor.callWhenRunning(print, line, file=sys.stderr, flush=True)
        reactor.run()


class _Output:
    """Writes the sink's data to a file. Ends the program if a write fails: endless 503 would hide a closed pipe."""

    def __init__(self, path: Path | None, reactor: Reactor) -> None:
        """Opens the file. Raises CollectorError if ``path`` cannot be opened."""
        self._name = str(path or "stdout")
        self._reactor = reactor
        self.error: OSError | None = None
        try:
            # Stdout gets its own file object, because the interpreter reports an error if it cannot flush sys.stdout.
            self._file = open(sys.stdout.fileno() if path is None else path, "ab", closefd=path is not None)  # noqa: SIM115
        except OSError as error:
            raise CollectorError(f"cannot write to {self._name}: {error.strerror}") from None

    def write(self, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            self.error = error
            # Stop a little later, so that the current request still gets its 503.
            self._reactor.callLater(_LAST_ANSWER_SECONDS, self._reactor.stop)
            raise

    def close(self) -> None:
        """Closes the file. Raises OutputError if a write has failed."""
        with suppress(OSError):  # the only unwritten data is that of a failed write
            self._file.close()
        if self.error is not None:
            raise OutputError(f"cannot write to {self._name}: {self.error.strerror or self.error}")


def _counting_sink(output: _Output, reactor: Reactor, ending: ExitStack) -> Sink:
    sink, written = Counting(), 0

    def write_counts() -> None:
        nonlocal written
        if sink.requests > written:
            written = sink.requests
            with suppress(OSError):  # _Output keeps the error
                output.write(sink.as_json(datetime.now(UTC)))

    totals = LoopingCall(write_counts)
    totals.clock = reactor
    reactor.callWhenRunning(totals.start, _COUNT_INTERVAL_SECONDS)
    ending.callback(write_counts)
    return sink


def _fired_result(listening: Deferred[IListeningPort]) -> IListeningPort:
    """Returns the result of a Deferred that has already fired, as binding a port does not wait."""
    results: list[IListeningPort | Failure] = []
    listening.addBoth(results.append)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]
