"""Attacks on the UDP listener: floods, the largest datagrams, random bytes, and thousands of addresses."""

from __future__ import annotations

import socket
import struct
import threading

from tests.harness.attacks.attack import Attack, Target

_IP_PKTINFO = 8
_LARGEST = 65_507


class _Datagrams(Attack):
    """Sends datagrams through one socket."""

    def __init__(self, target: Target, *, seed: int, network: str) -> None:
        super().__init__(target, seed=seed, network=network)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._to = ("127.0.0.1", target.ports["udp"])

    def _end(self) -> None:
        super()._end()
        self._socket.close()

    def _send(self, data: bytes, source: str | None = None) -> None:
        info = []
        if source is not None:
            # IP_PKTINFO sets any local address as the source, without a socket for each (ip(7)).
            address = socket.inet_aton(source)
            info = [(socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=I4s4s", 0, address, address))]
        self._socket.sendmsg([data], info, 0, self._to)


class Flood(_Datagrams):
    """Sends 20,000 datagrams a second from one address."""

    name = "udp-flood"
    point = 3
    pause = 0.005

    def _step(self, stop: threading.Event) -> None:
        source = f"{self._network}.1"
        for _ in range(100):
            self._send(b"<13>a datagram of a flood, with a text of the usual length of syslog messages", source)


class Oversized(_Datagrams):
    """Sends datagrams of the largest size, 100 a second: the kernel counts each as 64 KiB of the receive buffer."""

    name = "udp-oversized"
    point = 3
    pause = 0.04

    def _step(self, stop: threading.Event) -> None:
        source = f"{self._network}.1"
        for _ in range(4):
            self._send(b"<13>" + b"a" * (_LARGEST - 4), source)


class RandomDatagrams(_Datagrams):
    """Sends random bytes of random length, 2,000 datagrams a second."""

    name = "udp-random-bytes"
    point = 3
    pause = 0.01

    def _step(self, stop: threading.Event) -> None:
        source = f"{self._network}.1"
        for _ in range(20):
            self._send(self.chance.randbytes(self.chance.randint(0, 300)), source)


class ManyAddresses(_Datagrams):
    """Sends from another address each time, 4,000 datagrams a second."""

    name = "udp-many-addresses"
    point = 3
    pause = 0.01

    def _step(self, stop: threading.Event) -> None:
        for _ in range(40):
            a, b, c = self.chance.randint(1, 254), self.chance.randint(0, 255), self.chance.randint(1, 254)
            self._send(b"<13>forged source", f"127.{a}.{b}.{c}")


ATTACKS: tuple[type[Attack], ...] = (Flood, Oversized, RandomDatagrams, ManyAddresses)
