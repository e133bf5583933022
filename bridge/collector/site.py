# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)
"""The socket side: a Site that bounds bodies while they arrive."""

import json
from io import BytesIO
from typing import cast

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from bridge.collector.body import BODY_LIMIT, too_large

IDLE_TIMEOUT_SECONDS = 60.0

# How much of a refused body is still read. A client that is cut off while it sends sees a reset instead of the answer,
# since the kernel throws away what it has not read yet; one that never stops is cut off in the end.
_DISCARD_LIMIT = 2 * BODY_LIMIT


class BoundedRequest(Request):
    """A request whose body stays in memory and within the site's limit, chunked or not.

    A body that is too large is answered with 413 at once: from its Content-Length before any of it is read (and no
    100 Continue is sent), else at the byte that is too many. The rest is read and thrown away, then the connection
    ends.
    """

    _discarded: int | None = None
    """Bytes thrown away since the request was refused."""
    _body: BytesIO

    def gotLength(self, length: int | None) -> None:
        """Called with Content-Length (None: chunked) after the headers."""
        self.content = self._body = BytesIO()
        if length is not None and length > self._limit():
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """Called with each piece of the body."""
        if self._discarded is not None:
            self._discarded += len(data)
            if self._discarded > _DISCARD_LIMIT:
                cast(ITCPTransport, self.transport).abortConnection()
        elif self._body.tell() + len(data) > self._limit():
            self._refuse()
        else:
            self._body.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Called at the body's end."""
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
        # The request line is not known here yet; a client that sends bodies this large speaks HTTP/1.1.
        self.clientproto = b"HTTP/1.1"
        self.channel.persistent = False
        self.requestHeaders.removeHeader("Expect")
        self.setResponseCode(refusal.status)
        for name, value in (("Content-Type", "application/json"), ("Connection", "close")):
            self.setHeader(name, value)
        self.setHeader("Content-Length", str(len(body)))
        self.write(body)


class IntakeSite(Site):
    """A Site for `bridge.collector.api.IntakeResource`: HTTP/1.1 with keep-alive, bounded bodies, no access log.

    ``body_limit`` in bytes; connections without any traffic for ``idle_timeout`` seconds are closed.
    """

    noisy = False

    def __init__(
        self,
        resource: IResource,
        reactor: IReactorTime,
        *,
        body_limit: int = BODY_LIMIT,
        idle_timeout: float = IDLE_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(
            resource,
            requestFactory=BoundedRequest,
            parsePOSTFormSubmission=False,
            reactor=reactor,
            timeout=idle_timeout,
        )
        self.body_limit = body_limit

    def log(self, request: object) -> None:
        """No access log: a query may hold a key, and a benchmark sends thousands of requests a second."""

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/2 would pass `BoundedRequest` by, so it is not offered even where its library is installed."""
        return [b"http/1.1"]
