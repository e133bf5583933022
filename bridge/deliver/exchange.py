"""Sends request bodies, and keeps what the server answers before a body has ended.

A server may answer from the header alone, for example 413 from nginx, and then close the connection. Twisted reports
only that the connection ended. ``Progress`` therefore keeps the early answer.
"""
# mypy: disallow-untyped-calls=False

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from twisted.internet import defer
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.protocols.policies import TimeoutMixin
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

MIN_RATE = 16 * 1024
"Bytes per second. The body of an answer may take the request's timeout and the time that its bytes need at this rate."
_CHUNK = 256 * 1024
MAX_EARLY = 64 * 1024
"Limit in bytes of what is kept of an early answer."
_INTERIM = re.compile(rb"HTTP/1\.[01] 1[0-9]{2}\b")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]*)?\r\n")
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
    cut: str | None = None
    "Limit that the body exceeded, so that only its beginning was read; None if the body is complete."


class Progress(TimeoutMixin):
    """Cancels a request that makes no progress within a timeout. ``resetTimeout`` records progress."""

    def __init__(self, clock: IReactorTime) -> None:
        self.callLater = clock.callLater  # type: ignore[assignment, method-assign]
        self.expired = False
        self.late = False
        "True if the request expired because its answer came too slowly."
        self.refused: str | None = None
        "Limit that the answer exceeds; None if it exceeds none."
        self.begun = False
        "True once a connection was open and sending the body began."
        self.repeated = False
        "True if a first attempt had sent the whole body and its connection ended without a response."
        self._clock = clock
        self._request: defer.Deferred[Response] | None = None
        self._answer_due = 0.0
        "Time at which the body of the answer is due, in seconds. Each received byte moves it."
        self._early = b""
        self._abort: Callable[[], object] = lambda: None

    def watch(self, request: "defer.Deferred[Response]", timeout: float) -> None:
        """Starts to watch a request, until ``setTimeout(None)`` is called. ``timeout`` is in seconds."""
        self._request = request
        self.setTimeout(timeout)

    def begin(self, abort: Callable[[], object]) -> None:
        """Records that sending the body over a connection begins. ``abort`` ends this connection at once."""
        self.begun = True
        self._early = b""
        self._abort = abort

    def repeat(self) -> None:
        """Records that the body was sent completely and is sent again."""
        self.repeated = True

    def answer_begins(self) -> None:
        """Records that the header of the answer has arrived and its body follows."""
        self.resetTimeout()
        self._answer_due = self._clock.seconds() + (self.timeOut or 0)

    def received(self, size: int) -> None:
        """Records bytes of the answer's body. They are progress only if the body is not late."""
        self._answer_due += size / MIN_RATE
        if self._clock.seconds() < self._answer_due:
            self.resetTimeout()
        elif not self.expired:
            self.late = True
            self.setTimeout(None)
            self.timeoutConnection()

    def refuse(self, limit: str) -> None:
        """Records that the answer exceeds a limit, so that its connection is aborted."""
        self.refused = limit

    def answered_early(self, data: bytes) -> None:
        """Records data that the server sent before the body had ended."""
        self._early += data[: MAX_EARLY - len(self._early)]

    @property
    def early_response(self) -> Response | None:
        """Returns the error that the server answered before the body had ended, or None. An early success is ignored,
        because the server has not read the body. A compressed body is left out."""
        if (response := self._early_error()) is None:
            return None
        headers, body = response.headers, response.body
        if headers.get("content-encoding", "identity").lower() != "identity":
            body = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            body = _without_chunk_lines(body)
        return replace(response, body=body)

    def _early_error(self) -> Response | None:
        """Returns the error that the server answered early, with its body as received."""
        head, end, body = self._early.partition(b"\r\n\r\n")
        while _INTERIM.match(head):
            head, end, body = body.partition(b"\r\n\r\n")
        status = _ERROR.match(head)
        if status is None or not end:
            return None
        fields = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return Response(int(status[1]), body, headers, self.repeated)

    @property
    def early_response_is_complete(self) -> bool:
        """Returns True if the server has answered with an error, and nothing of it is missing."""
        if (response := self._early_error()) is None:
            return False
        length = response.headers.get("content-length", "")
        if length.isascii() and length.isdigit():
            return len(response.body) >= int(length[:9]) or len(self._early) == MAX_EARLY
        return response.body.endswith(b"0\r\n\r\n")

    def abort(self) -> None:
        """Ends the connection at once."""
        self._abort()

    def timeoutConnection(self) -> None:
        self.expired = True
        assert self._request is not None
        self._request.cancel()


def _without_chunk_lines(body: bytes) -> bytes:
    """Returns the data of the chunks of a body (RFC 9112 section 7.1), which may be incomplete."""
    parts, at = [], 0
    while (line := _CHUNK_LINE.match(body, at)) is not None and (size := int(line[1], 16)):
        parts.append(body[line.end() : line.end() + size])
        at = line.end() + size + len(b"\r\n")
    return b"".join(parts)


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
            self._done.callback(None)

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._consumer = None
