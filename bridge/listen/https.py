# mypy: disallow-untyped-calls=False
"""The HTTPS intake listener: the collector's API in front of this bridge, for agents and for other bridges.

A key that is an intake's chooses that intake: its events are passed on as they are, with the time that their sender
gives them (reception, where there is none). Without a key the routes decide, as for any other sender. A request is
answered once its events are in the spool and a group commit has put them on the disk; where there is no room for them
the answer is 503 with ``Retry-After``, at once: a request is never held.
"""

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
from bridge.collector.delivery import Delivery, EventRow
from bridge.collector.refusal import Refusal
from bridge.collector.site import IDLE_TIMEOUT_SECONDS, IntakeSite
from bridge.config import Config, Listener
from bridge.ingest.peers import Peer, address_of
from bridge.listen import proxy_protocol_header
from bridge.listen.listener import ListenerContext, allowing
from bridge.listen.rejections import Rejections
from bridge.listen.tcp import TcpListener
from bridge.listen.tls import context_of
from bridge.syslog.timestamps import milliseconds
from bridge.tls.server import handshake_fault

_HANDSHAKE = 0x16
"The first byte of a TLS handshake."
RETRY_AFTER = "10"
"Seconds, as the header says them."


class IntakeKeys(Keys):
    """The keys of a configuration's intakes. A request may also have none."""

    def __init__(self, config: Config) -> None:
        super().__init__(frozenset(), optional=True)
        self.change(config)

    def change(self, config: Config) -> None:
        """Those of another configuration; of two intakes with one key the first is meant."""
        intakes: dict[str, str] = {}
        for name, intake in config.intakes.items():
            intakes.setdefault(intake.intake_key.reveal(), name)
        self._intakes: Mapping[str, str] = intakes
        self.become(intakes.keys())

    def intake_of(self, key: str) -> str | None:
        """The intake of a key that was checked; None: there was none."""
        return self._intakes[key] if key else None


class RequestSink:
    """Takes the events of requests to one listener, as the collector's API hands them over."""

    def __init__(
        self, listener: Listener, listener_context: ListenerContext, keys: IntakeKeys, wall: Callable[[], float]
    ) -> None:
        self.listener = listener
        self.listener_context = listener_context
        self.requests = 0
        self._keys = keys
        self._wall = wall

    def accept(self, delivery: Delivery) -> "defer.Deferred[None]":
        """Fires when all of it is on the disk. Raises Refusal: nothing was taken."""
        self.requests += 1
        peer = self.listener_context.peer(self.listener.name, delivery.client)
        rows = list(delivery.content.rows())
        self._check_limit(peer, len(rows))
        by_intake: dict[str | None, list[EventRow]] = {}
        for row in rows:
            by_intake.setdefault(self._keys.intake_of(row.intake_key), []).append(row)
        lost = self.listener_context.pipeline.spool_writer.losses
        posted = [
            (intake, [row.event for row in rows], [_milliseconds(row.event_timestamp) for row in rows])
            for intake, rows in by_intake.items()
        ]
        if not self.listener_context.pipeline.take_posted(peer, posted):
            raise Refusal(503, "there is no room for these events now", headers={"Retry-After": RETRY_AFTER})
        if self.listener_context.pipeline.spool_writer.losses != lost:
            raise Refusal(503, "the events could not be stored", headers={"Retry-After": RETRY_AFTER})
        kept: defer.Deferred[None] = defer.Deferred()
        self.listener_context.commit(lambda error: kept.callback(None) if error is None else kept.errback(error))
        return kept

    def _check_limit(self, peer: Peer, events: int) -> None:
        """``limit:`` of a source. Whoever posts waits for an answer and can wait longer, so nothing is dropped."""
        if not peer.decided:
            peer.decide()
        if peer.bucket is not None and (wait := peer.bucket.borrow(events, int(self._wall() * 1000))):
            raise Refusal(
                429, f"more than the {peer.bucket.rate} events a second of this sender's limit",
                headers={"Retry-After": str(math.ceil(wait))},
            )  # fmt: skip


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    # RFC 3339 allows a leap second, which datetime does not know.
    return milliseconds(datetime.fromisoformat(text.upper().replace(":60", ":59").replace(" ", "T")))


class _Counted(ProtocolWrapper):
    """A connection that knows its listener."""

    def __init__(self, factory: "HttpsFactory", wrapped: Protocol, host: str) -> None:
        super().__init__(factory, wrapped)  # type: ignore[arg-type]
        self.host = host

    def dataReceived(self, data: bytes) -> None:
        self.factory.reads += 1
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(reason.value, SSL.Error):
            word, text = handshake_fault(self.transport.getHandle(), reason.value)  # type: ignore[union-attr]
            self.factory.rejections.note(word, self.host, text)
        self.factory.left(self)
        super().connectionLost(reason)

    def end(self) -> None:
        """We end it."""
        if self.transport is not None:
            self.transport.loseConnection()


class _Knock(BufferingTLSTransport):
    """Twisted's TLS; who speaks something else is told so in the log."""

    _knocked = False

    def dataReceived(self, data: bytes) -> None:
        """What the socket brought."""
        connection = self.wrappedProtocol
        if not self._knocked and isinstance(connection, _Counted):
            self._knocked = True
            if data[0] != _HANDSHAKE:
                reason, text = "plain_text", "it does not speak TLS: is it an http:// URL?"
                if proxy_protocol_header.begins(data):
                    reason = "proxy_header_from_stranger"
                    text = "it begins with a PROXY header, and its sender is not in the listener's proxy_protocol"
                connection.factory.rejections.note(reason, connection.host, text)
                self.transport.abortConnection()  # type: ignore[union-attr]
                return
        super().dataReceived(data)


class HttpsFactory(WrappingFactory):
    """The connections of one HTTPS listener."""

    noisy = False

    def __init__(
        self, listener: Listener, listener_context: ListenerContext, keys: IntakeKeys, wall: Callable[[], float]
    ) -> None:
        self.posts = RequestSink(listener, listener_context, keys, wall)
        resource = IntakeResource(self.posts, keys=keys, now=lambda: datetime.fromtimestamp(wall(), UTC))
        idle = listener.idle_timeout
        super().__init__(
            IntakeSite(
                resource,
                listener_context.reactor,
                idle_timeout=IDLE_TIMEOUT_SECONDS if idle is None else idle.total_seconds(),
            )
        )
        self.connections: dict[_Counted, None] = {}
        self.rejections = Rejections(listener.name, listener_context.reactor.seconds)
        self.reads = 0
        self.closing = False
        self._per_peer: Counter[str] = Counter()

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        """Go on under another configuration."""
        self.posts.listener, self.posts.listener_context, self.rejections.listener = (
            listener,
            listener_context,
            listener.name,
        )

    def buildProtocol(self, addr: IAddress | None) -> ProtocolWrapper | None:  # type: ignore[override]
        """A connection, or None: then it is closed."""
        listener = self.posts.listener
        host = str(getattr(addr, "host", ""))
        sender = str(address_of(host) or host)
        if not allowing(listener)(host):
            self.rejections.note("not_in_allow", host, "not in allow")
        elif self._per_peer[sender] >= listener.max_connections_per_peer:
            text = f"max_connections_per_peer ({listener.max_connections_per_peer}) reached"
            self.rejections.note("max_connections_per_peer", host, text)
        elif len(self.connections) >= listener.max_connections:
            self.rejections.note("max_connections", host, f"max_connections ({listener.max_connections}) reached")
        else:
            made = _Counted(self, self.wrappedFactory.buildProtocol(addr), sender)
            self.connections[made] = None
            self._per_peer[sender] += 1
            return made
        return None

    def left(self, connection: _Counted) -> None:
        """A connection has ended."""
        if self.connections.pop(connection, self) is not self:
            self._per_peer[connection.host] -= 1
            if self._per_peer[connection.host] <= 0:
                del self._per_peer[connection.host]

    def check_idle(self) -> None:
        """No request ends by itself."""


class HttpsListener(TcpListener):
    """One listening socket, HTTPS on each of its connections. Raises ListenError."""

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
        self._context = context_of(listener)
        self._wrapping = TLSMemoryBIOFactory(self._context, False, factory, listener_context.reactor)
        self._wrapping.protocol = _Knock

    def changed(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """The same, and its files are read again: for handshakes to come."""
        apply, context = super().changed(listener, listener_context), context_of(listener)

        def apply_both() -> None:
            apply()
            self._context.become(context)

        return apply_both

    @property
    def certificate_expires(self) -> float:
        """Seconds since the epoch."""
        return self._context.expires
