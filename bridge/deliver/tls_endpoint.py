# mypy: disallow-untyped-calls=False
"""A TLS connection that carries megabytes: Twisted's, with fewer and larger steps.

Twisted hands on what OpenSSL has made of each 16 KiB, and takes each record of an answer for itself; a body of 4 MB is
250 of them. Here it is handed on once for each write, and an answer is taken a read of the socket at a time.
"""

from typing import Any

from OpenSSL import SSL
from twisted.internet import defer
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.tls.records import Records, RecordsTransport

_AT_ONCE = 1 << 17
"Bytes."


class WideTransport(RecordsTransport):
    """One connection."""

    _corked = False

    def __init__(self, factory: "_Factory", wrapped: IProtocol) -> None:
        super().__init__(factory, wrapped)
        self.records = factory.records

    def _write(self, bytes: bytes) -> None:
        self._corked = True
        try:
            super()._write(bytes)
        finally:
            self._corked = False
        self._flushSendBIO()

    def _flushSendBIO(self) -> None:
        if self._corked:
            return
        try:
            while data := self._tlsConnection.bio_read(_AT_ONCE):
                self.transport.write(data)  # type: ignore[union-attr]
                if len(data) < _AT_ONCE:
                    return
        except SSL.WantReadError:
            return

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        # An alert goes out before the connection ends.
        self._corked = False
        super()._tlsShutdownFinished(reason)


class _Factory(TLSMemoryBIOFactory):
    protocol = WideTransport

    def __init__(self, creator: IOpenSSLClientConnectionCreator, wrapped: IProtocolFactory, records: Records) -> None:
        super().__init__(creator, True, wrapped)
        self.records = records


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """TLS over another way, as ``twisted.internet.endpoints.wrapClientTLS``. ``records`` may be shared by all."""

    def __init__(
        self, creator: IOpenSSLClientConnectionCreator, delivery_path: IStreamClientEndpoint, records: Records
    ) -> None:
        self._creator = creator
        self._delivery_path = delivery_path
        self._records = records

    def connect(self, protocolFactory: IProtocolFactory) -> "defer.Deferred[IProtocol]":
        """Connects, and shakes hands later."""
        connecting: defer.Deferred[Any] = self._delivery_path.connect(
            _Factory(self._creator, protocolFactory, self._records)
        )
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)
