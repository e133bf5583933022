"""The couriers of a bridge, and what they share: clients by trust, breakers by URL, the dispatcher.

What belongs to an intake that is not in the configuration is a *stranger*: kept, and not sent.
"""

from collections.abc import Callable
from typing import Any

from bridge import settings
from bridge.config import Config, Destination
from bridge.deliver.breaker import Breaker
from bridge.deliver.client import Client
from bridge.deliver.courier import Courier
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.office import Office
from bridge.spool import Batch, Pack


class Mailroom:
    """One bridge's. ``couriers`` is filled by ``open``; who holds it sees what comes and goes."""

    def __init__(self, config: Config, reactor: Any) -> None:
        self.couriers: dict[str, Courier] = {}
        self.strangers: dict[str, list[Batch | Pack]] = {}
        "Batches and packs of intakes that are not in the configuration."
        self.dispatcher = Dispatcher(
            reactor,
            connections=config.collector.connections,
            rate=config.collector.max_request_rate,
            bandwidth=settings.bandwidth(config),
        )
        self.sealed: Callable[[Batch], None] = lambda batch: None
        "Told of every batch that comes in."
        self._config = config
        self._reactor = reactor
        self._clients: dict[tuple[object, ...], Client] = {}
        self._breakers: dict[str, Breaker] = {}

    def open(self, office: Office) -> None:
        """A courier for each intake of the configuration."""
        turn = settings.turn(self._config)
        for name, intake in self._config.intakes.items():
            courier = Courier(
                name, settings.target(intake), turn, office=office, poster=self._client(intake.destination),
                breaker=self._breaker(intake.destination.url),
            )  # fmt: skip
            self.couriers[name] = courier
            self.dispatcher.add(courier)

    def _client(self, destination: Destination) -> Client:
        trust = settings.trust(destination)
        if trust not in self._clients:
            self._clients[trust] = Client(
                self._reactor,
                connections=self._config.collector.connections,
                timeout=destination.timeout.total_seconds(),
                ca_file=destination.ca_file,
                extra_ca_file=destination.extra_ca_file,
            )
        return self._clients[trust]

    def _breaker(self, url: str) -> Breaker:
        if url not in self._breakers:
            self._breakers[url] = Breaker(self._reactor, wake=self.dispatcher.wake)
        return self._breakers[url]

    def add(self, batch: Batch) -> None:
        """A batch was sealed, or found."""
        self.sealed(batch)
        courier = self.couriers.get(batch.intake)
        if courier is not None:
            courier.add(batch)
        else:
            self.strangers.setdefault(batch.intake, []).append(batch)

    def add_pack(self, pack: Pack) -> None:
        """A pack was found."""
        if pack.intake in self.couriers:
            self.couriers[pack.intake].add_pack(pack)
        else:
            self.strangers.setdefault(pack.intake, []).append(pack)

    def tidy(self) -> None:
        """Called several times a second."""
        for courier in self.couriers.values():
            courier.tidy()

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
