"""Reads syslog over UDP (RFC 5426), one drain of the socket per wake-up.

Twisted's datagram port makes one Python call per datagram and silently truncates at 8 KiB. Here one wake-up is one
read of at most 1,024 datagrams or 1 MiB, so a flood cannot occupy the reactor.
"""

import socket
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.host.interfaces import Reactor
from bridge.ingest.peers import Peer
from bridge.ingest.pipeline import Pipeline
from bridge.listen.sockets import kernel_drops
from bridge.syslog.framing import Oversize, datagrams

MOST_DATAGRAMS = 1024
MOST_BYTES = 1024 * 1024
DRAIN_PAUSE = 0.002
"""Seconds between two drains, so that each drain reads many datagrams: its fixed cost equals that of dozens of them.
The reader pauses only if the socket's buffer can hold all that arrives meanwhile, at any rate that it can process.
"""

LARGE_BUFFER = 1024 * 1024
"Bytes of a receive buffer that is large enough for pauses."

LONGEST = 65_535
"Bytes of the longest datagram. A datagram that fills more than this was truncated by the reader."


@implementer(IReadDescriptor)
class UdpReader:
    """Reads one socket of a UDP listener."""

    def __init__(
        self,
        bound: socket.socket,
        *,
        reactor: Reactor,
        name: str,
        pipeline: Pipeline,
        peer: Callable[[str, str], Peer],
        allowed: Callable[[str], bool],
        max_frame_size: int,
        longest: int = LONGEST,
        local: str | None = None,
    ) -> None:
        self.truncated = 0
        self.refused = 0
        self._socket = bound
        self._reactor = reactor
        self._pipeline = pipeline
        self._peer = peer
        self._longest = longest
        self._local = local
        "Source name of datagrams without a peer address."
        self._pause_timer: IDelayedCall | None = None
        self.change(name=name, allowed=allowed, max_frame_size=max_frame_size)

    def change(self, *, name: str, allowed: Callable[[str], bool], max_frame_size: int) -> None:
        """Applies another configuration."""
        self.name = name
        self._allowed = allowed
        self._max_frame_size = min(max_frame_size, self._longest)
        self._size_limited = max_frame_size < self._longest
        granted = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        # A sender to a local socket blocks while its buffer is full, and should not have to wait.
        self._pauses_between_drains = self._local is None and granted >= LARGE_BUFFER
        self._allowed_hosts: dict[str, bool] = {}

    @property
    def kernel_drops(self) -> int:
        """Returns the number of datagrams that the kernel dropped because the receive buffer was full."""
        return kernel_drops(self._socket) if self._socket.fileno() >= 0 else 0

    @property
    def port(self) -> int:
        """Returns the bound port."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Starts to read."""
        self._pause_timer = None
        if self._socket.fileno() >= 0:
            self._reactor.addReader(self)

    def stop(self, *, drain: bool = True) -> None:
        """Reads what the kernel still has queued (``drain``), then closes the socket."""
        if self._socket.fileno() < 0:
            return
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
        self._reactor.removeReader(self)
        for _ in range(64 if drain else 0):
            if not self.drain_once():
                break
        self._socket.close()

    # --- IReadDescriptor ---------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Returns the socket's descriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Returns the prefix for Twisted's log."""
        return self.name

    def connectionLost(self, reason: Failure) -> None:
        """Called when the reactor has removed the reader."""

    def doRead(self) -> None:
        """Called when the socket is readable: drains it and pauses before the next drain."""
        # After a full drain, datagrams are left in the socket: continue at once.
        if self.drain_once() < MOST_DATAGRAMS and self._pauses_between_drains:
            self._reactor.removeReader(self)
            self._pause_timer = self._reactor.callLater(DRAIN_PAUSE, self.start)

    def drain_once(self) -> int:
        """Reads and processes one drain; returns the number of datagrams."""
        by_host: defaultdict[str, list[bytes]] = defaultdict(list)
        size, limit = 0, self._longest + 1
        receive: Callable[[int], tuple[bytes, Any]] = self._socket.recvfrom
        if (local := self._local) is not None:
            receive = lambda limit: (self._socket.recv(limit), (local,))  # noqa: E731
        count = 0
        try:
            while count < MOST_DATAGRAMS and size < MOST_BYTES:
                data, address = receive(limit)
                by_host[address[0]].append(data)
                size += len(data)
                count += 1
        except BlockingIOError:
            pass
        except OSError:
            # An ICMP error of an earlier datagram: the socket can still be read.
            pass
        if not count:
            return 0
        taken = []
        for host, frames in by_host.items():
            if not self._is_allowed(host):
                self.refused += len(frames)
                continue
            peer = self._peer(self.name, host)
            kept = self._within_size(peer, frames) if self._size_limited or size > self._longest else frames
            taken.append((peer, kept))
        self._pipeline.take_many(taken, datagrams)
        return count

    def refused_hosts(self) -> list[str]:
        """Returns the hosts that ``allow`` rejected, as far as they are remembered."""
        return [host for host, allowed in self._allowed_hosts.items() if not allowed]

    def _is_allowed(self, host: str) -> bool:
        allowed = self._allowed_hosts.get(host)
        if allowed is None:
            if len(self._allowed_hosts) > 50_000:
                self._allowed_hosts.clear()
            allowed = self._allowed_hosts[host] = self._allowed(host)
        return allowed

    def _within_size(self, peer: Peer, frames: list[bytes]) -> list[bytes]:
        """Returns the frames within the size limit, and passes the others on as oversize."""
        if max(map(len, frames)) <= self._max_frame_size:
            return frames
        long = [frame for frame in frames if len(frame) > self._max_frame_size]
        self.truncated += sum(len(frame) > self._longest for frame in long)
        self._pipeline.take_oversize(peer, [Oversize(frame[: self._max_frame_size], len(frame)) for frame in long])
        return [frame for frame in frames if len(frame) <= self._max_frame_size]
