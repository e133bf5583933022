"""What all couriers of a bridge share, as they ask for it; and what each is told of its turn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime

from bridge.accounting import Ledger
from bridge.accounting.journal import Receipt
from bridge.deliver.client import Response
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.failover import BaseUrls
from bridge.deliver.pack_queue import Packer
from bridge.deliver.request import RequestTarget
from bridge.spool import Batch, Piece
from bridge.util.alarms import AlarmSink


class OutcomeStore(Packer, Protocol):
    """What holds sealed batches until they are acknowledged. All of it returns at once, but what a Packer does."""

    def acknowledge(self, batches: list[Batch], receipt: Receipt | None) -> None:
        """A request was accepted; these batches are settled whole and go after the receipt is written."""

    def hand_over(self, intake: str, handed: list[tuple[int, int, int]], settled: list[Batch]) -> None:
        """Events went another way: of each batch its sequence, how many of it, how many it has; ``settled`` batches go
        after that is written down."""

    def refuse(self, intake: str, refused: list[tuple[Piece, str]], settled: list[Batch]) -> None:
        """Single events go to quarantine with the collector's words, on disk before ``settled`` batches go."""

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> None:
        """Keep a copy of a request of which the collector took only a part, without saying which."""

    def set_aside(self, batch: Batch, why: str) -> None:
        """This one cannot be read: it goes to quarantine."""


class HandOver(Protocol):
    """What takes a courier's batches another way."""

    @property
    def stuck(self) -> bool:
        """Whether it can take none now."""

    def wake(self) -> None:
        """There may be more."""


class Poster(Protocol):
    """What posts."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Response]":
        """POST a body; any status is an Answer."""


class DeliveryMetrics(Protocol):
    """Where what a request took, and how exact its time was, is observed."""

    def accepted(self, *, delay: float | None, error: float) -> None:
        """Seconds since a batch was sealed (None: before this process), and from the request's time to its events'."""


@dataclass(frozen=True, slots=True)
class DeliveryPath:
    """The way to the collector under one configuration; a request keeps the one that it began with."""

    target: RequestTarget
    poster: Poster
    base_urls: BaseUrls


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How requests are made up."""

    in_flight: int
    max_events: int
    max_bytes: int
    resolution_ms: int
    catch_up_ms: int
    live_for: float = 10.0
    live_first: bool = True


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What all couriers of a bridge share. ``in_thread`` runs a job in the spool's thread; ``wall`` is in seconds
    since the epoch."""

    clock: IReactorTime
    wall: Callable[[], float]
    store: OutcomeStore
    ledger: Ledger
    dispatcher: Dispatcher
    alarms: AlarmSink
    runtime_metrics: DeliveryMetrics
    in_thread: Callable[[Callable[[], Any]], "defer.Deferred[Any]"]
    before_sending: Callable[[list[Batch]], None] = lambda batches: None
    "Called in the spool's thread before a request with these batches goes. An OSError of it delays the request."
    date_seen: Callable[[str | None, float], None] = lambda date, took: None
    "Called with the ``Date`` of an acceptance, and the seconds that the request took."
    exact: Callable[[int], bool] = lambda sequence: False
    "Whether a batch, by its sequence, may only be joined with such as lie within the resolution."
