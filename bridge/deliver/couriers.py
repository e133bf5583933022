"""Creates, changes and retires the couriers of a bridge, and owns what they share: HTTP clients, circuit breakers and
the dispatcher.

An intake that is not in the configuration still has a courier while the spool holds events of it. That courier is
*retired*: it keeps the events and sends nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from twisted.internet import defer

from bridge.config import Config, Destination, Intake
from bridge.deliver import from_config as deliver_config
from bridge.deliver.circuit_breaker import CircuitBreaker
from bridge.deliver.client import Client, Response
from bridge.deliver.context import DeliveryContext, DeliveryPath, RequestLimits
from bridge.deliver.courier import Courier
from bridge.deliver.failover import BaseUrls
from bridge.deliver.request import RequestTarget
from bridge.host.interfaces import Reactor
from bridge.spool import Batch, Pack

Trust = tuple[object, ...]


class NoDestination:
    """Refuses to post. Retired couriers use it as their HTTP client."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Response]":
        """Raises RuntimeError, because a retired courier must not start a request."""
        raise RuntimeError("a retired courier has sent a request")


@dataclass(frozen=True, slots=True)
class PreparedCouriers:
    """HTTP clients of the couriers of one configuration."""

    trusts: dict[str, Trust]
    "Client key by intake."
    clients: dict[Trust, Client]


class CourierSet:
    """Couriers of one bridge."""

    def __init__(self, config: Config, reactor: Reactor, *, context: DeliveryContext) -> None:
        self.context = context
        self.couriers: dict[str, Courier] = {}
        self.dispatcher = context.dispatcher
        self.delivery_path_changed: Callable[[str, DeliveryPath | None, RequestLimits], None] = (
            lambda name, delivery_path, limits: None
        )
        "Called with the delivery path of an intake when it changes; None when the intake is retired."
        self._sharers = 1
        self._config = config
        self._reactor = reactor
        self._clients: dict[Trust, Client] = {}
        self._trusts: dict[str, Trust] = {}
        self._breakers: dict[str, CircuitBreaker] = {}
        self._unused_breaker = CircuitBreaker(reactor, wake=self.dispatcher.wake)

    # --- configurations ----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Creates a courier for each intake of the configuration."""
        self.apply(self._config, self.prepare(self._config))

    def prepare(self, config: Config) -> PreparedCouriers:
        """Prepares the HTTP clients of a configuration. Existing clients are reused. Reads files, so it may block.
        Raises OSError or PemError."""
        trusts: dict[str, Trust] = {}
        clients: dict[Trust, Client] = {}
        for name, intake in config.intakes.items():
            trust = trusts[name] = self._client_key(config, intake.destination)
            if trust not in clients:
                clients[trust] = self._clients.get(trust) or Client(
                    self._reactor,
                    connections=config.collector.connections,
                    timeout=intake.destination.timeout.total_seconds(),
                    trust=deliver_config.trust(intake.destination),
                    proxy=deliver_config.proxy(intake.destination),
                )
        return PreparedCouriers(trusts, clients)

    def apply(self, config: Config, prepared: PreparedCouriers) -> None:
        """Applies a configuration: creates, changes and retires couriers. Requests in flight end under the old
        configuration."""
        clients = prepared.clients
        unused = [client for trust, client in self._clients.items() if trust not in clients]
        self._config, self._clients, self._trusts = config, clients, prepared.trusts
        self._apply_limits()
        limits = deliver_config.request_limits(config)
        for name, intake in config.intakes.items():
            client = clients[prepared.trusts[name]]
            delivery_path = DeliveryPath(deliver_config.target(intake), client, self._base_urls_of(intake.destination))
            if name in self.couriers:
                self.couriers[name].change(delivery_path, limits)
            else:
                self._add(name, delivery_path)
            self.delivery_path_changed(name, delivery_path, limits)
        for name, courier in self.couriers.items():
            if name not in config.intakes and not courier.retired:
                courier.retire()
                self.delivery_path_changed(name, None, limits)
        self._breakers = {url: breaker for url, breaker in self._breakers.items() if breaker.used}
        for client in unused:
            # Connections that carry a request close later, when they have been idle for a while.
            defer.ensureDeferred(client.close())

    def subscribe(self, callback: Callable[[str, DeliveryPath | None, RequestLimits], None]) -> None:
        """Calls ``callback`` with the delivery path of an intake when it changes; None when the intake is retired."""
        self.delivery_path_changed = callback

    def set_key(self, intake: Intake) -> None:
        """Applies a new key of one intake. Nothing else has changed."""
        name = intake.name
        self._config = replace(self._config, intakes={**self._config.intakes, name: intake})
        delivery_path = DeliveryPath(
            deliver_config.target(intake), self._clients[self._trusts[name]], self._base_urls_of(intake.destination)
        )
        limits = deliver_config.request_limits(self._config)
        self.couriers[name].change(delivery_path, limits)
        self.delivery_path_changed(name, delivery_path, limits)

    def share_rate(self, sharers: int) -> None:
        """Divides ``max_request_rate`` by the number of gateways, including this one, that share our address."""
        self._sharers = sharers
        self._apply_limits()
        self.dispatcher.wake()

    def _apply_limits(self) -> None:
        collector = self._config.collector
        self.dispatcher.change(
            connections=collector.connections,
            rate=collector.max_request_rate / self._sharers,
            bandwidth=deliver_config.bandwidth(self._config),
        )

    def _add(self, name: str, delivery_path: DeliveryPath) -> Courier:
        courier = Courier(
            name,
            delivery_path.target,
            deliver_config.request_limits(self._config),
            context=self.context,
            poster=delivery_path.poster,
            base_urls=delivery_path.base_urls,
        )
        self.couriers[name] = courier
        self.dispatcher.add(courier)
        return courier

    @staticmethod
    def _client_key(config: Config, destination: Destination) -> Trust:
        """Returns the settings that destinations must share to use the same client. It includes the state of the
        certificate files, so a changed file leads to a new client."""
        trust = deliver_config.trust(destination)
        files = tuple(map(_file_state, trust.files))
        return (trust, files, deliver_config.proxy(destination), destination.timeout, config.collector.connections)

    def _base_urls_of(self, destination: Destination) -> BaseUrls:
        """Returns the breakers of a destination's URLs. A URL has one breaker per proxy, because it may be reachable
        through one proxy and not through another."""
        found = []
        for url in destination.urls:
            key = f"{url} {deliver_config.proxy(destination) or ''}"
            if key not in self._breakers:
                self._breakers[key] = CircuitBreaker(self._reactor, wake=self.dispatcher.wake)
            breaker = self._breakers[key]
            breaker.opens_after = 1 if len(destination.urls) > 1 else breaker.opens_after
            found.append(breaker)
        return BaseUrls(*found)

    # --- input -------------------------------------------------------------------------------------------------------

    def get_or_add(self, intake: str) -> Courier:
        """Returns the courier of an intake. Creates a retired one if the intake is not in the configuration."""
        courier = self.couriers.get(intake)
        if courier is None:
            courier = self._add(
                intake, DeliveryPath(RequestTarget("", dict, False), NoDestination(), BaseUrls(self._unused_breaker))
            )
            courier.retire()
        return courier

    def add(self, batch: Batch) -> None:
        """Adds a batch that was sealed or found at start."""
        self.get_or_add(batch.intake).add(batch)

    def add_pack(self, pack: Pack) -> None:
        """Adds a pack that was found at start."""
        self.get_or_add(pack.intake).add_pack(pack)

    def tidy(self, *, writes: Callable[[str], bool]) -> None:
        """Packs backlogs and removes retired couriers without events. Called several times a second. ``writes``
        returns True if the spool has unsealed files of an intake."""
        for name, courier in list(self.couriers.items()):
            courier.tidy()
            if courier.retired and not courier.waiting_events and courier.is_quiescent and not writes(name):
                courier.leave()
                self.dispatcher.remove(courier)
                del self.couriers[name]

    # --- stop --------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stops further attempts."""
        for courier in self.couriers.values():
            courier.stop()
        for breaker in self._breakers.values():
            breaker.stop()

    async def close(self) -> None:
        """Closes the idle connections."""
        for client in self._clients.values():
            await client.close()


def _file_state(path: Path) -> tuple[int, int]:
    """Returns modification time and size of a file, which differ after a change."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size
