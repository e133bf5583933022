"""Attacks on stream listeners of every kind: many small frames, silence, halves, resets and what is not syslog."""

from __future__ import annotations

import threading

from tests.harness.attacks.attack import Attack, reset, send_for

_KINDS = ("tcp", "tls", "relp", "post")
KIB = 1024


class TinyFrames(Attack):
    """Sends 800,000 frames of four bytes at once, over 50 connections of one address."""

    name = "stream-tiny-frames"
    point = 3
    pause = 8.0

    def _step(self, stop: threading.Event) -> None:
        while len(self._held) < 50:
            self._hold(self._connect("tcp", f"{self._network}.1"), 50)
        data = b"abc\n" * (16 * KIB)
        self._each_held(lambda connection: connection.sendall(data) if not stop.is_set() else None)


class TinyFramesOfManyAddresses(Attack):
    """Sends 800,000 octet-counted frames of four bytes at once, over 100 connections of as many addresses."""

    name = "stream-tiny-frames-of-many-addresses"
    point = 3
    pause = 8.0

    def _step(self, stop: threading.Event) -> None:
        for number in range(len(self._held), 100):
            self._hold(self._connect("tcp", f"{self._network}.{number + 1}"), 100)
        data = b"4 <1>a" * (8 * KIB)
        self._each_held(lambda connection: connection.sendall(data) if not stop.is_set() else None)


class Silence(Attack):
    """Opens connections and sends nothing."""

    name = "stream-silence"
    point = 9
    pause = 0.01

    def _step(self, stop: threading.Event) -> None:
        self._hold(self._connect(self.chance.choice(_KINDS)), 400)


class HalfFrames(Attack):
    """Sends frames without their end, and holds the connections."""

    name = "stream-half-frames"
    point = 3
    pause = 0.01

    def _step(self, stop: threading.Event) -> None:
        connection = self._connect("tcp")
        self._hold(connection, 200)
        text = b"<13>half of a frame: " + b"a" * self.chance.randint(0, 200_000)
        connection.sendall(b"%d %b" % (len(text) + 9, text) if self.chance.random() < 0.5 else text)


class Resets(Attack):
    """Resets connections at random points of the data."""

    name = "stream-resets"
    point = 9
    pause = 0.005

    def _step(self, stop: threading.Event) -> None:
        connection = self._connect(self.chance.choice(_KINDS))
        try:
            connection.sendall(b"<13>reset in this\n"[: self.chance.randint(0, 18)] * self.chance.choice((1, 100)))
        finally:
            reset(connection)


class RandomBytes(Attack):
    """Sends random bytes to every kind of listener. On a TLS listener they are plain text."""

    name = "stream-random-bytes"
    point = 3
    pause = 0.02

    def _step(self, stop: threading.Event) -> None:
        with self._connect(self.chance.choice(_KINDS)) as connection:
            connection.sendall(self.chance.randbytes(self.chance.randint(1, 100_000)))


class EndlessOctetCounts(Attack):
    """Sends octet counts that do not end, and counts far above the largest frame."""

    name = "stream-endless-octet-counts"
    point = 3
    pause = 0.02

    def _step(self, stop: threading.Event) -> None:
        piece = self.chance.choice((b"9" * 10_000, b"99999999 <13>" + b"a" * 10_000, b"1 " * 5000, b"0 " * 5000))
        with self._connect("tcp") as connection:
            send_for(connection, piece, stop, 200)


class EndlessLines(Attack):
    """Sends lines that do not end, and single bytes."""

    name = "stream-endless-lines"
    point = 3
    pause = 0.02

    def _step(self, stop: threading.Event) -> None:
        with self._connect("tcp") as connection:
            send_for(connection, self.chance.choice((b"a" * 65_536, b"a")), stop, 300)


class ControlCharacters(Attack):
    """Sends frames that are only line ends, NUL bytes, or control characters."""

    name = "stream-control-characters"
    point = 3
    pause = 0.5

    def _step(self, stop: threading.Event) -> None:
        piece = self.chance.choice((b"\n" * 65_536, b"\0" * 65_536, b"\r\n" * 30_000, b"\x1b[2J\n" * 5000))
        with self._connect("tcp") as connection:
            send_for(connection, piece, stop, 3)


ATTACKS: tuple[type[Attack], ...] = (
    TinyFrames, TinyFramesOfManyAddresses, Silence, HalfFrames, Resets, RandomBytes, EndlessOctetCounts, EndlessLines,
    ControlCharacters,
)  # fmt: skip
