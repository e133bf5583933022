"""The door of a TCP listener: a listening socket and its connections."""

import socket
from collections import Counter
from collections.abc import Callable

from twisted.internet import defer
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from bridge.config import Listener
from bridge.listen.listener import ListenerContext
from bridge.listen.proxy_protocol import ProxyProtocolFactory
from bridge.listen.tcp_connection import SyslogFactory


class TcpListener:
    """One listening socket."""

    kernel_drops = 0

    def __init__(
        self,
        listener: Listener,
        bound: socket.socket,
        listener_context: ListenerContext,
        factory: SyslogFactory | None = None,
    ) -> None:
        self.listener = listener
        self._listener_context = listener_context
        self._bound = bound
        self._listening: IListeningPort | None = None
        self.factory = factory or SyslogFactory(listener, listener_context)
        self._wrapping: IProtocolFactory = self.factory
        self._balanced: ProxyProtocolFactory | None = None

    def changed(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """The listening socket stays, and every connection."""

        def apply() -> None:
            self.listener, self._listener_context = listener, listener_context
            self.factory.change(listener, listener_context)

        return apply

    def duplicate(self) -> socket.socket:
        """The same socket."""
        return self._bound.dup()

    @property
    def refused(self) -> Counter[str]:
        """Connections that were closed at once."""
        return self.factory.rejections.counts

    def rejected(self, hosts: Callable[[str], bool]) -> str | None:
        """Why its last connection was closed."""
        return next((why for host, why in reversed(self.factory.rejections.hosts.items()) if hosts(host)), None)

    @property
    def port(self) -> int:
        """The port that is bound."""
        return int(self._bound.getsockname()[1]) if self._bound.fileno() >= 0 else 0

    @property
    def activity(self) -> int:
        """Reads of all connections."""
        return self.factory.reads

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return bool(self.factory.connections)

    @property
    def bound(self) -> socket.socket:
        """The listening socket."""
        return self._bound

    def start(self) -> None:
        """Accept."""
        self._balanced = ProxyProtocolFactory(
            self._wrapping,
            listener=lambda: self.listener,
            rejections=self.factory.rejections,
            reactor=self._listener_context.reactor,
        )
        # The reactor takes a duplicate of the descriptor.
        self._listening = self._listener_context.reactor.adoptStreamPort(
            self._bound.fileno(), self._bound.family, self._balanced
        )

    def check_idle(self) -> None:
        """Frames that ended without a line end are taken."""
        self.factory.check_idle()

    async def shut(self) -> None:
        """Accept no more."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await defer.maybeDeferred(listening.stopListening)
        self._bound.close()

    def hang_up(self, *, kept: bool) -> None:
        """End the connections; those that nobody has accepted yet stay with a kept socket."""
        self._bound.close()
        self.factory.closing = True
        if self._balanced is not None:
            self._balanced.end()
        for connection in list(self.factory.connections):
            connection.end()
