"""Attacks on a listener that expects a PROXY header: nonsense, headers without end, and none."""

from __future__ import annotations

import threading

from tests.harness.attacks.attack import Attack

_V2 = b"\r\n\r\n\0\r\nQUIT\n"


class ProxyHeaders(Attack):
    """Sends PROXY headers that say nonsense, and a frame behind them."""

    name = "proxy-headers"
    point = 3
    pause = 0.01

    def _step(self, stop: threading.Event) -> None:
        header = self.chance.choice(
            (
                b"PROXY TCP4 999.1.1.1 x 1 1\r\n",
                b"PROXY TCP6 ::1\r\n",
                b"PROXY " + b"A" * 5000,
                b"PROXY UNKNOWN\r\n" * 100,
                b"PROXY TCP4 127.0.0.1 127.0.0.1 99999 514\r\n",
                _V2 + b"\x21\x11\xff\xff" + self.chance.randbytes(4000),
                _V2 + b"\xff\xff\0\0",
                _V2 + b"\x20\0\0\0" * 1000,
                _V2[: self.chance.randint(1, 12)],
                self.chance.randbytes(200),
            )
        )
        connection = self._connect("proxied")
        self._hold(connection, 100)
        connection.sendall(header + b"<13>behind the header\n")


class ForgedPeers(Attack):
    """Sends headers with a different peer for each connection."""

    name = "proxy-forged-peers"
    point = 3
    pause = 0.01

    def _step(self, stop: threading.Event) -> None:
        address = ".".join(str(self.chance.randint(1, 254)) for _ in range(4))
        with self._connect("proxied") as connection:
            connection.sendall(b"PROXY TCP4 %b 10.0.0.1 40000 514\r\n<13>forged\n" % address.encode())


ATTACKS: tuple[type[Attack], ...] = (ProxyHeaders, ForgedPeers)
