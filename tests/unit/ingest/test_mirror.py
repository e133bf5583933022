"""Tests mirroring to other receivers: sent frames, dropped frames, and changes by a reload."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from bridge.config.addresses import copy_target
from bridge.ingest.mirror import Mirror

STREAM = copy_target("tcp://127.0.0.1:5140")
FRAMES = [b"<13>one", b"<13>two"]


class MirrorFixture:
    """A mirror and the receiver of its stream, which accepts the mirror's connections."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.mirror = Mirror(self.reactor)
        self.mirror.change({STREAM})
        self.transport = StringTransport()

    @property
    def factory(self):
        return self.reactor.tcpClients[-1][2]

    def accept(self):
        self.protocol = self.factory.buildProtocol(None)
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
    fixture.protocol.pauseProducing()
    assert fixture.send() == (0, 2)
    fixture.protocol.resumeProducing()
    assert fixture.send() == (2, 2)


def test_lost_connection_is_opened_again(fixture: MirrorFixture) -> None:
    fixture.accept()
    connector = fixture.reactor.connectors[-1]
    retries = []
    connector.connect = lambda: retries.append(True)
    fixture.factory.clientConnectionLost(connector, Failure(ConnectionDone()))
    assert fixture.send() == (0, 2)
    fixture.reactor.advance(60)
    assert retries == [True]


def test_refused_connection_is_tried_again(fixture: MirrorFixture) -> None:
    connector = fixture.reactor.connectors[-1]
    retries = []
    connector.connect = lambda: retries.append(True)
    fixture.factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
    fixture.reactor.advance(60)
    assert retries == [True]


def test_target_that_a_reload_removes_is_closed(fixture: MirrorFixture) -> None:
    fixture.accept()
    fixture.mirror.change(set())
    assert fixture.transport.disconnecting
    assert fixture.send() == (0, 2)


def test_target_that_a_reload_keeps_keeps_its_connection(fixture: MirrorFixture) -> None:
    fixture.accept()
    fixture.mirror.change({STREAM, copy_target("tcp://127.0.0.1:5141")})
    assert fixture.send() == (2, 0)
    assert not fixture.transport.disconnecting


class ResolvingReactor(MemoryReactorClock):
    """A reactor that resolves addresses to themselves."""

    def resolve(self, name: str, timeout: object = None) -> Deferred[str]:
        return succeed(name)


@pytest.fixture
def datagrams() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(30)
        yield bound


def test_frames_are_datagrams(datagrams: socket.socket) -> None:
    target = copy_target(f"udp://127.0.0.1:{datagrams.getsockname()[1]}")
    mirror = Mirror(ResolvingReactor())
    mirror.change({target})
    mirror.send({target}, [*FRAMES, b"a\nb"])
    assert [datagrams.recv(100) for _ in range(3)] == [*FRAMES, b"a\nb"]
    assert (mirror.sent[str(target)], mirror.dropped[str(target)]) == (3, 0)
    mirror.stop()
    mirror.send({target}, FRAMES)
    assert mirror.dropped[str(target)] == 2


def test_frame_too_long_for_a_datagram_is_dropped_alone(datagrams: socket.socket) -> None:
    target = copy_target(f"udp://127.0.0.1:{datagrams.getsockname()[1]}")
    mirror = Mirror(ResolvingReactor())
    mirror.change({target})
    mirror.send({target}, [b"x" * 70_000, b"<13>short"])
    assert datagrams.recv(100) == b"<13>short"
    assert (mirror.sent[str(target)], mirror.dropped[str(target)]) == (1, 1)
    mirror.stop()
