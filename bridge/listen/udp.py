"""Listens on UDP: owns the socket and its reader."""

import socket
from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

from bridge.config import Listener
from bridge.listen.listener import ListenerContext, address_filter
from bridge.listen.sockets import grow_receive_buffer
from bridge.listen.udp_reader import LONGEST, UdpReader

log = Logger(namespace="listen")


class UdpListener:
    """Receives syslog on one UDP socket. It has no connections, so ``connected`` is always False."""

    connected = False

    def __init__(
        self,
        listener: Listener,
        bound: socket.socket,
        listener_context: ListenerContext,
        *,
        local: str | None = None,
        longest: int = LONGEST,
    ) -> None:
        self.listener = listener
        self._listener_context = listener_context
        self._bound = bound
        self._set_receive_buffer(listener)
        self._reader = UdpReader(
            bound,
            reactor=listener_context.reactor,
            name=listener.name,
            pipeline=listener_context.pipeline,
            peer=listener_context.peer,
            allowed=address_filter(listener),
            max_frame_size=listener_context.max_frame_size,
            local=local,
            longest=longest,
        )
        self._drops = 0
        self.drops_before = 0
        "Datagrams that the kernel dropped while an earlier process of the gateway had the socket."

    @property
    def refused(self) -> Counter[str]:
        """Returns the number of datagrams that ``allow`` rejects."""
        return Counter(not_in_allow=self._reader.refused) if self._reader.refused else Counter()

    def last_rejection(self, hosts: Callable[[str], bool]) -> str | None:
        """Returns the reason if ``allow`` rejected the sender's datagrams, else None."""
        return "not in allow" if any(map(hosts, self._reader.refused_hosts())) else None

    @property
    def port(self) -> int:
        """Returns the bound port."""
        return self._reader.port

    @property
    def kernel_drops(self) -> int:
        """Returns the number of datagrams that the kernel dropped."""
        return max(self._drops, self._reader.kernel_drops - self.drops_before)

    @property
    def activity(self) -> int:
        """Returns the number of frames received."""
        return self._listener_context.pipeline.read_counts.by_listener[self.listener.name]

    @property
    def bound(self) -> socket.socket:
        """Returns the socket."""
        return self._bound

    def start(self) -> None:
        """Starts to read."""
        self._reader.start()

    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """Returns the function that applies a reload. The socket and the datagrams queued in it are kept."""

        def apply() -> None:
            if listener.receive_buffer != self.listener.receive_buffer:
                self._set_receive_buffer(listener)
            self.listener, self._listener_context = listener, listener_context
            self._reader.change(
                name=listener.name, allowed=address_filter(listener), max_frame_size=listener_context.max_frame_size
            )

        return apply

    def duplicate(self) -> socket.socket:
        """Returns a duplicate of the socket."""
        return self._bound.dup()

    def _set_receive_buffer(self, listener: Listener) -> None:
        granted = grow_receive_buffer(self._bound, listener.receive_buffer)
        if granted < listener.receive_buffer:
            log.warn(
                "listener {name}: the kernel grants a receive buffer of {granted} bytes, not {asked}; bursts may"
                " be dropped. Run sysctl -w net.core.rmem_max={asked}",
                name=listener.name, granted=granted, asked=listener.receive_buffer,
            )  # fmt: skip

    def check_idle(self) -> None:
        """Does nothing: a datagram is always complete."""

    async def stop_accepting(self) -> None:
        """Does nothing: datagrams are read until the socket is closed."""

    def close(self, *, shared: bool) -> None:
        """Reads the datagrams that the kernel has queued, unless the socket is shared, and closes the socket."""
        self._drops = self.kernel_drops
        self._reader.stop(drain=not shared)
