# mypy: disallow-untyped-calls=False
"""Syslog over TCP (RFC 6587): one framer a connection, one call a read."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TypedDict, Unpack

from twisted.internet.interfaces import IAddress, IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from bridge.listen.peers import Peer, address_of
from bridge.listen.road import Road
from bridge.syslog.columns import list_of
from bridge.syslog.framing import StreamFramer
from bridge.syslog.stripping import Stripper

log = Logger(namespace="listen")


class SyslogConnection(Protocol, TimeoutMixin):
    """One sender's connection."""

    def __init__(self, factory: "SyslogFactory", peer: Peer, host: str) -> None:
        self._factory = factory
        self._peer = peer
        self._host = host
        self._framer = StreamFramer(factory.framing, factory.max_frame_size)
        self._stripper = Stripper()
        self._fresh = True
        self._held = False

    def connectionMade(self) -> None:
        self._factory.connections[self] = None
        transport = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpKeepAlive(True)
        if self._factory.idle_timeout is not None:
            self.setTimeout(self._factory.idle_timeout.total_seconds())

    def dataReceived(self, data: bytes) -> None:
        self._fresh = True
        self._factory.reads += 1
        if self._factory.idle_timeout is not None:
            self.resetTimeout()
        frames = self._framer.feed(data)
        if frames:
            self._factory.road.take(self._peer, frames, self._stripper, self)
        if self._framer.oversize:
            self._take_oversize()

    def change(self) -> None:
        """Its listener has another name. Framing and limits stay those that it began with."""
        self._peer = self._factory.peer(self._factory.name, self._host)

    def hold(self) -> None:
        """Events for a full intake: their sender waits."""
        self._held = True
        self.setTimeout(None)
        if self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def go_on(self) -> None:
        """There is room again."""
        self._held = False
        if self._factory.idle_timeout is not None:
            self.setTimeout(self._factory.idle_timeout.total_seconds())
        if self.transport is not None and not self._factory.closing:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    def check_idle(self) -> None:
        """Called about once a second: what ended with a NUL need not wait for the next frame."""
        if self._held:
            return
        if not self._fresh and (frames := self._framer.idle()):
            self._factory.road.take(self._peer, frames, sender=self)
        self._fresh = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._factory.left(self, self._peer)
        frames, unfinished = self._framer.close()
        if frames and not self._factory.closing:
            self._factory.road.take(self._peer, frames, sender=self)
        elif frames:
            # It is we who end the connection: the sender was not done, and half a line could pass for a whole one.
            for frame in list_of(frames):
                self._factory.road.take_unfinished(self._peer, frame, "the bridge was stopped within this line")
        if unfinished:
            what = f"the connection ended {len(unfinished)} bytes into an octet-counted frame"
            self._factory.road.take_unfinished(self._peer, unfinished, what)
        if self._framer.oversize:
            self._take_oversize()
        self._factory.road.tallies.resyncs += self._framer.resyncs
        self._factory.road.holding.forget(self)
        self.setTimeout(None)

    def _take_oversize(self) -> None:
        frames = self._framer.oversize.copy()
        self._framer.oversize.clear()
        self._factory.road.take_oversize(self._peer, frames, self)


class Terms(TypedDict):
    """What a configuration says of a listener."""

    name: str
    allowed: Callable[[str], bool]
    framing: str
    max_frame_size: int
    max_connections: int
    max_connections_per_peer: int
    idle_timeout: timedelta | None


class SyslogFactory(Factory):
    """The connections of one TCP listener."""

    noisy = False

    def __init__(
        self,
        *,
        road: Road,
        peer: Callable[[str, str], Peer],
        clock: IReactorTime,
        **terms: Unpack[Terms],
    ) -> None:
        self.road = road
        self.connections: dict[SyslogConnection, None] = {}
        self.refused: Counter[str] = Counter()
        "Connections that were closed at once, by reason."
        self.reads = 0
        self.closing = False
        "We are ending the connections, not their senders."
        self.peer = peer
        self._clock = clock
        self._per_peer: Counter[str] = Counter()
        self._warned = float("-inf")
        self.change(**terms)

    def change(self, **terms: Unpack[Terms]) -> None:
        """Go on under another configuration: with new connections; those that are open stay as they are."""
        self.name = terms["name"]
        self.framing = terms["framing"]
        self.max_frame_size = terms["max_frame_size"]
        self.idle_timeout = terms["idle_timeout"]
        self._allowed = terms["allowed"]
        self._most = terms["max_connections"]
        self._most_per_peer = terms["max_connections_per_peer"]
        for connection in self.connections:
            connection.change()

    def buildProtocol(self, addr: IAddress | None) -> SyslogConnection | None:
        """A connection, or None: then it is closed."""
        host = str(getattr(addr, "host", ""))
        reason = None
        if not self._allowed(host):
            reason = "not in allow"
        elif len(self.connections) >= self._most:
            reason = f"max_connections ({self._most}) reached"
        elif self._per_peer[str(address_of(host) or host)] >= self._most_per_peer:
            reason = f"max_connections_per_peer ({self._most_per_peer}) reached"
        if reason is not None:
            self.refused[reason] += 1
            if self._clock.seconds() - self._warned > 10:
                self._warned = self._clock.seconds()
                log.warn("listener {name}: connection from {host} closed: {why}", name=self.name, host=host, why=reason)
            return None
        peer = self.peer(self.name, host)
        self._per_peer[peer.address] += 1
        return SyslogConnection(self, peer, host)

    def left(self, connection: SyslogConnection, peer: Peer) -> None:
        """A connection has ended."""
        self.connections.pop(connection, None)
        self._per_peer[peer.address] -= 1
        if self._per_peer[peer.address] <= 0:
            del self._per_peer[peer.address]

    def check_idle(self) -> None:
        """Called about once a second."""
        for connection in list(self.connections):
            connection.check_idle()
