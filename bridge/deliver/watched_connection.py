"""Makes connections on which no server can occupy memory or a socket without end.

- The header of an answer is limited.
- What the server answers before it has the whole body is held back, because Twisted fails on an answer that it cannot
  read while it sends. If it is an error, the rest of the body is not sent.
- A connection that is closed ends within ``CLOSE_TIMEOUT``.
"""
# mypy: disallow-untyped-calls=False

from dataclasses import dataclass
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.deliver.exchange import MAX_EARLY, Body, Progress
from bridge.deliver.response_head import ResponseHead

CLOSE_TIMEOUT = 10.0
"""Seconds after which a closed connection is aborted. Twisted would wait for ever for a server that does not read the
rest of a body, or does not confirm the end of TLS."""


class WatchedConnection(ProtocolWrapper):
    """A connection that watches one request after the other."""

    _progress: Progress | None = None
    _head: ResponseHead | None = None
    _holds_back = False
    "True until the answer may be passed on."
    _body_sent = True
    _held = b""
    _closing: IDelayedCall | None = None

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Begins to watch a request. Called by Twisted before it sends a body."""
        if isinstance(producer, Body):
            self._progress, self._head = producer.progress, ResponseHead()
            self._holds_back, self._body_sent = True, False
            self._progress.begin(self.abortConnection)
        super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Records that the body was sent, or the request cancelled. Called by Twisted, which expects the answer only
        after this call."""
        super().unregisterProducer()
        self._body_sent = True
        if self._progress is not None and self._progress.expired:
            self._held = b""
        elif self._held:
            self.factory.clock.callLater(0, self._pass_on)
        else:
            self._holds_back = False

    def dataReceived(self, data: bytes) -> None:
        progress, head = self._progress, self._head
        if self._closing is not None:
            return
        if progress is None or head is None:
            super().dataReceived(data)
            return
        if (limit := head.add(data)) is not None:
            progress.refuse(limit)
            self.abortConnection()
        elif self._holds_back:
            self._hold(data, progress)
        else:
            self._head = None if head.ended else head
            super().dataReceived(data)

    def _hold(self, data: bytes, progress: Progress) -> None:
        self._held += data
        progress.answered_early(data)
        if not self._body_sent and progress.early_response_is_complete:
            self.abortConnection()
        elif len(self._held) > MAX_EARLY:
            self.pauseProducing()

    def _pass_on(self) -> None:
        held, self._held, self._holds_back = self._held, b"", False
        if held:
            self.resumeProducing()
            super().dataReceived(held)

    def loseConnection(self) -> None:
        """Closes the connection in order, and aborts it if that takes too long."""
        super().loseConnection()
        if self._closing is None:
            self._closing = self.factory.clock.callLater(CLOSE_TIMEOUT, self.abortConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        if self._body_sent:
            self._pass_on()
        super().connectionLost(reason)


class _Factory(WrappingFactory):
    protocol = WatchedConnection
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, clock: IReactorTime) -> None:
        super().__init__(wrapped)
        self.clock = clock


@implementer(IStreamClientEndpoint)
@dataclass(frozen=True, slots=True)
class WatchedEndpoint:
    """Makes connections of another endpoint watched."""

    endpoint: IStreamClientEndpoint
    clock: IReactorTime

    def connect(self, protocolFactory: IProtocolFactory) -> "defer.Deferred[IProtocol]":
        """Connects. Returns the protocol of ``protocolFactory``."""
        connecting: defer.Deferred[Any] = self.endpoint.connect(_Factory(protocolFactory, self.clock))
        return connecting.addCallback(lambda connection: connection.wrappedProtocol)
