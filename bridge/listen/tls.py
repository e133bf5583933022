"""Listens for syslog over TLS (RFC 5425): a TCP listener whose connections start with a handshake.

A connection counts from its first byte, so a client that never finishes its handshake takes up a slot. It is closed
after ``handshake_timeout``. When the connection limit is reached, the oldest unfinished handshake is closed for a new
client.
"""
# mypy: disallow-untyped-calls=False

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
from bridge.tls.server import ClientRefused, ClientTerms, ServerContext, handshake_fault

_HANDSHAKE = 0x16
"The first byte of a TLS handshake (RFC 8446, content type 22)."


def load_context(listener: Listener) -> ServerContext:
    """Loads a listener's certificate, key and client requirements. Raises ListenError."""
    assert listener.certificate is not None
    terms = ClientTerms(listener.client_ca, listener.client_names, frozenset(listener.client_fingerprints))
    try:
        return ServerContext(listener.certificate, listener.private_key, terms)
    except PemError as error:
        raise ListenError(f"listener {listener.name}: {error}") from None


@implementer(IHandshakeListener)
class TlsConnection(SyslogConnection):
    """Reads the TLS connection of one sender.

    OpenSSL returns one record at a time, and many senders write one record per message. The records of one socket
    read are therefore joined and processed as one read.
    """

    def __init__(self, factory: "TlsFactory", peer: Peer, host: str) -> None:
        super().__init__(factory, peer)
        self._tls = factory
        self._host = host
        self._admitted = False
        self._records: list[bytes] = []
        self.records = factory.records
        self.received_data = False
        "True once the client has sent anything."

    def _start_timeout(self) -> None:
        if self._admitted:
            super()._start_timeout()
            return
        self._tls.handshaking[self] = None
        self.setTimeout(self._tls.listener.handshake_timeout.total_seconds())

    def handshakeCompleted(self) -> None:
        """Called when the handshake is complete: accepts or rejects the client by its certificate."""
        self._tls.handshaking.pop(self, None)
        try:
            names = self._tls.context.authorize(self._handle())
        except ClientRefused as refused:
            self._refuse(refused.reason, str(refused))
            return
        self._admitted = True
        if names:
            self._peer = self._tls.listener_context.peer(self._tls.listener.name, self._host, names)
        self._start_timeout()

    def dataReceived(self, data: bytes) -> None:
        if self._admitted:
            self._records.append(data)

    def read_done(self) -> None:
        """Called after all records of one socket read: processes them as one read."""
        if records := self._records:
            self._records = []
            super().dataReceived(records[0] if len(records) == 1 else b"".join(records))

    def refuse_plain_text(self) -> None:
        """Rejects a client whose first byte does not begin a TLS handshake."""
        self._refuse("plain_text", "it does not speak TLS: the client sends plain text to a tls: listener")

    def close_unfinished(self) -> None:
        """Closes the connection during its handshake, because a new client needs the slot."""
        self._tls.handshaking.pop(self, None)
        self._refuse("handshake_timeout", "max_connections is reached, and it has the oldest unfinished TLS handshake")

    def timeoutConnection(self) -> None:
        """Closes a connection whose handshake takes too long, or that is idle."""
        if self._admitted:
            super().timeoutConnection()
        elif self.received_data:
            self._refuse("handshake_timeout", "the TLS handshake was not completed within handshake_timeout")
        else:
            self._refuse("handshake_timeout", "it sent nothing within handshake_timeout")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._tls.handshaking.pop(self, None)
        self.read_done()
        # A health check only opens the port, so a connection without data is not logged.
        if self.received_data and not self._closed and (not self._admitted or isinstance(reason.value, SSL.Error)):
            self._note_tls_error(reason.value)
        super().connectionLost(reason)

    def _note_tls_error(self, error: BaseException | None) -> None:
        fault, text = "tls_broken", "its TLS data is damaged or was modified in transit"
        if not self._admitted:
            fault, text = handshake_fault(self._handle(), error)
        self._tls.rejections.note(fault, self._peer.address, text)

    def _handle(self) -> SSL.Connection:
        handle = self.transport.getHandle()  # type: ignore[union-attr]
        assert isinstance(handle, SSL.Connection)
        return handle


class TlsTransport(RecordsTransport):
    """Decrypts a sender's data and tells the connection when one socket read is complete."""

    def makeConnection(self, transport: ITransport) -> None:
        """Called with the socket's transport: sets its read size."""
        transport.bufferSize = READ  # type: ignore[attr-defined]  # of Twisted's FileDescriptor
        assert isinstance(self.wrappedProtocol, TlsConnection)
        self.records = self.wrappedProtocol.records
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """Decrypts the data of one socket read."""
        connection = self.wrappedProtocol
        if not isinstance(connection, TlsConnection):
            return  # it has ended
        if not connection.received_data:
            connection.received_data = True
            if data[0] != _HANDSHAKE:
                if proxy_protocol_header.begins(data):
                    connection.refuse_proxy_header()
                else:
                    connection.refuse_plain_text()
                return
        super().dataReceived(data)
        connection.read_done()


class TlsFactory(SyslogFactory):
    """Builds the connections of one TLS listener."""

    speaks_plain = False

    def __init__(self, listener: Listener, listener_context: ListenerContext) -> None:
        super().__init__(listener, listener_context)
        self.records = Records()
        self.handshaking: dict[TlsConnection, None] = {}
        "Connections with an unfinished handshake, the oldest first."
        self.context = load_context(listener)

    def connection(self, peer: Peer, host: str) -> SyslogConnection:
        """Creates the protocol of an accepted connection, which starts with the TLS handshake."""
        return TlsConnection(self, peer, host)

    def free_slot(self) -> bool:
        """Closes the oldest unfinished handshake; returns False if there is none."""
        oldest = next(iter(self.handshaking), None)
        if oldest is not None:
            oldest.close_unfinished()
        return oldest is not None


class TlsListener(TcpListener):
    """Accepts TLS connections on one listening socket."""

    factory: TlsFactory

    def __init__(
        self,
        listener: Listener,
        bound: socket.socket,
        listener_context: ListenerContext,
        factory: TlsFactory | None = None,
    ) -> None:
        super().__init__(listener, bound, listener_context, factory or TlsFactory(listener, listener_context))
        self._protocol_factory = TLSMemoryBIOFactory(
            self.factory.context, False, self.factory, listener_context.reactor
        )
        self._protocol_factory.protocol = TlsTransport

    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """Returns the function that applies a reload, with the certificate files read again for new handshakes."""
        apply, context = super().prepare_change(listener, listener_context), load_context(listener)

        def apply_both() -> None:
            apply()
            self.factory.context.replace_with(context)

        return apply_both

    @property
    def certificate_expires(self) -> float:
        """Returns when the certificate expires, in seconds since the epoch."""
        return self.factory.context.expires
