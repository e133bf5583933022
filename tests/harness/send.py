"""Sending on loopback from chosen source addresses: bounded, and over UDP no faster than the receiver follows."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

# Datagrams in flight while nobody has said how far it came. The kernel charges a small datagram about 1 KiB of the
# receive buffer, and an unprivileged bridge gets no more than net.core.rmem_max (208 KiB on a default Debian).
_WINDOW = 150


@contextmanager
def tcp(port: int, *, source: str | None = None, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A connection, closed in order at the end: everything that was written arrives."""
    origin = (source, 0) if source else None
    with socket.create_connection((host, port), timeout=120, source_address=origin) as connection:
        yield connection
        connection.shutdown(socket.SHUT_WR)


@contextmanager
def udp(*, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as origin:
        origin.bind((source, 0))
        yield origin


def send_lines(port: int, messages: Iterable[bytes], *, source: str | None = None, host: str = "127.0.0.1") -> None:
    """One TCP connection, a line each, at full speed."""
    with tcp(port, source=source, host=host) as connection:
        for block in _chunks(messages, 1000):
            connection.sendall(b"".join(message + b"\n" for message in block))


def send_datagrams(
    port: int, messages: Iterable[tuple[str, bytes]], *, wait_received: Callable[[int], None], host: str = "127.0.0.1"
) -> int:
    """(source address, datagram) pairs, in windows: `wait_received(n)` returns once the receiver took n of them.

    So the pace is the receiver's own, and a datagram that is lost is lost by its fault. Returns how many were sent.
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
