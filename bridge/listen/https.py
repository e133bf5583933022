"""Receives events over HTTPS with the collector's own API, from agents and from other gateways.

A request's intake key selects the intake: its events are passed on as they are, with the time that the sender gives,
or the reception time if it gives none. Without a key, routes decide as for any other sender. A request is answered
after its events are in the spool and a group commit has synced them to disk. Without room for them the answer is 503
with ``Retry-After``, at once; a request is never held.
"""
# mypy: disallow-untyped-calls=False

import math
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from twisted.internet import defer
from twisted.internet.interfaces import IAddress, IHandshakeListener, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.collector.api import IntakeResource
from bridge.collector.credentials import Keys
from bridge.collector.delivery import Delivery
from bridge.collector.refusal import Refusal
from bridge.collector.site import IDLE_TIMEOUT_SECONDS, IntakeSite
from bridge.config import Config, Listener
from bridge.host.waiting import reported
from bridge.ingest.peers import Peer, address_of
from bridge.listen.connections import Connections
from bridge.listen.handshake import Handshake
from bridge.listen.listener import ListenerContext
from bridge.listen.tcp_connection import StreamFactory
from bridge.listen.tls import TlsListener
from bridge.spool.budget import Full
from bridge.syslog.timestamps import milliseconds

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

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        self.listener, self.listener_context = listener, listener_context

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
            why = "the spool cannot be written" if taken.reason == "spool_write_failed" else "no room for these events"
            text = f"{why}, none was taken; send them again later"
            raise Refusal(503, text, headers={"Retry-After": RETRY_AFTER})
        if taken.lost:
            text = (
                f"{taken.lost} of {len(rows)} events could not be stored; send the request again."
                " The events that were stored may arrive twice"
            )
            raise Refusal(503, text, headers={"Retry-After": RETRY_AFTER})
        return reported(lambda done: self.listener_context.commit(taken.files, done)).addErrback(_refuse_unsynced)

    def _check_limit(self, peer: Peer, events: int) -> None:
        """Enforces the ``limit:`` of a source with status 429. The client can retry, so nothing is dropped."""
        if not peer.decided:
            peer.decide()
        if peer.bucket is not None and (wait := peer.bucket.borrow(events, int(self._wall() * 1000))):
            raise Refusal(
                429, f"this sender's limit of {peer.bucket.rate} events per second is exceeded; send again later",
                headers={"Retry-After": str(math.ceil(wait))},
            )  # fmt: skip


def _refuse_unsynced(failure: Failure) -> None:
    """Raises Refusal for a failed commit. The disk budget reports the error once, for all senders."""
    if not isinstance(failure.value, OSError):
        failure.raiseException()
    text = f"the events could not be synced to disk ({failure.value.strerror}); send them again"
    raise Refusal(503, text, headers={"Retry-After": RETRY_AFTER})


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    # RFC 3339 allows leap seconds (:60), which datetime cannot represent.
    return milliseconds(datetime.fromisoformat(text.upper().replace(":60", ":59").replace(" ", "T")))


@implementer(IHandshakeListener)
class _HttpsConnection(ProtocolWrapper):
    """Wraps the HTTP connection of one client."""

    def __init__(self, factory: "HttpsFactory", wrapped: IProtocol, sender: str) -> None:
        super().__init__(factory, wrapped)  # type: ignore[arg-type]
        self._connections = factory.connections
        self._closed = False
        self.handshake = Handshake(
            factory.connections, factory.request_sink.listener_context.reactor, sender=sender, refuse=self._refuse,
            plain_text_hint=". Does the client use an http:// URL?",
        )  # fmt: skip

    def handshakeCompleted(self) -> None:
        self.handshake.complete()

    def dataReceived(self, data: bytes) -> None:
        self._connections.note_read()
        super().dataReceived(data)

    def read_done(self) -> None:
        """Does nothing: the HTTP parser takes a read in any number of parts."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.handshake.stop()
        if not self._closed:
            self.handshake.note_failure(self.transport.getHandle(), reason.value)  # type: ignore[union-attr]
        super().connectionLost(reason)
        self._connections.closed(self)

    def end(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _refuse(self, reason: str, text: str) -> None:
        self._closed = True
        self._connections.refused(self, reason, text)
        self.transport.abortConnection()  # type: ignore[union-attr]


@implementer(StreamFactory)
class HttpsFactory(WrappingFactory):
    """Builds the connections of one HTTPS listener."""

    noisy = False

    def __init__(
        self, listener: Listener, listener_context: ListenerContext, keys: IntakeKeys, wall: Callable[[], float]
    ) -> None:
        self.request_sink = RequestSink(listener, listener_context, keys, wall)
        resource = IntakeResource(self.request_sink, keys=keys, now=lambda: datetime.fromtimestamp(wall(), UTC))
        idle = IDLE_TIMEOUT_SECONDS if listener.idle_timeout is None else listener.idle_timeout.total_seconds()
        super().__init__(IntakeSite(resource, listener_context.reactor, idle_timeout=idle))
        self.connections: Connections[_HttpsConnection] = Connections(listener, listener_context.reactor.seconds)

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        self.request_sink.change(listener, listener_context)
        self.connections.change(listener)

    def buildProtocol(self, addr: IAddress | None) -> _HttpsConnection | None:  # type: ignore[override]
        host = str(getattr(addr, "host", ""))
        sender = str(address_of(host) or host)
        return self.connections.build(
            host, lambda: _HttpsConnection(self, self.wrappedFactory.buildProtocol(addr), sender)
        )

    def check_idle(self) -> None:
        """Does nothing: a request is complete or it is not."""


def https_listener(
    listener: Listener, bound: socket.socket, listener_context: ListenerContext,
    keys: IntakeKeys, wall: Callable[[], float],
) -> TlsListener:  # fmt: skip
    """Creates an HTTPS listener. Raises ListenError."""
    return TlsListener(listener, bound, listener_context, HttpsFactory(listener, listener_context, keys, wall))
