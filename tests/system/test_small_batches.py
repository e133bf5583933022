"""Tests ``small_batches: array``: many quiet intakes share requests, and each event keeps its intake and its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.harness.bridge import key_of
from tests.harness.polling import until
from tests.harness.running import running
from tests.harness.send import send_lines

INTAKES = [f"in{number}" for number in range(12)]
ROUNDS = 3


def test_events_keep_their_intake_and_time_in_few_requests(tmp_path: Path) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    with running(tmp_path, intakes={name: {} for name in INTAKES}) as (collector, bridge):
        bridge.stop()
        settings = bridge.configuration["collector"]
        settings["max_request_rate"], settings["small_batches"] = 1, "array"
        bridge.configuration["routes"] = [{"hostname": [name], "intake": name} for name in INTAKES]
        bridge.start()
        sent = {}
        for number in range(ROUNDS):
            at = moment + timedelta(seconds=2 * number)
            for name in INTAKES:
                sent[f"{name} event {number}"] = (key_of(name), at)
            lines = [f"<13>1 {at:%Y-%m-%dT%H:%M:%S}Z {name} app - - - {name} event {number}" for name in INTAKES]
            send_lines(bridge.tcp, [line.encode() for line in lines])
        until(lambda: len(collector.refresh()) >= len(sent), lambda: f"{len(sent)} events: {bridge.status()}")
        # Alone, a request carries one time of one intake; joined with others, each event has its own.
        assert {event.text: (event.key, event.time) for event in collector.arrived} == sent
        assert len(collector.arrived) == len(sent)
        until(lambda: bridge.ledger()["delivered"] == len(sent), lambda: f"{bridge.status()}")
        assert bridge.ledger()["spooled"] == 0
        assert not bridge.status()["possible_duplicates"]
