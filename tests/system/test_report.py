"""Tests the totals of `syslog-bridge report` after kills, refusals and outages against independent counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import altered, held
from tests.harness.altered import AppendCounter
from tests.harness.bridge import Bridge
from tests.harness.faulty import FaultyCollector, faulty
from tests.harness.polling import until
from tests.harness.reporting import report
from tests.harness.running import bridging
from tests.harness.traffic import Traffic

POISON_EVERY = 401


def start_under_load(bridge: Bridge, directory: Path, sent: int, *, appended: int) -> tuple[Traffic, AppendCounter]:
    """Starts the bridge under load and waits for `appended` events."""
    counter = AppendCounter(directory / f"appended-{sent}")
    altered.start(bridge, constants=altered.SHORT_WAITS, counter=counter)
    device = Traffic(bridge.tcp, first=sent, per_write=50, pause_seconds=0.001)
    device.start()
    until(lambda: counter.value() >= appended, lambda: f"{appended} appended: {counter.value()}")
    return device, counter


def collector_outage(bridge: Bridge, collector: FaultyCollector) -> None:
    """Stops the collector until the bridge notices, then starts it again."""
    collector.kill()
    until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", lambda: str(bridge.status()["intakes"]))
    collector.start()


@pytest.mark.weight(30)
def test_report_totals_match_what_collector_and_quarantine_hold(tmp_path: Path) -> None:
    sent = counted = 0
    with faulty(tmp_path, poison_every=POISON_EVERY) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration["batch"] |= {"max_events": 500}
        for appended in (700, 2500, 1300):
            device, counter = start_under_load(bridge, tmp_path, sent, appended=appended)
            collector_outage(bridge, collector)
            bridge.kill()
            device.stop()
            sent += len(device.sent)
            counted += counter.value()
        altered.start(bridge, constants=altered.SHORT_WAITS)
        ledger = held.wait_settled(bridge)["ledger"]
        # With a running bridge, the report ends at the last full minute.
        assert int(report(bridge)[0]["all"]["received"]) <= sent
        taken = collector.taken()
        refused = [entry["text"] for entry in held.refused_entries(bridge.spool)]
        bridge.stop()
        rows, verdict = report(bridge)
    row = rows["all"]
    assert ledger["spooled"] == 0
    assert int(row["delivered"]) == len(taken)
    assert int(row["refused"]) == len(refused) == len(set(refused)) > 0
    assert int(row["received"]) == len(taken) + len(refused)
    # An append that was written but not counted before the kill counts as received too.
    assert counted <= int(row["received"]) <= sent
    assert int(row["dropped"]) == int(row["held"]) == int(row["unexplained"]) == 0
    doubled = sum(taken.values()) - len(taken)
    assert doubled <= int(row["possible_duplicates"])
    assert "hash chain intact" in verdict
