"""Simulates a long outage of many quiet intakes with the real spool and couriers, an unreachable collector and a
manual clock. It leaves on disk what days of waiting would leave.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock, deferLater

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.deliver.dispatcher import Dispatcher
from tests.harness.builders import (
    build_base_urls,
    build_courier,
    build_delivery_context,
    build_delivery_store,
    build_request_limits,
    build_spool,
)

BATCH_INTERVAL = 2  # seconds between two batches of an intake: batch.max_age's default
EVENTS_PER_BATCH = 3


class DiskUsage(NamedTuple):
    """Disk usage of a spool."""

    files: int
    bytes: int


class Outage:
    """Simulates an outage from `begin_ms` on; `text` counts the bytes of all events with their line ends."""

    def __init__(self, directory: Path, *, intakes: list[str], begin_ms: int) -> None:
        self.clock = Clock()
        self.ledger = Ledger()
        self.text = 0
        self.begin_ms = begin_ms
        self.intakes = intakes
        self.spool = build_spool(directory, wall=self._wall, clock=self.clock.seconds, work=_work)
        dispatcher = Dispatcher(self.clock, connections=8, rate=None)
        context = build_delivery_context(
            self.clock,
            wall=self._wall,
            store=build_delivery_store(self.spool, self.ledger, work=_work),
            ledger=self.ledger,
            dispatcher=dispatcher,
            alarms=_Alarms(),
            run=self._run,
        )
        base_urls = build_base_urls(self.clock, dispatcher)
        limits = build_request_limits(max_events=20_000, max_bytes=5_000_000)
        self.couriers = {
            name: build_courier(
                name, limits, context=context, poster=_UnreachableCollector(self.clock), base_urls=base_urls
            )
            for name in intakes
        }
        self.spool.subscribe(lambda batch: self.couriers[batch.intake].add(batch))

    def _run(self, job: Callable[[], Any]) -> Deferred[Any]:
        # Not immediately: in a bridge, the result never comes in the same reactor turn.
        return deferLater(self.clock, 0, job)

    def _wall(self) -> float:
        return self.begin_ms / 1000 + self.clock.seconds()

    def run(self, rounds: int, text: Callable[[str, int], str]) -> None:
        """Spools `rounds` batches of `EVENTS_PER_BATCH` events per intake; `text` makes an event's text."""
        for at in range(rounds):
            ms = int(self._wall() * 1000)
            for intake in self.intakes:
                lines = "".join(
                    text(intake, at * EVENTS_PER_BATCH + k) + "\n" for k in range(EVENTS_PER_BATCH)
                ).encode()
                self.spool.append(Group(intake, "lines", ms // 1000, ms, ms, EVENTS_PER_BATCH, lines))
                self.ledger.receive_spooled(intake, EVENTS_PER_BATCH)
                self.text += len(lines)
            self.clock.advance(BATCH_INTERVAL)
            self.spool.seal_due()
            for courier in self.couriers.values():
                courier.tidy()
        assert self.ledger.imbalance == 0

    def close(self) -> None:
        """Seals and closes the spool, as a stop of the process does."""
        self.spool.seal_all()
        self.spool.close()


def disk_usage(spool: Path) -> DiskUsage:
    """Counts the files in intake directories, and the disk blocks of files and directories."""
    files = taken = 0
    for folder in spool.iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            taken += folder.stat().st_blocks * 512
            for file in os.scandir(folder):
                files += 1
                taken += file.stat().st_blocks * 512
    return DiskUsage(files, taken)


def _work(job: Callable[[], object], done: Callable[[object], None]) -> None:
    done(job())


class _UnreachableCollector:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self._clock.callLater(0, answer.errback, ConnectionRefusedError("away"))
        return answer


class _Alarms(Counter[str]):
    def on(self, kind: str, about: str, text: str, *, lasts: float | None = None) -> None:
        self[kind] += 1

    def off(self, kind: str, about: str, text: str) -> None:
        pass
