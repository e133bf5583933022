# mypy: disallow-untyped-calls=False
"""What one read of a socket brought over TLS, decrypted as a whole.

Twisted asks pyOpenSSL's ``recv`` for each record: a buffer, a copy, some calls, and one delivery. A sender that writes
one record for each message has hundreds in one read, and then that costs more than the messages. So OpenSSL is asked
directly, by insides of pyOpenSSL; where they are missing, nothing is taken here, and all goes Twisted's way.
"""

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import BufferingTLSTransport


class Records:
    """Decrypts into one buffer, which all connections of a thread may share."""

    SIZE = (1 << 17) + (1 << 14)
    "Bytes: one read of a socket, and what was left of the one before: a record has 16 KiB at most."

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

    def take(self, connection: SSL.Connection) -> tuple[bytes, bool]:
        """All that can be decrypted now, and whether there is more to ask for: what is longer than SIZE, an end, or an
        error. The last two are left for ``recv``, which finds and raises them again."""
        # Names of this function alone: what is done for each record is done for each message.
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
    """Twisted's TLS, which delivers what one read of the socket brought at once."""

    records: Records

    def _flushReceiveBIO(self) -> None:
        # For Twisted, when decrypted bytes may be there. What ends the connection, here or within a delivery, is its.
        while not (self._lostTLSConnection or self._aborted):
            data, more = self.records.take(self._tlsConnection)
            if data:
                ProtocolWrapper.dataReceived(self, data)
            if not more:
                self._flushSendBIO()
                return
            if not data:
                break
        super()._flushReceiveBIO()
