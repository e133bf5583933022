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
    """Decrypts records with one buffer that all connections of a thread may share."""

    SIZE = 1 << 15
    "Size of the buffer in bytes. A record has at most 16 KiB."
    FEW = 32
    "Records of one read after which OpenSSL's own buffer is kept until the last one. Keeping it costs as much as 12."

    def __init__(self) -> None:
        try:
            from OpenSSL._util import ffi, lib  # noqa: PLC0415

            self._error: Callable[[Any, int], int] = lib.SSL_get_error
            self._want_read: int = lib.SSL_ERROR_WANT_READ
            self._set_mode: Callable[[Any, int], int] = lib.SSL_set_mode
            self._clear_mode: Callable[[Any, int], int] = lib.SSL_clear_mode
            self._release: int = lib.SSL_MODE_RELEASE_BUFFERS
            self._read_output: Callable[[Any, Any, int], int] = lib.BIO_read
            self._buffer = ffi.new("char[]", self.SIZE)
            self._view = ffi.buffer(self._buffer)
            self._read: Callable[[Any, Any, int], int] | None = lib.SSL_read
        except (ImportError, AttributeError):
            self._read = None

    def decrypt(self, connection: SSL.Connection) -> tuple[bytes, bool]:
        """Returns all bytes that can be decrypted now, and True if more remains.

        More is the end of the connection, or an error. The caller leaves both to ``recv``, which finds and raises them
        again.
        """
        # Local names and one tuple for the arguments of all calls are faster: this loop may run once for each message.
        read, handle = self._read, getattr(connection, "_ssl", None)
        if read is None or handle is None:
            return b"", True
        view, arguments = self._view, (handle, self._buffer, self.SIZE)
        records: list[bytes] = []
        add = records.append
        for _ in range(self.FEW):
            if (got := read(*arguments)) <= 0:
                break
            add(view[:got])
        else:
            got = self._read_many(arguments, add)
        return b"".join(records), self._error(handle, got) != self._want_read

    def _read_many(self, arguments: tuple[Any, Any, int], add: Callable[[bytes], None]) -> int:
        """Reads all further records. Returns the result of the last call.

        Usually, OpenSSL frees its buffer of 16 KiB after each record, so that a silent connection needs little memory.
        """
        assert self._read is not None
        read, view, handle = self._read, self._view, arguments[0]
        self._clear_mode(handle, self._release)
        self._set_mode(handle, 0)  # OpenSSL 3.2 and later applies a cleared mode when another one is set
        while (got := read(*arguments)) > 0:
            add(view[:got])
        if self._error(handle, got) == self._want_read:
            self._set_mode(handle, self._release)
            got = read(*arguments)  # frees the buffer
        return got

    def output(self, connection: SSL.Connection) -> bytes | None:
        """Returns what OpenSSL has written for the peer, at most SIZE bytes; None if this module cannot tell."""
        written = getattr(connection, "_from_ssl", None)
        if self._read is None or written is None:
            return None
        size = max(0, self._read_output(written, self._buffer, self.SIZE))
        output: bytes = self._view[:size]
        return output


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

    def _flushSendBIO(self) -> None:
        # Twisted's own method raises an exception and catches it after each read that needs no answer.
        if (output := self.factory.records.output(self._tlsConnection)) is None:
            super()._flushSendBIO()
        elif output:
            self.transport.write(output)  # type: ignore[union-attr]

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
