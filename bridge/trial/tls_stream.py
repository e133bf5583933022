"""Encrypts a blocking socket, and reports an alert that the receiver sends after the handshake.

With TLS 1.3, a receiver rejects a client's certificate only when the handshake has ended for the client. The socket of
the module ``ssl`` loses such an alert if it arrives while the connection is closed, so the records are handled here.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
_READ = 65536


class TlsStream:
    """A TLS connection of a client. Takes over a connected socket. All methods raise OSError; ssl.SSLError is one."""

    type = socket.SOCK_STREAM

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._step(self._tls.do_handshake)

    def settimeout(self, seconds: float | None) -> None:
        """Sets the maximum wait for data, None for no limit."""
        self._socket.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        """Sends data. Raises the alert if the receiver has rejected the connection."""
        self._tls.write(data)
        try:
            self._flush()
        except ConnectionError:
            # The alert tells more than the closed connection.
            self._drain()
            raise

    def recv(self, size: int) -> bytes:
        """Returns the next data; empty at the end of the stream."""
        try:
            return self._step(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def finish(self) -> None:
        """Sends the end of the stream and reads until the receiver ends it too. Raises its alert."""
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        try:
            self._flush()
        finally:
            self._drain()

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _drain(self) -> None:
        """Reads and drops what the receiver has sent. Raises an alert."""
        with suppress(ConnectionError):
            while self.recv(_READ):
                pass

    def _step(self, step: Callable[[], T]) -> T:
        """Repeats a step until it needs no more data."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._socket.recv(_READ)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                # The receiver is told why, if it still reads.
                with suppress(OSError):
                    self._flush()
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._socket.sendall(data)
