"""Limits requests while they are received (a twisted.web Site)."""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

import json
from io import BytesIO
from typing import cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, parse_qs
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from bridge.collector.body import BODY_LIMIT, too_large
from bridge.collector.body_buffer import BufferedBody
from bridge.collector.guard import BYTES_PER_SECOND, REQUEST_SECONDS, Guard
from bridge.collector.head import CheckHead, Head
from bridge.collector.refusal import Refusal

IDLE_TIMEOUT_SECONDS = 60.0

# Bytes of a refused body that are still read. If the connection were closed while the client sends, the kernel would
# discard the unread data and the client would see a reset instead of the response. Beyond this limit it is closed.
_DISCARD_LIMIT = 2 * BODY_LIMIT

_SMALL_BODY = 64 * 1024
"A refused request with a body of at most this length does not end its connection."


class BoundedRequest(Request):
    """Keeps a request's body in memory and within the site's limits, chunked or not.

    A request whose head is refused, or whose body is too large, is answered at once: by its head before any of the body
    is read (no 100 Continue is sent), otherwise when the body exceeds the limit. The rest is read and discarded, then
    the connection is closed.
    """

    head: Head | None = None
    """The head, once it was checked."""
    refused = False
    """True once the request is answered although its body has not arrived."""
    _discarded = 0
    """Bytes discarded since the request was refused."""
    _content: BytesIO
    _buffered: BufferedBody | None = None

    def head_received(self, method: bytes, uri: bytes, version: bytes) -> None:
        """Handles the request line, before the other headers are evaluated."""
        self.method, self.uri, self.clientproto = method, uri, version
        self.path, _, query = uri.partition(b"?")
        self.args = parse_qs(query, True)

    def gotLength(self, length: int | None) -> None:
        """Handles Content-Length (None: chunked); called after the headers and before 100 Continue is sent."""
        self.content = self._content = BytesIO()
        site = self._site()
        try:
            if site.check_head is not None:
                self.head = site.check_head(self)
            if length is not None and length > site.body_limit:
                raise too_large(site.body_limit)
        except Refusal as refusal:
            waits = self.requestHeaders.hasHeader("Expect")
            self.refuse(refusal, keep_alive=length is not None and length <= _SMALL_BODY and not waits)
            return
        if site.guard is not None:
            self._buffered = BufferedBody(self.getClientAddress().host, self.refuse)

    def handleContentChunk(self, data: bytes) -> None:
        """Handles a piece of the body."""
        if self.refused:
            self._discard(len(data))
            return
        site = self._site()
        if self._content.tell() + len(data) > site.body_limit:
            self.refuse(too_large(site.body_limit))
            return
        if site.guard is not None and self._buffered is not None:
            # May refuse this request, whose content is then a new one that is never read.
            site.guard.buffer.add(self._buffered, len(data))
        self._content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Handles the end of the body."""
        if self.refused:
            self.finish()
            return
        if self._buffered is not None:
            self._buffered.complete = True
        super().requestReceived(command, path, version)

    def finish(self) -> None:
        self._free()
        super().finish()

    def connectionLost(self, reason: object) -> None:
        self._free()
        super().connectionLost(reason)

    def refuse(self, refusal: Refusal, *, keep_alive: bool = False) -> None:
        """Answers at once, and discards the rest of the body."""
        site = self._site()
        if site.guard is not None:
            site.guard.note_refusal(self.getClientAddress().host, refusal)
        self._free()
        self.refused = True
        self.content = self._content = BytesIO()
        body = json.dumps({"error": refusal.text}).encode()
        if not keep_alive:
            self.channel.persistent = False
            self.setHeader("Connection", "close")
        self.requestHeaders.removeHeader("Expect")
        self.setResponseCode(refusal.status)
        for name, value in refusal.headers.items():
            self.setHeader(name, value)
        self.setHeader("Content-Type", "application/json")
        self.setHeader("Content-Length", str(len(body)))
        self.write(body)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > _DISCARD_LIMIT:
            cast(ITCPTransport, self.transport).abortConnection()

    def _free(self) -> None:
        """Ends the count of the buffered bytes. Called once the body is no longer needed."""
        guard = self._site().guard
        if guard is not None and self._buffered is not None:
            guard.buffer.remove(self._buffered)
            self._content.close()

    def _site(self) -> "IntakeSite":
        return self.channel.site  # type: ignore[attr-defined,no-any-return]  # set by Site.buildProtocol


class IntakeChannel(HTTPChannel):
    """Reads the requests of one connection: HTTP/1.1 only, each request within its deadline.

    The deadline is measured from the first byte of a request to its last one. It grows with the bytes that arrive, so
    that a slow line is served, but a client that sends a byte now and then is not.
    """

    _deadline: IDelayedCall | None = None
    _began = 0.0
    _received = 0

    def dataReceived(self, data: bytes) -> None:
        if not self._handlingRequest:
            self._watch()
            self._received += len(data)
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        self.requests[-1].head_received(self._command, self._path, self._version)
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        self._stop_watching()
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        sent_ahead = bool(self._dataBuffer)
        super().requestDone(request)
        if sent_ahead and not self._handlingRequest:
            self._watch()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_watching()
        super().connectionLost(reason)

    def end(self) -> None:
        """Closes the connection, after the answer if a request is being processed."""
        if self._handlingRequest:
            self.persistent = False
        else:
            self.loseConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        if self._guard is not None:
            refusal = Refusal(400, "malformed or too large head of an HTTP/1.1 request", reason="bad_request")
            self._guard.note_refusal(self.getPeer().host, refusal)
        super()._respondToBadRequestAndDisconnect()
        # Otherwise each further line would be answered as well.
        self.dataReceived = self.lineReceived = self.rawDataReceived = _ignore  # type: ignore[method-assign]
        self._stop_watching()

    def _watch(self) -> None:
        if self._deadline is None and self._guard is not None:
            self._began, self._received = self._guard.clock.seconds(), 0
            self._deadline = self._guard.clock.callLater(REQUEST_SECONDS, self._check_deadline)

    def _stop_watching(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _check_deadline(self) -> None:
        assert self._guard is not None
        left = self._began + REQUEST_SECONDS + self._received / BYTES_PER_SECOND - self._guard.clock.seconds()
        if left > 0:
            self._deadline = self._guard.clock.callLater(left, self._check_deadline)
            return
        self._deadline = None
        request: BoundedRequest | None = self.requests[-1] if self.requests else None
        text = f"the request did not arrive within {REQUEST_SECONDS:.0f} seconds and the time for its bytes"
        refusal = Refusal(408, f"{text}, no event was taken", reason="request_timeout")
        if request is None or self._transferDecoder is None:
            # The head is incomplete, so no answer can be written as one to it.
            self._guard.note_refusal(self.getPeer().host, refusal)
        elif not request.refused:
            request.refuse(refusal)
        self.timeoutConnection()

    @property
    def _guard(self) -> Guard | None:
        site: IntakeSite = self.site  # type: ignore[attr-defined]  # set by Site.buildProtocol
        return site.guard


def _ignore(data: bytes) -> None:
    """Ignores what a client sends after an error."""


class IntakeSite(Site):
    """Serves `bridge.collector.api.IntakeResource`: HTTP/1.1 with keep-alive, limited bodies, no access log.

    ``body_limit`` is in bytes. Connections without traffic for ``idle_timeout`` seconds are closed. ``guard``: further
    limits of a listener; ``check_head`` then decides whether the body is read.
    """

    noisy = False

    def __init__(
        self, resource: IResource, reactor: IReactorTime, *,
        body_limit: int = BODY_LIMIT, idle_timeout: float = IDLE_TIMEOUT_SECONDS,
        guard: Guard | None = None, check_head: CheckHead | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            resource, requestFactory=BoundedRequest, parsePOSTFormSubmission=False, reactor=reactor,
            timeout=idle_timeout,
        )  # fmt: skip
        # The default protocol also speaks HTTP/2 if it is installed, which would bypass the limits.
        self.protocol = IntakeChannel  # type: ignore[assignment]
        self.body_limit = body_limit
        self.guard = guard
        self.check_head = check_head

    def log(self, request: object) -> None:
        """Logs nothing: a query may contain a key, and a benchmark sends thousands of requests per second."""

    def acceptableProtocols(self) -> list[bytes]:
        """Returns only HTTP/1.1: HTTP/2 would bypass `BoundedRequest`, so it is not offered even if it is installed."""
        return [b"http/1.1"]
