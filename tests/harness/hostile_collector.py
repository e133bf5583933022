"""Runs a collector, and an HTTP proxy, that attack their client with their answers.

Usage: python -P hostile_collector.py PORT DIRECTORY SEED. Each answer of `ANSWERS` whose name is a file of DIRECTORY is
given, by chance; without such a file every request is accepted. A CONNECT request opens a tunnel to this collector
itself, unless an answer of `TUNNEL_ANSWERS` is asked for. Each answer ends after a bounded time or amount.

A thread serves each connection. The texts of events are discarded.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tests.harness.attacks.attack import reset

MIB = 1 << 20
_LONGEST = 120.0
"""Seconds for which a slow answer goes on, at most."""
_MOST = 512 * MIB
"""Bytes of an answer without end, at most."""
_ACCEPTED = b'{"received": true}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_DAY = b"Retry-After: Fri, 31 Dec %b 23:59:59 GMT\r\n"

Wanted = Callable[[], bool]
"""Returns False once the answer is no longer asked for."""
Answer = Callable[[socket.socket, random.Random, Wanted], None]


def _accept(connection: socket.socket, headers: bytes = b"") -> None:
    connection.sendall(_HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(_ACCEPTED) + _ACCEPTED)


def _slowly(connection: socket.socket, wanted: Wanted, byte: bytes) -> None:
    end = time.monotonic() + _LONGEST
    while wanted() and time.monotonic() < end:
        connection.sendall(byte)
        time.sleep(1)


def _without_end(connection: socket.socket, wanted: Wanted, piece: bytes) -> None:
    block = piece * (65_536 // len(piece) + 1)
    for _ in range(_MOST // len(block)):
        if not wanted():
            return
        connection.sendall(block)


def _blanks(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    connection.sendall(_HEAD + b"Content-Length: 1000000\r\n\r\n")
    _slowly(connection, wanted, b" ")


def _slow_header(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    connection.sendall(_HEAD + b"X-Slow: ")
    _slowly(connection, wanted, b"a")


def _endless_headers(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    connection.sendall(_HEAD)
    _without_end(connection, wanted, b"X-Header-%d: %b\r\n" % (chance.randrange(1000), b"a" * chance.randint(1, 4000)))


def _endless_header_line(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    connection.sendall(_HEAD + b"X-Line: ")
    _without_end(connection, wanted, b"a")


def _endless_body(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    connection.sendall(_HEAD + b"\r\n")
    _without_end(connection, wanted, b"a")


def _cookies(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    cookies = (b"Set-Cookie: c%d=%b; Path=/\r\n" % (chance.getrandbits(64), b"a" * 1000) for _ in range(10))
    _accept(connection, b"".join(cookies))


def _inflating(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    body = _large_gzip()
    connection.sendall(_HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def _retry_after(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    value = chance.choice(
        (_DAY % b"9999", _DAY % b"99999999999", _DAY % b"0000", b"Retry-After: -1\r\n",
         b"Retry-After: %b\r\n" % (b"9" * chance.choice((19, 400, 5000))), b"Retry-After: 1e400\r\n")
    )  # fmt: skip
    status = chance.choice((b"429 Too Many Requests", b"503 Service Unavailable"))
    connection.sendall(b"HTTP/1.1 %b\r\n%bContent-Length: 0\r\n\r\n" % (status, value))


def _resets(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    whole = _HEAD + b"Content-Length: %d\r\n\r\n" % len(_ACCEPTED) + _ACCEPTED
    connection.sendall(whole[: chance.randint(0, len(whole))])
    reset(connection)


def _statuses(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    status = chance.choice((b"413 Content Too Large", b"429 Too Many Requests", b"500 Internal Server Error"))
    connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)


def _interim_answers(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    interim = chance.choice((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"))
    _without_end(connection, wanted, interim)


def _long_strings(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    text = b"a" * (4 * MIB)
    status, body = chance.choice(
        (
            (b"500", b'{"error": "%b"}'),
            (b"200", b'{"received": true, "message": "%b"}'),
        )
    )
    body = body % text
    head = b"HTTP/1.1 %b %b\r\nContent-Type: application/json\r\n" % (status, text[:8000])
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def _not_http(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    connection.sendall(chance.randbytes(chance.randint(1, 100_000)))
    connection.shutdown(socket.SHUT_RDWR)


def _endless_tunnel_header(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    _without_end(connection, wanted, b"X-Header: %b\r\n" % (b"a" * 500))


def _slow_tunnel_header(connection: socket.socket, chance: random.Random, wanted: Wanted) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _slowly(connection, wanted, b"a")


ANSWERS: dict[str, Answer] = {
    "collector-blanks": _blanks,
    "collector-slow-header": _slow_header,
    "collector-endless-headers": _endless_headers,
    "collector-endless-header-line": _endless_header_line,
    "collector-endless-body": _endless_body,
    "collector-cookies": _cookies,
    "collector-inflating": _inflating,
    "collector-retry-after": _retry_after,
    "collector-resets": _resets,
    "collector-statuses": _statuses,
    "collector-interim-answers": _interim_answers,
    "collector-long-strings": _long_strings,
    "collector-not-http": _not_http,
}
TUNNEL_ANSWERS: dict[str, Answer] = {
    "proxy-endless-header": _endless_tunnel_header,
    "proxy-slow-header": _slow_tunnel_header,
}

_lock = threading.Lock()
_inflates: list[bytes] = []


def _large_gzip() -> bytes:
    """Returns a megabyte that inflates to a gigabyte. It is built once."""
    with _lock:
        if not _inflates:
            member = gzip.compress(b" " * (64 * MIB))
            _inflates.append(member * 16)
        return _inflates[0]


class _Server:
    """Serves connections; `directory` says which answers are given."""

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self._chance = random.Random(seed)

    def serve(self, connection: socket.socket) -> None:
        """Answers the requests of one connection."""
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            connection.settimeout(600)
            while (head := _read_head(stream)) is not None:
                tunnel = head[0].startswith(b"CONNECT ")
                name = self._choose(TUNNEL_ANSWERS if tunnel else ANSWERS)
                if tunnel and name is None:
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    continue
                if not tunnel:
                    _discard_body(stream, head)
                if name is None:
                    _accept(connection)
                else:
                    answer = (TUNNEL_ANSWERS if tunnel else ANSWERS)[name]
                    answer(connection, self._chance, (self._directory / name).exists)

    def _choose(self, answers: dict[str, Answer]) -> str | None:
        wanted = sorted(set(os.listdir(self._directory)) & answers.keys())
        with _lock:
            return self._chance.choice(wanted) if wanted else None


def _read_head(stream: BinaryIO) -> list[bytes] | None:
    head: list[bytes] = []
    for line in stream:
        if line == b"\r\n":
            return head
        head.append(line)
    return None


def _discard_body(stream: BinaryIO, head: list[bytes]) -> None:
    length = next((int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length:")), 0)
    while length > 0:
        length -= len(stream.read(min(length, MIB))) or length


def main(port: int, directory: Path, seed: int) -> None:
    server = _Server(directory, seed)
    with socket.create_server(("127.0.0.1", port), backlog=100) as listening:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
