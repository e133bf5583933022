"""The door of a UDP listener."""

import socket
from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

from bridge.config import Listener
from bridge.listen.listener import ListenerContext, allowing
from bridge.listen.sockets import grow_receive_buffer
from bridge.listen.udp_reader import LONGEST, UdpReader

log = Logger(namespace="listen")


class UdpListener:
    """One UDP socket; nobody is ever *in*."""

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
        self._grow(listener)
        self._reader = UdpReader(
            bound,
            reactor=listener_context.reactor,
            name=listener.name,
            pipeline=listener_context.pipeline,
            peer=listener_context.peer,
            allowed=allowing(listener),
            max_frame_size=listener_context.max_frame_size,
            local=local,
            longest=longest,
        )
        self._drops = 0
        self.drops_before = 0
        "Datagrams that the socket lost under another process of ours."

    @property
    def refused(self) -> Counter[str]:
        """Datagrams that ``allow`` does not let in."""
        return Counter(not_in_allow=self._reader.refused) if self._reader.refused else Counter()

    def rejected(self, hosts: Callable[[str], bool]) -> str | None:
        """Whether ``allow`` kept its datagrams out."""
        return "not in allow" if any(map(hosts, self._reader.refused_hosts())) else None

    @property
    def port(self) -> int:
        """The port that is bound."""
        return self._reader.port

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel threw away."""
        return max(self._drops, self._reader.kernel_drops - self.drops_before)

    @property
    def activity(self) -> int:
        """Datagrams read."""
        return self._listener_context.pipeline.read_counts.by_listener[self.listener.name]

    @property
    def bound(self) -> socket.socket:
        """The socket."""
        return self._bound

    def start(self) -> None:
        """Read."""
        self._reader.start()

    def changed(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """The socket stays, and what it holds."""

        def apply() -> None:
            if listener.receive_buffer != self.listener.receive_buffer:
                self._grow(listener)
            self.listener, self._listener_context = listener, listener_context
            self._reader.change(
                name=listener.name, allowed=allowing(listener), max_frame_size=listener_context.max_frame_size
            )

        return apply

    def duplicate(self) -> socket.socket:
        """The same socket."""
        return self._bound.dup()

    def _grow(self, listener: Listener) -> None:
        granted = grow_receive_buffer(self._bound, listener.receive_buffer)
        if granted < listener.receive_buffer:
            log.warn(
                "listener {name}: the kernel grants a receive buffer of {granted} bytes, not {asked}; bursts may be"
                " lost: sysctl -w net.core.rmem_max={asked}",
                name=listener.name, granted=granted, asked=listener.receive_buffer,
            )  # fmt: skip

    def check_idle(self) -> None:
        """Nothing waits here."""

    async def shut(self) -> None:
        """There is nobody to refuse: datagrams are read until the end."""

    def hang_up(self, *, kept: bool) -> None:
        """Take what the kernel holds, unless it is kept, and close."""
        self._drops = self.kernel_drops
        self._reader.stop(drain=not kept)
