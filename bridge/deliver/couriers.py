"""The couriers of a bridge, and what they share: clients by trust, breakers by URL, the dispatcher.

An intake that is not in the configuration, or not any more, has a courier too while something of it is in the spool:
a *retired* one, which keeps it and sends nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.internet import defer

from bridge.config import Config, Destination, Intake
from bridge.deliver import from_config as deliver_config
from bridge.deliver.circuit_breaker import CircuitBreaker
from bridge.deliver.client import Client, Response
from bridge.deliver.context import DeliveryContext, DeliveryPath, RequestLimits
from bridge.deliver.courier import Courier
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.failover import BaseUrls
from bridge.deliver.request import RequestTarget
from bridge.spool import Batch, Pack

Trust = tuple[object, ...]


class NoDestination:
    """Posts nothing: the poster of retired couriers."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Response]":
        """Never called: retired couriers start no request."""
        raise RuntimeError("a retired courier has sent a request")


@dataclass(frozen=True, slots=True)
class PreparedCouriers:
    """What a configuration's couriers post with."""

    trusts: dict[str, Trust]
    "By intake."
    clients: dict[Trust, Client]


class CourierSet:
    """One bridge's. ``context`` is to be set before anything comes in."""

    context: DeliveryContext

    def __init__(self, config: Config, reactor: Any) -> None:
        self.couriers: dict[str, Courier] = {}
        self.dispatcher = Dispatcher(
            reactor,
            connections=config.collector.connections,
            rate=config.collector.max_request_rate,
            bandwidth=deliver_config.bandwidth(config),
        )
        self.sealed: Callable[[Batch], None] = lambda batch: None
        "Told of every batch that comes in."
        self.follow: Callable[[str, DeliveryPath | None, RequestLimits], None] = lambda name, delivery_path, turn: None
        "Told of each intake's way to the collector, and when it has none any more."
        self._sharers = 1
        self._config = config
        self._reactor = reactor
        self._clients: dict[Trust, Client] = {}
        self._trusts: dict[str, Trust] = {}
        self._breakers: dict[str, CircuitBreaker] = {}
        self._nowhere = CircuitBreaker(reactor, wake=self.dispatcher.wake)

    # --- configurations ----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """A courier for each intake of the configuration."""
        self.apply(self._config, self.prepare(self._config))

    def prepare(self, config: Config) -> PreparedCouriers:
        """Clients for a configuration: those that are there already, and new ones. Looks at files, and so may block;
        raises OSError or PemError."""
        trusts: dict[str, Trust] = {}
        made: dict[Trust, Client] = {}
        for name, intake in config.intakes.items():
            trust = trusts[name] = self._trust(config, intake.destination)
            if trust not in made:
                made[trust] = self._clients.get(trust) or Client(
                    self._reactor,
                    connections=config.collector.connections,
                    timeout=intake.destination.timeout.total_seconds(),
                    trust=deliver_config.trust(intake.destination),
                    proxy=deliver_config.proxy(intake.destination),
                )
        return PreparedCouriers(trusts, made)

    def apply(self, config: Config, prepared: PreparedCouriers) -> None:
        """Go on under a configuration: couriers come, change and retire. Requests in flight end as they began."""
        clients = prepared.clients
        unused = [client for trust, client in self._clients.items() if trust not in clients]
        self._config, self._clients, self._trusts = config, clients, prepared.trusts
        self._limit()
        turn = deliver_config.request_limits(config)
        for name, intake in config.intakes.items():
            client = clients[prepared.trusts[name]]
            delivery_path = DeliveryPath(deliver_config.target(intake), client, self._exits(intake.destination))
            if name in self.couriers:
                self.couriers[name].change(delivery_path, turn)
            else:
                self._add(name, delivery_path)
            self.follow(name, delivery_path, turn)
        for name, courier in self.couriers.items():
            if name not in config.intakes and not courier.retired:
                courier.retire()
                self.follow(name, None, turn)
        self._breakers = {url: breaker for url, breaker in self._breakers.items() if breaker.used}
        for client in unused:
            # Connections that carry a request still go when they have been idle for a while.
            defer.ensureDeferred(client.close())

    def set_key(self, intake: Intake) -> None:
        """An intake has another key; nothing else has changed."""
        name = intake.name
        self._config = replace(self._config, intakes={**self._config.intakes, name: intake})
        delivery_path = DeliveryPath(
            deliver_config.target(intake), self._clients[self._trusts[name]], self._exits(intake.destination)
        )
        turn = deliver_config.request_limits(self._config)
        self.couriers[name].change(delivery_path, turn)
        self.follow(name, delivery_path, turn)

    def share_rate(self, sharers: int) -> None:
        """So many, this one included, leave by our address: each has its part of ``max_request_rate``."""
        self._sharers = sharers
        self._limit()
        self.dispatcher.wake()

    def _limit(self) -> None:
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
    def _trust(config: Config, destination: Destination) -> Trust:
        """What destinations have in common that may share a client. Authorities are those that the files hold now."""
        trust = deliver_config.trust(destination)
        files = tuple(map(_state, trust.files))
        return (trust, files, deliver_config.proxy(destination), destination.timeout, config.collector.connections)

    def _exits(self, destination: Destination) -> BaseUrls:
        """The breakers of its URLs. Through another proxy a URL may be reached while it is not through this one."""
        found = []
        for url in destination.urls:
            key = f"{url} {deliver_config.proxy(destination) or ''}"
            if key not in self._breakers:
                self._breakers[key] = CircuitBreaker(self._reactor, wake=self.dispatcher.wake)
            breaker = self._breakers[key]
            breaker.opens_after = 1 if len(destination.urls) > 1 else breaker.opens_after
            found.append(breaker)
        return BaseUrls(*found)

    # --- what comes in -----------------------------------------------------------------------------------------------

    def of(self, intake: str) -> Courier:
        """The courier of an intake; a retired one where it is not in the configuration."""
        courier = self.couriers.get(intake)
        if courier is None:
            courier = self._add(
                intake, DeliveryPath(RequestTarget("", dict, False), NoDestination(), BaseUrls(self._nowhere))
            )
            courier.retire()
        return courier

    def add(self, batch: Batch) -> None:
        """A batch was sealed, or found."""
        self.sealed(batch)
        self.of(batch.intake).add(batch)

    def add_pack(self, pack: Pack) -> None:
        """A pack was found."""
        self.of(pack.intake).add_pack(pack)

    def tidy(self, *, writes: Callable[[str], bool]) -> None:
        """Called several times a second; ``writes``: whether the spool has files of an intake that are not sealed."""
        for name, courier in list(self.couriers.items()):
            courier.tidy()
            if courier.retired and not courier.waiting_events and courier.at_rest and not writes(name):
                courier.leave()
                self.dispatcher.remove(courier)
                del self.couriers[name]

    # --- the end -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """No further attempts."""
        for courier in self.couriers.values():
            courier.stop()
        for breaker in self._breakers.values():
            breaker.stop()

    async def close(self) -> None:
        """Give the connections up."""
        for client in self._clients.values():
            await client.close()


def _state(path: Path) -> tuple[int, int]:
    """What changes when a file does."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size
