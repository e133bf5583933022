"""The bridge's own alarms, as events among the others (`admin.self_events`)."""

from __future__ import annotations

from pathlib import Path

from tests.harness import altered
from tests.harness.bridge import key_of
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.running import bridging
from tests.harness.send import send_lines


def test_a_parked_intake_is_told_and_told_again_when_it_is_well(tmp_path: Path) -> None:
    intakes = {"wrong": {}, "ops": {}}
    collector = Collector(tmp_path / "collector", keys=(key_of("ops"),))
    collector.start()
    try:
        with bridging(tmp_path, collector.url, intakes=intakes) as bridge:
            bridge.configuration["admin"]["self_events"] = "ops"
            altered.start(bridge, constants=altered.IMPATIENT)
            send_lines(bridge.tcp, [b"<13>Nov 23 07:24:00 gw app: kept"])
            until(lambda: any("state=on" in event.text for event in collector.refresh()), "the alarm has arrived")
            (told,) = [event for event in collector.refresh() if "alarm=parked" in event.text]
            assert told.key == key_of("ops")
            assert 'about="wrong"' in told.text
            assert "answered 401" in told.text
            assert key_of("wrong") not in told.text
            assert bridge.ledger()["spooled"] >= 1
            # The key is let in: the event that was kept goes, and so does the good news.
            collector.stop()
            collector.keys = ()
            collector.start()
            until(lambda: any("state=off" in event.text for event in collector.refresh()), "the end has arrived")
            until(lambda: any(event.text == "kept" for event in collector.refresh()), "the event that was kept arrived")
            bridge.wait_drained()
    finally:
        collector.kill()
