"""Attacks on TLS listeners: handshakes that never end, that never stop, and plain text."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

from OpenSSL import SSL

from tests.harness.attacks.attack import TIMEOUT, Attack

_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""The first bytes of a ClientHello."""
_KINDS = ("tls", "post")


class UnfinishedHandshakes(Attack):
    """Begins handshakes, and sends no more or a byte at a time."""

    name = "tls-unfinished-handshakes"
    point = 9
    pause = 0.01

    def _step(self, stop: threading.Event) -> None:
        connection = self._connect(self.chance.choice(_KINDS))
        self._hold(connection, 300)
        connection.sendall(_HELLO[: self.chance.randint(1, len(_HELLO))])
        if self.chance.random() < 0.05:
            self._each_held(lambda held: held.send(b"a"))


class Handshakes(Attack):
    """Completes handshakes and closes at once."""

    name = "tls-handshakes"
    point = 3
    pause = 0.01

    def _step(self, stop: threading.Event) -> None:
        self._connect_tls(self.chance.choice(_KINDS)).close()


class Renegotiations(Attack):
    """Asks for another handshake again and again over one TLS 1.2 connection."""

    name = "tls-renegotiations"
    point = 3
    pause = 0.05

    def _step(self, stop: threading.Event) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        plain = self._connect(self.chance.choice(_KINDS))
        plain.setblocking(False)
        connection = SSL.Connection(context, plain)
        connection.set_connect_state()
        try:
            for _ in range(100):
                _handshake(connection, stop)
                if stop.is_set() or not connection.renegotiate():
                    return
        except SSL.Error as error:
            raise ConnectionError(str(error)) from error
        finally:
            plain.close()


def _handshake(connection: SSL.Connection, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(SSL.WantReadError, SSL.WantWriteError):
            connection.do_handshake()
            return
        readable = select.poll()
        readable.register(connection, select.POLLIN)
        if not readable.poll(TIMEOUT * 1000):
            raise TimeoutError("no answer to a handshake")


class PlainText(Attack):
    """Speaks plain syslog and plain HTTP to TLS listeners."""

    name = "tls-plain-text"
    point = 3
    pause = 0.02

    def _step(self, stop: threading.Event) -> None:
        with self._connect(self.chance.choice(_KINDS)) as connection:
            connection.sendall(self.chance.choice((b"<13>plain text\n", b"GET / HTTP/1.1\r\n\r\n")) * 1000)


class BrokenRecords(Attack):
    """Completes a handshake and continues with random bytes below TLS."""

    name = "tls-broken-records"
    point = 3
    pause = 0.05

    def _step(self, stop: threading.Event) -> None:
        connection = self._connect_tls(self.chance.choice(_KINDS))
        with socket.socket(fileno=connection.detach()) as plain:
            plain.sendall(b"\x17\x03\x03\x40\x00" + self.chance.randbytes(20_000))


ATTACKS: tuple[type[Attack], ...] = (UnfinishedHandshakes, Handshakes, Renegotiations, PlainText, BrokenRecords)
