# mypy: disallow-untyped-calls=False
"""The door of a TLS listener (RFC 5425): what ``tcp`` does, behind a handshake.

A connection counts from its first byte, so a client that never finishes its handshake takes a place; it loses it after
``handshake_timeout``, or at once when all places are taken and somebody else knocks.
"""

import socket
from collections.abc import Callable

from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener, ITransport
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.config import Listener
from bridge.ingest.peers import Peer
from bridge.listen import proxy_protocol_header
from bridge.listen.listener import ListenerContext
from bridge.listen.sockets import ListenError
from bridge.listen.tcp import TcpListener
from bridge.listen.tcp_connection import READ, SyslogConnection, SyslogFactory
from bridge.tls.pem import PemError
from bridge.tls.records import Records, RecordsTransport
from bridge.tls.server import (
    ClientRefused,
    ClientTerms,
    ServerContext,
    handshake_fault,
)

_HANDSHAKE = 0x16
"The first byte of a TLS handshake."


def context_of(listener: Listener) -> ServerContext:
    """Its certificate, key and client terms, read. Raises ListenError."""
    assert listener.certificate is not None
    terms = ClientTerms(listener.client_ca, listener.client_names, frozenset(listener.client_fingerprints))
    try:
        return ServerContext(listener.certificate, listener.private_key, terms)
    except PemError as error:
        raise ListenError(f"listener {listener.name}: {error}") from None


@implementer(IHandshakeListener)
class TlsConnection(SyslogConnection):
    """A sender's connection. OpenSSL gives one record at a time, and many senders write one for each message: what one
    read of the socket brought is gathered, and read as one."""

    def __init__(self, factory: "TlsFactory", peer: Peer, host: str) -> None:
        super().__init__(factory, peer)
        self._tls = factory
        self._host = host
        self._admitted = False
        self._records: list[bytes] = []
        self.records = factory.records
        self.knocked = False
        "Whether the client has sent anything."

    def _expect(self) -> None:
        if self._admitted:
            super()._expect()
            return
        self._tls.handshaking[self] = None
        self.setTimeout(self._tls.listener.handshake_timeout.total_seconds())

    def handshakeCompleted(self) -> None:
        """Both sides agree; is it somebody who may come in?"""
        self._tls.handshaking.pop(self, None)
        try:
            names = self._tls.context.admit(self._handle())
        except ClientRefused as refused:
            self._refuse(refused.reason, str(refused))
            return
        self._admitted = True
        if names:
            self._peer = self._tls.listener_context.peer(self._tls.listener.name, self._host, names)
        self._expect()

    def dataReceived(self, data: bytes) -> None:
        if self._admitted:
            self._records.append(data)

    def read_done(self) -> None:
        """All records of one read of the socket are here."""
        if records := self._records:
            self._records = []
            super().dataReceived(records[0] if len(records) == 1 else b"".join(records))

    def not_tls(self) -> None:
        """The client's first byte begins no handshake."""
        self._refuse("plain_text", "it does not speak TLS: the client sends plain text to a tls: listener")

    def make_way(self) -> None:
        """Somebody else needs the place."""
        self._tls.handshaking.pop(self, None)
        self._refuse("handshake_timeout", "all places are taken, and it had not finished its TLS handshake")

    def timeoutConnection(self) -> None:
        """Too slow: within the handshake, or idle."""
        if self._admitted:
            super().timeoutConnection()
        elif self.knocked:
            self._refuse("handshake_timeout", "the TLS handshake was not done within handshake_timeout")
        else:
            self._refuse("handshake_timeout", "it sent nothing within handshake_timeout")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._tls.handshaking.pop(self, None)
        self.read_done()
        # Who only looks whether the port is open, as balancers do, is no news.
        if self.knocked and not self._closed and (not self._admitted or isinstance(reason.value, SSL.Error)):
            self._tell(reason.value)
        super().connectionLost(reason)

    def _tell(self, error: BaseException | None) -> None:
        word, text = "tls_broken", "its TLS is damaged, or was tampered with"
        if not self._admitted:
            word, text = handshake_fault(self._handle(), error)
        self._tls.rejections.note(word, self._peer.address, text)

    def _handle(self) -> SSL.Connection:
        handle = self.transport.getHandle()  # type: ignore[union-attr]
        assert isinstance(handle, SSL.Connection)
        return handle


class TlsTransport(RecordsTransport):
    """A sender's TLS, which also says when one read of the socket has been dealt with."""

    def makeConnection(self, transport: ITransport) -> None:
        """The socket's is known."""
        transport.bufferSize = READ  # type: ignore[attr-defined]  # of Twisted's FileDescriptor
        assert isinstance(self.wrappedProtocol, TlsConnection)
        self.records = self.wrappedProtocol.records
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """What the socket brought."""
        connection = self.wrappedProtocol
        if not isinstance(connection, TlsConnection):
            return  # it has ended
        if not connection.knocked:
            connection.knocked = True
            if data[0] != _HANDSHAKE:
                if proxy_protocol_header.begins(data):
                    connection.stray_header()
                else:
                    connection.not_tls()
                return
        super().dataReceived(data)
        connection.read_done()


class TlsFactory(SyslogFactory):
    """The connections of one TLS listener."""

    speaks_plain = False

    def __init__(self, listener: Listener, listener_context: ListenerContext) -> None:
        super().__init__(listener, listener_context)
        self.records = Records()
        self.handshaking: dict[TlsConnection, None] = {}
        "Connections that are not in yet, the oldest first."
        self.context = context_of(listener)

    def connection(self, peer: Peer, host: str) -> SyslogConnection:
        """A new sender's, whose handshake comes first."""
        return TlsConnection(self, peer, host)

    def make_room(self) -> bool:
        """The oldest handshake that is not done gives way."""
        oldest = next(iter(self.handshaking), None)
        if oldest is not None:
            oldest.make_way()
        return oldest is not None


class TlsListener(TcpListener):
    """One listening socket, with TLS on each of its connections."""

    factory: TlsFactory

    def __init__(
        self,
        listener: Listener,
        bound: socket.socket,
        listener_context: ListenerContext,
        factory: TlsFactory | None = None,
    ) -> None:
        super().__init__(listener, bound, listener_context, factory or TlsFactory(listener, listener_context))
        self._wrapping = TLSMemoryBIOFactory(self.factory.context, False, self.factory, listener_context.reactor)
        self._wrapping.protocol = TlsTransport

    def changed(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """The same, and its files are read again: for handshakes to come."""
        apply, context = super().changed(listener, listener_context), context_of(listener)

        def apply_both() -> None:
            apply()
            self.factory.context.become(context)

        return apply_both

    @property
    def certificate_expires(self) -> float:
        """Seconds since the epoch."""
        return self.factory.context.expires
