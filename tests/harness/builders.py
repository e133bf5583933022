"""Builds the parts that unit tests need, with defaults; a test names only what matters to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.batching import GroupLimits
from bridge.deliver.circuit_breaker import BaseUrls, CircuitBreaker
from bridge.deliver.context import DeliveryContext, DeliveryPath, RequestLimits
from bridge.deliver.courier import Courier
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.request import RequestTarget
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.pipeline import Pipeline
from bridge.ingest.spool_writer import SpoolWriter
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.runtime_metrics import RuntimeMetrics
from bridge.spool import BatchLimits, Spool, SpoolTerms
from bridge.spool.budget import RESERVED, BudgetTerms, Full, Reserved
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.spool.quarantine import REASONS
from bridge.spool.synced_folders import SyncedFolders
from bridge.storage.delivery_store import DeliveryStore
from bridge.storage.disk_budget import DiskBudget
from bridge.storage.open import Storage

NOON = 1_795_435_200
"2026-11-23 12:00:00 UTC, in seconds since the epoch."
URL = "http://collector.test/plain/batch"


def at_once(job: Callable[[], Any], done: Callable[[Any], None]) -> None:
    """Runs a job of the spool thread in this thread, and hands its result over in the same turn."""
    done(job())


def build_spool(directory: Path, *, recover: bool = True, **overrides: Any) -> Spool:
    """Opens a spool whose clocks stand at noon and whose jobs run at once."""
    defaults: dict[str, Any] = {
        "limits": BatchLimits(),
        "wall": lambda: float(NOON),
        "clock": lambda: 0.0,
        "work": at_once,
        "bounds": dict.fromkeys(REASONS, 10**6),
        "keep": 0,
        "on_error": lambda text: None,
    }
    given = defaults | overrides
    terms = SpoolTerms(given.pop("limits"), given.pop("bounds"), given.pop("keep"))
    spool = Spool(directory, terms, **given)
    if recover:
        spool.recover()
    return spool


def fail(text: str) -> None:
    """Receives an error that a test does not expect."""
    raise AssertionError(text)


class UnlimitedRoom:
    """A disk budget that refuses nothing, except for the intakes in ``full``, each with a reason."""

    def __init__(self) -> None:
        self.pauses = self.unsynced = False
        self.full: dict[str, str] = {}

    def reserve(self, intake: str, size: int) -> Reserved | Full:
        return Full(self.full[intake]) if intake in self.full else RESERVED

    def reserve_all(self, sizes: Mapping[str, int]) -> Reserved | Full:
        found = [self.reserve(intake, size) for intake, size in sizes.items()]
        return next((each for each in found if isinstance(each, Full)), RESERVED)

    def hold(self, sizes: Mapping[str, int]) -> None: ...

    def release(self, sizes: Mapping[str, int]) -> None: ...

    def failed(self, intake: str, error: OSError) -> str:
        return "spool_write_failed"

    def subscribe(self, on_room: Callable[[], None]) -> None: ...


def build_pipeline(spool: Spool, ledger: Ledger, **overrides: Any) -> Pipeline:
    """Builds a pipeline in front of a spool; an error of the spool fails the test."""
    room, on_error = overrides.pop("room", UnlimitedRoom()), overrides.pop("on_error", fail)
    defaults: dict[str, Any] = {
        "wall": lambda: float(NOON),
        "limits": GroupLimits(),
        "truncate": False,
        "message_samples": MessageSamples(),
    }
    spool_writer = SpoolWriter(spool=spool, ledger=ledger, room=room, on_error=on_error)
    return Pipeline(spool_writer=spool_writer, ledger=ledger, **defaults | overrides)


def build_fsync_policy(directory: Path, policy: str = "never", **overrides: Any) -> FsyncPolicy:
    """Builds an fsync policy; by default it syncs nothing."""
    defaults: dict[str, Any] = {
        "clock": lambda: 0.0, "wall": lambda: float(NOON), "on_error": fail, "work": at_once, "sync_work": at_once,
    }  # fmt: skip
    return FsyncPolicy(policy, SyncedFolders(directory), **defaults | overrides)


def build_disk_budget(spool: Spool, terms: BudgetTerms, **overrides: Any) -> DiskBudget:
    """Builds the disk budget of a spool; `alarms`, `ledger`, `members` and `clock` are the test's."""
    return DiskBudget(spool, terms=terms, **{"work": at_once} | overrides)


def build_delivery_store(
    spool: Spool,
    ledger: Ledger,
    *,
    work: Any = at_once,
    receipt: Any = lambda receipt: None,
    refused: Any = lambda *line: None,
    remove: Any = None,
    clock: Any = None,
    alarms: Any = None,
) -> DeliveryStore:
    """Builds the store of what couriers have settled; journal lines are dropped unless the test takes them."""

    def note_refused(*line: object, taken: bool) -> None:
        refused(*line)

    journal: Any = SimpleNamespace(receipt=receipt, refused=note_refused, handed=lambda *line: None)
    return DeliveryStore(
        Storage(spool, ledger, journal), work, clock=clock or Clock(), alarms=alarms or Alarms(),
        acknowledge_taken=remove,
    )  # fmt: skip


def build_delivery_context(clock: Any, **overrides: Any) -> DeliveryContext:
    """Builds what couriers share; `store`, `ledger`, `dispatcher` and `alarms` are the test's, jobs run at once."""
    defaults: dict[str, Any] = {
        "wall": lambda: NOON + clock.seconds(),
        "runtime_metrics": RuntimeMetrics(clock.seconds),
        "run": maybeDeferred,
    }
    return DeliveryContext(clock=clock, **defaults | overrides)


def build_request_limits(**overrides: Any) -> RequestLimits:
    """Builds limits small enough that a few events reach them."""
    defaults: dict[str, Any] = {
        "in_flight": 4,
        "max_events": 100,
        "max_bytes": 10_000,
        "resolution_ms": 1000,
        "catch_up_ms": 60_000,
    }
    return RequestLimits(**defaults | overrides)


def build_base_urls(clock: Any, dispatcher: Dispatcher) -> BaseUrls:
    """Builds one base URL with a closed circuit breaker."""
    return BaseUrls((CircuitBreaker(clock, wake=dispatcher.wake),))


def build_courier(
    name: str,
    limits: RequestLimits,
    *,
    context: DeliveryContext,
    poster: Any,
    target: RequestTarget | None = None,
    base_urls: BaseUrls | None = None,
) -> Courier:
    """Builds a courier and adds it to its dispatcher."""
    delivery_path = DeliveryPath(
        target or RequestTarget(URL, dict, gzip=False), poster.post,
        base_urls or build_base_urls(context.clock, context.dispatcher),
    )  # fmt: skip
    courier = Courier(name, delivery_path, limits, context=context)
    context.dispatcher.add(courier)
    return courier


__all__ = [
    "NOON", "URL", "at_once", "build_base_urls", "build_courier", "build_delivery_context",
    "build_delivery_store", "build_disk_budget", "build_fsync_policy", "build_pipeline", "build_request_limits",
    "build_spool", "fail",
]  # fmt: skip
