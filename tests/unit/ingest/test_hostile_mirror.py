"""Tests targets of `mirror_to` that send data, or end each connection."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogEvent, LogLevel, eventAsText, globalLogPublisher
from twisted.python.failure import Failure

from bridge.config.addresses import mirror_target
from bridge.ingest.mirror import MAX_ANSWER, REPORT_EVERY, Mirror

STREAM = mirror_target("tcp://127.0.0.1:5140")


class Aborting(StringTransport):
    """Records an abort."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


def test_target_that_sends_data_without_end_is_disconnected_and_reported_once_a_minute() -> None:
    reactor, warnings = MemoryReactorClock(), []

    def observe(event: LogEvent) -> None:
        if event.get("log_level") == LogLevel.warn:
            warnings.append(eventAsText(event, includeTimestamp=False, includeSystem=False))

    globalLogPublisher.addObserver(observe)
    try:
        Mirror(reactor).change({STREAM})
        connections, seconds = 10, 3.0
        for count in range(1, connections + 1):
            assert len(reactor.tcpClients) == count
            protocol, transport = reactor.tcpClients[-1][2].buildProtocol(None), Aborting()
            protocol.makeConnection(transport)
            protocol.dataReceived(bytes(MAX_ANSWER))
            assert not transport.aborted
            protocol.dataReceived(b"x")
            assert transport.aborted
            protocol.connectionLost(Failure(ConnectionDone()))
            reactor.advance(seconds)
        assert len(warnings) == 1 and "the target sends data" in warnings[0]
        reactor.advance(REPORT_EVERY)
        protocol = reactor.tcpClients[-1][2].buildProtocol(None)
        protocol.makeConnection(Aborting())
        protocol.connectionLost(Failure(ConnectionDone()))
        assert len(warnings) == 2 and f"({connections} times since the last report)" in warnings[1]
    finally:
        globalLogPublisher.removeObserver(observe)
