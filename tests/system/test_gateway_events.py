"""Tests the heartbeat and the statistics for the vendor's intake format as events that a collector receives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.bridge import key_of
from tests.harness.cli import cli
from tests.harness.polling import until
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines


def test_heartbeat_arrives_and_is_counted(tmp_path: Path) -> None:
    with (
        collecting(tmp_path) as collector,
        bridging(tmp_path, collector.url, intakes={"all": {}, "ops": {}}, unrouted={"intake": "all"}) as bridge,
    ):
        bridge.configuration["admin"]["heartbeat"] = {"intake": "ops", "every": "1m"}
        bridge.start()
        (received,) = until(lambda: [e for e in collector.refresh() if e.key == key_of("ops")], "the heartbeat")
        event = json.loads(received.text)
        assert (event["event"], event["state"]) == ("heartbeat", "healthy")
        assert event["config_sha256"] == bridge.status()["config_sha256"]
        assert key_of("all") not in received.text
        bridge.wait_drained()
        assert bridge.ledger()["received"] == bridge.ledger()["delivered"] == 1


@pytest.mark.long
def test_statistics_arrive_and_the_report_has_the_volumes(tmp_path: Path) -> None:
    with (
        collecting(tmp_path) as collector,
        bridging(tmp_path, collector.url, intakes={"all": {}, "ops": {}}, unrouted={"intake": "all"}) as bridge,
    ):
        admin = bridge.configuration["admin"]
        admin |= {"alerts_intake": "ops", "alerts_format": "forwarder", "alerts_statistics_every": "10s"}
        bridge.start()
        send_lines(bridge.tcp, [b"<13>one", b"<13>two"])
        bridge.wait_received(2)
        until(lambda: any('"resource-usage"' in event.text for event in collector.refresh()), "the statistics")
        events = [json.loads(event.text) for event in collector.refresh() if event.key == key_of("ops")]
        by_name = {event["name"]: event for event in events}
        assert by_name["ruleset-all"]["enqueued"] == 2
        assert by_name["output-all"]["processed"] == 2
        assert by_name["TCP-127.0.0.1-" + collector.url.rpartition(":")[2]]["bytes.sent"] == len("one\ntwo\n")
        bridge.stop()
        rows = json.loads(cli(bridge, "report", "--daily", "source", "--output", "json").stdout)
        device = next(row for row in rows if row["address"] == "127.0.0.1")
        assert (device["received"], device["estimated_bytes"]) == (2, 2 * len("<13>one"))
        days = json.loads(cli(bridge, "report", "--daily", "intake", "--output", "json").stdout)
        assert {row["intake"]: row["received"] for row in days}["all"] == 2
        bridge.start()
