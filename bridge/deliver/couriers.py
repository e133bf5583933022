"""Creates, changes and retires the couriers of a bridge, and owns what they share: HTTP clients, circuit breakers and
the dispatcher.

An intake that is not in the configuration still has a courier while the spool holds events of it. That courier is
*retired*: it keeps the events and sends nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.internet import defer

from bridge.config import Config, Destination, Intake
from bridge.deliver import from_config as deliver_config
from bridge.deliver.circuit_breaker import BaseUrls, CircuitBreaker
from bridge.deliver.client import Client
from bridge.deliver.context import DeliveryContext, DeliveryPath, RequestLimits
from bridge.deliver.exchange import Response
from bridge.deliver.joining_courier import JoiningCourier, JoinPause
from bridge.deliver.request import RequestTarget
from bridge.host.interfaces import Reactor
from bridge.spool import Batch, Pack

ClientKey = tuple[object, ...]
Clients = dict[str, tuple[ClientKey, Client]]
"HTTP client of each intake. Intakes with equal keys share one."
PathChanged = Callable[[str, DeliveryPath | None, RequestLimits], None]


class CourierSet:
    """Couriers of one bridge. There are none before a configuration is applied or a batch is added."""

    def __init__(self, config: Config, reactor: Reactor, *, context: DeliveryContext) -> None:
        self.couriers: dict[str, JoiningCourier] = {}
        self.context = context
        self._subscribers: list[PathChanged] = []
        self._sharers = 1
        self._config = config
        self._reactor = reactor
        self._clients: Clients = {}
        self._breakers: dict[str, CircuitBreaker] = {}
        self._pauses: dict[CircuitBreaker, JoinPause] = {}
        self._unused_breaker = CircuitBreaker(reactor, wake=context.dispatcher.wake)

    def subscribe(self, callback: PathChanged) -> None:
        """Calls ``callback`` with the delivery path of an intake when it changes; None when the intake is retired."""
        self._subscribers.append(callback)

    def prepare(self, config: Config) -> Clients:
        """Prepares the HTTP clients of a configuration. Existing clients are reused. Reads files, so it may block.
        Raises OSError or PemError."""
        by_key = dict(self._clients.values())
        prepared: Clients = {}
        for name, intake in config.intakes.items():
            destination = intake.destination
            key = self._client_key(config, destination)
            if key not in by_key:
                by_key[key] = Client(
                    self._reactor, connections=config.collector.connections,
                    timeout=destination.timeout.total_seconds(), trust=deliver_config.trust(destination),
                    proxy=deliver_config.proxy(destination),
                )  # fmt: skip
            prepared[name] = key, by_key[key]
        return prepared

    def apply(self, config: Config, prepared: Clients) -> None:
        """Applies a configuration: creates, changes and retires couriers. Requests in flight end under the old
        configuration."""
        unused = {client for _, client in self._clients.values()} - {client for _, client in prepared.values()}
        self._config, self._clients = config, prepared
        self._apply_limits()
        for intake in config.intakes.values():
            self._configure(intake)
        for name, courier in self.couriers.items():
            if name not in config.intakes and not courier.retired:
                courier.retire()
                self._announce(name, None)
        self._breakers = {url: breaker for url, breaker in self._breakers.items() if breaker.used}
        for unused_breaker in self._pauses.keys() - self._breakers.values():
            del self._pauses[unused_breaker]
        for client in unused:
            # Connections that carry a request close later, when they have been idle for a while.
            defer.ensureDeferred(client.close())

    def set_key(self, intake: Intake) -> None:
        """Applies a new key of one intake. Nothing else has changed."""
        self._config = replace(self._config, intakes={**self._config.intakes, intake.name: intake})
        self._configure(intake)

    def _configure(self, intake: Intake) -> None:
        _, client = self._clients[intake.name]
        delivery_path = DeliveryPath(deliver_config.target(intake), client.post, self._base_urls_of(intake.destination))
        if (courier := self.couriers.get(intake.name)) is not None:
            courier.change(delivery_path, deliver_config.request_limits(self._config))
        else:
            self._add(intake.name, delivery_path)
        self._announce(intake.name, delivery_path)

    def _announce(self, name: str, delivery_path: DeliveryPath | None) -> None:
        for callback in self._subscribers:
            callback(name, delivery_path, deliver_config.request_limits(self._config))

    def share_rate(self, sharers: int) -> None:
        """Divides ``max_request_rate`` by the number of gateways, including this one, that share our address."""
        self._sharers = sharers
        self._apply_limits()
        self.context.dispatcher.wake()

    def _apply_limits(self) -> None:
        collector = self._config.collector
        self.context.dispatcher.change(
            connections=collector.connections,
            rate=collector.max_request_rate / self._sharers,
            bandwidth=deliver_config.bandwidth(self._config),
        )

    def _add(self, name: str, delivery_path: DeliveryPath) -> JoiningCourier:
        limits = deliver_config.request_limits(self._config)
        courier = JoiningCourier(
            name, delivery_path, limits, context=self.context, couriers=self.couriers, pauses=self._pauses
        )
        self.couriers[name] = courier
        self.context.dispatcher.add(courier)
        return courier

    @staticmethod
    def _client_key(config: Config, destination: Destination) -> ClientKey:
        """Returns the settings that destinations must share to use the same client. It includes the state of the
        certificate files (modification time and size), so a changed file leads to a new client."""
        trust = deliver_config.trust(destination)
        files = tuple((found.st_mtime_ns, found.st_size) for found in map(Path.stat, trust.files))
        return (trust, files, deliver_config.proxy(destination), destination.timeout, config.collector.connections)

    def _base_urls_of(self, destination: Destination) -> BaseUrls:
        """Returns the breakers of a destination's URLs. A URL has one breaker per proxy, because it may be reachable
        through one proxy and not through another."""
        found = []
        for url in destination.urls:
            key = f"{url} {deliver_config.proxy(destination) or ''}"
            if key not in self._breakers:
                self._breakers[key] = CircuitBreaker(self._reactor, wake=self.context.dispatcher.wake)
            if len(destination.urls) > 1:
                self._breakers[key].has_alternative()
            found.append(self._breakers[key])
        return BaseUrls(found)

    def get_or_add(self, intake: str) -> JoiningCourier:
        """Returns the courier of an intake. Creates a retired one if the intake is not in the configuration."""
        if intake not in self.couriers:
            base_urls = BaseUrls((self._unused_breaker,))
            self._add(intake, DeliveryPath(RequestTarget("", dict, False), _refuse_to_post, base_urls)).retire()
        return self.couriers[intake]

    def add(self, batch: Batch) -> None:
        """Adds a batch that was sealed or found at start."""
        self.get_or_add(batch.intake).add(batch)

    def add_pack(self, pack: Pack) -> None:
        """Adds a pack that was found at start."""
        self.get_or_add(pack.intake).add_pack(pack)

    def tidy(self, *, writes: Callable[[str], bool]) -> None:
        """Packs backlogs, removes retired couriers without events, and checks if the request rate is a limit. Called
        several times a second. ``writes`` returns True if the spool has unsealed files of an intake."""
        collector = self._config.collector
        self.context.rate_effect.check(
            self.context.clock.seconds(), collector.max_request_rate, self.context.alarms,
            joins=collector.small_batches == "array",
        )  # fmt: skip
        for name, courier in list(self.couriers.items()):
            courier.tidy()
            if courier.retired and not courier.waiting_events and courier.is_quiescent and not writes(name):
                courier.leave()
                self.context.dispatcher.remove(courier)
                del self.couriers[name]

    def stop(self) -> None:
        """Stops further attempts."""
        for courier in self.couriers.values():
            courier.stop()
        for breaker in self._breakers.values():
            breaker.stop()

    async def close(self) -> None:
        """Closes the idle connections."""
        for client in {client for _, client in self._clients.values()}:
            await client.close()


def _refuse_to_post(url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Response]":
    raise RuntimeError("a retired courier has sent a request")
