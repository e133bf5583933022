"""Sends on loopback from chosen source addresses; over UDP no faster than the receiver reads."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

# Datagrams sent before the receiver has confirmed them. The kernel charges a small datagram about 1 KiB of the
# receive buffer, and an unprivileged bridge gets no more than net.core.rmem_max (208 KiB on a default Debian).
_WINDOW = 150


@contextmanager
def tcp(port: int, *, source: str | None = None, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Opens a TCP connection and shuts it down in order at the end, so that everything written arrives."""
    origin = (source, 0) if source else None
    with socket.create_connection((host, port), timeout=120, source_address=origin) as connection:
        yield connection
        connection.shutdown(socket.SHUT_WR)


@contextmanager
def udp(*, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Opens a UDP socket that is bound to the source address."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as origin:
        origin.bind((source, 0))
        yield origin


def send_lines(port: int, messages: Iterable[bytes], *, source: str | None = None, host: str = "127.0.0.1") -> None:
    """Sends each message as a line over one TCP connection, at full speed."""
    with tcp(port, source=source, host=host) as connection:
        for block in _chunks(messages, 1000):
            connection.sendall(b"".join(message + b"\n" for message in block))


def send_datagrams(
    port: int, messages: Iterable[tuple[str, bytes]], *, wait_received: Callable[[int], None], host: str = "127.0.0.1"
) -> int:
    """Sends (source address, datagram) pairs in windows: `wait_received(n)` returns once the receiver has read n.

    The receiver sets the pace, so a lost datagram is its fault. Returns how many datagrams were sent.
    """
    sockets: dict[str, socket.socket] = {}
    sent = 0
    try:
        for window in _chunks(messages, _WINDOW):
            for source, datagram in window:
                if source not in sockets:
                    sockets[source] = socket.socket(
                        socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM
                    )
                    sockets[source].bind((source, 0))
                sockets[source].sendto(datagram, (host, port))
            sent += len(window)
            wait_received(sent)
    finally:
        for open_socket in sockets.values():
            open_socket.close()
    return sent


def _chunks(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
