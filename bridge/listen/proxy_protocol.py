"""Accepts connections through load balancers that send a PROXY header (``trusted_proxies``).

The header is removed before anything else, TLS included. The real peer is the source for ``allow``, limits and
routes.

The header is accepted only from the addresses in ``trusted_proxies``, and it is required from them: any other client
could write any source into it. It may arrive in pieces.
"""
# mypy: disallow-untyped-calls=False

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IProtocolFactory, IReactorTime, ITransport
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from bridge.listen import proxy_protocol_header
from bridge.listen.connections import Connections
from bridge.listen.stream_transport import StreamTransport

HEADER_TIMEOUT = 10.0
"Seconds within which the header must arrive."


class ProxyProtocolFactory(WrappingFactory):
    """Lets connections of load balancers await a PROXY header before the wrapped factory builds them.

    ``connections`` limits them.
    """

    noisy = False
    wrappedFactory: IProtocolFactory

    def __init__(self, wrapped: IProtocolFactory, connections: Connections[Any], reactor: IReactorTime) -> None:
        super().__init__(wrapped)
        self.connections = connections
        self.reactor = reactor

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:  # type: ignore[override]
        host = str(getattr(addr, "host", ""))
        if not self.connections.is_balancer(host):
            return self.wrappedFactory.buildProtocol(addr)
        return self.connections.build_awaiting_header(host, lambda: _Connection(self, host))


class _Connection(ProtocolWrapper):
    """Reads the PROXY header of a balancer's connection, then acts as the transport of the inner connection."""

    factory: ProxyProtocolFactory
    wrappedProtocol: IProtocol | None  # type: ignore[assignment]

    def __init__(self, factory: ProxyProtocolFactory, host: str) -> None:
        super().__init__(factory, None)  # type: ignore[arg-type]  # set once the header has arrived
        self._host = host
        self._data = b""
        self._source: IAddress | None = None
        self._timeout_call: IDelayedCall | None = None
        self._is_check = False
        "True for a connection of the balancer itself, which may send nothing."
        self._counted = False
        "True once the connection is counted as rejected, or as ended."

    def makeConnection(self, transport: ITransport) -> None:
        """Called by the reactor. Provides the same interfaces as the transport."""
        directlyProvides(self, providedBy(transport))
        self.transport = transport
        self.connected = 1
        self._timeout_call = self.factory.reactor.callLater(HEADER_TIMEOUT, self._header_timed_out)

    def dataReceived(self, data: bytes) -> None:
        if self.wrappedProtocol is not None:
            self.wrappedProtocol.dataReceived(data)
            return
        if self._is_check:
            self._refuse("not_in_allow", "not in allow")
            return
        self._data += data
        try:
            header = proxy_protocol_header.read(self._data)
        except proxy_protocol_header.ProxyHeaderError as error:
            self._refuse("no_proxy_header", f"{error}, although its sender is in trusted_proxies")
            return
        if header is None:
            return
        rest, self._data = self._data[header.size :], b""
        if header.source is None and not rest and not self.factory.connections.allows(self._host):
            # A health check: the balancer's own address need not be in ``allow`` as long as it sends nothing.
            self._is_check = True
            return
        self._stop_waiting()
        assert self.transport is not None
        peer: IAddress = self.transport.getPeer()
        if header.source is not None:
            host, port = header.source
            if isinstance(self.transport, StreamTransport):
                self.transport.count_for(host)
            peer = (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
        self._source = peer
        inner = self.factory.wrappedFactory.buildProtocol(peer)
        if inner is None:
            self._counted = True
            self.end()
            return
        self.wrappedProtocol = inner
        inner.makeConnection(self)  # type: ignore[arg-type]  # ProtocolWrapper is a transport
        if rest:
            inner.dataReceived(rest)

    def getPeer(self) -> IAddress | None:
        """Returns the real peer, as the header names it."""
        return self._source

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_waiting()
        if self.wrappedProtocol is not None:
            self.wrappedProtocol.connectionLost(reason)
        elif not self._counted and not self._data:
            self._counted = True
            self.factory.connections.ended_without_data()

    def end(self) -> None:
        """Closes the connection at once."""
        self._stop_waiting()
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def _header_timed_out(self) -> None:
        self._timeout_call = None
        # A health check only opens the port, so a connection without data is not logged.
        if self._data:
            self._refuse("no_proxy_header", f"its PROXY header did not arrive within {HEADER_TIMEOUT:g} s")
        else:
            self.end()

    def _refuse(self, reason: str, text: str) -> None:
        self._counted = True
        self.factory.connections.rejections.note(reason, self._host, text)
        self.end()

    def _stop_waiting(self) -> None:
        self.factory.connections.header_ended(self)
        if self._timeout_call is not None and self._timeout_call.active():
            self._timeout_call.cancel()
        self._timeout_call = None
