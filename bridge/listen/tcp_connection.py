# mypy: disallow-untyped-calls=False
"""Syslog over TCP (RFC 6587): one framer a connection, one call a read."""

import socket
from collections import Counter
from typing import Any

from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from bridge.config import Listener
from bridge.ingest.peers import Peer, address_of
from bridge.listen import proxy_protocol_header
from bridge.listen.listener import ListenerContext, allowing
from bridge.listen.rejections import Rejections
from bridge.syslog.fast.single_second import SingleSecondReader
from bridge.syslog.frames import list_of
from bridge.syslog.framing import StreamFramer

READ = 128 * 1024
"""Bytes of one read, at most: twice Twisted's own, as a sender at full speed has that much in the socket, and half the
reads are half of what a read costs beside its messages."""

KEEPALIVE_PROBES = 4
"Unanswered probes after which a peer is taken for dead; they come at a quarter of the time until the first."


class SyslogConnection(Protocol, TimeoutMixin):
    """One sender's connection."""

    acknowledges = False

    def __init__(self, factory: "SyslogFactory", peer: Peer) -> None:
        self._factory = factory
        self._peer = peer
        self._framer = StreamFramer(factory.listener.framing, factory.listener_context.max_frame_size)
        self._single_second = SingleSecondReader()
        self._untouched = True
        self._closed = False
        "Refused: nothing that still comes is read."
        self._fresh = True
        self._held = False

    def callLater(self, period: float, func: Any) -> Any:
        """For TimeoutMixin: the bridge's clock."""
        return self._factory.listener_context.reactor.callLater(period, func)

    def connectionMade(self) -> None:
        self._factory.connections[self] = None
        transport = self.transport
        if self._factory.speaks_plain:
            transport.bufferSize = READ  # type: ignore[union-attr]  # of Twisted's FileDescriptor
        keepalive = self._factory.listener.keepalive
        if keepalive is not None and ITCPTransport.providedBy(transport):
            _keep_alive(transport, keepalive.total_seconds())
        self._expect()

    def _expect(self) -> None:
        idle = self._factory.listener.idle_timeout
        self.setTimeout(None if idle is None else idle.total_seconds())

    def dataReceived(self, data: bytes) -> None:
        if self._closed:
            return
        self._fresh = True
        factory = self._factory
        factory.reads += 1
        if self.timeOut is not None:
            self.resetTimeout()
        if self._untouched:
            self._untouched = False
            if factory.speaks_plain and data.startswith(b"\x16\x03"):
                text = "it begins a TLS handshake, and this listener is plain TCP: send it to a tls: listener"
                self._refuse("tls_on_plain_port", text)
                return
            if proxy_protocol_header.begins(data):
                self.stray_header()
                return
        self._read(data)

    def _read(self, data: bytes) -> None:
        frames = self._framer.feed(data)
        if frames:
            listener_context = self._factory.listener_context
            if listener_context.coalescer is None or not listener_context.coalescer.takes(self._peer, frames):
                listener_context.pipeline.take(self._peer, frames, self._single_second, self)
        if self._framer.oversize:
            self._take_oversize()

    def end(self) -> None:
        """We end it."""
        if self.transport is not None:
            self.transport.loseConnection()

    def stray_header(self) -> None:
        """It begins with a header that only balancers may send."""
        text = "it begins with a PROXY header, and its sender is not in the listener's proxy_protocol"
        self._refuse("proxy_header_from_stranger", text)

    def rename(self) -> None:
        """Its listener has another name."""
        self._peer = self._factory.listener_context.peer(
            self._factory.listener.name, self._peer.address, self._peer.names
        )

    def _refuse(self, reason: str, text: str) -> None:
        self._closed = True
        self._factory.rejections.note(reason, self._peer.address, text)
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def hold(self) -> None:
        """Events for a full intake: their sender waits."""
        self._held = True
        self.setTimeout(None)
        if self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def go_on(self) -> None:
        """There is room again."""
        self._held = False
        self._expect()
        if self.transport is not None and not self._factory.closing:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    def check_idle(self) -> None:
        """Called about once a second: what ended with a NUL need not wait for the next frame."""
        if self._held:
            return
        if not self._fresh and (frames := self._framer.idle()):
            self._factory.listener_context.pipeline.take(self._peer, frames, sender=self)
        self._fresh = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._factory.left(self, self._peer)
        self._finish()
        self._factory.listener_context.pipeline.spool_writer.backpressure.forget(self)
        self.setTimeout(None)

    def _finish(self) -> None:
        """The connection has ended: what it brought last."""
        pipeline = self._factory.listener_context.pipeline
        if self._factory.listener_context.coalescer is not None:
            self._factory.listener_context.coalescer.flush()
        frames, unfinished = self._framer.close()
        if frames and not self._factory.closing:
            pipeline.take(self._peer, frames, sender=self)
        elif frames:
            # It is we who end the connection: the sender was not done, and half a line could pass for a whole one.
            for frame in list_of(frames):
                pipeline.take_unfinished(self._peer, frame, "the bridge was stopped within this line")
        if unfinished:
            what = f"the connection ended {len(unfinished)} bytes into an octet-counted frame"
            pipeline.take_unfinished(self._peer, unfinished, what)
        if self._framer.oversize:
            self._take_oversize()
        pipeline.read_counts.resyncs += self._framer.resyncs

    def _take_oversize(self) -> None:
        frames = self._framer.oversize.copy()
        self._framer.oversize.clear()
        self._factory.listener_context.pipeline.take_oversize(self._peer, frames, self)


def _keep_alive(transport: Any, after: float) -> None:
    """Ask after a silent peer; ``after`` in seconds. Linux's own two hours are longer than a NAT remembers."""
    connection = getattr(transport, "transport", transport).getHandle()  # TLS wraps the transport with the socket
    if not isinstance(connection, socket.socket) or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(after)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(after / KEEPALIVE_PROBES)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


class SyslogFactory(Factory):
    """The connections of one listener. ``listener`` may be replaced by one with other options (a reload)."""

    noisy = False
    speaks_plain = True

    def __init__(self, listener: Listener, listener_context: ListenerContext, *, local: str = "") -> None:
        self._local = local
        "Whose the connections are that have no address."
        self.listener = listener
        self.listener_context = listener_context
        self.connections: dict[SyslogConnection, None] = {}
        self.rejections = Rejections(listener.name, listener_context.reactor.seconds)
        self.reads = 0
        self.closing = False
        "We are ending the connections, not their senders."
        self._per_peer: Counter[str] = Counter()

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        """Go on under another configuration. Framing, limits and timeouts hold for new connections."""
        renamed = listener.name != self.listener.name
        self.listener, self.listener_context, self.rejections.listener = listener, listener_context, listener.name
        if renamed:
            for connection in self.connections:
                connection.rename()

    def buildProtocol(self, addr: IAddress | None) -> SyslogConnection | None:
        """A connection, or None: then it is closed."""
        host = str(getattr(addr, "host", self._local))
        most, most_per_peer = self.listener.max_connections, self.listener.max_connections_per_peer
        if not allowing(self.listener)(host):
            self.rejections.note("not_in_allow", host, "not in allow")
        elif self._per_peer[str(address_of(host) or host)] >= most_per_peer:
            text = f"max_connections_per_peer ({most_per_peer}) reached"
            self.rejections.note("max_connections_per_peer", host, text)
        elif len(self.connections) >= most and not self.make_room():
            self.rejections.note("max_connections", host, f"max_connections ({most}) reached")
        else:
            peer = self.listener_context.peer(self.listener.name, host)
            self._per_peer[peer.address] += 1
            return self.connection(peer, host)
        return None

    def connection(self, peer: Peer, host: str) -> SyslogConnection:
        """A new sender's."""
        return SyslogConnection(self, peer)

    def make_room(self) -> bool:
        """Whether one connection less is open than before."""
        return False

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
