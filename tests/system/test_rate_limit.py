"""Tests ``max_bandwidth``, ``quota`` and ``fsync: always``: all events arrive and the quota is reported."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.harness.asserting import assert_same
from tests.harness.messages import rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines


def test_bandwidth_quota_and_fsync_lose_nothing_and_report_the_quota(tmp_path: Path) -> None:
    sent = [rfc5424(number, datetime.now(UTC)) for number in range(2000)]
    size = sum(len(message.text) + 1 for message in sent)
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration["collector"] |= {"max_bandwidth": "2Mbit/s", "compression": "none"}
        bridge.configuration["batch"] |= {"max_bytes": "20KB"}
        bridge.configuration["spool"] |= {"fsync": "always"}
        bridge.configuration["intakes"]["all"] |= {"quota": "50KB/day"}
        bridge.start()
        send_lines(bridge.tcp, (message.frame for message in sent))
        collector.wait_for(len(sent))
        bridge.wait_drained()
        # The quota counts what was delivered every few seconds, so perhaps also in the middle of the delivery.
        until(
            lambda: bridge.status()["intakes"][0]["delivered_bytes_today"] >= size - 200,
            lambda: f"all bytes are counted: {bridge.status()}",
        )
        status = bridge.status()
        assert [alarm["kind"] for alarm in status["alarms"]] == ["quota"], status["alarms"]
        (intake,) = status["intakes"]
        assert intake["quota_bytes"] == 50_000
        assert size - 200 <= intake["delivered_bytes_today"] <= size
        assert not status["ledger"]["dropped"]
        assert status["spool"]["synced_files"] >= 1
        bridge.stop()
        bridge.start()
        (again,) = bridge.status()["intakes"]
        assert again["delivered_bytes_today"] == intake["delivered_bytes_today"]
        assert_same(collector.texts(), (message.text for message in sent))
