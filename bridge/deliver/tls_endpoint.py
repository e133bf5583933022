"""Provides TLS connections for bodies of megabytes, with fewer and larger steps than Twisted's.

Twisted passes on OpenSSL's output after each 16 KiB and handles each record of a response separately. A body of 4 MB
is 250 records. Here the output is passed on once per write, and a response is read one socket read at a time.
"""
# mypy: disallow-untyped-calls=False

from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
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
"Bytes per step."


class WideTransport(RecordsTransport):
    """TLS transport of one connection."""

    _corked = False

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
        # The TLS alert must be sent before the connection ends.
        self._corked = False
        super()._tlsShutdownFinished(reason)


class _Factory(TLSMemoryBIOFactory):
    protocol = WideTransport

    def __init__(self, creator: IOpenSSLClientConnectionCreator, wrapped: IProtocolFactory, records: Records) -> None:
        super().__init__(creator, True, wrapped)
        self.records = records


@implementer(IStreamClientEndpoint)
@dataclass(frozen=True, slots=True)
class TlsEndpoint:
    """Wraps an endpoint in TLS, like ``twisted.internet.endpoints.wrapClientTLS``. ``records`` may be shared by all
    connections."""

    creator: IOpenSSLClientConnectionCreator
    endpoint: IStreamClientEndpoint
    records: Records

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":
        """Connects. The TLS handshake follows after the connection."""
        connecting: Deferred[Any] = self.endpoint.connect(_Factory(self.creator, protocolFactory, self.records))
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)
