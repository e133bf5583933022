"""Decrypts all TLS records of one socket read at once.

Twisted calls pyOpenSSL's ``recv`` for each record. Each call costs a buffer, a copy, several function calls and one
``dataReceived``. A sender that writes one record per message has hundreds of records in one read; then ``recv`` costs
more than processing the messages. So this module calls OpenSSL directly through internals of pyOpenSSL. If those
internals are missing, this module decrypts nothing, and Twisted decrypts all records.
"""
# mypy: disallow-untyped-calls=False

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from bridge.tls.server import ServerContext


class Records:
    """Decrypts records into one buffer that all connections of a thread may share."""

    SIZE = (1 << 17) + (1 << 14)
    "Size of the buffer in bytes: one socket read and the rest of the previous read. A record has at most 16 KiB."

    def __init__(self) -> None:
        try:
            from OpenSSL._util import ffi, lib  # noqa: PLC0415

            self._error: Callable[[Any, int], int] = lib.SSL_get_error
            self._want_read: int = lib.SSL_ERROR_WANT_READ
            self._buffer = ffi.new("char[]", self.SIZE)
            self._view = ffi.buffer(self._buffer)
            self._read: Callable[[Any, Any, int], int] | None = lib.SSL_read
        except (ImportError, AttributeError):
            self._read = None

    def decrypt(self, connection: SSL.Connection) -> tuple[bytes, bool]:
        """Returns all bytes that can be decrypted now, and True if more remains.

        More is data beyond SIZE, the end of the connection, or an error. The caller leaves the end and errors to
        ``recv``, which finds and raises them again.
        """
        # Local names are faster: this loop may run once for each message.
        read, handle = self._read, getattr(connection, "_ssl", None)
        if read is None or handle is None:
            return b"", True
        end, left = self._buffer, self.SIZE
        while left and (got := read(handle, end, left)) > 0:
            end += got
            left -= got
        more = not left or self._error(handle, got) != self._want_read
        return self._view[: self.SIZE - left], more


class RecordsTransport(BufferingTLSTransport):
    """Extends Twisted's TLS transport: delivers the decrypted data of one socket read at once."""

    factory: "RecordsFactory"
    "Any factory with ``records``."

    def _flushReceiveBIO(self) -> None:
        # Twisted calls this when decrypted bytes may be available. Twisted's own method handles the end and errors.
        while not (self._lostTLSConnection or self._aborted):
            data, more = self.factory.records.decrypt(self._tlsConnection)
            if data:
                ProtocolWrapper.dataReceived(self, data)
            if not more:
                self._flushSendBIO()
                return
            if not data:
                break
        super()._flushReceiveBIO()

    def abortConnection(self) -> None:
        """Closes the connection at once. Does nothing if it has ended.

        Twisted's web server may do this when a request of a client that has gone is finished. Twisted's own method
        fails then.
        """
        if self.connected:
            super().abortConnection()


class RecordsFactory(TLSMemoryBIOFactory):
    """Adds TLS to the connections of a server's factory."""

    protocol = RecordsTransport

    def __init__(self, context: ServerContext, wrapped: IProtocolFactory, clock: IReactorTime) -> None:
        super().__init__(context, False, wrapped, clock)
        self.records = Records()

    def buildProtocol(self, addr: IAddress | None) -> TLSMemoryBIOProtocol | None:  # type: ignore[override]
        """Returns the TLS connection of a client, or None if the wrapped factory rejects the client."""
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else self.protocol(self, wrapped)
