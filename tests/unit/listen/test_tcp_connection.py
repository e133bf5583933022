"""Tests how a connection that is not read finds out that its peer has ended it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.listen.tcp_connection import bytes_left
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
