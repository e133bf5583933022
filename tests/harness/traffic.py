"""Simulates a device that sends numbered messages with their sending time over one TCP connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from tests.harness.messages import SentMessage, rfc5424
from tests.harness.send import tcp

_MOST = 2_000_000  # an upper bound in any case


class Traffic:
    """Sends messages in a thread; `sent[n]` is message n, recorded before any byte of it is written."""

    def __init__(self, port: int, *, first: int = 0, per_write: int = 10, pause_seconds: float = 0.02) -> None:
        self.sent: list[SentMessage] = []
        self.broken: OSError | None = None
        self._port = port
        self._first = first
        self._per_write = per_write
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with tcp(self._port) as connection:
                while not self._stopping.is_set() and len(self.sent) < _MOST:
                    now = datetime.now(UTC)
                    number = self._first + len(self.sent)
                    block = [rfc5424(number + ahead, now) for ahead in range(self._per_write)]
                    self.sent += block
                    connection.sendall(b"".join(message.frame + b"\n" for message in block))
                    self._stopping.wait(self._pause_seconds)
        except OSError as error:
            self.broken = error


@contextmanager
def traffic(port: int) -> Iterator[Traffic]:
    """Sends traffic for the length of the `with` block."""
    device = Traffic(port)
    device.start()
    try:
        yield device
    finally:
        device.stop()
    assert device.broken is None, device.broken
