"""`syslog-bridge report` over lives that end with kills, refusals and an outage: its totals are what others counted."""

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


def live(bridge: Bridge, directory: Path, sent: int, *, appended: int) -> tuple[Traffic, AppendCounter]:
    """A life under load, up to so many events."""
    counter = AppendCounter(directory / f"appended-{sent}")
    altered.start(bridge, constants=altered.IMPATIENT, counter=counter)
    device = Traffic(bridge.tcp, first=sent, per_write=50, pause_seconds=0.001)
    device.start()
    until(lambda: counter.value() >= appended, lambda: f"{appended} appended: {counter.value()}")
    return device, counter


def outage(bridge: Bridge, collector: FaultyCollector) -> None:
    """Away until it has been missed, and back."""
    collector.kill()
    until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", lambda: str(bridge.status()["intakes"]))
    collector.start()


@pytest.mark.weight(30)
def test_totals_are_what_an_outside_recorder_counted(tmp_path: Path) -> None:
    sent = counted = 0
    with faulty(tmp_path, poison_every=POISON_EVERY) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration["batch"] |= {"max_events": 500}
        for appended in (700, 2500, 1300):
            device, counter = live(bridge, tmp_path, sent, appended=appended)
            outage(bridge, collector)
            bridge.kill()
            device.stop()
            sent += len(device.sent)
            counted += counter.value()
        altered.start(bridge, constants=altered.IMPATIENT)
        bridge.wait_drained()
        ledger = bridge.ledger()
        # Beside a running bridge it reaches to the last full minute.
        assert int(report(bridge)[0]["all"]["received"]) <= sent
        taken = collector.taken()
        refused = [entry["text"] for entry in held.refused(bridge.spool)]
        bridge.stop()
        rows, verdict = report(bridge)
    row = rows["all"]
    assert ledger["spooled"] == 0
    assert int(row["delivered"]) == len(taken)
    assert int(row["refused"]) == len(refused) == len(set(refused)) > 0
    assert int(row["received"]) == len(taken) + len(refused)
    # An append that was written, but not yet counted when the kill came, is received all the same.
    assert counted <= int(row["received"]) <= sent
    assert int(row["dropped"]) == int(row["held"]) == int(row["unexplained"]) == 0
    doubled = sum(taken.values()) - len(taken)
    assert doubled <= int(row["possible_duplicates"])
    assert "chain whole" in verdict
