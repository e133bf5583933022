"""Limits requests while they are received (a twisted.web Site)."""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

import json

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Site

from bridge.collector.body import BODY_LIMIT, too_large
from bridge.collector.body_buffer import BufferedBody
from bridge.collector.head import CheckHead, Head
from bridge.collector.limits import IntakeLimits
from bridge.collector.refusal import Refusal
from bridge.host.limited_http import LimitedChannel, LimitedRequest

IDLE_TIMEOUT_SECONDS = 60.0

_SMALL_BODY = 64 * 1024
"A refused request with a body of at most this length does not end its connection."


class BoundedRequest(LimitedRequest):
    """Keeps a request's body in memory and within the site's limits, chunked or not.

    A request whose head is refused, or whose body is too large, is answered at once: by its head before any of the body
    is read (no 100 Continue is sent), otherwise when the body exceeds the limit. A request for a listener's health is
    answered with 200.
    """

    head: Head | None = None
    """The head, once it was checked."""
    _buffered: BufferedBody | None = None
    _is_health_check = False

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        site = self._site()
        if site.limits is not None and site.limits.is_health_check(self.method, self.path):
            self._is_health_check = True
            self.answer_now(200, "ok", keep_alive=length == 0)
            return
        try:
            if site.check_head is not None:
                self.head = site.check_head(self)
            if length is not None and length > site.body_limit:
                raise too_large(site.body_limit)
        except Refusal as refusal:
            waits = self.requestHeaders.hasHeader("Expect")
            self.refuse(refusal, keep_alive=length is not None and length <= _SMALL_BODY and not waits)
            return
        if site.limits is not None:
            self._buffered = BufferedBody(site.limits.share_of(self.getClientAddress().host), self.refuse)

    def handleContentChunk(self, data: bytes) -> None:
        site = self._site()
        if not self.refused and self._body.tell() + len(data) > site.body_limit:
            self.refuse(too_large(site.body_limit))
        if not self.refused and site.limits is not None and self._buffered is not None:
            # May refuse this request, or another one.
            site.limits.buffer.add(self._buffered, len(data))
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._buffered is not None:
            self._buffered.complete = True
        super().requestReceived(command, path, version)

    def finish(self) -> None:
        self.free_body()
        super().finish()

    def connectionLost(self, reason: Failure) -> None:
        self.free_body()
        super().connectionLost(reason)

    def refuse(self, refusal: Refusal, *, keep_alive: bool = False) -> None:
        """Answers before the body has arrived."""
        site = self._site()
        if site.limits is not None:
            site.limits.note_refusal(self.getClientAddress().host, refusal)
        self.free_body()
        self.answer_now(refusal.status, refusal.text, headers=refusal.headers, keep_alive=keep_alive)

    def error_body(self, text: str) -> tuple[str, bytes]:
        return "application/json", json.dumps({"status" if self._is_health_check else "error": text}).encode()

    def late(self, text: str) -> None:
        self.free_body()
        super().late(f"{text}, no event was taken")

    def free_body(self) -> None:
        """Drops the body and ends the count of its bytes. Called after its last use, whether it is answered or not."""
        limits = self._site().limits
        if limits is not None and self._buffered is not None:
            limits.buffer.remove(self._buffered)
            self._buffered = None
            self._body.close()

    def _site(self) -> "IntakeSite":
        return self.channel.site  # type: ignore[attr-defined,no-any-return]  # set by Site.buildProtocol


class IntakeChannel(LimitedChannel):
    """Reads the requests of one connection."""

    @property
    def limits(self) -> IntakeLimits | None:
        site: IntakeSite = self.site  # type: ignore[attr-defined]  # set by Site.buildProtocol
        return site.limits


class IntakeSite(Site):
    """Serves `bridge.collector.api.IntakeResource`: HTTP/1.1 with keep-alive, limited bodies, no access log.

    ``body_limit`` is in bytes. Connections without traffic for ``idle_timeout`` seconds are closed. ``limits``: further
    limits of a listener; ``check_head`` then decides whether the body is read.
    """

    noisy = False

    def __init__(
        self, resource: IResource, reactor: IReactorTime, *,
        body_limit: int = BODY_LIMIT, idle_timeout: float = IDLE_TIMEOUT_SECONDS,
        limits: IntakeLimits | None = None, check_head: CheckHead | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            resource, requestFactory=BoundedRequest, parsePOSTFormSubmission=False, reactor=reactor,
            timeout=idle_timeout,
        )  # fmt: skip
        # The default protocol also speaks HTTP/2 if it is installed, which would bypass the limits.
        self.protocol = IntakeChannel  # type: ignore[assignment]
        self.body_limit = body_limit
        self.limits = limits
        self.check_head = check_head

    def log(self, request: object) -> None:
        """Logs nothing: a query may contain a key, and a benchmark sends thousands of requests per second."""

    def acceptableProtocols(self) -> list[bytes]:
        """Returns only HTTP/1.1: HTTP/2 would bypass `BoundedRequest`, so it is not offered even if it is installed."""
        return [b"http/1.1"]
