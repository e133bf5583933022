# mypy: disallow-untyped-calls=False
"""One POST: a body out, an answer back, or a reason in words.

Bodies of answers are always read, and bounded: an unread one would hold its connection for ever. The timeout is
without progress, in either direction: a slow line may take its time.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.error import ConnectError, DNSLookupError, TimeoutError
from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web._newclient import ParseError
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseNeverReceived
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from bridge import __version__
from bridge.deliver.tls import Authorities, CachedPolicy

MAX_ANSWER = 8 * 1024 * 1024
"Bytes of an answer that are kept: the ids of 20,000 events are 800 kB."

_CHUNK = 256 * 1024
_IDLE_CONNECTION = 20
"Seconds; below the idle timeout of usual load balancers, so that we close first."


class NoProgress(Exception):
    """Nothing was sent or received for the time allowed. ``begun``: the body was on its way, or all of it sent."""

    def __init__(self, text: str, *, begun: bool = True) -> None:
        super().__init__(text)
        self.begun = begun


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    "Names in lower case; of repeated ones the last."
    repeated: bool = False
    "The request was sent twice: its first connection ended without an answer."


@implementer(IBodyProducer)
class Body:
    """A body from memory. Each chunk that the transport takes is progress."""

    def __init__(self, data: bytes, progress: "Progress") -> None:
        self.length = len(data)
        self._data = memoryview(data)
        self._at = 0
        self._paused = False
        self._consumer: IConsumer | None = None
        self._done: defer.Deferred[None] = defer.Deferred()
        self._progress = progress

    def startProducing(self, consumer: IConsumer) -> "defer.Deferred[None]":
        self._consumer = consumer
        self._progress.begun = True
        self.resumeProducing()
        return self._done

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and self._consumer is not None and self._at < self.length:
            self._progress.made()
            chunk = bytes(self._data[self._at : self._at + _CHUNK])
            self._at += len(chunk)
            self._consumer.write(chunk)
        if self._at >= self.length and self._consumer is not None:
            self._consumer = None
            self._done.callback(None)

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._consumer = None


class Progress:
    """Cancels a request that makes none."""

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout
        self._last = clock.seconds()
        self._call: IDelayedCall | None = None
        self._request: defer.Deferred[Answer] | None = None
        self.expired = False
        self.begun = False
        "There was a connection, and the body began to go."

    def watch(self, request: "defer.Deferred[Answer]") -> None:
        """Begin; ends when ``done`` is called."""
        self._request = request
        self._call = self._clock.callLater(self._timeout, self._check)

    def made(self) -> None:
        """Bytes have moved."""
        self._last = self._clock.seconds()

    def done(self) -> None:
        """The request has ended."""
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _check(self) -> None:
        left = self._last + self._timeout - self._clock.seconds()
        if left > 0:
            self._call = self._clock.callLater(left, self._check)
        elif self._request is not None:
            self.expired = True
            self._request.cancel()


class _Reader(Protocol):
    """An answer's body, up to MAX_ANSWER; the rest is read and forgotten."""

    def __init__(self, progress: Progress) -> None:
        self.done: defer.Deferred[bytes] = defer.Deferred(self._abort)
        self._parts: list[bytes] = []
        self._size = 0
        self._progress = progress

    def _abort(self, done: "defer.Deferred[bytes]") -> None:
        if self.transport is not None:
            # The body's end was not seen, so the connection cannot be used again.
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()

    def dataReceived(self, data: bytes) -> None:
        self._progress.made()
        if self._size < MAX_ANSWER:
            self._parts.append(data)
            self._size += len(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts)[:MAX_ANSWER])
        else:
            self.done.errback(reason)


class Client:
    """Posts to collectors that are trusted alike. ``connections``: idle ones that are kept."""

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        connections: int,
        timeout: float,
        ca_file: Path | None = None,
        extra_ca_file: Path | None = None,
    ) -> None:
        self.repeated = 0
        "Requests that were sent twice because the first connection was closed under them."
        self._reactor = reactor
        self._timeout = timeout
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = _IDLE_CONNECTION
        # Twisted would repeat only bodiless requests; repeating ours is the courier's business.
        self._pool.retryAutomatically = False
        policy = CachedPolicy(Authorities(ca_file=ca_file, extra_ca_file=extra_ca_file))
        self._treq = HTTPClient(Agent(reactor, policy, connectTimeout=timeout, pool=self._pool))

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Answer]":
        """POST a body. Fails with the network's errors, or NoProgress; any status is an Answer."""
        progress = Progress(self._reactor, self._timeout)
        request = defer.ensureDeferred(self._post(url, body, headers, progress))
        progress.watch(request)

        def ended(result: "Answer | Failure") -> "Answer | Failure":
            progress.done()
            if isinstance(result, Failure) and progress.expired:
                return Failure(NoProgress(f"no progress for {self._timeout:g} s", begun=progress.begun))
            return result

        return request.addBoth(ended)

    async def _post(self, url: str, body: bytes, headers: dict[str, str], progress: Progress) -> Answer:
        repeated = False
        try:
            response = await self._request(url, body, headers, progress)
        except ResponseNeverReceived as lost:
            # Most likely the server has closed an idle connection just as we took it. What else is idle is as old.
            if progress.expired:
                raise
            await self._pool.closeCachedConnections()
            self.repeated += 1
            repeated = True
            try:
                response = await self._request(url, body, headers, progress)
            except (ConnectError, DNSLookupError):
                # That nothing was sent is true of the second attempt only.
                raise lost from None
        progress.made()
        reader = _Reader(progress)
        response.original.deliverBody(reader) if hasattr(response, "original") else response.deliverBody(reader)
        return Answer(
            status=response.code,
            body=await reader.done,
            headers={
                name.decode("latin-1").lower(): values[-1].decode("latin-1")
                for name, values in response.headers.getAllRawHeaders()
            },
            repeated=repeated,
        )

    async def _request(self, url: str, body: bytes, headers: dict[str, str], progress: Progress) -> IResponse:
        named = {"User-Agent": [f"syslog-bridge/{__version__}"]} | {name: [value] for name, value in headers.items()}
        response: IResponse = await self._treq.request(
            "POST", url, data=Body(body, progress), headers=Headers(named), allow_redirects=False, unbuffered=True
        )
        return response

    async def close(self) -> None:
        """Close idle connections."""
        await self._pool.closeCachedConnections()


def in_words(failure: Failure) -> str:
    """A network failure as the operator should read it, without addresses of objects and without our header values."""
    error = failure.value
    reasons = getattr(error, "reasons", None)
    if reasons:
        return in_words(reasons[0])
    if isinstance(error, DNSLookupError):
        return f"the name cannot be resolved ({error})"
    if isinstance(error, TimeoutError):
        return "no connection within the time allowed"
    if isinstance(error, ConnectError) and isinstance(error.osError, int):
        return f"no connection: {os.strerror(error.osError)}"
    if isinstance(error, ParseError):
        return "what answers there speaks no HTTP; is the URL right, is a proxy in between?"
    text = str(error) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "..."
