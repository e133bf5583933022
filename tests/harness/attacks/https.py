"""Attacks on the HTTPS listener: bodies that inflate, bodies and headers that never end, and wrong keys."""

from __future__ import annotations

import gzip
import threading
from functools import cache

from tests.harness.attacks.attack import Attack

MIB = 1 << 20
_EVENTS = 2_600_000


@cache
def _bomb() -> bytes:
    """Returns 10 KB that inflate to 10 MiB with 2.6 million events."""
    return gzip.compress(b"abc\n" * _EVENTS)


@cache
def _rows(key: str) -> bytes:
    """Returns 8 MiB of rows for `/array`, with an event each."""
    row = b'{"intake_key":"%b","json":"a"}' % key.encode()
    return b"[" + b",".join([row] * (8 * MIB // (len(row) + 1))) + b"]"


class _Posting(Attack):
    """Posts a body over a new connection, and waits some seconds for the answer."""

    def _post(self, path: str, body: bytes, *headers: str) -> None:
        with self._connect_tls("post") as connection:
            connection.sendall(_head(path, f"Content-Length: {len(body)}", *headers) + body)
            self._note_answer(connection)


def _head(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: localhost", *headers, "", "")).encode()


class KeylessBomb(_Posting):
    """Posts a body that inflates to millions of events, without a key."""

    name = "https-keyless-bomb"
    point = 1
    pause = 1.0

    def _step(self, stop: threading.Event) -> None:
        self._post("/plain/batch", _bomb(), "Content-Encoding: gzip")


class KeyedBomb(_Posting):
    """Posts a body that inflates to millions of events, with a valid key."""

    name = "https-keyed-bomb"
    point = 1
    pause = 1.0

    def _step(self, stop: threading.Event) -> None:
        key = f"X-SEKOIAIO-INTAKE-KEY: {self.target.key}"
        self._post("/plain/batch", _bomb(), "Content-Encoding: gzip", key)


class ManyEvents(_Posting):
    """Posts plain bodies with millions of events in each form of the API."""

    name = "https-many-events"
    point = 1
    pause = 1.0

    def _step(self, stop: threading.Event) -> None:
        key = f"X-SEKOIAIO-INTAKE-KEY: {self.target.key}"
        path, body = self.chance.choice(
            (
                ("/plain/batch", b"a\n" * (4 * MIB)),
                ("/jsons", b"[" + b",".join([b"1"] * MIB) + b"]"),
                ("/array", _rows(self.target.key)),
                ("/array", b"[" * (4 * MIB)),
            )
        )
        self._post(path, body, key)


class SlowHeaders(Attack):
    """Sends the header of a request one byte at a time, over 40 connections."""

    name = "https-slow-headers"
    point = 1
    pause = 0.2

    def _step(self, stop: threading.Event) -> None:
        if len(self._held) < 40:
            connection = self._connect_tls("post")
            connection.sendall(b"POST /plain HTTP/1.1\r\nX-Slow: ")
            self._hold(connection, 40)
        self._each_held(lambda connection: connection.send(b"a"))


class SlowBodies(Attack):
    """Sends the body of a request one byte at a time, over 40 connections."""

    name = "https-slow-bodies"
    point = 1
    pause = 0.2

    def _step(self, stop: threading.Event) -> None:
        if len(self._held) < 40:
            connection = self._connect_tls("post")
            connection.sendall(
                _head("/plain", f"X-SEKOIAIO-INTAKE-KEY: {self.target.key}", f"Content-Length: {8 * MIB}")
            )
            self._hold(connection, 40)
        self._each_held(lambda connection: connection.send(b"a"))


class UnfinishedBodies(Attack):
    """Sends all but the last byte of large bodies and holds them, over 40 connections."""

    name = "https-unfinished-bodies"
    point = 1
    pause = 0.1
    length = 8 * MIB

    def _step(self, stop: threading.Event) -> None:
        connection = self._connect_tls("post")
        self._hold(connection, 40)
        key = f"X-SEKOIAIO-INTAKE-KEY: {self.target.key}" if self.chance.random() < 0.5 else "X-None: 1"
        connection.sendall(_head("/plain", key, f"Content-Length: {self.length}"))
        connection.sendall(b"a" * (self.length - 1))


class EndlessChunks(Attack):
    """Sends chunked bodies of tiny chunks, endless chunk lengths and endless chunk extensions."""

    name = "https-endless-chunks"
    point = 1
    pause = 0.1

    def _step(self, stop: threading.Event) -> None:
        piece = self.chance.choice((b"1\r\na\r\n", b"0", b"1;" + b"a" * 50))
        with self._connect_tls("post") as connection:
            connection.sendall(_head("/plain", "Transfer-Encoding: chunked"))
            for _ in range(2000):
                if stop.is_set():
                    return
                connection.sendall(piece * 200)


class WrongKeys(Attack):
    """Posts with wrong keys as fast as it can, over one connection after the other."""

    name = "https-wrong-keys"
    point = 1
    pause = 0.05

    def _step(self, stop: threading.Event) -> None:
        with self._connect_tls("post") as connection:
            for _ in range(200):
                if stop.is_set():
                    return
                key = f"{self.chance.getrandbits(64):016x}"
                connection.sendall(_head("/plain", f"X-SEKOIAIO-INTAKE-KEY: {key}", "Content-Length: 1") + b"a")
                self._note_answer(connection)


class MalformedAuthorization(_Posting):
    """Posts with headers `Authorization` that are not what RFC 7617 says."""

    name = "https-malformed-authorization"
    point = 1
    pause = 0.05

    def _step(self, stop: threading.Event) -> None:
        value = self.chance.choice(
            ("Basic", "Basic !!!", "Basic " + "A" * 8000, "Bearer x", "Basic Og==", "Basic /////w==", "basic\tYTpi", "")
        )
        self._post("/plain", b"not authorised", f"Authorization: {value}")


class UnreadResponses(Attack):
    """Sends requests one after the other and reads no answer."""

    name = "https-unread-answers"
    point = 1
    pause = 0.2

    def _step(self, stop: threading.Event) -> None:
        with self._connect_tls("post") as connection:
            request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            for _ in range(500):
                if stop.is_set():
                    return
                connection.sendall(request * 200)


ATTACKS: tuple[type[Attack], ...] = (
    KeylessBomb, KeyedBomb, ManyEvents, SlowHeaders, SlowBodies, UnfinishedBodies, EndlessChunks, WrongKeys,
    MalformedAuthorization, UnreadResponses,
)  # fmt: skip
