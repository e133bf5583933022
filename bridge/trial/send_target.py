"""Where test messages go: one plain, blocking socket, and what goes wrong with it in words."""

import errno
import os
import socket
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from bridge.routing.conditions import Address

_CONNECT_SECONDS = 10.0
_FAREWELL_SECONDS = 2.0
"How long a receiver may take to close after us; one that never does is no fault."


class SendError(Exception):
    """Nothing more can be sent; the text says why."""


class SendTarget(NamedTuple):
    """``udp://HOST:PORT`` or ``tcp://HOST:PORT``."""

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.kind}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError, with what would be right."""
        right = "udp://192.0.2.1:514, tcp://localhost:514 or udp://[::1]:514"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError(f"'{text}' is no target, such as {right}") from None
        if parts.scheme not in ("udp", "tcp") or not parts.hostname or not port or parts.path or parts.query:
            raise ValueError(f"'{text}' is no target, such as {right}")
        if "@" in parts.netloc or (":" in parts.hostname) != ("[" in parts.netloc):
            raise ValueError(f"'{text}' is no target, such as {right}")
        return cls(parts.scheme, parts.hostname, port)


class SendConnection:
    """A socket to a target. ``source`` binds it to one of this machine's addresses. Raises SendError, as all here."""

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
        for found, _, _, _, where in socket.getaddrinfo(self._target.host, self._target.port, family, kind):
            opened = socket.socket(found, kind)
            try:
                if source is not None:
                    opened.bind((str(source), 0))
                opened.settimeout(_CONNECT_SECONDS)
                opened.connect(where)
                opened.settimeout(None)
            except OSError as error:
                opened.close()
                failure = error
                continue
            return opened
        raise failure

    def send(self, data: bytes) -> None:
        """A datagram, or a piece of the stream."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Say that nothing more comes. A refusal that has come back by now is raised."""
        try:
            with self._socket:
                if self._udp:
                    # A host that has nobody on the port says so after the datagram, as far as it says so at all.
                    code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                self._socket.shutdown(socket.SHUT_WR)
                self._socket.settimeout(_FAREWELL_SECONDS)
                while self._socket.recv(4096):
                    pass
        except TimeoutError:
            pass
        except OSError as error:
            raise self._error(error) from None

    def _error(self, error: OSError, source: Address | None = None) -> SendError:
        if isinstance(error, socket.gaierror):
            why = f"the name cannot be resolved ({error.strerror})"
        elif isinstance(error, TimeoutError):
            why = f"no connection within {_CONNECT_SECONDS:g} s"
        elif error.errno == errno.ECONNREFUSED:
            why = "nobody listens there (connection refused)"
        elif error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            why = "the receiver closed the connection: is this address in its allow:, are its max_connections reached?"
        elif error.errno == errno.EMSGSIZE:
            why = "a message is longer than a datagram can be (65,507 bytes): use tcp://"
        elif error.errno == errno.EADDRNOTAVAIL and source is not None:
            why = f"this machine has no address {source}"
        else:
            why = error.strerror or str(error)
        return SendError(f"{self._target}: {why}")
