"""Mirroring to other receivers: what is sent, what is dropped and counted, and what follows a reload."""

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


class Receiver:
    """The receiver of a stream: accepts connections of the mirror's reactor."""

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
def receiver() -> Receiver:
    return Receiver()


def test_frames_are_lines_of_the_stream(receiver: Receiver) -> None:
    receiver.accept()
    assert receiver.send() == (2, 0)
    assert receiver.transport.value() == b"<13>one\n<13>two\n"


def test_frame_with_a_line_end_is_octet_counted(receiver: Receiver) -> None:
    receiver.accept()
    receiver.send([b"<13>a\nb", b"<13>c"])
    assert receiver.transport.value() == b"7 <13>a\nb<13>c\n"


def test_frames_are_dropped_until_the_receiver_has_accepted(receiver: Receiver) -> None:
    assert receiver.send() == (0, 2)
    receiver.accept()
    assert receiver.send() == (2, 2)


def test_frames_are_dropped_while_the_receiver_does_not_read(receiver: Receiver) -> None:
    receiver.accept()
    receiver.protocol.pauseProducing()
    assert receiver.send() == (0, 2)
    receiver.protocol.resumeProducing()
    assert receiver.send() == (2, 2)


def test_lost_connection_is_opened_again(receiver: Receiver) -> None:
    receiver.accept()
    connector = receiver.reactor.connectors[-1]
    retries = []
    connector.connect = lambda: retries.append(True)
    receiver.factory.clientConnectionLost(connector, Failure(ConnectionDone()))
    assert receiver.send() == (0, 2)
    receiver.reactor.advance(60)
    assert retries == [True]


def test_refused_connection_is_tried_again(receiver: Receiver) -> None:
    connector = receiver.reactor.connectors[-1]
    retries = []
    connector.connect = lambda: retries.append(True)
    receiver.factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
    receiver.reactor.advance(60)
    assert retries == [True]


def test_target_that_a_reload_removes_is_closed(receiver: Receiver) -> None:
    receiver.accept()
    receiver.mirror.change(set())
    assert receiver.transport.disconnecting
    assert receiver.send() == (0, 2)


def test_target_that_a_reload_keeps_keeps_its_connection(receiver: Receiver) -> None:
    receiver.accept()
    receiver.mirror.change({STREAM, copy_target("tcp://127.0.0.1:5141")})
    assert receiver.send() == (2, 0)
    assert not receiver.transport.disconnecting


class Resolving(MemoryReactorClock):
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
    mirror = Mirror(Resolving())
    mirror.change({target})
    mirror.send({target}, [*FRAMES, b"a\nb"])
    assert [datagrams.recv(100) for _ in range(3)] == [*FRAMES, b"a\nb"]
    assert (mirror.sent[str(target)], mirror.dropped[str(target)]) == (3, 0)
    mirror.stop()
    mirror.send({target}, FRAMES)
    assert mirror.dropped[str(target)] == 2


def test_frame_too_long_for_a_datagram_is_dropped_alone(datagrams: socket.socket) -> None:
    target = copy_target(f"udp://127.0.0.1:{datagrams.getsockname()[1]}")
    mirror = Mirror(Resolving())
    mirror.change({target})
    mirror.send({target}, [b"x" * 70_000, b"<13>short"])
    assert datagrams.recv(100) == b"<13>short"
    assert (mirror.sent[str(target)], mirror.dropped[str(target)]) == (1, 1)
    mirror.stop()
