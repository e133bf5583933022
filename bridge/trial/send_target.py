"""Sends test messages over one blocking socket and describes its errors for the operator."""

import errno
import os
import socket
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from bridge.routing.conditions import Address
from bridge.util.errors import BridgeError

_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
"Maximum wait for the receiver to close the connection after us. A receiver that keeps it open is not an error."


class SendError(BridgeError):
    """Raised when nothing more can be sent; the text says why."""


class SendTarget(NamedTuple):
    """The target of test messages: ``udp://HOST:PORT`` or ``tcp://HOST:PORT``."""

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.kind}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a target. Raises ValueError with examples of valid targets."""
        wrong = f"invalid target '{text}'. Write udp://192.0.2.1:514, tcp://localhost:514 or udp://[::1]:514."
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError(wrong) from None
        if parts.scheme not in ("udp", "tcp") or not parts.hostname or not port or parts.path or parts.query:
            raise ValueError(wrong)
        if "@" in parts.netloc or (":" in parts.hostname) != ("[" in parts.netloc):
            raise ValueError(wrong)
        return cls(parts.scheme, parts.hostname, port)


class SendConnection:
    """A socket to a target; ``source`` binds it to one of this machine's addresses. All methods raise SendError."""

    def __init__(self, target: SendTarget, source: Address | None) -> None:
        self._target = target
        self._udp = target.kind == "udp"
        try:
            self._socket = self._connected(source)
        except OSError as error:
            raise self._error(error, source) from None

    def _connected(self, source: Address | None) -> socket.socket:
        kind = socket.SOCK_DGRAM if self._udp else socket.SOCK_STREAM
        family = 0 if source is None else socket.AF_INET if source.version == 4 else socket.AF_INET6
        failure: OSError = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        for address_family, _, _, _, address in socket.getaddrinfo(self._target.host, self._target.port, family, kind):
            opened = socket.socket(address_family, kind)
            try:
                if source is not None:
                    opened.bind((str(source), 0))
                opened.settimeout(_CONNECT_SECONDS)
                opened.connect(address)
                opened.settimeout(None)
            except OSError as error:
                opened.close()
                failure = error
                continue
            return opened
        raise failure

    def send(self, data: bytes) -> None:
        """Sends a datagram, or a part of the stream."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Closes the connection; raises an error that the receiver has reported by now."""
        try:
            with self._socket, suppress(TimeoutError):
                if not self._udp:
                    self._socket.shutdown(socket.SHUT_WR)
                    self._socket.settimeout(_CLOSE_SECONDS)
                    while self._socket.recv(4096):
                        pass
                # If no process listens on the port, the host may report it by ICMP after the datagram was sent.
                elif code := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(code, os.strerror(code))
        except OSError as error:
            raise self._error(error) from None

    def _error(self, error: OSError, source: Address | None = None) -> SendError:
        hint = ""
        if isinstance(error, socket.gaierror):
            why = f"cannot resolve the host name ({error.strerror})"
        elif isinstance(error, TimeoutError):
            why = f"no connection within {_CONNECT_SECONDS:g} s"
        elif error.errno == errno.ECONNREFUSED:
            why = "no process listens on this port (connection refused)"
        elif error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            why, hint = "the receiver closed the connection", "Check allow and max_connections of its listener."
        elif error.errno == errno.EMSGSIZE:
            why, hint = "the message is longer than a datagram can be (65,507 bytes)", "Use tcp://."
        elif error.errno == errno.EADDRNOTAVAIL and source is not None:
            why = f"this machine has no address {source}"
        else:
            why = error.strerror or str(error)
        return SendError(f"{self._target}: {why}", hint)
