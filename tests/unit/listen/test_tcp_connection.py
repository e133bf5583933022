"""Tests how a connection that is not read finds out that its peer has ended it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.config import Listener
from bridge.listen.tcp_connection import bytes_left, enable_keepalive
from tests.harness.polling import until


class Pair:
    """Two ends of a TCP connection; `transport` is that of the gateway's end."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.sender = socket.create_connection(server.getsockname())
            self.gateway, _ = server.accept()
        self.transport: Any = SimpleNamespace(getHandle=lambda: self.gateway)

    def close(self) -> None:
        self.sender.close()
        self.gateway.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_open_connection_is_not_ended(pair: Pair) -> None:
    pair.sender.sendall(b"x" * 10)
    assert bytes_left(pair.transport) is None


def test_unread_bytes_of_a_closed_connection_are_counted(pair: Pair) -> None:
    pair.sender.sendall(b"x" * 10)
    pair.sender.close()
    until(lambda: bytes_left(pair.transport) == 10, "the end of the connection is seen")


def test_reset_connection_is_ended(pair: Pair) -> None:
    pair.sender.sendall(b"x" * 10)
    pair.sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pair.sender.close()
    until(lambda: bytes_left(pair.transport) is not None, "the reset is seen")


def test_peer_that_is_gone_is_closed_after_ten_minutes_by_default(pair: Pair) -> None:
    """While data for it waits, the kernel sends no probes: then its timeout for unacknowledged data applies."""
    keepalive = Listener.model_fields["keepalive"].default
    enable_keepalive(pair.transport, keepalive.total_seconds())
    option = lambda name: pair.gateway.getsockopt(socket.IPPROTO_TCP, name)  # noqa: E731
    assert pair.gateway.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert option(socket.TCP_KEEPIDLE) + option(socket.TCP_KEEPINTVL) * option(socket.TCP_KEEPCNT) == 600
    assert option(socket.TCP_USER_TIMEOUT) == 600_000
