"""Runs servers that attack the gateway from the far end of its own connections, each in one way.

ATTACKS maps a name to a behaviour: a function that is called with each accepted connection, in a thread of its own.
An endless attack ends when the gateway closes the connection.
"""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.harness.accepting import ThreadedServer

Behaviour = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CONTROL = b"\x1b]0;owned\x07\r\x00\xe2\x80\xae"
"Sequences that change a terminal's title, its current line and the direction of its text."
_ESTABLISHED = b"\x01"


class HostileServer:
    """Runs one behaviour; counts all connections, and those that are open now."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.connections = self.open = 0
        self._behaviour = behaviour
        self._server = ThreadedServer(self._handle)
        self.port, self.url = self._server.port, self._server.url

    def close(self) -> None:
        self._server.close()

    def _handle(self, connection: socket.socket) -> None:
        self.connections += 1
        self.open += 1
        with connection, suppress(OSError):
            # Nobody waits for an attack for longer than this.
            connection.settimeout(120)
            self._behaviour(connection)
        self.open -= 1


def read_request(connection: socket.socket) -> bytes:
    """Reads one request and returns its header."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += _received(connection)
    head, _, body = head.partition(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    size = len(body)
    while size < length:
        size += len(_received(connection))
    return head


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise ConnectionResetError
    return data


def until_closed(connection: socket.socket) -> None:
    """Waits until the gateway closes the connection."""
    with suppress(OSError):
        while connection.recv(1 << 16):
            pass


def answering(*parts: bytes, then: Behaviour = until_closed) -> Behaviour:
    """Sends parts of an answer to each request of a connection."""

    def behave(connection: socket.socket) -> None:
        while True:
            read_request(connection)
            for part in parts:
                connection.sendall(part)
            then(connection)

    return behave


def endless(*first: bytes, again: bytes) -> Behaviour:
    """Sends ``again`` without end, at the speed of the line."""

    def flood(connection: socket.socket) -> None:
        block = again * max(1, (1 << 16) // len(again))
        while True:
            connection.sendall(block)

    return answering(*first, then=flood)


def dripping(first: bytes, drop: bytes, *, every: float) -> Behaviour:
    """Sends ``drop`` again and again, slowly."""

    def drip(connection: socket.socket) -> None:
        while True:
            time.sleep(every)
            connection.sendall(drop)

    return answering(first, then=drip)


def with_length(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", body)
    return b"\r\n".join(lines)


def never_reads(connection: socket.socket) -> None:
    """Reads nothing, sends nothing, and keeps the connection until the gateway has ended it."""
    while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == _ESTABLISHED:
        time.sleep(0.1)


def garbage_without_reading(connection: socket.socket) -> None:
    """Sends what is not HTTP, reads nothing, and keeps the connection."""
    connection.sendall(b"220 mail.example ESMTP\r\n\r\n" * 10)
    never_reads(connection)


def reset(connection: socket.socket) -> None:
    """Resets the connection in the middle of an answer."""
    read_request(connection)
    connection.sendall(OK + b"Content-Length: 100\r\n\r\nhalf")
    time.sleep(0.1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def echo(connection: socket.socket) -> None:
    """Answers with the key at the place where texts are cut, and in the status line."""
    while True:
        head = read_request(connection)
        key = next((line.split(b": ")[1] for line in head.split(b"\r\n") if b"Intake-Key" in line.title()), b"")
        connection.sendall(with_length(b"x" * 190 + key, status=b"500 " + key))


def bomb(size: int) -> bytes:
    """Returns blanks that inflate to ``size`` bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


ATTACKS: dict[str, Behaviour] = {
    "headers": endless(OK, again=b"X-Filler: " + b"x" * 1000 + b"\r\n"),
    "short-headers": endless(OK, again=b"a:\r\n"),
    "one-header": endless(OK + b"X-Filler: ", again=b"x"),
    "folded-header": endless(OK + b"X-Filler: x\r\n", again=b" x\r\n"),
    "status-line": endless(b"HTTP/1.1 200 ", again=b"x"),
    "interim": endless(again=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": endless(OK + b"Content-Length: 99999999999\r\n\r\n", again=b" "),
    "body-until-close": endless(OK + b"\r\n", again=b" "),
    "chunks": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", again=b"2\r\n  \r\n"),
    "chunk-extension": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n2;", again=b"x"),
    "trailers": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", again=b"X-Filler: x\r\n"),
    "bomb": answering(with_length(bomb(1 << 27), b"Content-Encoding: gzip")),
    "blanks": dripping(OK + b"\r\n", b" ", every=0.2),
    "slow-head": dripping(OK, b"X-A: b\r\n", every=0.2),
    "slow-trailers": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n", every=0.2),
    "silent": answering(),
    "never-reads": never_reads,
    "reset": reset,
    "garbage": garbage_without_reading,
    "terminal": answering(with_length(CONTROL * 50, status=b"500 " + CONTROL.replace(b"\r", b"")), then=lambda c: None),
    "status": answering(with_length(b"", status=b"9" * 4000 + b" OK"), then=lambda c: None),
    "echo": echo,
    "nested": answering(with_length(b"[" * 5_000_000), then=lambda c: None),
    "objects": answering(with_length(b'{"event_ids":[' + b"{}," * 2_000_000 + b"{}]}"), then=lambda c: None),
}  # fmt: skip
"Behaviours by name."


@contextmanager
def hostile(attacks: dict[str, Behaviour]) -> Iterator[dict[str, HostileServer]]:
    """Runs a server for each behaviour for the length of the `with` block."""
    servers = {name: HostileServer(behaviour) for name, behaviour in attacks.items()}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.close()
