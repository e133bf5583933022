"""Tests mirroring to other receivers: sent frames, dropped frames, and changes by a reload."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogEvent, LogLevel, eventAsText, globalLogPublisher
from twisted.python.failure import Failure

from bridge.config.addresses import mirror_target
from bridge.ingest.mirror import RESOLVE_EVERY, Mirror

STREAM = mirror_target("tcp://127.0.0.1:5140")
FRAMES = [b"<13>one", b"<13>two"]


class MirrorFixture:
    """A mirror and the receiver of its stream, which accepts the mirror's connections."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.mirror = Mirror(self.reactor)
        self.mirror.change({STREAM})
        self.transport = StringTransport()

    def accept(self):
        self.protocol = self.reactor.tcpClients[-1][2].buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def send(self, frames: list[bytes] = FRAMES) -> tuple[int, int]:
        """Mirrors frames; returns how many were sent and dropped in all."""
        self.mirror.send({STREAM}, frames)
        return self.mirror.sent[str(STREAM)], self.mirror.dropped[str(STREAM)]


@pytest.fixture
def fixture() -> MirrorFixture:
    return MirrorFixture()


def test_frames_are_lines_of_the_stream(fixture: MirrorFixture) -> None:
    fixture.accept()
    assert fixture.send() == (2, 0)
    assert fixture.transport.value() == b"<13>one\n<13>two\n"


def test_frame_with_a_line_end_is_octet_counted(fixture: MirrorFixture) -> None:
    fixture.accept()
    fixture.send([b"<13>a\nb", b"<13>c"])
    assert fixture.transport.value() == b"7 <13>a\nb<13>c\n"


def test_frames_are_dropped_until_the_receiver_has_accepted(fixture: MirrorFixture) -> None:
    assert fixture.send() == (0, 2)
    fixture.accept()
    assert fixture.send() == (2, 2)


def test_frames_are_dropped_while_the_receiver_does_not_read(fixture: MirrorFixture) -> None:
    fixture.accept()
    producer = fixture.transport.producer
    producer.pauseProducing()
    assert fixture.send() == (0, 2)
    producer.resumeProducing()
    assert fixture.send() == (2, 2)


def test_lost_connection_is_opened_again(fixture: MirrorFixture, warnings: list[str]) -> None:
    fixture.accept()
    fixture.protocol.connectionLost(Failure(ConnectionDone()))
    assert fixture.send() == (0, 2)
    assert len(warnings) == 1 and "no connection, copies are dropped" in warnings[0]
    fixture.reactor.advance(60)
    assert len(fixture.reactor.tcpClients) == 2
    fixture.transport = StringTransport()
    fixture.accept()
    assert fixture.send() == (2, 2)


def test_refused_connection_is_tried_again_and_reported_once(fixture: MirrorFixture, warnings: list[str]) -> None:
    for attempts in range(1, 4):
        assert len(fixture.reactor.tcpClients) == attempts
        fixture.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        # First the attempt is given up, then the wait before the next one passes.
        fixture.reactor.pump([1, 60])
    assert len(warnings) == 1 and "no connection, copies are dropped" in warnings[0]


def test_name_with_an_underscore_is_connected(fixture: MirrorFixture) -> None:
    fixture.mirror.change({mirror_target("tcp://log_collector:5140")})
    assert fixture.reactor.tcpClients[-1][:2] == ("log_collector", 5140)


def test_target_that_a_reload_removes_is_closed(fixture: MirrorFixture) -> None:
    fixture.accept()
    fixture.mirror.change(set())
    assert fixture.transport.disconnecting
    assert fixture.send() == (0, 2)


def test_target_that_a_reload_keeps_keeps_its_connection(fixture: MirrorFixture) -> None:
    fixture.accept()
    fixture.mirror.change({STREAM, mirror_target("tcp://127.0.0.1:5141")})
    assert fixture.send() == (2, 0)
    assert not fixture.transport.disconnecting


class ThreadlessReactor(MemoryReactorClock):
    """A reactor that runs the jobs of its thread pool at once."""

    def getThreadPool(self) -> Any:
        return SimpleNamespace(callInThreadWithCallback=lambda done, job, *args, **named: _run(done, job, args, named))

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:
        call(*args)


def _run(done: Callable[..., object], job: Callable[..., object], args: Any, named: Any) -> None:
    try:
        result = job(*args, **named)
    except Exception:
        done(False, Failure())
    else:
        done(True, result)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    found: list[str] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_level") == LogLevel.warn:
            found.append(eventAsText(event, includeTimestamp=False, includeSystem=False))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses by host name; names that are missing cannot be resolved."""
    real, found = socket.getaddrinfo, {}

    def resolve(host: str, port: int, **options: Any) -> list[Any]:
        if host not in found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [each for address in found[host] for each in real(address, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return found


@pytest.fixture(params=["127.0.0.1", "::1"])
def datagrams(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((request.param, 0))
        bound.settimeout(30)
        yield bound


def url(bound: socket.socket, host: str | None = None) -> str:
    address, port = bound.getsockname()[:2]
    return f"udp://{host or (f'[{address}]' if ':' in address else address)}:{port}"


def test_frames_are_datagrams(datagrams: socket.socket) -> None:
    target = mirror_target(url(datagrams))
    mirror = Mirror(ThreadlessReactor())
    mirror.change({target})
    mirror.send({target}, [*FRAMES, b"a\nb"])
    assert [datagrams.recv(100) for _ in range(3)] == [*FRAMES, b"a\nb"]
    assert (mirror.sent[str(target)], mirror.dropped[str(target)]) == (3, 0)
    mirror.stop()
    mirror.send({target}, FRAMES)
    assert mirror.dropped[str(target)] == 2


def test_frame_too_long_for_a_datagram_is_dropped_alone(datagrams: socket.socket) -> None:
    target = mirror_target(url(datagrams))
    mirror = Mirror(ThreadlessReactor())
    mirror.change({target})
    mirror.send({target}, [b"x" * 70_000, b"<13>short"])
    assert datagrams.recv(100) == b"<13>short"
    assert (mirror.sent[str(target)], mirror.dropped[str(target)]) == (1, 1)
    mirror.stop()


def test_name_is_resolved_in_both_families(datagrams: socket.socket, resolver: dict[str, list[str]]) -> None:
    address = datagrams.getsockname()[0]
    # With both families, IPv4 is preferred: the receiver on ::1 is only found where the name has no IPv4 address.
    resolver["receiver"] = ["::1", "127.0.0.1"] if address == "127.0.0.1" else ["::1"]
    target = mirror_target(url(datagrams, "receiver"))
    mirror = Mirror(ThreadlessReactor())
    mirror.change({target})
    mirror.send({target}, FRAMES)
    assert [datagrams.recv(100) for _ in FRAMES] == FRAMES
    mirror.stop()


def test_failed_resolution_keeps_the_previous_address(
    datagrams: socket.socket, resolver: dict[str, list[str]], warnings: list[str]
) -> None:
    reactor, target = ThreadlessReactor(), mirror_target(url(datagrams, "receiver"))
    mirror = Mirror(reactor)
    mirror.change({target})
    mirror.send({target}, FRAMES)
    assert mirror.dropped[str(target)] == 2
    assert "Name or service not known; copies are dropped" in warnings.pop()
    resolver["receiver"] = [datagrams.getsockname()[0]]
    reactor.advance(RESOLVE_EVERY)
    resolver.clear()
    reactor.advance(RESOLVE_EVERY)
    assert "Name or service not known; copies are still sent to its previous address" in warnings.pop()
    mirror.send({target}, FRAMES)
    assert [datagrams.recv(100) for _ in FRAMES] == FRAMES
    mirror.stop()
    reactor.advance(RESOLVE_EVERY)
    assert not warnings
