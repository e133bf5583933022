# mypy: disallow-untyped-calls=False
"""The way through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6), then whatever is spoken with the far side.

The proxy resolves the far side's name. What a proxy answers instead of a way through is its own, and never taken for
the collector's: nothing has been sent by then, so nothing can be in doubt.
"""

import re
from base64 import b64encode
from dataclasses import dataclass, field

from twisted.internet import defer
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)  # fmt: skip
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

LONGEST_HEAD = 64 * 1024
"Bytes of an answer's head."
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
_TAGS = re.compile(rb"<(style|script|head)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """Where a proxy is, and who we are there (None: nobody asks)."""

    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authorization(self) -> bytes | None:
        """The header's value."""
        if self.credentials is None:
            return None
        return b"Basic " + b64encode(":".join(self.credentials).encode())


class ProxyError(Exception):
    """No way through a proxy; the text is the operator's. ``status``: what it answered."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class _Tunnel(Protocol):
    """Asks for the way, then passes all on to the protocol behind it."""

    def __init__(self, proxy: HttpProxy, authority: str, factory: IProtocolFactory) -> None:
        self.open: defer.Deferred[IProtocol] = defer.Deferred(lambda cancelled: self._abort())
        self._proxy = proxy
        self._authority = authority
        self._factory = factory
        self._head = b""
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
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not _STATUS.match(self._head) and (end or b"\n" in self._head or len(self._head) > 1024):
            self._refuse(f"what answers at the proxy's address {self._proxy} is no HTTP proxy")
        elif end:
            self._answered(head + b"\r\n", rest)
        elif len(self._head) > LONGEST_HEAD:
            self._refuse(f"the proxy {self._proxy} answers without an end")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif not self.open.called:
            self._fail(f"the proxy {self._proxy} closed the connection instead of opening the way", None)

    def _answered(self, head: bytes, rest: bytes) -> None:
        found = _STATUS.match(head)
        assert found is not None
        status = int(found[1])
        if status < 200:
            self._head = rest
            return
        if not 200 <= status < 300:
            said = " ".join(filter(None, (_words(found[2] or b""), _words(rest))))
            remedy = {
                407: "; are proxy.username and proxy.password right?",
                403: "; it must let us through to the collector",
            }.get(status, "")  # fmt: skip
            self._refuse(
                f"the proxy {self._proxy} refuses the way to {self._authority}: {status} {said}{remedy}", status
            )
        elif rest or re.search(rb"\r\n(?:content-length:[ \t]*0*[1-9]|transfer-encoding:)", head, re.IGNORECASE):
            # The far side waits for us to speak: what comes now is the proxy's own.
            shown = f": {_words(rest)}" if _words(rest) else ""
            self._refuse(
                f"the proxy {self._proxy} answers {status} with a page of its own instead of the way to"
                f" {self._authority}{shown}; it must let us through to the collector", status,
            )  # fmt: skip
        else:
            self._pass_on()

    def _pass_on(self) -> None:
        transport = self.transport
        assert transport is not None
        address: IAddress = transport.getPeer()
        inner = self._factory.buildProtocol(address)
        if inner is None:
            self._refuse("nobody wants the connection")
            return
        self._inner, self._head = inner, b""
        inner.makeConnection(transport)
        self.open.callback(inner)

    def _refuse(self, text: str, status: int | None = None) -> None:
        self._fail(text, status)
        self._abort()

    def _fail(self, text: str, status: int | None) -> None:
        if not self.open.called:
            self.open.errback(ProxyError(text, status))

    def _abort(self) -> None:
        if self.transport is not None:
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()


def _words(page: bytes) -> str:
    """The beginning of a page's text on one line."""
    text = " ".join(_TAGS.sub(b" ", page[:4000]).decode("utf-8", "replace").split())
    return "".join(c if c.isprintable() else "?" for c in text)[:120]


class _TunnelFactory(Factory):
    noisy = False

    def __init__(self, proxy: HttpProxy, authority: str, factory: IProtocolFactory) -> None:
        self._made = (proxy, authority, factory)

    def buildProtocol(self, addr: IAddress | None) -> _Tunnel:
        return _Tunnel(*self._made)


@implementer(IStreamClientEndpoint)
class ProxyEndpoint:
    """The far side, behind a proxy that ``endpoint`` leads to. ``timeout`` in seconds, for the proxy's answer."""

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        proxy: HttpProxy,
        *,
        host: str,
        port: int,
        timeout: float,
    ) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._proxy = proxy
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._timeout = timeout

    def connect(self, protocolFactory: IProtocolFactory) -> "defer.Deferred[IProtocol]":
        """Fails with ProxyError, or with why the proxy itself cannot be reached."""
        return defer.ensureDeferred(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        made = await self._endpoint.connect(_TunnelFactory(self._proxy, self._authority, factory))
        assert isinstance(made, _Tunnel)
        late: list[bool] = []

        def give_up() -> None:
            late.append(True)
            made.open.cancel()

        call: IDelayedCall = self._clock.callLater(self._timeout, give_up)
        try:
            return await made.open
        except defer.CancelledError:
            if late:
                raise ProxyError(f"the proxy {self._proxy} does not answer within {self._timeout:g} s") from None
            raise
        finally:
            if call.active():
                call.cancel()
