# mypy: disallow-untyped-calls=False
"""One POST: a body out, an answer back, or a reason in words.

Bodies of answers are always read, and bounded: an unread one would hold its connection for ever. The timeout is
without progress, in either direction: a slow line may take its time.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hyperlink import EncodedURL
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone, ResponseNeverReceived
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from bridge import __version__
from bridge.deliver.error_text import in_words
from bridge.deliver.http_connect import HttpProxy, ProxyEndpoint, ProxyError
from bridge.deliver.tls import CachedPolicy, Trust
from bridge.deliver.tls_endpoint import TlsEndpoint
from bridge.tls.records import Records

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


class CertificateError(Exception):
    """The far side's certificate was refused; the text says whose it is, and why."""


@dataclass(frozen=True, slots=True)
class Response:
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
        self._request: defer.Deferred[Response] | None = None
        self.expired = False
        self.begun = False
        "There was a connection, and the body began to go."

    def watch(self, request: "defer.Deferred[Response]") -> None:
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


class _Verbatim(EncodedURL):
    """A URL as it is: an IPv6 address is no name that could be encoded, though treq would try."""

    def to_uri(self) -> "EncodedURL":
        return self


@implementer(IAgentEndpointFactory)
class CollectorEndpoints:
    """Connections to collectors: names are resolved for each, over both families; through a proxy where there is one,
    which then resolves the name. ``timeout`` in seconds for each step."""

    def __init__(self, reactor: IReactorTime, policy: CachedPolicy, *, timeout: float, proxy: HttpProxy | None) -> None:
        self._reactor = reactor
        self._policy = policy
        self._timeout = timeout
        self._proxy = proxy
        self._records = Records()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Called by the Agent for each request, whether it opens a connection or not."""
        host, secure = uri.host.decode("ascii"), uri.scheme == b"https"
        endpoint = self.endpoint(host, uri.port)
        return (
            TlsEndpoint(self._policy.creatorForNetloc(uri.host, uri.port), endpoint, self._records)
            if secure
            else endpoint
        )

    def endpoint(self, host: str, port: int) -> IStreamClientEndpoint:
        """The way to a host, without TLS."""
        proxy = self._proxy
        if proxy is None:
            return HostnameEndpoint(self._reactor, host, port, timeout=self._timeout)
        first = HostnameEndpoint(self._reactor, proxy.host, proxy.port, timeout=self._timeout)
        return ProxyEndpoint(self._reactor, first, proxy, host=host, port=port, timeout=self._timeout)


class Client:
    """Posts to collectors that are reached and trusted alike. ``connections``: idle ones that are kept. Raises
    PemError."""

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        connections: int,
        timeout: float,
        trust: Trust | None = None,
        proxy: HttpProxy | None = None,
    ) -> None:
        self.repeated = 0
        "Requests that were sent twice because the first connection was closed under them."
        self._reactor = reactor
        self._timeout = timeout
        self._proxy = proxy
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = connections
        self._pool.cachedConnectionTimeout = _IDLE_CONNECTION
        # Twisted would repeat only bodiless requests; repeating ours is the courier's business.
        self._pool.retryAutomatically = False
        self._policy = CachedPolicy(trust or Trust())
        roads = CollectorEndpoints(reactor, self._policy, timeout=timeout, proxy=proxy)
        self._treq = HTTPClient(Agent.usingEndpointFactory(reactor, roads, pool=self._pool))

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Response]":
        """POST a body. Fails with the network's errors, ProxyError, CertificateError or NoProgress; any status is an
        Answer."""
        progress = Progress(self._reactor, self._timeout)
        request = defer.ensureDeferred(self._post(url, body, headers, progress))
        progress.watch(request)

        def ended(result: "Response | Failure") -> "Response | Failure":
            progress.done()
            if not isinstance(result, Failure):
                return result
            if progress.expired:
                return Failure(NoProgress(f"no progress for {self._timeout:g} s", begun=progress.begun))
            return self._explained(url, result)

        return request.addBoth(ended)

    def _explained(self, url: str, failure: Failure) -> Failure:
        """What a failure's own words do not say: whose certificate it was, that it is the proxy which is not there."""
        reasons = getattr(failure.value, "reasons", None) or [failure]
        if any(reason.check(SSL.Error) for reason in reasons):
            why = self._policy.refused(urlsplit(url).hostname or "")
            return failure if why is None else Failure(CertificateError(why))
        if self._proxy is not None and failure.check(ConnectError, DNSLookupError):
            return Failure(ProxyError(f"the proxy {self._proxy} cannot be reached: {in_words(failure)}"))
        return failure

    async def _post(self, url: str, body: bytes, headers: dict[str, str], progress: Progress) -> Response:
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
        return Response(
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
        where = _Verbatim.from_text(url)
        response: IResponse = await self._treq.request(
            "POST", where, data=Body(body, progress), headers=Headers(named), allow_redirects=False, unbuffered=True
        )
        return response

    async def close(self) -> None:
        """Close idle connections."""
        await self._pool.closeCachedConnections()
