"""Tests the bridge's own alarms as events of an intake (`admin.alerts_intake`)."""

from __future__ import annotations

from pathlib import Path

from tests.harness import altered
from tests.harness.bridge import key_of
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.running import bridging
from tests.harness.send import send_lines


def test_parked_intake_sends_an_event_when_it_parks_and_recovers(tmp_path: Path) -> None:
    intakes = {"wrong": {}, "ops": {}}
    collector = Collector(tmp_path / "collector", keys=(key_of("ops"),))
    collector.start()
    try:
        with bridging(tmp_path, collector.url, intakes=intakes) as bridge:
            bridge.configuration["admin"]["alerts_intake"] = "ops"
            altered.start(bridge, constants=altered.SHORT_WAITS)
            send_lines(bridge.tcp, [b"<13>Nov 23 07:24:00 gw app: kept"])
            until(lambda: any("state=on" in event.text for event in collector.refresh()), "event of the alarm")
            (alarm,) = [event for event in collector.refresh() if "alarm=parked" in event.text]
            assert alarm.key == key_of("ops")
            assert 'about="wrong"' in alarm.text
            assert "answered 401" in alarm.text
            assert key_of("wrong") not in alarm.text
            assert bridge.ledger()["spooled"] >= 1
            # The collector accepts the key: the kept event is delivered, and the end of the alarm is sent.
            collector.stop()
            collector.keys = ()
            collector.start()
            until(
                lambda: any("state=off" in event.text for event in collector.refresh()), "event of the end of the alarm"
            )
            until(lambda: any(event.text == "kept" for event in collector.refresh()), "the kept event")
            bridge.wait_drained()
    finally:
        collector.kill()
