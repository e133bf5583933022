"""The collector as a program: from its options to a listening site, until SIGTERM or SIGINT."""

import sys
from collections.abc import Collection
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import FilteringLogObserver, LogLevel, LogLevelFilterPredicate, globalLogBeginner
from twisted.logger import textFileLogObserver as text_log

from bridge.collector.api import IntakeResource
from bridge.collector.delivery import Sink
from bridge.collector.listening import (
    CollectorError,
    ListenAddress,
    listen,
    parse_address,
)
from bridge.collector.output import Counting, JsonLines
from bridge.collector.site import IntakeSite

_COUNT_INTERVAL_SECONDS = 1.0
_LAST_ANSWER_SECONDS = 0.1


class OutputError(Exception):
    """The events could not be written any more; the collector has ended."""


@dataclass(frozen=True)
class Options:
    """What the command line says; see `bridge.cli.collector`."""

    listen: str
    keys: Collection[str] = ()
    certificate: Path | None = None
    private_key: Path | None = None
    output: Path | None = None
    """Appended to; None: stdout."""
    count: bool = False
    """Count events (a JSON line with totals a second) instead of writing them."""


def run(options: Options, reactor: Any = None) -> None:
    """Serve until the reactor stops. One line on stderr names the URL once the port is bound.

    ``reactor``: the one to run, None for Twisted's default. Raises CollectorError before it serves, OutputError when
    the output broke (a full disk, a closed pipe): no answer then said that these events were received.
    """
    if reactor is None:
        # Importing it installs it: not before somebody runs the collector, and never over app's.
        from twisted.internet import reactor  # noqa: PLC0415
    address = parse_address(options.listen)
    observer = FilteringLogObserver(text_log(sys.stderr), [LogLevelFilterPredicate(LogLevel.warn)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
    with ExitStack() as ending:
        output = ending.enter_context(closing(_Output(options.output, reactor)))
        sink = _counting(output, reactor, ending) if options.count else JsonLines(output)
        site = IntakeSite(IntakeResource(sink, keys=frozenset(options.keys) or None), reactor)
        port = _now(listen(reactor, address, site, options.certificate, options.private_key))
        bound = ListenAddress(address.host, port.getHost().port)  # type: ignore[attr-defined]  # an IPv4Address or IPv6Address
        scheme = "http" if options.certificate is None else "https"
        said = f"collector: listening on {scheme}://{bound}/"
        # Not before the reactor has the signals: whoever reads it may end us well.
        reactor.callWhenRunning(print, said, file=sys.stderr, flush=True)
        reactor.run()


class _Output:
    """The file behind the sink. When it fails the program ends: 503 for ever would only hide a closed pipe."""

    def __init__(self, path: Path | None, reactor: Any) -> None:
        """Raises CollectorError when ``path`` cannot be opened."""
        self._name = str(path or "stdout")
        self._reactor = reactor
        self.error: OSError | None = None
        try:
            # A file object of its own for stdout too: the interpreter complains when it cannot flush sys.stdout.
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
            # Not now: the request at hand still gets its 503.
            self._reactor.callLater(_LAST_ANSWER_SECONDS, self._reactor.stop)
            raise

    def flush(self) -> None:
        """Each write is flushed."""

    def close(self) -> None:
        """Raises OutputError when a write has failed."""
        with suppress(OSError):  # only what has already failed is left to write
            self._file.close()
        if self.error is not None:
            raise OutputError(f"cannot write to {self._name}: {self.error.strerror or self.error}")


def _counting(output: _Output, reactor: Any, ending: ExitStack) -> Sink:
    sink, written = Counting(), 0

    def write_counts() -> None:
        nonlocal written
        if sink.requests > written:
            written = sink.requests
            with suppress(OSError):  # the output has noted it
                output.write(sink.as_json(datetime.now(UTC)))

    totals = LoopingCall(write_counts)
    totals.clock = reactor
    reactor.callWhenRunning(totals.start, _COUNT_INTERVAL_SECONDS)
    ending.callback(write_counts)
    return sink


def _now(listening: Deferred[IListeningPort]) -> IListeningPort:
    """The result of a Deferred that has already fired: binding a port does not wait."""
    results: list[IListeningPort] = []
    failures: list[BaseException] = []
    listening.addCallbacks(results.append, lambda failure: failures.append(failure.value))
    for error in failures:
        raise error
    return results[0]
