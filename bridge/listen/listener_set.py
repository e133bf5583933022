"""All doors of a configuration: opened together or one by one, drained and closed the same way."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from socket import SOCK_DGRAM, SOCK_STREAM, socket
from typing import Any

from twisted.internet import defer, task

from bridge.config import (
    Address,
    Config,
    Listener,
    UnixAddress,
)
from bridge.ingest.coalescing import Coalescer
from bridge.ingest.peers import Peers, address_of
from bridge.ingest.pipeline import Pipeline
from bridge.listen.listener import ListenerContext, OpenListener
from bridge.listen.relp import relp_listener
from bridge.listen.socket_activation import DescriptorStore, InheritedSockets
from bridge.listen.sockets import ListenError, bind, bind_unix
from bridge.listen.tcp import TcpListener
from bridge.listen.tls import TlsListener
from bridge.listen.udp import UdpListener
from bridge.listen.unix import UnixDatagramListener, UnixStreamListener

DRAIN_WITHIN = 2.0
"Seconds that the end waits for senders to fall silent."
_QUIET = 0.1

Maker = Callable[[Listener, socket, ListenerContext], OpenListener]

KINDS: Mapping[str, Maker] = {
    "udp": UdpListener, "tcp": TcpListener, "tls": TlsListener, "relp": relp_listener,
    "unix_datagram": UnixDatagramListener,
    "unix_stream": UnixStreamListener,
}  # fmt: skip
Place = tuple[str, Address | UnixAddress]
"A transport and an address of it."


@dataclass(frozen=True, slots=True)
class ListenerChange:
    """The doors of another configuration, made and not yet begun."""

    config: Config
    listener_context: ListenerContext
    kept: dict[str, OpenListener]
    "By the names that they will have."
    opened: list[OpenListener]
    applies: list[Callable[[], None]]

    def give_up(self) -> None:
        """It is not made after all."""
        for open_listener in self.opened:
            open_listener.hang_up(kept=True)


class ListenerSet:
    """The sockets of one configuration."""

    def __init__(
        self,
        config: Config,
        *,
        reactor: Any,
        pipeline: Pipeline,
        peers: Peers,
        commit: Callable[[Callable[[OSError | None], None]], None],
        store: DescriptorStore | None = None,
        kinds: Mapping[str, Maker] | None = None,
    ) -> None:
        """``commit``: see ``ListenerContext``; ``kinds``: makers of doors that are not among ``KINDS``."""
        self._config = config
        self._reactor = reactor
        self._kinds = {**KINDS, **(kinds or {})}
        self.listener_context = ListenerContext(
            reactor, pipeline, peers.get, config.max_frame_size, commit, Coalescer.on(reactor, pipeline)
        )  # fmt: skip
        self.listeners: dict[str, OpenListener] = {}
        "Listener -> its door."
        self._drops: dict[str, int] = {}
        self.open_ = False
        self._closings = defer.DeferredLock()
        self._inherited = InheritedSockets(store, config.spool.directory / ".sockets.json")

    def open(self) -> None:
        """Bind and read, all or none. Raises ListenError."""
        made = self.make(self._config.listeners)
        self.begin(made)
        self._inherited.close_rest()
        self._hold()
        self.open_ = True

    def make(self, listeners: Collection[Listener]) -> list[OpenListener]:
        """Doors with their sockets, which read nothing yet; all or none. Raises ListenError."""
        made: list[OpenListener] = []
        try:
            for listener in listeners:
                bound = self._bound(listener, self._config.listeners)
                made.append(self._made(listener, bound, self.listener_context))
        except BaseException:
            for open_listener in made:
                open_listener.hang_up(kept=True)  # nothing is read where nothing runs
            raise
        return made

    def prepare(self, config: Config) -> "ListenerChange":
        """What makes these the doors of another configuration. All that may fail fails here; then nothing has changed.
        Raises ListenError."""
        listener_context = replace(self.listener_context, max_frame_size=config.max_frame_size)
        before = list(self.listeners.values())
        kept: dict[str, OpenListener] = {}
        opened: list[OpenListener] = []
        applies: list[Callable[[], None]] = []
        try:
            for listener in config.listeners:
                open_listener = _at(listener, before)
                if open_listener is not None:
                    before.remove(open_listener)
                if open_listener is not None and open_listener.listener.kind == listener.kind:
                    applies.append(open_listener.changed(listener, listener_context))
                    kept[listener.name] = open_listener
                    continue
                if open_listener is None:
                    self._free(listener)
                bound = self._bound(listener, config.listeners) if open_listener is None else open_listener.duplicate()
                opened.append(self._made(listener, bound, listener_context))
        except BaseException:
            for made in opened:
                made.hang_up(kept=True)
            raise
        return ListenerChange(config, listener_context, kept, opened, applies)

    def apply(self, change: "ListenerChange") -> "defer.Deferred[None]":
        """Make the change, at once; fires when those that are not in it any more are closed."""
        closing = [
            open_listener for open_listener in self.listeners.values() if open_listener not in change.kept.values()
        ]
        self._config, self.listener_context = change.config, change.listener_context
        for apply in change.applies:
            apply()
        self.listeners = dict(change.kept)
        self.begin(change.opened)
        order = {listener.name: place for place, listener in enumerate(change.config.listeners)}
        self.listeners = dict(sorted(self.listeners.items(), key=lambda item: order[item[0]]))
        taken = {(open_listener.listener.transport, open_listener.listener.address) for open_listener in change.opened}
        self.open_ = True
        self._hold()
        return defer.ensureDeferred(self._close(closing, taken))

    def begin(self, made: Collection[OpenListener]) -> None:
        """Read."""
        for open_listener in made:
            self.listeners[open_listener.listener.name] = open_listener
            open_listener.start()

    def names(self) -> list[str]:
        """Each listener with the port that it has."""
        return [
            f"{name} ({open_listener.listener.unix_path or f'{open_listener.listener.kind} port {open_listener.port}'})"
            for name, open_listener in self.listeners.items()
        ]

    def ports(self) -> dict[str, int]:
        """Listener -> bound port."""
        return {name: open_listener.port for name, open_listener in self.listeners.items()}

    def kernel_drops(self) -> dict[str, int]:
        """UDP listener -> datagrams that its socket lost since start."""
        now = {
            name: open_listener.kernel_drops
            for name, open_listener in self.listeners.items()
            if open_listener.listener.kind == "udp"
        }
        return {name: self._drops.get(name, 0) + now.get(name, 0) for name in {**self._drops, **now}}

    def refused(self) -> dict[str, int]:
        """Listener -> connections and datagrams that were not let in."""
        return {name: open_listener.refused.total() for name, open_listener in self.listeners.items()}

    def rejections(self) -> dict[str, dict[str, int]]:
        """Listener -> the same by reason."""
        return {
            name: dict(open_listener.refused) for name, open_listener in self.listeners.items() if open_listener.refused
        }

    def rejected(self, address: str) -> dict[str, str]:
        """Listener -> why an address was not let in there lately."""

        def hosts(host: str) -> bool:
            return host == address or str(address_of(host)) == address

        found = {name: open_listener.rejected(hosts) for name, open_listener in self.listeners.items()}
        return {name: why for name, why in found.items() if why is not None}

    def certificates(self) -> dict[str, float]:
        """TLS listener -> when its certificate expires, in seconds since the epoch."""
        found = {
            name: getattr(open_listener, "certificate_expires", None) for name, open_listener in self.listeners.items()
        }
        return {name: expires for name, expires in found.items() if expires is not None}

    def check_idle(self) -> None:
        """Called several times a second."""
        for open_listener in self.listeners.values():
            open_listener.check_idle()

    async def shut(self) -> None:
        """Let nobody new in; who is in goes on, and datagrams are read."""
        self.open_ = False
        for open_listener in self.listeners.values():
            await open_listener.shut()

    async def close(self) -> None:
        """Accept no more, take what the sockets hold, close; those that the service manager holds wait for the next
        of us with what comes meanwhile."""
        self.open_ = False
        await self._closings.run(
            lambda: defer.ensureDeferred(self._close(list(self.listeners.values()), held=self._inherited.holds))
        )

    async def settled(self) -> None:
        """Wait for a ``close`` that is under way: its doors are not to be taken for such as stay."""
        await self._closings.run(lambda: None)

    def _hold(self) -> None:
        self._inherited.hold({name: open_listener.bound for name, open_listener in self.listeners.items()})

    async def _close(self, closing: list[OpenListener], taken: Collection[Place] = (), *, held: bool = False) -> None:
        """``taken``: addresses whose sockets others have now."""
        for open_listener in closing:
            await open_listener.shut()
        ends_at = self._reactor.seconds() + DRAIN_WITHIN
        seen = -1
        while (
            now := sum(open_listener.activity for open_listener in closing)
        ) != seen and self._reactor.seconds() < ends_at:
            seen = now
            await task.deferLater(self._reactor, _QUIET)
        if held:
            self._inherited.remember(
                [open_listener.bound for open_listener in closing if isinstance(open_listener, UdpListener)]
            )
        for open_listener in closing:
            passed_on = (open_listener.listener.transport, open_listener.listener.address) in taken
            open_listener.hang_up(kept=passed_on)
            name, path = open_listener.listener.name, open_listener.listener.unix_path
            if path is not None and not passed_on and not held:
                path.unlink(missing_ok=True)
            if open_listener.listener.kind == "udp":
                self._drops[name] = self._drops.get(name, 0) + open_listener.kernel_drops
        while any(open_listener.connected for open_listener in closing) and self._reactor.seconds() < ends_at + 0.5:
            await task.deferLater(self._reactor, 0.01)
        for open_listener in closing:
            if self.listeners.get(open_listener.listener.name) is open_listener:
                del self.listeners[open_listener.listener.name]

    def _made(self, listener: Listener, bound: socket, listener_context: ListenerContext) -> OpenListener:
        try:
            open_listener = self._kinds[listener.kind](listener, bound, listener_context)
            if isinstance(open_listener, UdpListener):
                open_listener.drops_before = self._inherited.drops_before(bound)
            return open_listener
        except BaseException:
            bound.close()
            raise

    def _free(self, listener: Listener) -> None:
        for name, open_listener in self.listeners.items():
            other = open_listener.listener
            if other.transport == listener.transport and other.address.clashes(listener.address):
                overlap = f"listener {name} has {other.address} now"
                raise ListenError(f"listener {listener.name}: {listener.address} needs restart: {overlap}")

    def _bound(self, listener: Listener, listeners: Collection[Listener]) -> socket:
        host, port = listener.address.host, listener.address.port
        v6only = host != "*" and any(
            other is not listener and other.transport == listener.transport and other.address.port == port
            and "." in other.address.host
            for other in listeners
        )  # fmt: skip
        if (inherited := self._inherited.take(listener, v6only=v6only)) is not None:
            return inherited
        if listener.unix_path is not None:
            type_ = SOCK_DGRAM if listener.takes_datagrams else SOCK_STREAM
            return bind_unix(
                listener.unix_path, type_, name=listener.name, mode=listener.mode, backlog=listener.backlog
            )
        return bind(listener.transport, host, port, name=listener.name, v6only=v6only, backlog=listener.backlog)


def _at(listener: Listener, listener_set: Collection[OpenListener]) -> OpenListener | None:
    """The door at a listener's address; of several with a port of the kernel's choice, the one of its name."""
    found = [
        open_listener for open_listener in listener_set
        if (open_listener.listener.transport, open_listener.listener.address) == (listener.transport, listener.address)
    ]  # fmt: skip
    return next(
        (open_listener for open_listener in found if open_listener.listener.name == listener.name),
        found[0] if found else None,
    )
