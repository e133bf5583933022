"""Tests the end of an outage of a day: the backlog drains much faster than events arrive, and live events do not wait.

The backlog is written as an outage leaves it, in packs, with as many batches and bytes as a day has. Live events carry
their sending time on the monotonic clock; the collector of the benchmark measures their delay.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.bench.sink import Counts
from tests.harness.background import BackgroundSender
from tests.harness.backlog import write_packs
from tests.harness.bridge import Bridge
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process
from tests.harness.resources import memory_kib
from tests.harness.running import bridging
from tests.harness.send import tcp

RATE = 500
"""Live events per second, during the outage and after it."""
BATCH_AGE = 2
"""Seconds between two batches."""
DAY = 86_400
DRAINS_FASTER = 5
"""The drained events per second, as a multiple of the live events."""
LIVE_WITHIN = 10
"""Seconds within which 99 % of the live events arrive."""


class LiveEvents(BackgroundSender):
    """Sends events at a steady rate over TCP, each with its sending time."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def _run(self) -> None:
        begun = time.monotonic()
        with tcp(self._port) as connection:
            while not self._stop.wait(0.02):
                now = time.monotonic()
                due = int((now - begun) * RATE)
                connection.sendall(b"".join(b"<13>live %d at=%.3f\n" % (n, now) for n in range(self.sent, due)))
                self.sent = due


class MeasuringCollector:
    """Runs the benchmark's collector."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.port = free_port()
        issued = authority.issue("localhost")
        pem, self._counts, self._delays = directory / "sink.pem", directory / "counts", directory / "delays"
        pem.write_bytes(issued.private_key.read_bytes() + issued.certificate.read_bytes())
        Counts.create(self._counts)
        argv = [sys.executable, "-m", "tests.bench.sink", "--port", str(self.port), "--certificate", str(pem)]
        argv += ["--counts", str(self._counts), "--delays", str(self._delays)]
        env = {"PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = Process(argv, directory=directory, name="sink", env=env)
        self.process.wait_until(lambda: accepts(self.port), "listening")

    def counts(self) -> Counts:
        return Counts.read(self._counts)

    def delay(self, share: float) -> float:
        """Returns the seconds within which this share of the live events has arrived."""
        pairs = sorted((float(delay), int(events)) for delay, events in self._rows())
        left = share * sum(events for _, events in pairs)
        for delay, events in pairs:
            left -= events
            if left <= 0:
                return delay
        raise AssertionError("no live event has arrived")

    def _rows(self) -> list[list[str]]:
        return [line.split() for line in self._delays.read_text().splitlines() if line.count(" ") == 1]


def measure_drain(bridge: Bridge, backlog: int) -> tuple[float, int]:
    """Runs until the backlog is delivered; returns the seconds and the live events that were delivered meanwhile."""
    begun, received = time.monotonic(), bridge.ledger()["received"]

    def drained() -> bool:
        ledger = bridge.ledger()
        # Live events always wait for the end of their batch.
        return bool(ledger["spooled"] <= 5 * RATE * BATCH_AGE and ledger["delivered"] >= backlog)

    until(drained, lambda: f"{bridge.status()['intakes']}", deadline_seconds=180 + backlog / 2000, every_seconds=0.2)
    return time.monotonic() - begun, bridge.ledger()["received"] - received


@pytest.mark.weight(30)
@pytest.mark.parametrize("seconds", [600, pytest.param(DAY, marks=pytest.mark.long)])
def test_backlog_of_an_outage_drains_beside_live_events(tmp_path: Path, seconds: int) -> None:
    authority = Authority(tmp_path / "pki")
    batches, events = seconds // BATCH_AGE, RATE * BATCH_AGE
    backlog = batches * events
    collector = MeasuringCollector(tmp_path, authority)
    try:
        with bridging(tmp_path, f"https://localhost:{collector.port}", batch={"max_age": f"{BATCH_AGE}s"}) as bridge:
            # The bridge's own limits apply, such as 20 requests per second.
            del bridge.configuration["collector"]["max_request_rate"]
            bridge.configuration["collector"]["extra_ca_file"] = str(authority.ca)
            size = write_packs(
                bridge.spool / "all", batches=batches, events=events, every=BATCH_AGE, ends=time.time() - 60
            )
            bridge.start()
            assert bridge.process is not None
            assert bridge.ledger()["recovered"] == backlog
            with LiveEvents(bridge.tcp) as live:
                took, arrived_meanwhile = measure_drain(bridge, backlog)
            bridge.wait_received(live.sent)
            bridge.wait_drained()
            peak, ledger = memory_kib(bridge.process.pid), bridge.ledger()
            until(lambda: collector.counts().events >= backlog + live.sent, lambda: f"{collector.counts()}")
        rate, late = backlog / took, collector.delay(0.99)
        print(
            f"{batches} batches, {backlog} events, {size} bytes of backlog delivered in {took:.1f} s:"
            f" {rate:.0f} events/s beside {arrived_meanwhile / took:.0f} live events/s;"
            f" 99 % of {live.sent} live events within {late:.1f} s, the median within {collector.delay(0.5):.1f} s;"
            f" {peak} KiB of memory; {collector.counts()}"
        )
        assert collector.counts().events == backlog + live.sent
        assert ledger["delivered"] == backlog + live.sent
        assert (ledger["dropped"], ledger["quarantined"]) == ({}, 0)
        if seconds == DAY:
            assert rate >= DRAINS_FASTER * RATE
            assert late < LIVE_WITHIN
    finally:
        collector.process.kill()
