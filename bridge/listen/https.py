"""Receives events over HTTPS with the collector's own API, from agents and from other gateways.

A request's intake key selects the intake: its events are passed on as they are, with the time that the sender gives,
or the reception time if it gives none. Without a key, routes decide as for any other sender. A request is answered
after its events are in the spool and a group commit has synced them to disk. Without room for them the answer is 503
with ``Retry-After``, at once; a request is never held.
"""
# mypy: disallow-untyped-calls=False

import math
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from OpenSSL import SSL
from twisted.internet import defer
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure

from bridge.collector.api import IntakeResource
from bridge.collector.credentials import Keys
from bridge.collector.delivery import Delivery
from bridge.collector.refusal import Refusal
from bridge.collector.site import IDLE_TIMEOUT_SECONDS, IntakeSite
from bridge.config import Config, Listener
from bridge.ingest.peers import Peer, address_of
from bridge.listen import proxy_protocol_header
from bridge.listen.listener import ListenerContext, address_filter
from bridge.listen.rejections import Rejections
from bridge.listen.tcp import TcpListener
from bridge.listen.tls import load_context
from bridge.spool.budget import Full
from bridge.syslog.timestamps import milliseconds
from bridge.tls.server import handshake_fault

_HANDSHAKE = 0x16
"The first byte of a TLS handshake (RFC 8446, content type 22)."
RETRY_AFTER = "10"
"Value of the ``Retry-After`` header, in seconds."


class IntakeKeys(Keys):
    """Maps the keys of a configuration's intakes to their names. A request may also have no key."""

    def __init__(self, config: Config) -> None:
        super().__init__(frozenset(), optional=True)
        self.change(config)

    def change(self, config: Config) -> None:
        """Replaces the keys by those of another configuration. If two intakes share a key, it selects the first."""
        intakes: dict[str, str] = {}
        for name, intake in config.intakes.items():
            intakes.setdefault(intake.intake_key.reveal(), name)
        self._intakes: Mapping[str, str] = intakes
        self.replace(intakes.keys())

    def intake_of(self, key: str) -> str | None:
        """Returns the intake of a key that was checked before, or None if the request has no key."""
        return self._intakes[key] if key else None


class RequestSink:
    """Takes the events of HTTPS requests to one listener."""

    def __init__(
        self, listener: Listener, listener_context: ListenerContext, keys: IntakeKeys, wall: Callable[[], float]
    ) -> None:
        self.listener = listener
        self.listener_context = listener_context
        self.requests = 0
        self._keys = keys
        self._wall = wall

    def accept(self, delivery: Delivery) -> "defer.Deferred[None]":
        """Takes a request's events; the result fires when they are on disk.

        Raises Refusal if there is no room or the sender exceeds its limit, which takes nothing, or if a write fails,
        which may leave some events in the spool (``bridge.ingest.requests``).
        """
        self.requests += 1
        peer = self.listener_context.peer(self.listener.name, delivery.client)
        rows = list(delivery.content.rows())
        self._check_limit(peer, len(rows))
        by_intake: dict[str | None, list[tuple[bytes, int | None]]] = {}
        for row in rows:
            event = row.event, _milliseconds(row.event_timestamp)
            by_intake.setdefault(self._keys.intake_of(row.intake_key), []).append(event)
        taken = self.listener_context.pipeline.take_request(peer, by_intake)
        if isinstance(taken, Full):
            text = "no room for these events, none was taken; send them again later"
            raise Refusal(503, text, headers={"Retry-After": RETRY_AFTER})
        if taken.lost:
            text = (
                f"{taken.lost} of {len(rows)} events could not be stored; send the request again."
                " The events that were stored may arrive twice"
            )
            raise Refusal(503, text, headers={"Retry-After": RETRY_AFTER})
        committed: defer.Deferred[None] = defer.Deferred()
        self.listener_context.commit(
            lambda error: committed.callback(None) if error is None else committed.errback(error)
        )
        return committed

    def _check_limit(self, peer: Peer, events: int) -> None:
        """Enforces the ``limit:`` of a source with status 429. The client can retry, so nothing is dropped."""
        if not peer.decided:
            peer.decide()
        if peer.bucket is not None and (wait := peer.bucket.borrow(events, int(self._wall() * 1000))):
            raise Refusal(
                429, f"this sender's limit of {peer.bucket.rate} events per second is exceeded; send again later",
                headers={"Retry-After": str(math.ceil(wait))},
            )  # fmt: skip


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    # RFC 3339 allows leap seconds (:60), which datetime cannot represent.
    return milliseconds(datetime.fromisoformat(text.upper().replace(":60", ":59").replace(" ", "T")))


class _HttpsConnection(ProtocolWrapper):
    """Wraps a connection to count its reads and to record a failed TLS handshake."""

    def __init__(self, factory: "HttpsFactory", wrapped: Protocol, host: str) -> None:
        super().__init__(factory, wrapped)  # type: ignore[arg-type]
        self.host = host

    def dataReceived(self, data: bytes) -> None:
        self.factory.reads += 1
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(reason.value, SSL.Error):
            fault, text = handshake_fault(self.transport.getHandle(), reason.value)  # type: ignore[union-attr]
            self.factory.rejections.note(fault, self.host, text)
        self.factory.connection_closed(self)
        super().connectionLost(reason)

    def end(self) -> None:
        """Closes the connection from the gateway's side."""
        if self.transport is not None:
            self.transport.loseConnection()


class _FirstByteCheck(BufferingTLSTransport):
    """Runs Twisted's TLS, and rejects clients whose first byte does not begin a TLS handshake."""

    _first_byte_checked = False

    def dataReceived(self, data: bytes) -> None:
        """Checks the first byte, then passes the socket's data to TLS."""
        connection = self.wrappedProtocol
        if not self._first_byte_checked and isinstance(connection, _HttpsConnection):
            self._first_byte_checked = True
            if data[0] != _HANDSHAKE:
                reason, text = "plain_text", "it does not speak TLS. Does the client use an http:// URL?"
                if proxy_protocol_header.begins(data):
                    reason = "proxy_header_from_stranger"
                    text = "it begins with a PROXY header, and its sender is not in the listener's proxy_protocol"
                connection.factory.rejections.note(reason, connection.host, text)
                self.transport.abortConnection()  # type: ignore[union-attr]
                return
        super().dataReceived(data)


class HttpsFactory(WrappingFactory):
    """Builds the connections of one HTTPS listener."""

    noisy = False

    def __init__(
        self, listener: Listener, listener_context: ListenerContext, keys: IntakeKeys, wall: Callable[[], float]
    ) -> None:
        self.request_sink = RequestSink(listener, listener_context, keys, wall)
        resource = IntakeResource(self.request_sink, keys=keys, now=lambda: datetime.fromtimestamp(wall(), UTC))
        idle = listener.idle_timeout
        super().__init__(
            IntakeSite(
                resource,
                listener_context.reactor,
                idle_timeout=IDLE_TIMEOUT_SECONDS if idle is None else idle.total_seconds(),
            )
        )
        self.connections: dict[_HttpsConnection, None] = {}
        self.rejections = Rejections(listener.name, listener_context.reactor.seconds)
        self.reads = 0
        self.closing = False
        self._per_peer: Counter[str] = Counter()

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        """Applies another configuration."""
        self.request_sink.listener, self.request_sink.listener_context, self.rejections.listener = (
            listener,
            listener_context,
            listener.name,
        )

    def buildProtocol(self, addr: IAddress | None) -> ProtocolWrapper | None:  # type: ignore[override]
        """Builds a connection, or returns None to close it."""
        listener = self.request_sink.listener
        host = str(getattr(addr, "host", ""))
        sender = str(address_of(host) or host)
        if not address_filter(listener)(host):
            self.rejections.note("not_in_allow", host, "not in allow")
        elif self._per_peer[sender] >= listener.max_connections_per_peer:
            text = f"max_connections_per_peer ({listener.max_connections_per_peer}) reached"
            self.rejections.note("max_connections_per_peer", host, text)
        elif len(self.connections) >= listener.max_connections:
            self.rejections.note("max_connections", host, f"max_connections ({listener.max_connections}) reached")
        else:
            connection = _HttpsConnection(self, self.wrappedFactory.buildProtocol(addr), sender)
            self.connections[connection] = None
            self._per_peer[sender] += 1
            return connection
        return None

    def connection_closed(self, connection: _HttpsConnection) -> None:
        """Removes a connection that has ended."""
        if self.connections.pop(connection, self) is not self:
            self._per_peer[connection.host] -= 1
            if self._per_peer[connection.host] <= 0:
                del self._per_peer[connection.host]

    def check_idle(self) -> None:
        """Does nothing: a request is complete or it is not."""


class HttpsListener(TcpListener):
    """Serves HTTPS on one listening socket. The constructor raises ListenError."""

    def __init__(
        self,
        listener: Listener,
        bound: socket.socket,
        listener_context: ListenerContext,
        keys: IntakeKeys,
        wall: Callable[[], float],
    ) -> None:
        factory = HttpsFactory(listener, listener_context, keys, wall)
        super().__init__(listener, bound, listener_context, factory)  # type: ignore[arg-type]
        self._context = load_context(listener)
        self._protocol_factory = TLSMemoryBIOFactory(self._context, False, factory, listener_context.reactor)
        self._protocol_factory.protocol = _FirstByteCheck

    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """Returns the function that applies a reload, with the certificate files read again for new handshakes."""
        apply, context = super().prepare_change(listener, listener_context), load_context(listener)

        def apply_both() -> None:
            apply()
            self._context.replace_with(context)

        return apply_both

    @property
    def certificate_expires(self) -> float:
        """Returns when the certificate expires, in seconds since the epoch."""
        return self._context.expires
