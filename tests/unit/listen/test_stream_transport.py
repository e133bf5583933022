"""Tests the transport of accepted connections on real sockets: read sizes, unsent answers and reasons to pause."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from bridge.config import Listener
from bridge.host.reactor import SteadyReactor
from bridge.ingest.addresses import share_of
from bridge.listen import stream_transport
from bridge.listen.connections import Connections
from bridge.listen.proxy_protocol import ProxyProtocolFactory
from bridge.listen.stream_transport import StreamTransport, UnixStreamTransport
from bridge.listen.stream_turns import MAX_ALL_UNSENT, MAX_UNSENT, StreamTurns
from bridge.listen.unix_port import UnixPort

QUICK, SLOW, VERY_SLOW = 0.0, 0.05, 1.0
MAX_READ, FIRST_READ, MIN_READ = 16_384, 1024, 512
"A socket holds more than that, whatever the machine's settings."
KEPT_BY_KERNEL = 64 << 20
"More than the kernel takes for a client that reads nothing."


class Receiver(Protocol):
    """Keeps what it receives, and answers each byte with ``answer``."""

    def __init__(self) -> None:
        self.received, self.answer = b"", b""
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self.answer and self.transport is not None:
            self.transport.write(self.answer * len(data))

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason)


class Ends:
    """Both ends of a connection: ``transport`` and ``protocol`` are the gateway's."""

    def __init__(self, reactor: Any, turns: StreamTurns, protocol: Any = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            accepted, address = server.accept()
        self.client.settimeout(60)
        self._reactor = reactor
        self.protocol = protocol or Receiver()
        self.transport = StreamTransport(accepted, self.protocol, address, None, 0, reactor, turns=turns)
        self.protocol.makeConnection(self.transport)

    @property
    def reading(self) -> bool:
        return self.transport in self._reactor.getReaders()

    def turn(self) -> None:
        """Runs one turn of the reactor."""
        self._reactor.runUntilCurrent()
        self._reactor.doPoll(0.01)

    def read_all(self, size: int) -> None:
        """Reads as a client until the gateway has nothing unsent."""
        left = size
        while left:
            self.turn()
            self.client.setblocking(False)
            try:
                left -= len(self.client.recv(1 << 20))
            except BlockingIOError:
                continue


@pytest.fixture
def reactor() -> Iterator[SteadyReactor]:
    made = SteadyReactor()
    yield made
    made.removeAll()
    made._poller.close()


@pytest.fixture(autouse=True)
def small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"MAX_READ": MAX_READ, "FIRST_READ": FIRST_READ, "MIN_READ": MIN_READ}.items():
        monkeypatch.setattr(stream_transport, name, size)


@pytest.fixture
def turns(reactor: SteadyReactor) -> StreamTurns:
    return StreamTurns.for_reactor(reactor)


@pytest.fixture
def ends(reactor: SteadyReactor, turns: StreamTurns) -> Iterator[Ends]:
    made = Ends(reactor, turns)
    yield made
    made.client.close()


def read(ends: Ends, seconds: float) -> int:
    """Lets the gateway read once, at a cost of ``seconds``. Returns the number of bytes."""
    ends.client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        ends.client.send(b"x" * 2 * MAX_READ)
    size = ends.transport.read(1)
    assert ends.transport.note_cost(size, seconds)
    return size


def test_cheap_data_is_read_in_large_pieces(ends: Ends) -> None:
    assert [read(ends, QUICK) for _ in range(4)] == [FIRST_READ, 4 * FIRST_READ, MAX_READ, MAX_READ]


def test_costly_data_is_read_in_small_pieces(ends: Ends) -> None:
    for _ in range(3):
        read(ends, QUICK)
    sizes = [read(ends, SLOW) for _ in range(8)]
    assert sizes == [16_384, 8192, 4096, 2048, 1024, MIN_READ, MIN_READ, MIN_READ]
    assert [read(ends, QUICK) for _ in range(2)] == [MIN_READ, 4 * MIN_READ]


def test_very_costly_data_limits_new_connections_of_its_address(
    ends: Ends, turns: StreamTurns, reactor: SteadyReactor
) -> None:
    for _ in range(3):
        read(ends, QUICK)
    other = Ends(reactor, turns)
    assert [read(other, QUICK) for _ in range(2)] == [FIRST_READ, 4 * FIRST_READ]
    for _ in range(5):
        read(ends, VERY_SLOW)
    assert [read(other, QUICK) for _ in range(3)] == [MIN_READ] * 3
    new = Ends(reactor, turns)
    assert read(new, QUICK) == MIN_READ
    for each in (other, new):
        each.client.close()


def test_short_reads_tell_nothing(ends: Ends) -> None:
    ends.client.sendall(b"short")
    assert not ends.transport.note_cost(ends.transport.read(1), QUICK)
    assert read(ends, QUICK) == FIRST_READ


def test_reactor_reads_what_arrives_until_the_end(ends: Ends) -> None:
    ends.client.sendall(b"first ")
    while ends.protocol.received != b"first ":
        ends.turn()
    ends.client.sendall(b"last")
    ends.client.close()
    while not ends.protocol.lost:
        ends.turn()
    assert ends.protocol.received == b"first last"
    assert not ends.reading


def test_defect_of_a_protocol_ends_its_connection(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_transport, "log", SimpleNamespace(failure=lambda text: None))
    monkeypatch.setattr(ends.protocol, "dataReceived", lambda data: 1 / 0)
    ends.client.sendall(b"x")
    while not ends.protocol.lost:
        ends.turn()
    assert ends.protocol.lost[0].check(ZeroDivisionError)


def test_client_that_reads_no_answers_is_not_read(ends: Ends, turns: StreamTurns) -> None:
    """What is unsent stays below the limit and one read's answers. When it has been sent, reading starts again."""
    ends.protocol.answer = b"x" * 100
    ends.client.setblocking(False)
    sent = 0
    while ends.reading:
        with contextlib.suppress(BlockingIOError):
            sent += ends.client.send(b"q" * 1000)
        ends.turn()
    assert MAX_UNSENT < turns.unsent.size <= MAX_UNSENT + 100 * MAX_READ
    read = len(ends.protocol.received)
    for _ in range(20):
        ends.turn()
    assert len(ends.protocol.received) == read
    ends.protocol.answer = b""
    ends.read_all(100 * read)
    assert turns.unsent.size == 0
    while len(ends.protocol.received) < sent:
        ends.turn()
    assert ends.reading


def test_nothing_resumes_what_another_reason_holds(ends: Ends, turns: StreamTurns) -> None:
    fill(ends)
    assert not ends.reading
    ends.transport.pauseProducing()
    ends.transport.resumeProducing()
    assert not ends.reading, "answers are still unsent"
    ends.transport.pauseProducing()
    ends.read_all(KEPT_BY_KERNEL)
    assert (turns.unsent.size, ends.reading) == (0, False), "the protocol still wants nothing"
    ends.transport.resumeProducing()
    assert ends.reading


def fill(ends: Ends) -> None:
    ends.transport.write(b"x" * KEPT_BY_KERNEL)


def test_lost_connection_has_nothing_unsent(ends: Ends, turns: StreamTurns) -> None:
    fill(ends)
    ends.transport.abortConnection()
    ends.transport.resumeProducing()
    assert not ends.reading
    while not ends.protocol.lost:
        ends.turn()
    ends.transport.write(b"too late")
    assert turns.unsent.size == 0


def test_while_much_is_unsent_in_all_reads_are_small(ends: Ends, turns: StreamTurns, reactor: SteadyReactor) -> None:
    read(ends, QUICK)
    other = Ends(reactor, turns)
    turns.unsent.change(MAX_ALL_UNSENT + 1)
    ends.client.setblocking(False)
    assert ends.transport.read(1) == MIN_READ
    # A client with any unsent answer waits until it has read them; others are served.
    ends.transport.write(b"x")
    assert (ends.reading, other.reading) == (False, True)
    ends.turn()
    assert ends.reading
    other.client.close()


def test_clients_of_an_ipv6_network_share_their_turns() -> None:
    assert share_of("2001:db8:1:2::1") == share_of("2001:db8:1:2:ffff::2") != share_of("2001:db8:1:3::1")
    assert share_of("::ffff:192.0.2.1") == share_of("192.0.2.1")


def test_reads_behind_a_load_balancer_count_for_its_client(reactor: SteadyReactor, turns: StreamTurns) -> None:
    listener = Listener.model_construct(
        name="tcp", max_connections=10, trusted_proxies=[ip_network("127.0.0.0/8")], allow=None
    )
    balanced = ProxyProtocolFactory(Factory.forProtocol(Receiver), Connections(listener, reactor.seconds), reactor)
    ends = Ends(reactor, turns, balanced.buildProtocol(IPv4Address("TCP", "127.0.0.1", 4000)))
    assert ends.transport.source == "127.0.0.1"
    ends.client.sendall(b"PROXY TCP4 198.51.100.1 192.0.2.1 40000 514\r\n")
    while ends.transport.source != "198.51.100.1":
        ends.turn()
    ends.client.close()


def test_unix_connections_are_read_in_turns(reactor: SteadyReactor, turns: StreamTurns, tmp_path: Path) -> None:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(tmp_path / "socket"))
    bound.listen()
    bound.setblocking(False)
    receiver = Receiver()
    receiver.answer = b"y"
    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = lambda address: receiver  # type: ignore[method-assign]
    port = UnixPort(bound, reactor, factory, turns=turns)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(tmp_path / "socket"))
        client.sendall(b"x" * 10)
        client.settimeout(60)
        while len(receiver.received) < 10:
            reactor.doPoll(0.01)
        assert isinstance(receiver.transport, UnixStreamTransport)
        reactor.doPoll(0.01)
        assert client.recv(100) == b"y" * 10
    while not receiver.lost:
        reactor.doPoll(0.01)
    port.stopListening()
