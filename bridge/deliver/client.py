"""Posts one request body and returns the response, or fails with an error that describes the cause.

Response bodies are always read, up to a limit: an unread body would occupy its connection for ever. The timeout
applies to lack of progress in either direction, so a slow line may take as long as it needs. ``exchange`` says how slow
an answer may be.

Requests go to the given URL only, with the given headers only: redirects are not followed, and cookies are ignored.
"""
# mypy: disallow-untyped-calls=False

from urllib.parse import urlsplit

from OpenSSL import SSL
from twisted.internet import defer
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, RequestTransmissionFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

from bridge import __version__
from bridge.deliver.answer_body import AnswerBody, AnswerError
from bridge.deliver.cause import Cause, DeliveryError
from bridge.deliver.error_text import ConnectForbiddenError, describe_failure
from bridge.deliver.exchange import MIN_RATE, Body, Progress, Response
from bridge.deliver.http_connect import HttpProxy, ProxyEndpoint, ProxyError
from bridge.deliver.tls import CachedPolicy, Trust
from bridge.deliver.tls_endpoint import TlsEndpoint
from bridge.deliver.watched_connection import WatchedEndpoint
from bridge.tls.records import Records
from bridge.util.os_errors import FORBIDDEN

_IDLE_CONNECTION = 20
"Seconds. The value is below the idle timeout of common load balancers, so that this side closes first."
CONNECTION_LIFETIME = 120.0
"Seconds after which connections are not used again. New ones go to the current addresses of the collector's name."


class NoProgress(DeliveryError):
    """Raised when nothing was sent or received within the timeout. ``begun`` is True if sending the body had begun."""

    def __init__(self, text: str, *, begun: bool = True) -> None:
        super().__init__(text)
        self.begun = begun


class CertificateError(DeliveryError):
    """Raised when the server certificate was rejected. The text names its issuer and the reason."""

    cause = Cause.CERTIFICATE


@implementer(IAgentEndpointFactory)
class CollectorEndpoints:
    """Creates the endpoints of connections to collectors. Host names are resolved for each connection, over IPv4 and
    IPv6. If a proxy is configured, connections go through it and it resolves the name. ``timeout`` is in seconds and
    applies to each step."""

    def __init__(self, reactor: IReactorTime, policy: CachedPolicy, *, timeout: float, proxy: HttpProxy | None) -> None:
        self._reactor = reactor
        self._policy = policy
        self._timeout = timeout
        self._proxy = proxy
        self._records = Records()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Returns the endpoint for a URI. The Agent calls this for each request, even if it reuses a connection."""
        host, secure = uri.host.decode("ascii"), uri.scheme == b"https"
        endpoint = self.endpoint(host, uri.port)
        if secure:
            endpoint = TlsEndpoint(self._policy.creatorForNetloc(uri.host, uri.port), endpoint, self._records)
        return WatchedEndpoint(endpoint, self._reactor)

    def endpoint(self, host: str, port: int) -> IStreamClientEndpoint:
        """Returns the endpoint of a host without TLS, through the proxy if one is configured."""
        proxy = self._proxy
        if proxy is None:
            return HostnameEndpoint(self._reactor, host, port, timeout=self._timeout)
        first = HostnameEndpoint(self._reactor, proxy.host, proxy.port, timeout=self._timeout)
        return ProxyEndpoint(self._reactor, first, proxy, host=host, port=port, timeout=self._timeout)


class Client:
    """Posts to collectors that share proxy, timeout and trust settings. ``connections`` is the number of idle
    connections that are kept open. Raises PemError."""

    def __init__(
        self, reactor: IReactorTime,
        *, connections: int, timeout: float, trust: Trust | None = None, proxy: HttpProxy | None = None,
    ) -> None:  # fmt: skip
        self._reactor = reactor
        self._timeout = timeout
        self._proxy = proxy
        self._connections = connections
        self._policy = CachedPolicy(trust or Trust())
        self._endpoints = CollectorEndpoints(reactor, self._policy, timeout=timeout, proxy=proxy)
        self._pool, self._agent = self._new_pool()
        self._previous_pool = self._pool
        self._pool_since = reactor.seconds()

    def _new_pool(self) -> tuple[HTTPConnectionPool, Agent]:
        pool = HTTPConnectionPool(self._reactor)
        pool.maxPersistentPerHost = self._connections
        pool.cachedConnectionTimeout = _IDLE_CONNECTION
        # Twisted would repeat only requests without a body. This client repeats its requests itself.
        pool.retryAutomatically = False
        return pool, Agent.usingEndpointFactory(self._reactor, self._endpoints, pool=pool)

    def _renew_pool(self) -> None:
        """Begins a new pool if the current one is old. Connections of the previous pool close once they are idle."""
        now = self._reactor.seconds()
        if now - self._pool_since >= CONNECTION_LIFETIME:
            self._previous_pool, self._pool_since = self._pool, now
            self._pool, self._agent = self._new_pool()

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Response]":
        """Posts a body. Any HTTP status returns a Response. Fails with Twisted's network errors, ProxyError,
        CertificateError, AnswerError or NoProgress."""
        progress = Progress(self._reactor)
        request = defer.ensureDeferred(self._post(url, body, headers, progress))
        progress.watch(request, self._timeout)

        def ended(result: "Response | Failure") -> "Response | Failure":
            progress.setTimeout(None)
            if not isinstance(result, Failure):
                return result
            if (early := progress.early_response) is not None:
                return early
            error: BaseException | None
            if progress.refused is not None:
                error = AnswerError(f"the answer was broken off: {progress.refused}")
            elif progress.expired:
                error = NoProgress(self._describe_expiry(progress), begun=progress.begun)
            else:
                error = self._explanation(url, result)
            if error is None:
                return result
            # The cause tells that the request was sent twice.
            error.__cause__ = result.value and result.value.__cause__
            return Failure(error)

        return request.addBoth(ended)

    def _describe_expiry(self, progress: Progress) -> str:
        if progress.late:
            rate = f"{MIN_RATE >> 10} KiB/s"
            return f"no progress: the answer came at less than {rate} for more than {self._timeout:g} s"
        if not progress.begun:
            proxy = "" if self._proxy is None else f", the proxy {self._proxy}"
            return f"no connection within {self._timeout:g} s: a name lookup{proxy} or the server does not answer"
        return f"no progress for {self._timeout:g} s"

    def _explanation(self, url: str, failure: Failure) -> BaseException | None:
        """Returns an error that also names the certificate's issuer, or the proxy that cannot be reached, if either
        is the reason of a failure."""
        reasons = getattr(failure.value, "reasons", None) or [failure]
        if any(reason.check(SSL.Error) for reason in reasons):
            if (why := self._policy.refused(urlsplit(url).hostname or "")) is not None:
                return CertificateError(why)
            if self._proxy is None:
                return None
            text = f"TLS failed through the tunnel of the proxy {self._proxy}: {describe_failure(failure)}"
            return ProxyError(f"{text}; allow the gateway to reach the collector")
        if isinstance(failure.value, ConnectError) and failure.value.osError in FORBIDDEN:
            place = str(self._proxy) if self._proxy is not None else urlsplit(url).netloc
            return ConnectForbiddenError(failure.value.osError, place)
        if self._proxy is not None and failure.check(ConnectError, DNSLookupError):
            return ProxyError(f"the proxy {self._proxy} cannot be reached: {describe_failure(failure)}")
        return None

    async def _post(self, url: str, body: bytes, headers: dict[str, str], progress: Progress) -> Response:
        try:
            response = await self._request(url, body, headers, progress)
        except (ResponseNeverReceived, RequestTransmissionFailed) as first_failure:
            # Most likely the server closed an idle connection at the moment of its reuse. Other idle connections are
            # as old and are closed too.
            if progress.expired or progress.refused is not None or progress.early_response is not None:
                raise
            await self._pool.closeCachedConnections()
            if isinstance(first_failure, ResponseNeverReceived):
                progress.repeat()
            try:
                response = await self._request(url, body, headers, progress)
                return await self._read(response, progress)
            except (ConnectError, DNSLookupError, RequestTransmissionFailed):
                # The second attempt sent nothing or only a part, but the first one may have sent all.
                raise first_failure from None
            except Exception as second_failure:
                raise second_failure from first_failure
        return await self._read(response, progress)

    async def _read(self, response: IResponse, progress: Progress) -> Response:
        progress.answer_begins()
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        reader = AnswerBody(progress, response.code, packed=headers.get("content-encoding", "").lower() == "gzip")
        response.deliverBody(reader)
        answer = await reader.done
        return Response(response.code, answer, headers, progress.repeated, reader.cut)

    async def _request(self, url: str, body: bytes, headers: dict[str, str], progress: Progress) -> IResponse:
        sent = {"User-Agent": f"syslog-bridge/{__version__}", "Accept-Encoding": "gzip"} | headers
        self._renew_pool()
        # The URL is sent as written: it is ASCII, and may contain an IPv6 address.
        response: IResponse = await self._agent.request(
            b"POST", url.encode("ascii"), Headers({name: [value] for name, value in sent.items()}), Body(body, progress)
        )
        return response

    async def close(self) -> None:
        """Closes idle connections."""
        for pool in (self._previous_pool, self._pool):
            await pool.closeCachedConnections()
