"""Reads syslog over TCP (RFC 6587), with one framer per connection and one pipeline call per read."""
# mypy: disallow-untyped-calls=False

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
from bridge.listen.listener import ListenerContext, address_filter
from bridge.listen.rejections import Rejections
from bridge.syslog.frames import list_of
from bridge.syslog.framing import StreamFramer
from bridge.syslog.reader import Reader

READ = 128 * 1024
"""Bytes of one read, at most: twice Twisted's own limit. A sender at full speed has that much in the socket, and half
as many reads halve the fixed cost per read.
"""

KEEPALIVE_PROBES = 4
"Unanswered probes after which a peer counts as dead. They are sent at a quarter of the initial interval."


class SyslogConnection(Protocol, TimeoutMixin):
    """Reads the connection of one sender."""

    acknowledges = False

    def __init__(self, factory: "SyslogFactory", peer: Peer) -> None:
        self._factory = factory
        self._peer = peer
        self._framer = StreamFramer(factory.listener.framing, factory.listener_context.max_frame_size)
        self._reader = Reader()
        self._first_read = True
        self._closed = False
        "True once the connection is rejected: data that still arrives is ignored."
        self._data_since_check = True
        self._paused = False

    def callLater(self, period: float, func: Any) -> Any:
        """Schedules a call on the listener's reactor; used by TimeoutMixin."""
        return self._factory.listener_context.reactor.callLater(period, func)

    def connectionMade(self) -> None:
        self._factory.connections[self] = None
        transport = self.transport
        if self._factory.speaks_plain:
            transport.bufferSize = READ  # type: ignore[union-attr]  # of Twisted's FileDescriptor
        keepalive = self._factory.listener.keepalive
        if keepalive is not None and ITCPTransport.providedBy(transport):
            _enable_keepalive(transport, keepalive.total_seconds())
        self._start_timeout()

    def _start_timeout(self) -> None:
        idle = self._factory.listener.idle_timeout
        self.setTimeout(None if idle is None else idle.total_seconds())

    def dataReceived(self, data: bytes) -> None:
        if self._closed:
            return
        self._data_since_check = True
        factory = self._factory
        factory.reads += 1
        if self.timeOut is not None:
            self.resetTimeout()
        if self._first_read:
            self._first_read = False
            if factory.speaks_plain and data.startswith(b"\x16\x03"):
                text = "it begins a TLS handshake, but this listener is plain TCP. Send it to a tls: listener."
                self._refuse("tls_on_plain_port", text)
                return
            if proxy_protocol_header.begins(data):
                self.refuse_proxy_header()
                return
        self._read(data)

    def _read(self, data: bytes) -> None:
        frames = self._framer.feed(data)
        if frames:
            listener_context = self._factory.listener_context
            if listener_context.coalescer is None or not listener_context.coalescer.try_add(self._peer, frames):
                listener_context.pipeline.take(self._peer, frames, self._reader, self)
        if self._framer.oversize:
            self._take_oversize()

    def end(self) -> None:
        """Closes the connection from the gateway's side."""
        if self.transport is not None:
            self.transport.loseConnection()

    def refuse_proxy_header(self) -> None:
        """Rejects a connection that starts with a PROXY header although its sender is no configured balancer."""
        text = "it begins with a PROXY header, and its sender is not in the listener's proxy_protocol"
        self._refuse("proxy_header_from_stranger", text)

    def rename(self) -> None:
        """Looks up the peer again after a reload has renamed the listener."""
        self._peer = self._factory.listener_context.peer(
            self._factory.listener.name, self._peer.address, self._peer.names
        )

    def _refuse(self, reason: str, text: str) -> None:
        self._closed = True
        self._factory.rejections.note(reason, self._peer.address, text)
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def pause(self) -> None:
        """Stops reading, because events for a full intake are held."""
        self._paused = True
        self.setTimeout(None)
        if self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def resume(self) -> None:
        """Reads again after held events have been appended."""
        self._paused = False
        self._start_timeout()
        if self.transport is not None and not self._factory.closing:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    def check_idle(self) -> None:
        """Takes a frame that ended with NUL without waiting for more data. Called several times per second."""
        if self._paused:
            return
        if not self._data_since_check and (frames := self._framer.idle()):
            self._factory.listener_context.pipeline.take(self._peer, frames, sender=self)
        self._data_since_check = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._factory.connection_closed(self, self._peer)
        self._finish()
        self._factory.listener_context.pipeline.spool_writer.backpressure.forget(self)
        self.setTimeout(None)

    def _finish(self) -> None:
        """Takes the last frames of a connection that has ended."""
        pipeline = self._factory.listener_context.pipeline
        if self._factory.listener_context.coalescer is not None:
            self._factory.listener_context.coalescer.flush()
        frames, unfinished = self._framer.close()
        if frames and not self._factory.closing:
            pipeline.take(self._peer, frames, sender=self)
        elif frames:
            # The gateway ends the connection while the sender may still be writing: half a line could pass for a whole.
            for frame in list_of(frames):
                pipeline.take_unfinished(self._peer, frame, "the bridge was stopped before this line was complete")
        if unfinished:
            what = f"the connection ended {len(unfinished)} bytes into an octet-counted frame"
            pipeline.take_unfinished(self._peer, unfinished, what)
        if self._framer.oversize:
            self._take_oversize()
        pipeline.read_counts.note_resyncs(self._framer.resyncs)

    def _take_oversize(self) -> None:
        frames = self._framer.oversize.copy()
        self._framer.oversize.clear()
        self._factory.listener_context.pipeline.take_oversize(self._peer, frames, self)


def _enable_keepalive(transport: Any, after: float) -> None:
    """Enables TCP keepalive after ``after`` silent seconds.

    Linux's default of two hours is longer than NAT devices keep a connection in their tables.
    """
    connection = getattr(transport, "transport", transport).getHandle()  # TLS wraps the transport that has the socket
    if not isinstance(connection, socket.socket) or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(after)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(after / KEEPALIVE_PROBES)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


class SyslogFactory(Factory):
    """Builds the connections of one listener. A reload may replace ``listener`` by one with other options."""

    noisy = False
    speaks_plain = True

    def __init__(self, listener: Listener, listener_context: ListenerContext, *, local: str = "") -> None:
        self._local = local
        "Source name of connections without a peer address."
        self.listener = listener
        self.listener_context = listener_context
        self.connections: dict[SyslogConnection, None] = {}
        self.rejections = Rejections(listener.name, listener_context.reactor.seconds)
        self.reads = 0
        self.closing = False
        "True while the gateway, not the sender, ends the connections."
        self._per_peer: Counter[str] = Counter()

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        """Applies another configuration. Framing, limits and timeouts apply to new connections."""
        renamed = listener.name != self.listener.name
        self.listener, self.listener_context, self.rejections.listener = listener, listener_context, listener.name
        if renamed:
            for connection in self.connections:
                connection.rename()

    def buildProtocol(self, addr: IAddress | None) -> SyslogConnection | None:
        """Builds a connection, or returns None to close it."""
        host = str(getattr(addr, "host", self._local))
        most, most_per_peer = self.listener.max_connections, self.listener.max_connections_per_peer
        if not address_filter(self.listener)(host):
            self.rejections.note("not_in_allow", host, "not in allow")
        elif self._per_peer[str(address_of(host) or host)] >= most_per_peer:
            text = f"max_connections_per_peer ({most_per_peer}) reached"
            self.rejections.note("max_connections_per_peer", host, text)
        elif len(self.connections) >= most and not self.free_slot():
            self.rejections.note("max_connections", host, f"max_connections ({most}) reached")
        else:
            peer = self.listener_context.peer(self.listener.name, host)
            self._per_peer[peer.address] += 1
            return self.connection(peer, host)
        return None

    def connection(self, peer: Peer, host: str) -> SyslogConnection:
        """Creates the protocol of an accepted connection."""
        return SyslogConnection(self, peer)

    def free_slot(self) -> bool:
        """Closes a connection to make room for a new one; returns False if none may be closed."""
        return False

    def connection_closed(self, connection: SyslogConnection, peer: Peer) -> None:
        """Removes a connection that has ended."""
        self.connections.pop(connection, None)
        self._per_peer[peer.address] -= 1
        if self._per_peer[peer.address] <= 0:
            del self._per_peer[peer.address]

    def check_idle(self) -> None:
        """Checks every connection for complete frames. Called several times per second."""
        for connection in list(self.connections):
            connection.check_idle()
