"""Attacks on the RELP listener: answers that nobody reads, headers without end, sessions that never close."""

from __future__ import annotations

import threading

from tests.harness.attacks.attack import Attack, send_for

_OFFER = b"relp_version=0\nrelp_software=a\ncommands=syslog"


class UnreadAnswers(Attack):
    """Sends commands of six bytes and reads no answer."""

    name = "relp-unread-answers"
    point = 2
    pause = 0.2

    def _step(self, stop: threading.Event) -> None:
        with self._connect("relp") as connection:
            send_for(connection, b"1 a 0\n" * 5000, stop, 500)


class UnreadAcknowledgements(Attack):
    """Sends messages and reads no acknowledgement."""

    name = "relp-unread-acknowledgements"
    point = 2
    pause = 2.0

    def _step(self, stop: threading.Event) -> None:
        with self._connect("relp") as connection:
            connection.sendall(_session())
            send_for(connection, b"2 syslog 5 <1>ab\n" * 2000, stop, 100)


class EndlessFrameHeaders(Attack):
    """Sends a frame header that does not end."""

    name = "relp-endless-headers"
    point = 2
    pause = 0.05

    def _step(self, stop: threading.Event) -> None:
        piece = self.chance.choice((b"1" * 10_000, b"1 " + b"a" * 10_000, b"1 syslog " + b"9" * 10_000))
        with self._connect("relp") as connection:
            send_for(connection, piece, stop, 200)


class OpenWithoutClose(Attack):
    """Opens sessions, begins a message of the largest size, and sends no more."""

    name = "relp-open-without-close"
    point = 2
    pause = 0.02

    def _step(self, stop: threading.Event) -> None:
        connection = self._connect("relp")
        self._hold(connection, 300)
        connection.sendall(_session() + b"2 syslog 250000 " + b"a" * self.chance.randint(0, 249_000))


def _session() -> bytes:
    return b"1 open %d %b\n" % (len(_OFFER), _OFFER)


ATTACKS: tuple[type[Attack], ...] = (UnreadAnswers, UnreadAcknowledgements, EndlessFrameHeaders, OpenWithoutClose)
