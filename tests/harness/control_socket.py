"""Reads pages of a bridge through its control socket, which no client of the admin endpoint can occupy."""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path

_TIMEOUT = 300.0
"""Seconds: an attacked bridge may be slow to answer, and how slow is what a test measures."""


class ControlSocket(http.client.HTTPConnection):
    """A connection to the control socket in `spool`."""

    def __init__(self, spool: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._spool = spool

    def connect(self) -> None:
        # A socket path is limited to 107 bytes; the path through the directory's descriptor is short.
        directory = os.open(self._spool, os.O_RDONLY | os.O_DIRECTORY)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/control.sock")
        finally:
            os.close(directory)

    def get(self, path: str) -> bytes:
        """Returns the body of a page. Raises OSError or HTTPException."""
        self.request("GET", path)
        return self.getresponse().read()
