"""Defines what all couriers share, the protocols through which they use it, and their limits."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime

from bridge.accounting import Ledger
from bridge.deliver.circuit_breaker import BaseUrls
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.exchange import Response
from bridge.deliver.rate_effect import RateEffect
from bridge.deliver.request import RequestTarget
from bridge.host.interfaces import Run
from bridge.spool import Batch
from bridge.storage.delivery_store import DeliveryStore
from bridge.util.alarms import AlarmSink


class HandOver(Protocol):
    """Declares what a courier needs of the publisher that hands its batches over to the cluster."""

    @property
    def stuck(self) -> bool:
        """Returns True if no batch can be handed over at the moment."""

    def wake(self) -> None:
        """Announces that there may be more batches."""


class DeliveryMetrics(Protocol):
    """Declares the metrics of accepted requests that couriers report."""

    def accepted(self, *, delay: float | None, error: float) -> None:
        """Records one accepted piece. ``delay`` is in seconds since its batch was sealed (None: sealed before this
        process). ``error`` is in seconds between the request's timestamp and the times of its events."""


@dataclass(frozen=True, slots=True)
class DeliveryPath:
    """Target, HTTP client and base URLs of an intake under one configuration. A request keeps the path that it
    started with."""

    target: RequestTarget
    post: Callable[[str, bytes, dict[str, str]], "defer.Deferred[Response]"]
    "Posts a body to a URL with additional headers. Any HTTP status returns a Response."
    base_urls: BaseUrls


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of an intake's requests."""

    in_flight: int
    max_events: int
    max_bytes: int
    resolution_ms: int
    catch_up_ms: int
    live_for: float = 10.0
    live_first: bool = True
    late_after: float = 34.0
    "Seconds after which a waiting event is late: its batch should have been sealed and delivered by then."


async def nothing_to_sync(batches: list[Batch]) -> None:
    """Does nothing: no file must be synced before a request is sent."""


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """Objects and callbacks that all couriers share. ``run`` runs a job in the spool thread. ``wall`` returns
    seconds since the epoch."""

    clock: IReactorTime
    wall: Callable[[], float]
    store: DeliveryStore
    ledger: Ledger
    dispatcher: Dispatcher
    alarms: AlarmSink
    runtime_metrics: DeliveryMetrics
    run: Run
    before_sending: Callable[[list[Batch]], Awaitable[None]] = nothing_to_sync
    """Awaited before a request with these batches is sent. An OSError that it raises is reported, and the request is
    sent."""
    on_error: Callable[[str], object] = lambda text: None
    "Receives the text of an error that does not stop a request. May be called in the spool thread."
    date_seen: Callable[[str | None, float], None] = lambda date, took: None
    "Called with the ``Date`` header of an accepted response, and the seconds that the request took."
    exact: Callable[[int], bool] = lambda sequence: False
    "Returns True if the batch with this sequence may be joined only with batches within the timestamp resolution."
    packing: defer.DeferredLock = field(default_factory=defer.DeferredLock)
    "Only one intake at a time packs its backlog."

    rate_effect: RateEffect = field(default_factory=RateEffect)

    def share_of(self, total: int) -> int:
        """Returns the share of one intake in an amount that all intakes hold together."""
        return total // (self.dispatcher.senders or 1)
