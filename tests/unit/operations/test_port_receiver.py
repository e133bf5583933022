"""Tests that messages are received on free ports over UDP and TCP, and that a port in use is refused."""

import socket

import pytest

from bridge.config.addresses import Address
from bridge.discover import Received
from bridge.operations.port_receiver import PortError, PortReceiver

LOOPBACK = Address("127.0.0.1", 0)


def received(receiver: PortReceiver, count: int) -> list[Received]:
    """Returns the first messages, or fewer if they do not arrive within a number of turns."""
    turns = iter(range(200))
    found: list[Received] = []
    for message in receiver.messages(200, clock=lambda: float(next(turns))):
        if message is not None:
            found.append(message)
        if len(found) == count:
            break
    return found


def test_udp_and_tcp() -> None:
    with PortReceiver([("udp", LOOPBACK), ("tcp", LOOPBACK)]) as receiver:
        (_, udp), (_, tcp) = receiver.bound
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"\n", udp)
            sender.sendto(b"<13>one\n", udp)
            assert [(each.frame, each.source, each.transport) for each in received(receiver, 1)] == [
                (b"<13>one", "127.0.0.1", "udp")
            ]
        with socket.create_connection(tcp) as sender:
            sender.sendall(b"<13>two\n<13>th")
            assert [(each.frame, each.transport) for each in received(receiver, 1)] == [(b"<13>two", "tcp")]
            sender.sendall(b"ree")
        assert [each.frame for each in received(receiver, 1)] == [b"<13>three"]
        with socket.create_connection(tcp) as sender:
            sender.sendall(b"8 <13>four7 <13>six")
            assert [each.frame for each in received(receiver, 2)] == [b"<13>four", b"<13>six"]


def test_it_ends_at_the_given_time() -> None:
    times = iter((0.0, 1.0, 3.0))
    with PortReceiver([("udp", LOOPBACK)]) as receiver:
        assert list(receiver.messages(2.0, clock=lambda: next(times))) == [None, None]


def test_an_address_in_ipv4_form_is_the_source() -> None:
    with PortReceiver([("udp", Address("*", 0))]) as receiver:
        port = receiver.bound[0][1][1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"<13>one", ("127.0.0.1", port))
            assert received(receiver, 1)[0].source == "127.0.0.1"


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_port_in_use_is_refused_and_left_alone(kind: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as other:
        other.bind(("127.0.0.1", 0))
        if kind == "tcp":
            other.listen()
        port = other.getsockname()[1]
        for host in ("127.0.0.1", "*"):
            with pytest.raises(PortError) as raised:
                PortReceiver([(kind, Address(host, port))])
            assert "another program listens there" in str(raised.value)
            assert "tcpdump" in str(raised.value)


def test_connections_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.operations.port_receiver.MAX_CONNECTIONS", 1)
    with PortReceiver([("tcp", LOOPBACK)]) as receiver:
        address = receiver.bound[0][1]
        with socket.create_connection(address) as first, socket.create_connection(address) as second:
            second.sendall(b"<13>two\n")
            first.sendall(b"<13>one\n")
            assert [each.frame for each in received(receiver, 1)] == [b"<13>one"]
            assert received_until_closed(receiver, second)
            assert receiver.refused == 1


def received_until_closed(receiver: PortReceiver, connection: socket.socket) -> bool:
    connection.settimeout(30)
    next(receiver.messages(1.0, clock=lambda: 0.0))
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
