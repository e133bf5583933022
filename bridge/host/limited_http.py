"""Limits HTTP requests while they are received: their head, the length of their body, and their time.

twisted.web reads a whole body, into temporary files if it is large, before the request is looked at, and lets a client
take any time as long as it sends a byte now and then.
"""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

from collections.abc import Mapping
from io import BytesIO
from typing import Protocol, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, parse_qs
from twisted.web.server import Request

REQUEST_SECONDS = 60.0
"""Seconds that a request, or the answer to it, may take besides the time that its bytes need."""
BYTES_PER_SECOND = 16 * 1024
"""The slowest line that is served. The deadline of a request grows with the bytes that have arrived."""

# Bytes of a refused body that are still read. If the connection were closed while the client sends, the kernel would
# discard the unread data and the client would see a reset instead of the response. Beyond this limit it is closed.
_DISCARD_LIMIT = 20 * 1024 * 1024


class HttpLimits(Protocol):
    """Declares what a site tells its connections."""

    @property
    def clock(self) -> IReactorTime:
        """Returns the clock of deadlines."""

    def note_refused(self, client: str, reason: str, text: str) -> None:
        """Counts and logs a refused request. ``reason`` is the code for metrics."""


class LimitedRequest(Request):
    """A request that can be answered before its body has arrived. The rest of the body is read and discarded, then the
    connection is closed."""

    refused = False
    """True once the request is answered although its body has not arrived."""
    _discarded = 0
    """Bytes discarded since the request was refused."""
    _body: BytesIO

    def head_received(self, method: bytes, uri: bytes, version: bytes) -> None:
        """Handles the request line, before the other headers are evaluated."""
        self.method, self.uri, self.clientproto = method, uri, version
        self.path, _, query = uri.partition(b"?")
        self.args = parse_qs(query, True)

    def gotLength(self, length: int | None) -> None:
        """Handles Content-Length (None: chunked); called after the headers and before 100 Continue is sent."""
        self.content = self._body = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Handles a piece of the body."""
        if not self.refused:
            self._body.write(data)
            return
        self._discarded += len(data)
        if self._discarded > _DISCARD_LIMIT:
            cast(ITCPTransport, self.transport).abortConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Handles the end of the body."""
        if self.refused:
            self.finish()
        else:
            super().requestReceived(command, path, version)

    def answer_now(
        self, status: int, text: str, *, headers: Mapping[str, str] | None = None, keep_alive: bool = False
    ) -> None:
        """Answers an error before the body has arrived."""
        self.refused = True
        self.content = self._body = BytesIO()
        content_type, body = self.error_body(text)
        if not keep_alive:
            self.channel.persistent = False
            self.setHeader("Connection", "close")
        # Without this, 100 Continue would be sent.
        self.requestHeaders.removeHeader("Expect")
        self.setResponseCode(status)
        for name, value in (headers or {}).items():
            self.setHeader(name, value)
        self.setHeader("Content-Type", content_type)
        self.setHeader("Content-Length", str(len(body)))
        self.write(body)

    def error_body(self, text: str) -> tuple[str, bytes]:
        """Returns content type and body of an error."""
        return "text/plain; charset=utf-8", text.encode() + b"\n"

    def late(self, text: str) -> None:
        """Answers that the request did not arrive in time."""
        self.answer_now(408, text)


class LimitedChannel(HTTPChannel):
    """Reads the requests of one connection: HTTP/1.1 only, each request within its deadline.

    The deadline is measured from the first byte of a request to its last one. It grows with the bytes that arrive, so
    that a slow line is served, but a client that sends a byte now and then is not.
    """

    abortTimeout: float = REQUEST_SECONDS  # type: ignore[assignment]  # any number of seconds
    """Seconds until a connection that is being closed ends although its client neither reads nor closes it."""
    _deadline: IDelayedCall | None = None
    _began = 0.0
    _received = 0

    @property
    def limits(self) -> HttpLimits | None:
        """Returns the limits of the site; None: requests have no deadline."""
        return None

    def dataReceived(self, data: bytes) -> None:
        if not self._handlingRequest:
            self._watch()
            self._received += len(data)
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        self.abortTimeout = REQUEST_SECONDS
        self.requests[-1].head_received(self._command, self._path, self._version)
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        self._stop_watching()
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        sent_ahead = any(self._dataBuffer)
        super().requestDone(request)
        if sent_ahead and not self._handlingRequest:
            self._watch()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_watching()
        super().connectionLost(reason)

    def allow_to_read(self, seconds: float) -> None:
        """Gives the client time to read the answer that begins now, if the connection is closed after it."""
        self.abortTimeout = seconds

    def end(self) -> None:
        """Closes the connection, after the answer if a request is being processed."""
        if self._handlingRequest:
            self.persistent = False
        else:
            self.loseConnection()

    def loseConnection(self) -> None:
        super().loseConnection()
        if self._abortingCall is None:
            self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:
        if self.limits is not None:
            text = "400, malformed or too large head of an HTTP/1.1 request"
            self.limits.note_refused(self._client(), "bad_request", text)
        super()._respondToBadRequestAndDisconnect()
        # Otherwise each further line would be answered as well.
        self.dataReceived = self.lineReceived = self.rawDataReceived = _ignore  # type: ignore[method-assign]
        self._stop_watching()

    def _client(self) -> str:
        return str(getattr(self.getPeer(), "host", ""))

    def _watch(self) -> None:
        if self._deadline is None and self.limits is not None:
            self._began, self._received = self.limits.clock.seconds(), 0
            self._deadline = self.limits.clock.callLater(REQUEST_SECONDS, self._check_deadline)

    def _stop_watching(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _check_deadline(self) -> None:
        self._deadline = None
        limits = self.limits
        assert limits is not None
        left = self._began + REQUEST_SECONDS + self._received / BYTES_PER_SECOND - limits.clock.seconds()
        if left > 0:
            self._deadline = limits.clock.callLater(left, self._check_deadline)
            return
        request: LimitedRequest | None = self.requests[-1] if self.requests else None
        if request is None or not request.refused:
            text = f"the request did not arrive within {REQUEST_SECONDS:.0f} seconds and the time for its bytes"
            limits.note_refused(self._client(), "request_timeout", f"408, {text}")
            # Without its whole head, a request cannot be answered.
            if request is not None and self._transferDecoder is not None:
                request.late(text)
        self.timeoutConnection()


def _ignore(data: bytes) -> None:
    """Ignores what a client sends after an error."""
