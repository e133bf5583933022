"""Sends request bodies, and keeps what the server answers before a body has ended.

A server may answer from the header alone, for example 413 from nginx, and then close the connection. Twisted reports
only that the connection ended. ``WatchedEndpoint`` therefore keeps the early answer.
"""
# mypy: disallow-untyped-calls=False

import re
from dataclasses import dataclass, field
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper, TimeoutMixin, WrappingFactory
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

_CHUNK = 256 * 1024
_MAX_EARLY = 64 * 1024
"Limit in bytes of what is kept of an early answer."
_INTERIM = re.compile(rb"HTTP/1\.[01] 1[0-9]{2}\b")
_ERROR = re.compile(rb"HTTP/1\.[01] ([45][0-9]{2})\b")


@dataclass(frozen=True, slots=True)
class Response:
    """HTTP response of one request."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    "Header names in lower case. Of repeated headers, the last value is stored."
    repeated: bool = False
    "True if the request was sent twice, because its first connection ended without a response."


class Progress(TimeoutMixin):
    """Cancels a request that makes no progress within a timeout. ``resetTimeout`` records progress."""

    def __init__(self, clock: IReactorTime) -> None:
        self.callLater = clock.callLater  # type: ignore[assignment, method-assign]
        self.expired = False
        self.begun = False
        "True once a connection was open and sending the body began."
        self.repeated = False
        "True if a first attempt had sent the whole body and its connection ended without a response."
        self._request: defer.Deferred[Response] | None = None
        self._early = b""
        self._connection: WatchedConnection | None = None

    def watch(self, request: "defer.Deferred[Response]", timeout: float) -> None:
        """Starts to watch a request, until ``setTimeout(None)`` is called. ``timeout`` is in seconds."""
        self._request = request
        self.setTimeout(timeout)

    def begin(self, connection: "WatchedConnection") -> None:
        """Records that sending the body over a connection begins."""
        self.begun = True
        self._early = b""
        self._connection = connection

    def repeat(self) -> None:
        """Records that the body was sent completely and is sent again."""
        self.repeated = True

    def sent(self) -> None:
        """Records that the connection has taken the whole body."""
        self._connection = None

    def answered_early(self, data: bytes) -> None:
        """Records data that the server sent before the body had ended."""
        self._early += data[: _MAX_EARLY - len(self._early)]

    @property
    def early_response(self) -> Response | None:
        """Returns the error that the server answered before the body had ended, or None. An early success is ignored,
        because the server has not read the body."""
        head, end, body = self._early.partition(b"\r\n\r\n")
        while _INTERIM.match(head):
            head, end, body = body.partition(b"\r\n\r\n")
        status = _ERROR.match(head)
        if status is None or not end:
            return None
        fields = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return Response(int(status[1]), body, headers, self.repeated)

    def abort_unless_sent(self) -> None:
        """Ends the connection if the body was not sent completely: the server has answered and reads no more."""
        if self._connection is not None:
            self._connection.abortConnection()

    def timeoutConnection(self) -> None:
        self.expired = True
        assert self._request is not None
        self._request.cancel()


@implementer(IBodyProducer)
class Body:
    """Produces a request body from memory. Each chunk that the transport takes counts as progress."""

    def __init__(self, data: bytes, progress: Progress) -> None:
        self.length = len(data)
        self.progress = progress
        self._data = memoryview(data)
        self._offset = 0
        self._paused = False
        self._consumer: IConsumer | None = None
        self._done: defer.Deferred[None] = defer.Deferred()

    def startProducing(self, consumer: IConsumer) -> "defer.Deferred[None]":
        self._consumer = consumer
        self.resumeProducing()
        return self._done

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and self._consumer is not None and self._offset < self.length:
            self.progress.resetTimeout()
            chunk = bytes(self._data[self._offset : self._offset + _CHUNK])
            self._offset += len(chunk)
            self._consumer.write(chunk)
        if self._offset >= self.length and self._consumer is not None:
            self._consumer = None
            self.progress.sent()
            self._done.callback(None)

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._consumer = None


class WatchedConnection(ProtocolWrapper):
    """A connection that keeps what arrives while a body is sent."""

    _progress: Progress | None = None

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Begins to watch a body. Called by Twisted."""
        if isinstance(producer, Body):
            self._progress = producer.progress
            self._progress.begin(self)
        super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Ends watching. Called by Twisted."""
        self._progress = None
        super().unregisterProducer()

    def dataReceived(self, data: bytes) -> None:
        if self._progress is not None:
            self._progress.answered_early(data)
        super().dataReceived(data)


class _Factory(WrappingFactory):
    protocol = WatchedConnection
    noisy = False


@implementer(IStreamClientEndpoint)
@dataclass(frozen=True, slots=True)
class WatchedEndpoint:
    """Makes connections of another endpoint watched."""

    endpoint: IStreamClientEndpoint

    def connect(self, protocolFactory: IProtocolFactory) -> "defer.Deferred[IProtocol]":
        """Connects. Returns the protocol of ``protocolFactory``."""
        connecting: defer.Deferred[Any] = self.endpoint.connect(_Factory(protocolFactory))
        return connecting.addCallback(lambda connection: connection.wrappedProtocol)
