"""Limits request bodies while they are received (a twisted.web Site)."""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

import json
from io import BytesIO
from typing import cast

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from bridge.collector.body import BODY_LIMIT, too_large

IDLE_TIMEOUT_SECONDS = 60.0

# Bytes of a refused body that are still read. If the connection were closed while the client sends, the kernel would
# discard the unread data and the client would see a reset instead of the response. Beyond this limit it is closed.
_DISCARD_LIMIT = 2 * BODY_LIMIT


class BoundedRequest(Request):
    """Keeps a request's body in memory and within the site's limit, chunked or not.

    A body that is too large is answered with 413 at once: by its Content-Length before any of it is read (no
    100 Continue is sent), otherwise when it exceeds the limit. The rest is read and discarded, then the connection is
    closed.
    """

    _discarded: int | None = None
    """Bytes discarded since the request was refused; None if it was not."""
    _body: BytesIO

    def gotLength(self, length: int | None) -> None:
        """Handles Content-Length (None: chunked); called after the headers."""
        self.content = self._body = BytesIO()
        if length is not None and length > self._limit():
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """Handles a piece of the body."""
        if self._discarded is not None:
            self._discarded += len(data)
            if self._discarded > _DISCARD_LIMIT:
                cast(ITCPTransport, self.transport).abortConnection()
        elif self._body.tell() + len(data) > self._limit():
            self._refuse()
        else:
            self._body.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Handles the end of the body."""
        if self._discarded is None:
            super().requestReceived(command, path, version)
        else:
            self.method, self.uri = command, path
            self.finish()

    def _limit(self) -> int:
        site: IntakeSite = self.channel.site  # type: ignore[attr-defined]  # set by Site.buildProtocol
        return site.body_limit

    def _refuse(self) -> None:
        self._discarded = 0
        self.content = self._body = BytesIO()
        refusal = too_large(self._limit())
        body = json.dumps({"error": refusal.text}).encode()
        # The request line is not known here yet. HTTP/1.1 is assumed: other clients do not send bodies this large.
        self.clientproto = b"HTTP/1.1"
        self.channel.persistent = False
        self.requestHeaders.removeHeader("Expect")
        self.setResponseCode(refusal.status)
        self.setHeader("Content-Type", "application/json")
        self.setHeader("Connection", "close")
        self.setHeader("Content-Length", str(len(body)))
        self.write(body)


class IntakeSite(Site):
    """Serves `bridge.collector.api.IntakeResource`: HTTP/1.1 with keep-alive, limited bodies, no access log.

    ``body_limit`` is in bytes. Connections without traffic for ``idle_timeout`` seconds are closed.
    """

    noisy = False

    def __init__(
        self, resource: IResource, reactor: IReactorTime, *,
        body_limit: int = BODY_LIMIT, idle_timeout: float = IDLE_TIMEOUT_SECONDS,
    ) -> None:  # fmt: skip
        super().__init__(
            resource, requestFactory=BoundedRequest, parsePOSTFormSubmission=False, reactor=reactor,
            timeout=idle_timeout,
        )  # fmt: skip
        self.body_limit = body_limit

    def log(self, request: object) -> None:
        """Logs nothing: a query may contain a key, and a benchmark sends thousands of requests per second."""

    def acceptableProtocols(self) -> list[bytes]:
        """Returns only HTTP/1.1: HTTP/2 would bypass `BoundedRequest`, so it is not offered even if it is installed."""
        return [b"http/1.1"]
