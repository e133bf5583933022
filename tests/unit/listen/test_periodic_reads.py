"""Tests that connections with little data are read together, and that none of their data is lost."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from bridge.host.reactor import SteadyReactor
from bridge.listen.periodic_reads import LARGE, SMALL_READS
from bridge.listen.stream_transport import StreamTransport
from bridge.listen.stream_turns import StreamTurns


class Receiver(Protocol):
    """Keeps each read."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []
        self.ended = False

    def dataReceived(self, data: bytes) -> None:
        self.reads.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended = True

    @property
    def received(self) -> bytes:
        return b"".join(self.reads)


class Gateway:
    """A reactor with connections that may be read periodically."""

    def __init__(self) -> None:
        self.reactor = SteadyReactor()
        self.turns = StreamTurns.for_reactor(self.reactor)
        assert self.turns.periodic is not None
        self.periodic = self.turns.periodic
        self.clients: list[socket.socket] = []

    def connect(self, *, waits: bool = True) -> tuple[socket.socket, Receiver]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            accepted, address = server.accept()
        protocol = Receiver()
        protocol.makeConnection(
            StreamTransport(accepted, protocol, address, None, 0, self.reactor, turns=self.turns, waits=waits)
        )
        self.clients.append(client)
        return client, protocol

    def turn_until(self, condition: Callable[[], object]) -> None:
        """Runs turns of the reactor until a condition holds. The test's own time limit ends it if it never does."""
        while not condition():
            self.reactor.runUntilCurrent()
            self.reactor.doPoll(0.001)

    def send_single_messages(self, client: socket.socket, protocol: Receiver) -> None:
        """Sends as many messages as let a connection be read periodically, each when the one before was read."""
        for number in range(SMALL_READS):
            client.sendall(b"m")
            self.turn_until(lambda number=number: len(protocol.reads) > number)

    def is_periodic(self, protocol: Receiver) -> bool:
        assert isinstance(protocol.transport, StreamTransport)
        return protocol.transport.fileno() in self.periodic._readers


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    for client in made.clients:
        client.close()
    made.reactor.removeAll()
    made.reactor._poller.close()


def test_messages_of_an_interval_are_read_together(gateway: Gateway) -> None:
    client, protocol = gateway.connect()
    gateway.send_single_messages(client, protocol)
    assert gateway.is_periodic(protocol)
    client.sendall(b"1")
    gateway.turn_until(lambda: protocol.reads[-1] == b"1")
    # The interval has just begun.
    gateway.periodic._timer.delay(3600)
    for text in (b"2", b"3", b"4"):
        client.sendall(text)
        gateway.reactor.runUntilCurrent()
        gateway.reactor.doPoll(0.01)
    assert protocol.reads[-1] == b"1"
    gateway.periodic._timer.reset(0)
    gateway.turn_until(lambda: protocol.reads[-1] == b"234")


def test_many_connections_are_read_in_one_turn(gateway: Gateway) -> None:
    both = [gateway.connect() for _ in range(20)]
    for client, protocol in both:
        gateway.send_single_messages(client, protocol)
    for client, _ in both:
        client.sendall(b"last")
    gateway.turn_until(lambda: all(protocol.received.endswith(b"last") for _, protocol in both))
    assert all(gateway.is_periodic(protocol) for _, protocol in both)


def test_client_that_needs_answers_is_read_at_once(gateway: Gateway) -> None:
    client, protocol = gateway.connect(waits=False)
    for _ in range(2):
        gateway.send_single_messages(client, protocol)
        protocol.reads.clear()
    assert not gateway.is_periodic(protocol)


def test_much_data_is_read_at_once(gateway: Gateway) -> None:
    client, protocol = gateway.connect()
    gateway.send_single_messages(client, protocol)
    client.setblocking(False)
    size = SMALL_READS
    while gateway.is_periodic(protocol):
        try:
            size += client.send(b"x" * LARGE)
        except BlockingIOError:
            gateway.reactor.runUntilCurrent()
            gateway.reactor.doPoll(0.001)
    gateway.turn_until(lambda: len(protocol.received) == size)
    assert protocol.transport in gateway.reactor.getReaders()
    # It sent much a moment ago, so a few small reads do not count.
    protocol.reads.clear()
    gateway.send_single_messages(client, protocol)
    assert not gateway.is_periodic(protocol)


def test_data_before_the_end_of_a_connection_is_read(gateway: Gateway) -> None:
    client, protocol = gateway.connect()
    gateway.send_single_messages(client, protocol)
    client.sendall(b"last")
    client.close()
    gateway.turn_until(lambda: protocol.ended)
    assert protocol.received.endswith(b"last")
    assert not gateway.periodic._readers


def test_paused_connection_is_not_read(gateway: Gateway) -> None:
    client, protocol = gateway.connect()
    gateway.send_single_messages(client, protocol)
    assert isinstance(protocol.transport, StreamTransport)
    protocol.transport.pauseProducing()
    client.sendall(b"later")
    for _ in range(20):
        gateway.reactor.runUntilCurrent()
        gateway.reactor.doPoll(0.01)
    assert not protocol.received.endswith(b"later")
    protocol.transport.resumeProducing()
    gateway.turn_until(lambda: protocol.received.endswith(b"later"))
    assert gateway.is_periodic(protocol)


def test_connection_is_read_at_once_while_something_is_sent_to_it(gateway: Gateway) -> None:
    """The reactor would end it without reading the rest if its client resets it meanwhile."""
    client, protocol = gateway.connect()
    gateway.send_single_messages(client, protocol)
    assert isinstance(protocol.transport, StreamTransport)
    protocol.transport.write(b"answer")
    assert protocol.transport in gateway.reactor.getReaders()
    assert not gateway.is_periodic(protocol)
    gateway.turn_until(lambda: not protocol.transport.dataBuffer)  # type: ignore[attr-defined]
    protocol.reads.clear()
    gateway.send_single_messages(client, protocol)
    assert gateway.is_periodic(protocol)


def test_everything_is_read_at_once_while_listeners_are_closed(gateway: Gateway) -> None:
    client, protocol = gateway.connect()
    gateway.send_single_messages(client, protocol)
    client.sendall(b"1")
    gateway.turn_until(lambda: protocol.reads[-1] == b"1")
    gateway.turns.read_at_once(True)
    for text in (b"2", b"3"):
        client.sendall(text)
        gateway.turn_until(lambda text=text: protocol.reads[-1] == text)
        assert gateway.periodic._timer is None
    gateway.turns.read_at_once(False)
    client.sendall(b"4")
    gateway.turn_until(lambda: protocol.reads[-1] == b"4")
    assert gateway.periodic._timer is not None


def test_end_of_the_reactor_ends_the_connections(gateway: Gateway) -> None:
    client, protocol = gateway.connect()
    gateway.send_single_messages(client, protocol)
    gateway.reactor.disconnectAll()
    assert protocol.ended
