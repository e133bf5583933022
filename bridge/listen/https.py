"""Receives events over HTTPS with the collector's own API, from agents and from other gateways.

A request's intake key selects the intake: its events are passed on as they are, with the time that the sender gives,
or the reception time if it gives none. Without a key, routes decide as for any other sender. A request is answered
after its events are in the spool and a group commit has synced them to disk. Without room for them the answer is 503
with ``Retry-After``, at once; a request is never held.

No client can stop the gateway: the key is checked before the body is read, the bytes and the time of a request and the
bytes of all requests are limited (``https_limits``), and bodies are processed one at a time in slices.
"""
# mypy: disallow-untyped-calls=False

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHandshakeListener, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.collector.api import IntakeResource
from bridge.collector.site import IDLE_TIMEOUT_SECONDS, IntakeChannel, IntakeSite
from bridge.config import Listener
from bridge.ingest.addresses import address_of
from bridge.listen.connections import Connections
from bridge.listen.handshake import Handshake
from bridge.listen.https_limits import HttpsLimits
from bridge.listen.listener import ListenerContext
from bridge.listen.request_sink import IntakeKeys, RequestSink
from bridge.listen.tcp_connection import StreamFactory
from bridge.listen.tls import TlsListener


@implementer(IHandshakeListener)
class _HttpsConnection(ProtocolWrapper):
    """Wraps the HTTP connection of one client."""

    def __init__(self, factory: "HttpsFactory", wrapped: IProtocol, sender: str) -> None:
        super().__init__(factory, wrapped)  # type: ignore[arg-type]
        self._connections = factory.connections
        self._closed = False
        self._received_data = False
        self.handshake = Handshake(
            factory.connections, factory.request_sink.listener_context.reactor, sender=sender, refuse=self._refuse,
            plain_text_hint=". Does the client use an http:// URL?",
        )  # fmt: skip

    def handshakeCompleted(self) -> None:
        self.handshake.complete()

    def dataReceived(self, data: bytes) -> None:
        self._received_data = True
        self._connections.note_read()
        super().dataReceived(data)

    def read_done(self) -> None:
        """Does nothing: the HTTP parser takes a read in any number of parts."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.handshake.stop()
        if not self._closed:
            rejected = self.handshake.note_failure(self.transport.getHandle(), reason.value)  # type: ignore[union-attr]
            if not rejected and not self._received_data:
                self._connections.ended_without_data()
        super().connectionLost(reason)
        self._connections.closed(self)

    def end(self) -> None:
        if self.transport is not None:
            cast(IntakeChannel, self.wrappedProtocol).end()

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
        reactor = listener_context.reactor
        self.connections: Connections[_HttpsConnection] = Connections(
            listener, reactor.seconds, listener_context.rejected
        )
        rejections = self.connections.rejections
        self.request_sink = RequestSink(listener, listener_context, keys, wall, accepted=rejections.note_accepted)
        self.limits = HttpsLimits(listener, reactor, rejections)
        resource = IntakeResource(
            self.request_sink, keys=keys, now=lambda: datetime.fromtimestamp(wall(), UTC), limits=self.limits
        )
        idle = IDLE_TIMEOUT_SECONDS if listener.idle_timeout is None else listener.idle_timeout.total_seconds()
        super().__init__(
            IntakeSite(resource, reactor, idle_timeout=idle, limits=self.limits, check_head=resource.check_head)
        )

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        self.request_sink.change(listener, listener_context)
        self.connections.change(listener)
        self.limits.change(listener)

    def buildProtocol(self, addr: IAddress | None) -> _HttpsConnection | None:  # type: ignore[override]
        host = str(getattr(addr, "host", ""))
        sender = str(address_of(host) or host)
        return self.connections.build(
            host, lambda: _HttpsConnection(self, self.wrappedFactory.buildProtocol(addr), sender)
        )

    def check_idle(self) -> None:
        """Does nothing: a request is complete or it is not."""


class HttpsListener(TlsListener):
    """Accepts HTTPS connections on one listening socket."""

    def __init__(
        self, listener: Listener, bound: socket.socket, listener_context: ListenerContext, factory: HttpsFactory
    ) -> None:
        super().__init__(listener, bound, listener_context, factory)
        self._queue = factory.limits.queue

    def close(self, *, shared: bool) -> Deferred[None]:
        # Nothing is stored after this: the spool is closed next.
        self._queue.close()
        return super().close(shared=shared)


def https_listener(
    listener: Listener, bound: socket.socket, listener_context: ListenerContext,
    keys: IntakeKeys, wall: Callable[[], float],
) -> HttpsListener:  # fmt: skip
    """Creates an HTTPS listener. Raises ListenError."""
    return HttpsListener(listener, bound, listener_context, HttpsFactory(listener, listener_context, keys, wall))
