"""Controls a syslog daemon that reads from a loopback TCP socket and forwards to the bridge in a chosen format."""

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
    """TLS settings of the daemon: trusted CA, own certificate, expected name of the server."""

    ca: Path
    own: Issued | None
    name: str


@dataclass(frozen=True)
class Forwarding:
    """Target, transport and format of the forwarded messages."""

    port: int
    transport: str  # udp | tcp | tls | relp (rsyslog only; with `security`: over TLS)
    format: str  # rfc3164 | rfc5424
    octet_counted: bool = False  # TCP only; otherwise one line per message
    host: str = "127.0.0.1"
    security: Security | None = None  # for tls and relp
    library: str = "openssl"  # or gnutls, for relp over TLS


@dataclass(frozen=True)
class Client:
    """A running daemon that forwards each line it reads."""

    process: Process
    input_port: int

    def wait_ready(self) -> None:
        """Waits until the daemon accepts input; kills it on failure."""
        try:
            self.process.wait_until(lambda: accepts(self.input_port), "listening for input")
        except BaseException:
            self.process.kill()
            raise

    def feed(self, lines: Iterable[str]) -> None:
        """Writes the lines, each a complete syslog message, and closes the connection."""
        data = b"".join(line.encode() + b"\n" for line in lines)
        with socket.create_connection(("127.0.0.1", self.input_port), timeout=60) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        self.process.terminate()
