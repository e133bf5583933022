"""Listens for syslog over TLS (RFC 5425): a TCP listener whose connections start with a handshake."""
# mypy: disallow-untyped-calls=False

from collections.abc import Callable
from socket import socket

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.config import Listener
from bridge.ingest.peers import Peer
from bridge.listen.handshake import Handshake, TlsTransportFactory
from bridge.listen.listener import ListenerContext
from bridge.listen.sockets import ListenError
from bridge.listen.tcp import TcpListener
from bridge.listen.tcp_connection import StreamFactory, SyslogConnection, SyslogFactory
from bridge.tls.pem import PemError
from bridge.tls.server import ClientRefused, ClientTerms, ServerConnection, ServerContext, TlsTerms


def load_context(listener: Listener) -> ServerContext:
    """Loads a listener's certificate, key and client requirements. Raises ListenError."""
    assert listener.cert_file is not None
    terms = ClientTerms(listener.client_ca_file, listener.client_names, frozenset(listener.client_fingerprints))
    tls = TlsTerms(listener.tls_min_version, listener.cipher_suites, listener.legacy_ciphers)
    try:
        return ServerContext(listener.cert_file, listener.key_file, terms, tls)
    except PemError as error:
        raise ListenError(f"listener {listener.name}: {error.text}", error.hint) from None


@implementer(IHandshakeListener)
class TlsConnection(SyslogConnection):
    """Reads the TLS connection of one sender.

    OpenSSL returns one record at a time, and many senders write one record per message. The records of one socket
    read are therefore joined and processed as one read.
    """

    speaks_plain = False

    def __init__(self, factory: SyslogFactory, peer: Peer) -> None:
        super().__init__(factory, peer)
        self._records: list[bytes] = []
        self.handshake = Handshake(
            factory.connections, factory.listener_context.reactor, sender=peer.address, refuse=self._refuse,
            plain_text_hint=": the client sends plain text to a tls: listener",
        )  # fmt: skip

    def _start_timeout(self) -> None:
        if self.handshake.done:
            super()._start_timeout()

    def handshakeCompleted(self) -> None:
        """Called when the handshake is complete: accepts or rejects the client by its certificate."""
        self.handshake.complete()
        try:
            names = self._handle().authorize()
        except ClientRefused as refused:
            self._note_client(refused.former_names)
            self._refuse(refused.reason, str(refused))
            return
        if names:
            self._note_client(names)
            self._peer = self._factory.listener_context.peer(self._factory.listener.name, self._peer.address, names)
        self._start_timeout()

    def _note_client(self, names: tuple[str, ...]) -> None:
        if names:
            factory = self._factory
            factory.listener_context.seen_clients.note(factory.listener.name, names, self._peer.address)

    def dataReceived(self, data: bytes) -> None:
        self._records.append(data)

    def read_done(self) -> None:
        if records := self._records:
            self._records = []
            super().dataReceived(records[0] if len(records) == 1 else b"".join(records))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.handshake.stop()
        self.read_done()
        if not self._closed:
            self._closed = self.handshake.note_failure(self._handle(), reason.value)
        super().connectionLost(reason)

    def _handle(self) -> ServerConnection:
        handle = self.transport.getHandle()  # type: ignore[union-attr]
        assert isinstance(handle, ServerConnection)
        return handle


class TlsListener(TcpListener):
    """Accepts TLS connections on one listening socket; syslog connections unless ``factory`` builds others.

    Each connection of ``factory`` is a ``TlsReceiver``. The constructor raises ListenError.
    """

    def __init__(
        self, listener: Listener, bound: socket, listener_context: ListenerContext, factory: StreamFactory | None = None
    ) -> None:
        self._context = load_context(listener)
        factory = factory or SyslogFactory(listener, listener_context, TlsConnection)
        transport_factory = TlsTransportFactory(self._context, factory, listener_context.reactor)
        super().__init__(listener, bound, listener_context, factory, transport_factory)

    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """Returns the function that applies a reload, with the certificate files read again for new handshakes."""
        apply, context = super().prepare_change(listener, listener_context), load_context(listener)

        def apply_both() -> None:
            apply()
            self._context.replace_with(context)

        return apply_both

    @property
    def certificate_expires(self) -> float:  # type: ignore[override]
        return self._context.expires
