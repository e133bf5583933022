"""Listens on TCP: owns the listening socket and its connections."""

import socket
from collections import Counter
from collections.abc import Callable

from twisted.internet import defer
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from bridge.config import Listener
from bridge.listen.listener import ListenerContext, OpenListener
from bridge.listen.proxy_protocol import ProxyProtocolFactory
from bridge.listen.tcp_connection import StreamFactory, SyslogFactory
from bridge.listen.tcp_port import TcpPort
from bridge.listen.unix_port import UnixPort

WITHOUT_ANSWERS = ("tcp", "tls")
"Kinds of listeners whose clients get no acknowledgements."


class TcpListener(OpenListener):
    """Accepts connections on one listening socket; syslog connections unless ``factory`` builds others.

    ``transport_factory`` wraps the connections of ``factory``, for example in TLS.
    """

    def __init__(
        self,
        listener: Listener,
        bound: socket.socket,
        listener_context: ListenerContext,
        factory: StreamFactory | None = None,
        transport_factory: IProtocolFactory | None = None,
    ) -> None:
        super().__init__(listener, bound)
        self._factory: StreamFactory = factory or SyslogFactory(listener, listener_context)
        self._connections = self._factory.connections
        self._reactor = listener_context.reactor
        self._descriptors, self._turns = listener_context.descriptors, listener_context.turns
        self._proxy_factory = ProxyProtocolFactory(transport_factory or self._factory, self._connections, self._reactor)
        self._listening: IListeningPort | UnixPort | None = None

    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        def apply() -> None:
            self.listener = listener
            self._factory.change(listener, listener_context)

        return apply

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    @property
    def refused(self) -> Counter[str]:
        return self._connections.rejections.counts

    @property
    def health_checks(self) -> int:
        return self._connections.rejections.health_checks

    @property
    def port(self) -> int:  # type: ignore[override]
        return int(self.bound.getsockname()[1]) if self.bound.fileno() >= 0 else 0

    def start(self) -> None:
        self._listening = TcpPort.listen_on(
            self.bound, self._reactor, self._proxy_factory, descriptors=self._descriptors, turns=self._turns,
            waits=self.listener.kind in WITHOUT_ANSWERS,
        )  # fmt: skip

    def check_idle(self) -> None:
        self._factory.check_idle()

    async def stop_accepting(self) -> None:
        """Stops accepting connections and closes the listening socket."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await defer.maybeDeferred(listening.stopListening)
        self.bound.close()

    def watch(self, on_read: Callable[[], None]) -> None:
        self._connections.watch(on_read)

    def close(self, *, shared: bool) -> defer.Deferred[None]:
        """Ends all connections. Connections that are not accepted yet stay in a shared socket."""
        self.bound.close()
        return self._connections.end()
