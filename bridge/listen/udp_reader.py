"""Syslog over UDP (RFC 5426): a reader of our own that drains the socket per wake-up.

Twisted's datagram port makes one Python call per datagram and cuts at 8 KiB without saying so. Here one wake-up is one
read: up to 1,024 datagrams or 1 MiB, so that a flood cannot hold the reactor.
"""

import socket
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.ingest.peers import Peer
from bridge.ingest.pipeline import Pipeline
from bridge.listen.sockets import kernel_drops
from bridge.syslog.framing import Oversize, datagrams

MOST_DATAGRAMS = 1024
MOST_BYTES = 1024 * 1024
REST = 0.002
"""Seconds between two drains, so that a drain brings many: what it costs besides its datagrams is as much as dozens of
them. Only where the socket's buffer holds what comes meanwhile, at any rate that can be read."""

ROOMY = 1024 * 1024
"Bytes of a receive buffer that is large enough to rest."

LONGEST = 65_535
"Bytes of the longest datagram; one that fills more than this was cut by us."


@implementer(IReadDescriptor)
class UdpReader:
    """One socket of a UDP listener."""

    def __init__(
        self,
        bound: socket.socket,
        *,
        reactor: Any,
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
        "Whose its datagrams are, where they come without an address."
        self._resting: IDelayedCall | None = None
        self.change(name=name, allowed=allowed, max_frame_size=max_frame_size)

    def change(self, *, name: str, allowed: Callable[[str], bool], max_frame_size: int) -> None:
        """Go on under another configuration."""
        self.name = name
        self._allowed = allowed
        self._max_frame_size = min(max_frame_size, self._longest)
        self._restrained = max_frame_size < self._longest
        granted = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        # Who writes to a local socket waits where it is full, and should not.
        self._rests = self._local is None and granted >= ROOMY
        self._rejections: dict[str, bool] = {}

    @property
    def kernel_drops(self) -> int:
        """Datagrams lost before they reached us."""
        return kernel_drops(self._socket) if self._socket.fileno() >= 0 else 0

    @property
    def port(self) -> int:
        """The port that is bound."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Begin to read."""
        self._resting = None
        if self._socket.fileno() >= 0:
            self._reactor.addReader(self)

    def stop(self, *, drain: bool = True) -> None:
        """Take what the kernel still holds (``drain``), then close."""
        if self._socket.fileno() < 0:
            return
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        self._reactor.removeReader(self)
        for _ in range(64 if drain else 0):
            if not self.doRead_once():
                break
        self._socket.close()

    # --- IReadDescriptor ---------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return self.name

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has dropped us."""

    def doRead(self) -> None:
        """The socket is readable."""
        # A full drain has left some behind.
        if self.doRead_once() < MOST_DATAGRAMS and self._rests:
            self._reactor.removeReader(self)
            self._resting = self._reactor.callLater(REST, self.start)

    def doRead_once(self) -> int:
        """One drain; the number of datagrams."""
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
            # An ICMP error of an earlier datagram; the socket goes on.
            pass
        if not count:
            return 0
        taken = []
        for host, frames in by_host.items():
            if not self._may(host):
                self.refused += len(frames)
                continue
            peer = self._peer(self.name, host)
            kept = self._whole(peer, frames) if self._restrained or size > self._longest else frames
            taken.append((peer, kept))
        self._pipeline.take_many(taken, datagrams)
        return count

    def refused_hosts(self) -> list[str]:
        """Whose datagrams were not let in, as far as is remembered."""
        return [host for host, may in self._rejections.items() if not may]

    def _may(self, host: str) -> bool:
        may = self._rejections.get(host)
        if may is None:
            if len(self._rejections) > 50_000:
                self._rejections.clear()
            may = self._rejections[host] = self._allowed(host)
        return may

    def _whole(self, peer: Peer, frames: list[bytes]) -> list[bytes]:
        """Frames within the limits; the others go their own way."""
        if max(map(len, frames)) <= self._max_frame_size:
            return frames
        long = [frame for frame in frames if len(frame) > self._max_frame_size]
        self.truncated += sum(len(frame) > self._longest for frame in long)
        self._pipeline.take_oversize(peer, [Oversize(frame[: self._max_frame_size], len(frame)) for frame in long])
        return [frame for frame in frames if len(frame) <= self._max_frame_size]
