"""All doors of a configuration: opened together or one by one, drained and closed the same way."""

from collections.abc import Callable, Collection, Mapping
from socket import socket
from typing import Any

from twisted.internet import task
from twisted.logger import Logger

from bridge.config import Config, Listener
from bridge.listen.door import Door, Hall
from bridge.listen.peers import Peers
from bridge.listen.road import Road
from bridge.listen.sockets import bind
from bridge.listen.stream_door import StreamDoor
from bridge.listen.tls_door import TlsDoor
from bridge.listen.udp_door import UdpDoor
from bridge.pem import PemError

log = Logger(namespace="listen")

DRAIN_WITHIN = 2.0
"Seconds that the end waits for senders to fall silent."
_QUIET = 0.1

KINDS: Mapping[str, Callable[[Listener, socket, Hall], Door]] = {"udp": UdpDoor, "tcp": StreamDoor, "tls": TlsDoor}


class Doors:
    """The sockets of one configuration."""

    def __init__(self, config: Config, *, reactor: Any, road: Road, peers: Peers) -> None:
        self._config = config
        self._reactor = reactor
        self.hall = Hall(reactor, road, peers.get, config.max_frame_size)
        self.doors: dict[str, Door] = {}
        "Listener -> its door."
        self._drops: dict[str, int] = {}
        self.open_ = False

    def open(self) -> None:
        """Bind and read, all or none. Raises ListenError."""
        made = self.make(self._config.listeners)
        self.begin(made)
        self.open_ = True

    def make(self, listeners: Collection[Listener]) -> list[Door]:
        """Doors with their sockets, which read nothing yet; all or none. Raises ListenError."""
        made: list[Door] = []
        try:
            for listener in listeners:
                bound = self._bound(listener)
                try:
                    made.append(KINDS[listener.kind](listener, bound, self.hall))
                except BaseException:
                    bound.close()
                    raise
        except BaseException:
            for door in made:
                door.hang_up(kept=True)  # nothing is read where nothing runs
            raise
        return made

    def begin(self, made: Collection[Door]) -> None:
        """Read."""
        for door in made:
            self.doors[door.listener.name] = door
            door.start()

    def names(self) -> list[str]:
        """Each listener with the port that it has."""
        return [f"{name} ({door.listener.kind} port {door.port})" for name, door in self.doors.items()]

    def ports(self) -> dict[str, int]:
        """Listener -> bound port."""
        return {name: door.port for name, door in self.doors.items()}

    def kernel_drops(self) -> dict[str, int]:
        """UDP listener -> datagrams that its socket lost since start."""
        now = {name: door.kernel_drops for name, door in self.doors.items() if door.listener.kind == "udp"}
        return {name: self._drops.get(name, 0) + now.get(name, 0) for name in {**self._drops, **now}}

    def refused(self) -> dict[str, int]:
        """Listener -> connections and datagrams that were not let in."""
        return {name: door.refused.total() for name, door in self.doors.items()}

    def refusals(self) -> dict[str, dict[str, int]]:
        """Listener -> the same by reason."""
        return {name: dict(door.refused) for name, door in self.doors.items() if door.refused}

    def certificates(self) -> dict[str, float]:
        """TLS listener -> when its certificate expires, in seconds since the epoch."""
        return {name: door.certificate_expires for name, door in self.doors.items() if isinstance(door, TlsDoor)}

    def reload_certificates(self) -> None:
        """Read them again, for connections to come; one that cannot be used stays as it was, and the log says why."""
        for name, door in self.doors.items():
            if not isinstance(door, TlsDoor):
                continue
            try:
                door.reload_certificate()
            except PemError as error:
                log.error("listener {name}: the certificate stays as it was: {why}", name=name, why=str(error))
            else:
                log.info("listener {name}: certificate read again", name=name)

    def check_idle(self) -> None:
        """Called several times a second."""
        for door in self.doors.values():
            door.check_idle()

    async def close(self, names: Collection[str] | None = None) -> None:
        """Accept no more, take what the sockets hold, close: some doors, or all."""
        if names is None:
            self.open_ = False
        closing = [door for name, door in self.doors.items() if names is None or name in names]
        for door in closing:
            await door.shut()
        ends_at = self._reactor.seconds() + DRAIN_WITHIN
        seen = -1
        while (now := sum(door.activity for door in closing)) != seen and self._reactor.seconds() < ends_at:
            seen = now
            await task.deferLater(self._reactor, _QUIET)
        for door in closing:
            door.hang_up(kept=False)
            name = door.listener.name
            if door.listener.kind == "udp":
                self._drops[name] = self._drops.get(name, 0) + door.kernel_drops
        while any(door.connected for door in closing) and self._reactor.seconds() < ends_at + 0.5:
            await task.deferLater(self._reactor, 0.01)
        for door in closing:
            if self.doors.get(door.listener.name) is door:
                del self.doors[door.listener.name]

    def _bound(self, listener: Listener) -> socket:
        host, port = listener.address.host, listener.address.port
        v6only = host != "*" and any(
            other is not listener and other.transport == listener.transport and other.address.port == port
            and "." in other.address.host
            for other in self._config.listeners
        )  # fmt: skip
        return bind(listener.transport, host, port, name=listener.name, v6only=v6only, backlog=listener.backlog)
