"""Tests a long outage of many quiet intakes: disk usage, memory after a restart, and the requests needed to drain."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.harness.asserting import assert_same
from tests.harness.bridge import key_of
from tests.harness.gate import Gate
from tests.harness.messages import time_of
from tests.harness.outage import BATCH_INTERVAL, EVENTS_PER_BATCH, Outage, disk_usage
from tests.harness.polling import until
from tests.harness.resources import memory_kib
from tests.harness.running import bridging, collecting

INTAKES = [f"quiet-{number:03}" for number in range(200)]
CATCH_UP = timedelta(seconds=60)
MAX_RESIDENT_KIB = 150 * 1024


@pytest.fixture
def memory_directory(tmp_path: Path) -> Iterator[Path]:
    """Yields a directory in memory if possible: the test measures files and blocks, not the disk."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.weight(40)
@pytest.mark.parametrize("batches", [50_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_long_outage_of_quiet_intakes_stays_small_and_drains(
    tmp_path: Path, memory_directory: Path, batches: int
) -> None:
    rounds = batches // len(INTAKES)
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=BATCH_INTERVAL * rounds + 60)

    def text(intake: str, number: int) -> str:
        # About the length of a short firewall message.
        time = (begin + timedelta(seconds=number // EVENTS_PER_BATCH * BATCH_INTERVAL)).isoformat(
            timespec="milliseconds"
        )
        session, port, policy = number * 7919 % 100_003, number * 17 % 65_521, number % 41
        return (
            f"number {number} {time} {intake} session {session} from 10.1.{number % 251}.{number * 31 % 253}"
            f" port {port} accepted by policy {policy}"
        )

    intakes: dict[str, dict[str, str]] = {name: {} for name in INTAKES}
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        with bridging(
            memory_directory, gate.url, intakes=intakes, batch={"max_age": "2s", "backlog_timestamp_resolution": "60s"}
        ) as b:
            outage = Outage(b.spool, intakes=INTAKES, begin_ms=int(begin.timestamp() * 1000))
            outage.run(rounds, text)
            outage.close()
            taken = disk_usage(b.spool)
            print(
                f"{taken.files} files, {taken.bytes} bytes for {outage.text} of text: {taken.bytes / outage.text:.2f}"
            )
            assert taken.files <= 20_000
            assert taken.bytes <= 1.3 * outage.text
            before = {path: path.stat().st_atime_ns for path in b.spool.glob("*/*.pack")}
            assert before

            b.start()
            events = rounds * len(INTAKES) * EVENTS_PER_BATCH
            assert b.ledger()["recovered"] == b.ledger()["spooled"] == events
            resident = memory_kib(b.process.pid if b.process else 0, "VmRSS")
            print(f"{resident} KiB resident after the start")
            assert resident < MAX_RESIDENT_KIB
            gate.open()
            until(
                lambda: b.ledger()["spooled"] == 0,
                lambda: f"drained: {b.ledger()}",
                deadline_seconds=180 + batches / 500,
            )
            resident = memory_kib(b.process.pid if b.process else 0)
            print(f"{resident} KiB resident at most, {len(gate.requests)} requests")
            assert resident < MAX_RESIDENT_KIB
            assert b.ledger()["delivered"] == events
            until(lambda: not list(b.spool.glob("quiet-*/*")), "the last files are removed")
            accepted = [request for request in gate.requests if request.status == 200]
            assert len(accepted) <= 0.15 * rounds * len(INTAKES)
        gate.shut()
        arrived = defaultdict(list)
        for event in collector.refresh():
            assert event.time is not None
            assert timedelta() <= time_of(event.text) - event.time < CATCH_UP, event
            arrived[event.key].append(event.text)
        for intake in INTAKES:
            assert_same(arrived[key_of(intake)], (text(intake, n) for n in range(rounds * EVENTS_PER_BATCH)), intake)
