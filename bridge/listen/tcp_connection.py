"""Reads syslog over TCP (RFC 6587), with one framer per connection and one pipeline call per read."""
# mypy: disallow-untyped-calls=False

import fcntl
import socket
import sys
import termios
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, ITCPTransport, ITransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import Attribute, implementer

from bridge.config import Listener
from bridge.ingest.addresses import share_of
from bridge.ingest.peers import Peer
from bridge.listen import proxy_protocol_header
from bridge.listen.connections import Connections
from bridge.listen.listener import ListenerContext
from bridge.listen.pauses import Pause, Pauses
from bridge.listen.unfinished_frames import COUNTED_FROM, MAX_BYTES
from bridge.spool.batch import OpenBatch
from bridge.syslog.frames import list_of
from bridge.syslog.framing import StreamFramer
from bridge.syslog.reader import Reader

CLOSED_BY_PEER = (7, 8)
"States of a TCP connection whose peer has ended it: CLOSE after a reset or failed keepalive, CLOSE_WAIT (linux/tcp.h)."
KEEPALIVE_PROBES = 4
"Unanswered probes after which a peer counts as dead. They are sent at a quarter of the initial interval."


class SyslogConnection(Protocol, TimeoutMixin):
    """Reads the connection of one sender."""

    acknowledges = False
    speaks_plain = True

    def __init__(self, factory: "SyslogFactory", peer: Peer) -> None:
        self._factory = factory
        self._peer = peer
        self._framer = StreamFramer(factory.listener.framing, factory.listener_context.max_frame_size)
        self._reader = Reader()
        self._first_read = True
        self._closed = False
        "True once the connection is rejected: data that still arrives is ignored."
        self._data_since_check = True
        self._pauses = Pauses()
        self._unfinished = 0
        "Counted bytes of the unfinished frame."

    def callLater(self, period: float, func: Callable[..., object]) -> IDelayedCall:
        return self._factory.listener_context.reactor.callLater(period, func)

    def connectionMade(self) -> None:
        transport = self.transport
        keepalive = self._factory.listener.keepalive
        if keepalive is not None and ITCPTransport.providedBy(transport):
            enable_keepalive(transport, keepalive.total_seconds())
        self._start_timeout()

    def _start_timeout(self) -> None:
        idle = self._factory.listener.idle_timeout
        self.setTimeout(None if idle is None else idle.total_seconds())

    def dataReceived(self, data: bytes) -> None:
        if self._closed:
            return
        self._data_since_check = True
        factory = self._factory
        factory.connections.note_read()
        if self.timeOut is not None:
            self.resetTimeout()
        if self._first_read:
            self._first_read = False
            if self.speaks_plain and data.startswith(b"\x16\x03"):
                text = "it begins a TLS handshake, but this listener is plain TCP. Send it to a tls: listener."
                self._refuse("tls_on_plain_port", text)
                return
            if proxy_protocol_header.begins(data):
                self._refuse(*proxy_protocol_header.UNEXPECTED)
                return
            factory.connections.rejections.note_accepted(self._peer.address)
        self._read(data)

    def _read(self, data: bytes) -> None:
        if frames := self._framer.feed(data):
            listener_context = self._factory.listener_context
            if listener_context.coalescer is None or not listener_context.coalescer.try_add(self._peer, frames):
                listener_context.pipeline.take(self._peer, frames, self._reader, self)
        if self._framer.oversize:
            self._take_oversize()
        self._note_unfinished(self._framer.held)

    def _note_unfinished(self, held: int) -> None:
        """Counts the bytes of an unfinished frame, if they are many or were."""
        counted = held if held >= COUNTED_FROM else 0
        if counted != self._unfinished:
            self._unfinished = counted
            self._factory.listener_context.turns.unfinished.note(share_of(self._peer.address), self, counted)

    def close_unfinished(self) -> None:
        """Closes the connection, because unfinished frames take too much memory. Takes what has arrived of its own."""
        self._unfinished = 0
        what = (
            f"unfinished messages of all connections exceed {MAX_BYTES >> 20} MiB, and this address has the most. Does"
            " it end its messages as framing: of this listener says?"
        )
        self._refuse("unfinished_frames", what)

    def end(self) -> None:
        """Closes the connection from the gateway's side."""
        if self.transport is not None:
            self.transport.loseConnection()

    def rename(self) -> None:
        """Looks up the peer again after a reload has renamed the listener."""
        factory = self._factory
        self._peer = factory.listener_context.peer(factory.listener.name, self._peer.address, self._peer.names)

    def _refuse(self, reason: str, text: str) -> None:
        self._closed = True
        self._factory.connections.refused(self, reason, text)
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def pause(self) -> None:
        """Stops reading, because events for a full intake are held."""
        self._stop_reading(Pause.HELD)

    def appended(self, batch: OpenBatch | None) -> None:
        """Does nothing: the sender gets no acknowledgement."""

    def resume(self) -> None:
        """Reads again after held events have been appended, unless there is another reason to pause."""
        self._read_again(Pause.HELD)

    def _stop_reading(self, reason: Pause) -> None:
        if self._pauses.begin(reason):
            self.setTimeout(None)
            if self.transport is not None:
                self.transport.pauseProducing()  # type: ignore[attr-defined]

    def _read_again(self, ended: Pause) -> None:
        if self._pauses.end(ended):
            self._start_timeout()
            if self.transport is not None and not self._factory.connections.closing:
                self.transport.resumeProducing()  # type: ignore[attr-defined]

    def check_idle(self) -> None:
        """Takes a frame that ended with NUL without waiting for more data. Called several times per second."""
        if self._pauses:
            self._end_if_closed()
            return
        if not self._data_since_check and (frames := self._framer.idle()):
            self._factory.listener_context.pipeline.take(self._peer, frames, sender=self)
        self._data_since_check = False

    def _end_if_closed(self) -> None:
        """Reads the rest of a paused connection that its sender has closed, so that its descriptor is freed.

        A sender that gets acknowledgements sends again what was not acknowledged, so the rest is not read.
        """
        if Pause.HELD not in self._pauses or self.transport is None or (left := bytes_left(self.transport)) is None:
            return
        if self.acknowledges:
            self.transport.abortConnection()  # type: ignore[attr-defined]
        elif self._factory.listener_context.pipeline.spool_writer.backpressure.grant(self, left):
            self._read_again(Pause.HELD)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        self._note_unfinished(0)
        if self._first_read and not self._closed:
            self._factory.connections.ended_without_data()
        try:
            self._finish()
            self._factory.listener_context.pipeline.spool_writer.backpressure.forget(self)
        finally:
            # Last, as the process may stop once the last connection has ended.
            self._factory.connections.closed(self)

    def _finish(self) -> None:
        """Takes the last frames of a connection that has ended."""
        pipeline = self._factory.listener_context.pipeline
        if self._factory.listener_context.coalescer is not None:
            self._factory.listener_context.coalescer.flush()
        if frames := self._framer.idle():
            pipeline.take(self._peer, frames, sender=self)
        frames, unfinished = self._framer.close()
        if frames and not self._factory.connections.closing:
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

    def _take_oversize(self) -> None:
        frames = self._framer.oversize.copy()
        self._framer.oversize.clear()  # the framer's cutter shares this list
        self._factory.listener_context.pipeline.take_oversize(self._peer, frames, self)


def _tcp_socket(transport: ITransport) -> socket.socket | None:
    """Returns the socket of a connection, or None if it is not a TCP connection."""
    wrapped: Any = transport
    while hasattr(wrapped, "transport"):  # TLS and the PROXY protocol wrap the transport that has the socket
        wrapped = wrapped.transport
    found = wrapped.getHandle() if hasattr(wrapped, "getHandle") else None
    return found if isinstance(found, socket.socket) and found.family in (socket.AF_INET, socket.AF_INET6) else None


def bytes_left(transport: ITransport) -> int | None:
    """Returns the unread bytes of a TCP connection that the peer has closed, or None if it has not closed it."""
    connection = _tcp_socket(transport)
    try:
        if connection is None or connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] not in CLOSED_BY_PEER:
            return None
        return int.from_bytes(fcntl.ioctl(connection, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return None


def enable_keepalive(transport: ITransport, after: float) -> None:
    """Enables TCP keepalive after ``after`` silent seconds.

    Linux's default of two hours is longer than NAT devices keep a connection in their tables. A peer that takes none of
    the data sent to it is closed after the same time as one that answers no probe: while data is unsent, there are no
    probes.
    """
    connection = _tcp_socket(transport)
    if connection is None:
        return
    silent, interval = max(1, round(after)), max(1, round(after / KEEPALIVE_PROBES))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, silent)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * (silent + KEEPALIVE_PROBES * interval))


class StreamFactory(IProtocolFactory):
    """Builds the connections of a stream listener."""

    connections: Connections[Any] = Attribute("The open connections.")

    def change(listener: Listener, listener_context: ListenerContext) -> None:
        """Applies another configuration. Framing, limits and timeouts apply to new connections."""

    def check_idle() -> None:
        """Completes frames that no further data will complete. Called several times per second."""


@implementer(StreamFactory)
class SyslogFactory(Factory):
    """Builds the connections of one listener. A reload may replace ``listener`` by one with other options."""

    noisy = False

    def __init__(
        self,
        listener: Listener,
        listener_context: ListenerContext,
        connection: Callable[["SyslogFactory", Peer], SyslogConnection] = SyslogConnection,
        *,
        local: str = "",
    ) -> None:
        self._local = local
        "Source name of connections without a peer address."
        self._connection = connection
        self.listener_context = listener_context
        self.connections: Connections[SyslogConnection] = Connections(
            listener, listener_context.reactor.seconds, listener_context.rejected
        )

    @property
    def listener(self) -> Listener:
        """Returns the current configuration of the listener."""
        return self.connections.listener

    def change(self, listener: Listener, listener_context: ListenerContext) -> None:
        renamed = listener.name != self.listener.name
        self.listener_context = listener_context
        self.connections.change(listener)
        if renamed:
            for connection in self.connections:
                connection.rename()

    def buildProtocol(self, addr: IAddress | None) -> SyslogConnection | None:
        host = str(getattr(addr, "host", self._local))
        return self.connections.build(
            host, lambda: self._connection(self, self.listener_context.peer(self.listener.name, host))
        )

    def check_idle(self) -> None:
        for connection in self.connections:
            connection.check_idle()
