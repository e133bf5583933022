"""All listeners of a configuration: opened together, drained and closed together."""

from collections.abc import Callable
from typing import Any

from twisted.internet import defer, task
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from bridge.config import Config, Listener
from bridge.listen.peers import Peers, address_of
from bridge.listen.road import Road
from bridge.listen.sockets import bind, grow_receive_buffer, port_of
from bridge.listen.tcp import SyslogFactory
from bridge.listen.udp import UdpReader

log = Logger(namespace="listen")

DRAIN_WITHIN = 2.0
"Seconds that the end waits for senders to fall silent."
_QUIET = 0.1


class Doors:
    """The sockets of one configuration."""

    def __init__(self, config: Config, *, reactor: Any, road: Road, peers: Peers) -> None:
        self._config = config
        self._reactor = reactor
        self._road = road
        self._peers = peers
        self._readers: list[UdpReader] = []
        self._ports: list[tuple[SyslogFactory, IListeningPort]] = []
        self._drops: dict[str, int] = {}
        self.open_ = False

    def open(self) -> None:
        """Bind and read, all or none. Raises ListenError."""
        try:
            for listener in self._config.listeners:
                self._open(listener)
        except BaseException:
            for reader in self._readers:
                reader.stop()
            for _, port in self._ports:
                port.stopListening()
            self._readers, self._ports = [], []
            raise
        for reader in self._readers:
            reader.start()
        self.open_ = True

    def names(self) -> list[str]:
        """Each listener with the port that it has."""
        return [f"{reader.name} (udp port {reader.port})" for reader in self._readers] + [
            f"{factory.name} (tcp port {port_of(port)})" for factory, port in self._ports
        ]

    def ports(self) -> dict[str, int]:
        """Listener -> bound port."""
        return {reader.name: reader.port for reader in self._readers} | {
            factory.name: port_of(port) for factory, port in self._ports
        }

    def kernel_drops(self) -> dict[str, int]:
        """Listener -> datagrams that its socket lost since start."""
        return self._drops | {reader.name: reader.kernel_drops for reader in self._readers}

    def refused(self) -> dict[str, int]:
        """Listener -> connections and datagrams that were not let in."""
        return {reader.name: reader.refused for reader in self._readers} | {
            factory.name: factory.refused.total() for factory, _ in self._ports
        }

    def check_idle(self) -> None:
        """Called several times a second."""
        for factory, _ in self._ports:
            factory.check_idle()

    async def close(self) -> None:
        """Accept no more, take what the sockets hold, close."""
        self.open_ = False
        for _, port in self._ports:
            await defer.maybeDeferred(port.stopListening)
        ends_at = self._reactor.seconds() + DRAIN_WITHIN
        seen = -1
        while (now := self._activity()) != seen and self._reactor.seconds() < ends_at:
            seen = now
            await task.deferLater(self._reactor, _QUIET)
        for reader in self._readers:
            self._drops[reader.name] = reader.kernel_drops
            reader.stop()
        for factory, _ in self._ports:
            factory.closing = True
            for connection in list(factory.connections):
                if connection.transport is not None:
                    connection.transport.loseConnection()
        while any(factory.connections for factory, _ in self._ports) and self._reactor.seconds() < ends_at + 0.5:
            await task.deferLater(self._reactor, 0.01)
        self._readers, self._ports = [], []

    def _activity(self) -> int:
        return self._road.tallies.by_listener.total() + sum(factory.reads for factory, _ in self._ports)

    def _open(self, listener: Listener) -> None:
        host, port = listener.address.host, listener.address.port
        v6only = host != "*" and any(
            other is not listener and other.kind == listener.kind and other.address.port == port
            and "." in other.address.host
            for other in self._config.listeners
        )  # fmt: skip
        bound = bind(listener.kind, host, port, name=listener.name, v6only=v6only)
        if listener.kind == "udp":
            granted = grow_receive_buffer(bound, listener.receive_buffer)
            if granted < listener.receive_buffer:
                log.warn(
                    "listener {name}: the kernel grants a receive buffer of {granted} bytes, not {asked}; bursts may be"
                    " lost: sysctl -w net.core.rmem_max={asked}",
                    name=listener.name, granted=granted, asked=listener.receive_buffer,
                )  # fmt: skip
            reader = UdpReader(
                bound, reactor=self._reactor, name=listener.name, road=self._road, peer=self._peers.get,
                allowed=_allowed(listener), max_frame_size=self._config.max_frame_size,
            )  # fmt: skip
            self._readers.append(reader)
            return
        factory = SyslogFactory(
            name=listener.name,
            road=self._road,
            peer=self._peers.get,
            allowed=_allowed(listener),
            clock=self._reactor,
            framing=listener.framing,
            max_frame_size=self._config.max_frame_size,
            max_connections=listener.max_connections,
            max_connections_per_peer=listener.max_connections_per_peer,
            idle_timeout=listener.idle_timeout,
        )
        with bound:
            # The reactor takes a duplicate of the descriptor.
            self._ports.append((factory, self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory)))


def _allowed(listener: Listener) -> Callable[[str], bool]:
    networks = listener.allow
    if networks is None:
        return lambda host: True

    def allowed(host: str) -> bool:
        address = address_of(host)
        return address is not None and any(address.version == n.version and address in n for n in networks)

    return allowed
