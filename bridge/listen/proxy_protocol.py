# mypy: disallow-untyped-calls=False
"""Connections through a balancer that tells whom it speaks for (``proxy_protocol``): the header comes off before
anything else, TLS too, and the real peer is the source, for ``allow``, limits and routes alike.

Only those that are named in ``proxy_protocol`` are believed, and of them the header is required: whoever reaches the
port otherwise could write any source into it. The header may arrive in pieces.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from bridge.config import Listener
from bridge.ingest.peers import address_of
from bridge.listen import proxy_protocol_header
from bridge.listen.rejections import Rejections

WITHIN = 10.0
"Seconds in which a header must have come."


class ProxyProtocolFactory(Factory):
    """Builds a listener's connections; ``listener`` gives it as it is configured now."""

    noisy = False

    def __init__(self, inner: Any, *, listener: Callable[[], Listener], rejections: Rejections, reactor: Any) -> None:
        self.inner = inner
        self.rejections = rejections
        self.reactor = reactor
        self.waiting: dict[_Connection, None] = {}
        "Those whose header has not come yet."
        self._listener = listener

    def doStart(self) -> None:
        """Called when the port is opened."""
        self.inner.doStart()

    def doStop(self) -> None:
        """Called when it is closed."""
        self.inner.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection, or None: then it is closed."""
        host = str(getattr(addr, "host", ""))
        balancers = self._listener().proxy_protocol
        address = address_of(host) if balancers else None
        if (
            not balancers
            or address is None
            or not any(address.version == network.version and address in network for network in balancers)
        ):
            return self.inner.buildProtocol(addr)
        if len(self.waiting) >= self._listener().max_connections:
            self.rejections.note("max_connections", host, "too many connections whose PROXY header has not come")
            return None
        return _Connection(self, host)

    def end(self) -> None:
        """Close those whose header has not come."""
        for connection in list(self.waiting):
            connection.abort()


class _Connection(ProtocolWrapper):
    """One connection from a balancer: waits for the header, then is the transport of the connection behind it."""

    factory: Any

    def __init__(self, factory: ProxyProtocolFactory, host: str) -> None:
        super().__init__(factory, None)  # type: ignore[arg-type]
        self._host = host
        self._inner: Any = None
        self._data = b""
        self._source: IAddress | None = None
        self._late: IDelayedCall | None = None

    def makeConnection(self, transport: Any) -> None:
        """Called by the reactor. What the transport can do, we can."""
        directlyProvides(self, providedBy(transport))
        self.transport = transport
        self.connected = 1
        self.factory.waiting[self] = None
        self._late = self.factory.reactor.callLater(WITHIN, self._give_up)

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._data += data
        try:
            header = proxy_protocol_header.read(self._data)
        except proxy_protocol_header.ProxyHeaderError as error:
            self._refuse("no_proxy_header", f"{error}, though its sender is in proxy_protocol")
            return
        if header is None:
            return
        self._done()
        rest, self._data = self._data[header.size :], b""
        peer: Any = self.transport.getPeer()  # type: ignore[union-attr]
        if header.source is not None:
            host, port = header.source
            peer = (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
        self._source = peer
        inner = self.factory.inner.buildProtocol(peer)
        if inner is None:
            self.abort()
            return
        self._inner = self.wrappedProtocol = inner
        inner.makeConnection(self)
        if rest:
            inner.dataReceived(rest)

    def getPeer(self) -> Any:
        """The real peer."""
        return self._source

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._done()
        if self._inner is not None:
            self._inner.connectionLost(reason)

    def abort(self) -> None:
        """End it at once."""
        self._done()
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def _give_up(self) -> None:
        self._late = None
        # Who only looks whether the port is open, as balancers do, is no news.
        if self._data:
            self._refuse("no_proxy_header", f"its PROXY header was not there within {WITHIN:g} s")
        else:
            self.abort()

    def _refuse(self, reason: str, text: str) -> None:
        self.factory.rejections.note(reason, self._host, text)
        self.abort()

    def _done(self) -> None:
        self.factory.waiting.pop(self, None)
        if self._late is not None and self._late.active():
            self._late.cancel()
        self._late = None
