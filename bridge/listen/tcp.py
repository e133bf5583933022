"""Listens on TCP: owns the listening socket and its connections."""

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
    """Accepts syslog connections on one listening socket."""

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
        self._protocol_factory: IProtocolFactory = self.factory
        self._proxy_factory: ProxyProtocolFactory | None = None

    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """Returns the function that applies a reload. The socket and all connections are kept."""

        def apply() -> None:
            self.listener, self._listener_context = listener, listener_context
            self.factory.change(listener, listener_context)

        return apply

    def duplicate(self) -> socket.socket:
        """Returns a duplicate of the listening socket."""
        return self._bound.dup()

    @property
    def refused(self) -> Counter[str]:
        """Returns the number of rejected connections by reason."""
        return self.factory.rejections.counts

    def last_rejection(self, hosts: Callable[[str], bool]) -> str | None:
        """Returns the reason of a sender's latest rejection, or None."""
        return next((why for host, why in reversed(self.factory.rejections.hosts.items()) if hosts(host)), None)

    @property
    def port(self) -> int:
        """Returns the bound port, or 0 once the socket is closed."""
        return int(self._bound.getsockname()[1]) if self._bound.fileno() >= 0 else 0

    @property
    def activity(self) -> int:
        """Returns the number of reads of all connections."""
        return self.factory.reads

    @property
    def connected(self) -> bool:
        """True while a connection is open."""
        return bool(self.factory.connections)

    @property
    def bound(self) -> socket.socket:
        """Returns the listening socket."""
        return self._bound

    def start(self) -> None:
        """Starts to accept connections."""
        self._proxy_factory = ProxyProtocolFactory(
            self._protocol_factory,
            listener=lambda: self.listener,
            rejections=self.factory.rejections,
            reactor=self._listener_context.reactor,
        )
        # The reactor takes a duplicate of the descriptor.
        self._listening = self._listener_context.reactor.adoptStreamPort(
            self._bound.fileno(),
            self._bound.family,
            self._proxy_factory,  # type: ignore[arg-type]
        )

    def check_idle(self) -> None:
        """Takes frames that ended without a line end."""
        self.factory.check_idle()

    async def stop_accepting(self) -> None:
        """Stops accepting connections and closes the listening socket."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await defer.maybeDeferred(listening.stopListening)
        self._bound.close()

    def close(self, *, shared: bool) -> None:
        """Ends all connections. Connections that are not accepted yet stay in a shared socket."""
        self._bound.close()
        self.factory.closing = True
        if self._proxy_factory is not None:
            self._proxy_factory.end()
        for connection in list(self.factory.connections):
            connection.end()
