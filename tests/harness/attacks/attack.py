"""Defines an attack: where it sends, and what it repeats until it is stopped.

Attacks use loopback addresses only, repeat what their seed says, and are bounded in count and in open connections.
"""

from __future__ import annotations

import random
import socket
import ssl
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

TIMEOUT = 3.0
"""Seconds for which a send or a receive may block, so that each attack ends soon after it is stopped."""
_FAILURES = (OSError, ValueError)
_AFTER_FAILURE = 0.05


@dataclass(frozen=True)
class Target:
    """The ports and files of the attacked bridge."""

    ports: dict[str, int]
    """Ports by listener name, and `admin`."""
    key: str
    """The key of an intake that nobody else uses."""
    configuration: str
    """The configuration file."""
    pid: int
    answers: str
    """The file with the names of the answers that the hostile collector gives."""
    directory: str
    """Where an attack may create files."""


class Attack:
    """Repeats `_step` until it is stopped. A subclass defines the step."""

    name: ClassVar[str]
    point: ClassVar[int]
    """The point of the security page's table to which it belongs."""
    pause: ClassVar[float] = 0.0
    """Seconds between two steps."""
    most: ClassVar[int] = 1_000_000
    """Steps, at most."""

    def __init__(self, target: Target, *, seed: int, network: str) -> None:
        """`network` is the first three bytes of the addresses that it sends from, such as `127.0.64`."""
        self.target = target
        self.chance = random.Random(f"{seed} {self.name}")
        self.steps = 0
        self.failures: Counter[str] = Counter()
        "Steps that the bridge or the kernel ended, by error."
        self.answers: Counter[str] = Counter()
        "HTTP answers by status."
        self._network = network
        self._held: deque[socket.socket] = deque()

    def run(self, stop: threading.Event) -> None:
        """Repeats the step. What the bridge refuses is counted as a failure of the step."""
        try:
            while not stop.is_set() and self.steps < self.most:
                self.steps += 1
                try:
                    self._step(stop)
                except _FAILURES as error:
                    self.failures[type(error).__name__] += 1
                    stop.wait(_AFTER_FAILURE)
                stop.wait(self.pause)
        finally:
            self._end()

    def _step(self, stop: threading.Event) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        """Closes what is open."""
        for connection in self._held:
            connection.close()
        self._held.clear()

    # --- connections --------------------------------------------------------------------------------------------------
    def _address(self) -> str:
        """Returns one of this attack's addresses."""
        return f"{self._network}.{self.chance.randint(1, 254)}"

    def _connect(self, listener: str, source: str | None = None) -> socket.socket:
        origin = (source or self._address(), 0)
        return socket.create_connection(("127.0.0.1", self.target.ports[listener]), TIMEOUT, source_address=origin)

    def _connect_tls(self, listener: str, source: str | None = None) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(self._connect(listener, source))

    def _note_answer(self, connection: socket.socket) -> None:
        """Reads an HTTP answer and counts its status."""
        words = connection.recv(65_536).split(b" ", 2)
        self.answers[words[1].decode() if len(words) > 1 else "none"] += 1

    def _hold(self, connection: socket.socket, most: int) -> None:
        """Keeps a connection open; closes the oldest beyond `most`."""
        self._held.append(connection)
        if len(self._held) > most:
            self._held.popleft().close()

    def _each_held(self, act: Callable[[socket.socket], object]) -> None:
        """Applies `act` to each held connection, and closes those that have ended."""
        for connection in list(self._held):
            try:
                act(connection)
            except OSError:
                self._held.remove(connection)
                connection.close()

    def _file(self, name: str) -> Path:
        return Path(self.target.directory) / f"{self.name}-{name}"


def reset(connection: socket.socket) -> None:
    """Closes a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def send_for(connection: socket.socket, data: bytes, stop: threading.Event, times: int) -> None:
    """Sends `data` again and again, at most `times`."""
    for _ in range(times):
        if stop.is_set():
            return
        connection.sendall(data)
