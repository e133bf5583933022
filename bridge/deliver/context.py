"""Defines what all couriers share, the protocols through which they use it, and their limits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime

from bridge.accounting import Ledger
from bridge.accounting.journal import Receipt
from bridge.deliver.client import Response
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.failover import BaseUrls
from bridge.deliver.request import RequestTarget
from bridge.host.interfaces import Run
from bridge.spool import Batch, Loss, Pack, Piece
from bridge.util.alarms import AlarmSink


class OutcomeStore(Protocol):
    """Declares what couriers need of the store that keeps sealed batches until they are acknowledged. All methods
    return at once, except those on packs, which block and are called in the spool thread."""

    def acknowledge(self, batches: list[Batch], receipt: Receipt | None) -> None:
        """Records an accepted request. ``batches`` are completely settled and are removed after the receipt is
        written."""

    def hand_over(self, intake: str, handed: list[tuple[int, int, int]], settled: list[Batch]) -> None:
        """Records events that were handed over to the cluster: per batch its sequence, the events handed over, and
        its total events. ``settled`` batches are removed after the record is written."""

    def refuse(self, intake: str, refused: list[tuple[Piece, str]], settled: list[Batch]) -> None:
        """Quarantines single events with the collector's text. They are on disk before the ``settled`` batches are
        removed."""

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> None:
        """Stores a copy of a request of which the collector accepted only a part without naming the events."""

    def quarantine_batch(self, batch: Batch, why: str) -> None:
        """Moves a batch that cannot be read to quarantine."""

    def pack(self, batches: list[Batch]) -> tuple[Pack | None, list[Batch]]:
        """Writes one pack of these batches. Returns it, and the batches that could not be read. Raises OSError; all
        files are then unchanged."""

    def merge(self, packs: list[Pack]) -> Pack:
        """Merges several packs into one. Raises OSError; all files are then unchanged."""

    def keep_damaged(self, pack: Pack, loss: Loss) -> None:
        """Stores the bytes of a part of a pack that cannot be read. Raises OSError."""


class HandOver(Protocol):
    """Declares what a courier needs of the publisher that hands its batches over to the cluster."""

    @property
    def stuck(self) -> bool:
        """Returns True if no batch can be handed over at the moment."""

    def wake(self) -> None:
        """Announces that there may be more batches."""


class Poster(Protocol):
    """Declares what couriers need of the HTTP client."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Response]":
        """Posts a body. Any HTTP status returns a Response."""


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
    poster: Poster
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


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """Objects and callbacks that all couriers share. ``run`` runs a job in the spool thread. ``wall`` returns
    seconds since the epoch."""

    clock: IReactorTime
    wall: Callable[[], float]
    store: OutcomeStore
    ledger: Ledger
    dispatcher: Dispatcher
    alarms: AlarmSink
    runtime_metrics: DeliveryMetrics
    run: Run
    before_sending: Callable[[list[Batch]], None] = lambda batches: None
    """Called in the spool thread before a request with these batches is sent. An OSError that it raises delays the
    request."""
    date_seen: Callable[[str | None, float], None] = lambda date, took: None
    "Called with the ``Date`` header of an accepted response, and the seconds that the request took."
    exact: Callable[[int], bool] = lambda sequence: False
    "Returns True if the batch with this sequence may be joined only with batches within the timestamp resolution."

    def share_of(self, total: int) -> int:
        """Returns the share of one intake in an amount that all intakes hold together."""
        return total // (self.dispatcher.senders or 1)
