"""Measures how long a bridge takes to answer, from outside: the longest answer is the longest reactor stall."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from pathlib import Path

from tests.harness.control_socket import ControlSocket

LONGEST_STALL = 10.0
"""Seconds. The aim is one; a busy machine with two cores adds several. Earlier faults stalled the reactor for 27 s."""
_EVERY = 0.02


class StallProbe:
    """Asks in a thread until it is stopped."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._longest = 0.0
        self._asked_at: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def longest(self) -> float:
        """Returns the longest stall since the last call, in seconds. A stall that still lasts counts."""
        longest, self._longest = self._longest, 0.0
        asked_at = self._asked_at
        return longest if asked_at is None else max(longest, time.monotonic() - asked_at)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with (
                contextlib.suppress(OSError, http.client.HTTPException),
                contextlib.closing(ControlSocket(self._spool)) as connection,
            ):
                while not self._stopping.is_set():
                    self._asked_at = begun = time.monotonic()
                    connection.get("/healthz")
                    self._asked_at = None
                    self._longest = max(self._longest, time.monotonic() - begun)
                    self._stopping.wait(_EVERY)
            self._asked_at = None
            self._stopping.wait(_EVERY)
