"""A syslog daemon as a client: fed over a loopback TCP socket, it forwards to the bridge in a chosen dialect."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.harness.pki import Issued
from tests.harness.ports import accepts
from tests.harness.process import Process


@dataclass(frozen=True)
class Security:
    """How it speaks TLS: whom it trusts, what it shows, the name that it expects of the other side."""

    ca: Path
    own: Issued | None
    name: str


@dataclass(frozen=True)
class Forwarding:
    """How the daemon sends on."""

    port: int
    transport: str  # udp | tcp | tls | relp (rsyslog only; with `security`: over TLS)
    format: str  # rfc3164 | rfc5424
    octet_counted: bool = False  # TCP only; otherwise a line each
    host: str = "127.0.0.1"
    security: Security | None = None  # of tls, relp


@dataclass(frozen=True)
class Client:
    """A running daemon that forwards each line it is fed."""

    process: Process
    input_port: int

    def wait_ready(self) -> None:
        """Return when it can be fed; a daemon that never can is ended."""
        try:
            self.process.wait_until(lambda: accepts(self.input_port), "it listens for what the test feeds it")
        except BaseException:
            self.process.kill()
            raise

    def feed(self, lines: Iterable[str]) -> None:
        """Write the lines, each a whole syslog message, and close."""
        data = b"".join(line.encode() + b"\n" for line in lines)
        with socket.create_connection(("127.0.0.1", self.input_port), timeout=60) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        self.process.terminate()
