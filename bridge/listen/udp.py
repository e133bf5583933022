"""Receives syslog over UDP (RFC 5426), one drain of the socket per wake-up.

Twisted's datagram port makes one Python call per datagram and silently truncates at 8 KiB. Here one wake-up is one
read of at most 2,048 datagrams or about 2 MiB, so a flood cannot occupy the reactor.
"""

import socket
from collections import Counter
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.config import Listener
from bridge.ingest.peers import Peer
from bridge.listen.connections import Rejections
from bridge.listen.datagram_reader import Datagrams, Sender, open_reader
from bridge.listen.drain_pause import DrainPause
from bridge.listen.listener import ListenerContext, OpenListener, address_filter
from bridge.listen.sockets import grow_receive_buffer, kernel_drops, receive_buffer_used
from bridge.syslog.framing import Oversize, datagrams

log = Logger(namespace="listen")

LONGEST = 65_535
"Bytes of the longest datagram. A datagram that fills more than this was truncated by the read."


@implementer(IReadDescriptor)
class UdpListener(OpenListener):
    """Receives on one UDP socket.

    ``local`` is the source name of datagrams without a peer address, ``longest`` the size of the longest datagram.
    """

    def __init__(
        self,
        listener: Listener,
        bound: socket.socket,
        listener_context: ListenerContext,
        *,
        local: str | None = None,
        longest: int = LONGEST,
    ) -> None:
        super().__init__(listener, bound)
        self._reactor = listener_context.reactor
        self._pipeline = listener_context.pipeline
        self._peer = listener_context.peer
        self._longest = longest
        self._local = local
        self._datagrams = open_reader(bound, longest, local)
        self._rejections = Rejections(
            listener.name, listener_context.reactor.seconds, sources=listener_context.rejected
        )
        self._pause_timer: IDelayedCall | None = None
        self._drops = 0
        self._drops_before = listener_context.drops_before(bound)
        self._on_read: Callable[[], None] | None = None
        self._set_receive_buffer(listener)
        self._change(listener, listener_context)

    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        def apply() -> None:
            if listener.receive_buffer != self.listener.receive_buffer:
                self._set_receive_buffer(listener)
            self._change(listener, listener_context)

        return apply

    def _change(self, listener: Listener, listener_context: ListenerContext) -> None:
        self.listener = listener
        self._name = listener.name
        self._rejections.rename(listener.name)
        self._allowed = address_filter(listener)
        self._senders: dict[Sender, tuple[str, bool]] = {}
        "Host and permission of recent senders."
        self._max_frame_size = min(listener_context.max_frame_size, self._longest)
        self._size_limited = listener_context.max_frame_size < self._longest
        granted = self.bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        # A sender to a local socket blocks while its buffer is full, and should not have to wait.
        self._pause = None if self._local is not None else DrainPause(granted)

    def _set_receive_buffer(self, listener: Listener) -> None:
        granted = grow_receive_buffer(self.bound, listener.receive_buffer)
        if granted < listener.receive_buffer:
            log.warn(
                "listener {name}: the kernel grants a receive buffer of {granted} bytes, not {asked}; bursts may"
                " be dropped. Run sysctl -w net.core.rmem_max={asked}",
                name=listener.name, granted=granted, asked=listener.receive_buffer,
            )  # fmt: skip

    @property
    def refused(self) -> Counter[str]:
        return self._rejections.counts

    @property
    def port(self) -> int:  # type: ignore[override]
        return int(self.bound.getsockname()[1])

    @property
    def kernel_drops(self) -> int:  # type: ignore[override]
        now = kernel_drops(self.bound) if self.bound.fileno() >= 0 else 0
        return max(self._drops, now - self._drops_before)

    def start(self) -> None:
        self._pause_timer = None
        if self.bound.fileno() >= 0:
            self._reactor.addReader(self)

    def watch(self, on_read: Callable[[], None]) -> None:
        self._on_read = on_read

    def close(self, *, shared: bool) -> Deferred[None]:
        """Reads the datagrams that the kernel has queued, unless the socket is shared, and closes the socket."""
        if self.bound.fileno() < 0:
            return succeed(None)
        self._drops = self.kernel_drops
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
        self._reactor.removeReader(self)
        for _ in range(0 if shared else 64):
            if not self.drain_once():
                break
        self.bound.close()
        return succeed(None)

    # --- IReadDescriptor ---------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self.bound.fileno()

    def logPrefix(self) -> str:
        return self._name

    def connectionLost(self, reason: Failure) -> None:
        """Called when the reactor has removed the listener."""

    def doRead(self) -> None:
        """Called when the socket is readable: drains it and pauses before the next drain."""
        if self._pause is None:
            self.drain_once()
            return
        began, used = self._reactor.seconds(), receive_buffer_used(self.bound)
        drain = self._drain()
        pause = self._pause.after(drain.count, drain.size, used=used, began=began, now=self._reactor.seconds())
        # After a full drain, datagrams are left in the socket: continue at once.
        if pause and not drain.full:
            self._reactor.removeReader(self)
            self._pause_timer = self._reactor.callLater(pause, self.start)

    def drain_once(self) -> int:
        """Reads and processes one drain; returns the number of datagrams."""
        return self._drain().count

    def _drain(self) -> Datagrams:
        drain = self._datagrams.drain()
        if not drain.count:
            return drain
        may_be_long = self._size_limited or drain.size > self._longest
        taken = []
        for sender, frames in drain.by_sender.items():
            host, allowed = self._senders.get(sender) or self._new_sender(sender)
            if not allowed:
                self._rejections.note_datagrams("not_in_allow", host, "not in allow", len(frames))
                continue
            peer = self._peer(self._name, host)
            taken.append((peer, self._within_size(peer, frames) if may_be_long else frames))
        self._pipeline.take_many(taken, datagrams)
        if self._on_read is not None and taken:
            self._on_read()
        return drain

    def _new_sender(self, sender: Sender) -> tuple[str, bool]:
        if len(self._senders) > 50_000:
            self._senders.clear()
        host = self._datagrams.host(sender)
        known = self._senders[sender] = host, self._allowed(host)
        if known[1]:
            self._rejections.note_accepted(host)
        return known

    def _within_size(self, peer: Peer, frames: list[bytes]) -> list[bytes]:
        """Returns the frames within the size limit, and passes the others on as oversize."""
        if max(map(len, frames)) <= self._max_frame_size:
            return frames
        long = [frame for frame in frames if len(frame) > self._max_frame_size]
        self._pipeline.take_oversize(peer, [Oversize(frame[: self._max_frame_size], len(frame)) for frame in long])
        return [frame for frame in frames if len(frame) <= self._max_frame_size]
