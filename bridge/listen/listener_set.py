"""Opens, changes, drains and closes the listeners of a configuration."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from socket import SOCK_DGRAM, SOCK_STREAM, socket

from twisted.internet import defer, task

from bridge.config import Address, Config, Listener, UnixAddress
from bridge.host.interfaces import Reactor
from bridge.host.systemd import ServiceManager
from bridge.host.waiting import with_timeout
from bridge.ingest.coalescing import Coalescer
from bridge.ingest.peers import Peers
from bridge.ingest.pipeline import Pipeline
from bridge.listen.listener import Commit, ListenerContext, OpenListener
from bridge.listen.rejected_sources import RejectedSources, Rejection
from bridge.listen.relp import relp_listener
from bridge.listen.socket_activation import InheritedSockets
from bridge.listen.sockets import ListenError, bind, bind_unix
from bridge.listen.stream_turns import StreamTurns
from bridge.listen.tcp import TcpListener
from bridge.listen.tls import TlsListener
from bridge.listen.udp import UdpListener
from bridge.listen.unix import UnixDatagramListener, UnixStreamListener
from bridge.tls.refused_clients import RefusedClients, RefusedClientsCache

DRAIN_WITHIN = 2.0
"Seconds after which draining stops although data still arrives."
_QUIET = 0.1
"Seconds without data after which a socket counts as drained."
_END_WITHIN = 0.5
"Seconds that connections get to end after draining, in addition to the rest of ``DRAIN_WITHIN``."

Maker = Callable[[Listener, socket, ListenerContext], OpenListener]

KINDS: Mapping[str, Maker] = {
    "udp": UdpListener, "tcp": TcpListener, "tls": TlsListener, "relp": relp_listener,
    "unix_datagram": UnixDatagramListener,
    "unix_stream": UnixStreamListener,
}  # fmt: skip
Place = tuple[str, Address | UnixAddress]
"A transport and a local address."


@dataclass(frozen=True, slots=True)
class ListenerChange:
    """The listeners of another configuration, created but not yet started."""

    config: Config
    listener_context: ListenerContext
    listeners: dict[str, OpenListener]
    "All listeners by their new names, in the order of the configuration."
    opened: list[OpenListener]
    applies: list[Callable[[], None]]
    "Functions that change the listeners that are kept."


class ListenerSet:
    """Holds the open listeners of one configuration."""

    def __init__(
        self,
        config: Config,
        *,
        reactor: Reactor,
        pipeline: Pipeline,
        peers: Peers,
        commit: Commit,
        store: ServiceManager | None = None,
        kinds: Mapping[str, Maker] | None = None,
    ) -> None:
        """Creates the set without opening sockets.

        ``commit`` is described in ``ListenerContext``. ``kinds`` adds makers for listener kinds that are not in
        ``KINDS``.
        """
        self._config = config
        self._reactor = reactor
        self._kinds = {**KINDS, **(kinds or {})}
        self._inherited = InheritedSockets(store, config.spool.directory / ".sockets.json")
        self.listener_context = ListenerContext(
            reactor, pipeline, peers.get, config.max_frame_size, commit, Coalescer.for_reactor(reactor, pipeline),
            self._inherited.drops_before, turns=StreamTurns.for_reactor(reactor),
            rejected=RejectedSources(reactor.seconds),
        )  # fmt: skip
        self._refused_clients = RefusedClientsCache(self.listener_context.seen_clients)
        self.listeners: dict[str, OpenListener] = {}
        "Open listeners by name."
        self._drops: dict[str, int] = {}
        self.open_ = False
        self._closings = defer.DeferredLock()

    def open(self) -> None:
        """Binds all sockets and starts reading; opens all listeners or none. Raises ListenError."""
        self.apply(self.prepare(self._config))

    def prepare(self, config: Config) -> ListenerChange:
        """Prepares the listeners of another configuration. Raises ListenError.

        Everything that can fail fails here, and then nothing has changed.
        """
        listener_context = replace(self.listener_context, max_frame_size=config.max_frame_size)
        before = list(self.listeners.values())
        listeners: dict[str, OpenListener] = {}
        opened: list[OpenListener] = []
        applies: list[Callable[[], None]] = []
        try:
            for listener in config.listeners:
                current = _find_listener(listener, before)
                if current is None:
                    self._check_overlap(listener)
                    bound = self._bind(listener, config.listeners)
                else:
                    before.remove(current)
                    if current.listener.kind == listener.kind:
                        applies.append(current.prepare_change(listener, listener_context))
                        listeners[listener.name] = current
                        continue
                    bound = current.bound.dup()
                opened.append(self._make_listener(listener, bound, listener_context))
                listeners[listener.name] = opened[-1]
        except BaseException:
            for made in opened:
                made.close(shared=True)
            raise
        return ListenerChange(config, listener_context, listeners, opened, applies)

    def apply(self, change: ListenerChange) -> "defer.Deferred[None]":
        """Applies a prepared change at once. The result fires when the listeners that were removed are closed."""
        closing = [each for each in self.listeners.values() if each not in change.listeners.values()]
        self._config, self.listener_context = change.config, change.listener_context
        for apply in change.applies:
            apply()
        self.listeners = dict(change.listeners)
        if self.listener_context.rejected is not None:
            self.listener_context.rejected.keep(self.listeners)
        for open_listener in change.opened:
            open_listener.start()
        taken = {(each.listener.transport, each.listener.address) for each in change.opened}
        self.open_ = True
        self._inherited.close_unused()
        self._inherited.store_sockets({name: listener.bound for name, listener in self.listeners.items()})
        return defer.ensureDeferred(self._close(closing, taken))

    def names(self) -> list[str]:
        """Returns each listener's name with its port or path, for the log."""
        return [
            f"{name} ({each.listener.unix_path or f'{each.listener.kind} port {each.port}'})"
            for name, each in self.listeners.items()
        ]

    def ports(self) -> dict[str, int]:
        """Returns the bound port of each listener."""
        return {name: each.port for name, each in self.listeners.items()}

    def details(self) -> dict[str, dict[str, object]]:
        """Returns the kind of each listener, its address or path, its open connections and how many it accepts."""
        return {
            name: {
                "kind": each.listener.kind,
                "address": str(each.listener.unix_path or each.listener.address),
                "connections": each.open_connections,
                "max_connections": None if each.open_connections is None else each.listener.max_connections,
            }
            for name, each in self.listeners.items()
        }

    def kernel_drops(self) -> dict[str, int]:
        """Returns the datagrams that the kernel dropped since start, for each UDP listener."""
        now = {name: each.kernel_drops for name, each in self.listeners.items() if each.listener.kind == "udp"}
        return {name: self._drops.get(name, 0) + now.get(name, 0) for name in {**self._drops, **now}}

    def refused(self) -> dict[str, int]:
        """Returns the number of rejected connections and datagrams, for each listener."""
        return {name: each.refused.total() for name, each in self.listeners.items()}

    def rejections(self) -> dict[str, dict[str, int]]:
        """Returns the rejected connections and datagrams by reason, for each listener that has any."""
        return {name: dict(each.refused) for name, each in self.listeners.items() if each.refused}

    def health_checks(self) -> dict[str, int]:
        """Returns the number of connections without data and of requests for health, for each stream listener."""
        return {name: each.health_checks for name, each in self.listeners.items() if not each.listener.takes_datagrams}

    def rejected_sources(self, address: str | None = None) -> list[tuple[Rejection, float]]:
        """Returns the rejections of one address or of all (None), the latest first, each with the seconds since its
        last one."""
        rejected, now = self.listener_context.rejected, self._reactor.seconds()
        if rejected is None:
            return []
        found = rejected.all() if address is None else rejected.of(address)
        return [(rejection, now - rejection.last) for rejection in found]

    def descriptors_exhausted(self) -> bool:
        """Returns True while no connections are accepted because few file descriptors are left."""
        return self.listener_context.descriptors.exhausted(self._reactor.seconds())

    def refused_clients(self, now_ms: int) -> dict[str, RefusedClients]:
        """Returns the clients of the last week whose names ``client_names`` does not accept, by listener."""
        return self._refused_clients.find(
            {name: each.listener.client_names for name, each in self.listeners.items()}, now_ms
        )

    def certificates(self) -> dict[str, float]:
        """Returns when each TLS listener's certificate expires, in seconds since the epoch."""
        found = {name: each.certificate_expires for name, each in self.listeners.items()}
        return {name: expires for name, expires in found.items() if expires is not None}

    def check_idle(self) -> None:
        """Completes frames that no further data will complete. Called several times per second."""
        for open_listener in self.listeners.values():
            open_listener.check_idle()

    async def stop_accepting(self) -> None:
        """Stops accepting connections. Open connections and datagrams are still read."""
        self.open_ = False
        for open_listener in self.listeners.values():
            await open_listener.stop_accepting()

    async def close(self) -> None:
        """Stops accepting, drains the sockets and closes the listeners.

        Sockets that the service manager stores stay open. They queue what arrives until the next process reads them.
        """
        self.open_ = False

        async def close_all() -> None:
            await self._close(list(self.listeners.values()), held=self._inherited.stores_sockets)

        await self._closings.run(lambda: defer.ensureDeferred(close_all()))

    async def wait_closed(self) -> None:
        """Waits for listeners that are being closed, so that a reload does not keep one of them."""
        await self._closings.run(lambda: None)

    async def _close(self, closing: list[OpenListener], taken: Collection[Place] = (), *, held: bool = False) -> None:
        """Drains and closes listeners.

        ``taken`` lists the addresses whose sockets new listeners use. ``held`` is True if the service manager stores
        the sockets.
        """
        if not closing:
            return
        for open_listener in closing:
            await open_listener.stop_accepting()
        ends_at = self._reactor.seconds() + DRAIN_WITHIN
        await self._drain(closing)
        if held:
            self._inherited.save_drops([each.bound for each in closing if isinstance(each, UdpListener)])
        ended = []
        for open_listener in closing:
            listener = open_listener.listener
            shared = (listener.transport, listener.address) in taken
            ended.append(open_listener.close(shared=shared))
            if listener.unix_path is not None and not shared and not held:
                # The next start removes a file that cannot be removed now.
                with suppress(OSError):
                    listener.unix_path.unlink()
            if listener.kind == "udp":
                self._drops[listener.name] = self._drops.get(listener.name, 0) + open_listener.kernel_drops
        all_ended = defer.gatherResults(ended, consumeErrors=True)
        # The time to drain is over if the process stood still meanwhile.
        rest = max(0.0, ends_at - self._reactor.seconds())
        await with_timeout(all_ended, rest + _END_WITHIN, self._reactor)
        self.listeners = {name: each for name, each in self.listeners.items() if each not in closing}

    async def _drain(self, closing: Collection[OpenListener]) -> None:
        """Reads until no data has arrived for ``_QUIET`` seconds, for about ``DRAIN_WITHIN`` at most."""
        reads = 0

        def note_read() -> None:
            nonlocal reads
            reads += 1

        for open_listener in closing:
            open_listener.watch(note_read)
        self.listener_context.turns.read_at_once(True)
        # Counted, not timed: a process that stood still for long still reads what has arrived meanwhile.
        for _ in range(round(DRAIN_WITHIN / _QUIET)):
            before = reads
            await task.deferLater(self._reactor, _QUIET)
            # After a pause, the reactor looks at its timers before it reads the sockets.
            await task.deferLater(self._reactor, 0)
            if reads == before:
                break
        self.listener_context.turns.read_at_once(False)

    def _make_listener(self, listener: Listener, bound: socket, listener_context: ListenerContext) -> OpenListener:
        try:
            return self._kinds[listener.kind](listener, bound, listener_context)
        except BaseException:
            bound.close()
            raise

    def _check_overlap(self, listener: Listener) -> None:
        for name, open_listener in self.listeners.items():
            other = open_listener.listener
            if other.transport == listener.transport and other.address.clashes(listener.address):
                overlap = f"listener {name} has {other.address} now"
                raise ListenError(f"listener {listener.name}: {listener.address} needs restart: {overlap}")

    def _bind(self, listener: Listener, listeners: Collection[Listener]) -> socket:
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


def _find_listener(listener: Listener, listener_set: Collection[OpenListener]) -> OpenListener | None:
    """Returns the listener at a configured address, or None.

    If several match, because the kernel chose their ports, the listener with the same name is preferred.
    """
    place = listener.transport, listener.address
    found = [each for each in listener_set if (each.listener.transport, each.listener.address) == place]
    return next((each for each in found if each.listener.name == listener.name), found[0] if found else None)
