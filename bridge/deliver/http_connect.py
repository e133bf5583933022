"""Opens connections through an HTTP proxy with CONNECT (RFC 9110 section 9.3.6).

The proxy resolves the host name of the server. If the proxy sends a response of its own instead of a tunnel, that
response is never taken for the collector's. No event has been sent at that point, so none can be a possible duplicate.
"""
# mypy: disallow-untyped-calls=False

import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import partial

from twisted.internet import defer
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.deliver.cause import Cause, DeliveryError
from bridge.deliver.error_text import one_line
from bridge.deliver.response_head import ResponseHead

_MAX_SCHEMES = 5
"Number of a proxy's authentication schemes that are named."
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
_SCHEME = re.compile(rb"\nproxy-authenticate:[ \t]*([A-Za-z0-9-]+)", re.IGNORECASE)
_TAGS = re.compile(rb"<(style|script|head)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """Address of an HTTP proxy and the credentials for it. None means that no credentials are sent."""

    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authorization(self) -> bytes | None:
        """Returns the value of the Proxy-Authorization header."""
        if self.credentials is None:
            return None
        return b"Basic " + b64encode(":".join(self.credentials).encode())

    def without_credentials(self, text: bytes) -> bytes:
        """Returns what the proxy sent without the password, because it may repeat the request."""
        if self.credentials is None or self.authorization is None:
            return text
        for secret in (self.authorization.removeprefix(b"Basic "), self.credentials[1].encode()):
            text = text.replace(secret, b"****") if secret else text
        return text


class ProxyError(DeliveryError):
    """Raised when the proxy opens no tunnel. The text is for the operator."""

    cause = Cause.PROXY


class _Tunnel(Protocol):
    """Requests a tunnel, then passes all data to the inner protocol."""

    def __init__(self, proxy: HttpProxy, authority: str, factory: IProtocolFactory) -> None:
        self.open: defer.Deferred[IProtocol] = defer.Deferred(lambda cancelled: self._abort())
        self._proxy = proxy
        self._authority = authority
        self._factory = factory
        self._received = b""
        self._head = ResponseHead()
        self._inner: IProtocol | None = None

    def connectionMade(self) -> None:
        lines = [b"CONNECT %b HTTP/1.1" % self._authority.encode(), b"Host: %b" % self._authority.encode()]
        if (authorization := self._proxy.authorization) is not None:
            lines.append(b"Proxy-Authorization: " + authorization)
        assert self.transport is not None
        self.transport.write(b"\r\n".join((*lines, b"", b"")))

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        limit = self._head.add(data)
        self._received += data
        head = self._received[self._head.start : self._head.end or None]
        if not _STATUS.match(head) and (b"\n" in head or len(head) > 1024):
            self._refuse(f"the server at {self._proxy} is not an HTTP proxy; check proxy.url")
        elif limit is not None:
            self._refuse(f"the answer of the proxy {self._proxy} was broken off: {limit}; check the proxy")
        elif self._head.ended:
            self._answered(head, self._received[self._head.end :])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._refuse(f"the proxy {self._proxy} closed the connection without opening a tunnel")

    def _answered(self, head: bytes, rest: bytes) -> None:
        found = _STATUS.match(head)
        assert found is not None
        status, rest = int(found[1]), self._proxy.without_credentials(rest)
        if not 200 <= status < 300:
            proxy_text = " ".join(
                filter(None, (_page_text(self._proxy.without_credentials(found[2] or b"")), _page_text(rest)))
            )
            remedy = {
                407: _remedy_of_407(head),
                403: "; allow the gateway to reach the collector",
            }.get(status, "")  # fmt: skip
            why = f"refused a tunnel to {self._authority}: {status} {proxy_text}{remedy}"
            self._refuse(f"the proxy {self._proxy} {why}")
        elif rest:
            # The server sends nothing before the client does, so these bytes are from the proxy itself. The header does
            # not tell: a length or an encoding in it means nothing (RFC 9110 section 9.3.6).
            shown = f": {_page_text(rest)}" if _page_text(rest) else ""
            self._refuse(
                f"the proxy {self._proxy} answered {status} with its own page instead of a tunnel to"
                f" {self._authority}{shown}; allow the gateway to reach the collector"
            )
        else:
            self._start_inner()

    def _start_inner(self) -> None:
        assert self.transport is not None
        address: IAddress = self.transport.getPeer()
        inner = self._factory.buildProtocol(address)
        if inner is None:
            self._refuse("the connection is no longer needed")
            return
        self._inner, self._received = inner, b""
        inner.makeConnection(self.transport)
        self.open.callback(inner)

    def _refuse(self, text: str) -> None:
        if not self.open.called:
            self.open.errback(ProxyError(text))
        self._abort()

    def _abort(self) -> None:
        if self.transport is not None:
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()


def _remedy_of_407(head: bytes) -> str:
    """Returns what to do, from the authentication schemes that the proxy offers."""
    schemes = [scheme[:40].decode() for scheme in dict.fromkeys(_SCHEME.findall(head))][:_MAX_SCHEMES]
    if schemes and "basic" not in (scheme.lower() for scheme in schemes):
        return f"; it requires {' or '.join(schemes)}, but the gateway supports only Basic: enable Basic for it"
    return "; check proxy.username and proxy.password"


def _page_text(page: bytes) -> str:
    """Returns the beginning of a page's text on one line."""
    return one_line(_TAGS.sub(b" ", page[:4000]).decode("utf-8", "replace"), 120)


@implementer(IStreamClientEndpoint)
class ProxyEndpoint:
    """Endpoint of a server behind the proxy at ``endpoint``. ``timeout`` is in seconds and applies to the proxy's
    response."""

    def __init__(
        self, clock: IReactorTime, endpoint: IStreamClientEndpoint, proxy: HttpProxy,
        *, host: str, port: int, timeout: float,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._endpoint = endpoint
        self._proxy = proxy
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._timeout = timeout

    def connect(self, protocolFactory: IProtocolFactory) -> "defer.Deferred[IProtocol]":
        """Connects through the proxy. Fails with ProxyError, or with the error of the connection to the proxy."""
        return defer.ensureDeferred(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        outer = Factory.forProtocol(partial(_Tunnel, self._proxy, self._authority, factory))
        outer.noisy = False
        tunnel = await self._endpoint.connect(outer)
        assert isinstance(tunnel, _Tunnel)
        tunnel.open.addTimeout(self._timeout, self._clock)
        try:
            return await tunnel.open
        except defer.TimeoutError:
            raise ProxyError(f"the proxy {self._proxy} did not answer within {self._timeout:g} s") from None
