"""Tests SIGTERM and SIGINT under load: the bridge exits with 0, and what it had received arrives once, without gaps."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.harness.asserting import assert_same
from tests.harness.messages import number_of
from tests.harness.running import bridging, collecting
from tests.harness.traffic import Traffic


@pytest.mark.weight(13)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stop_under_load_delivers_received_events_once(tmp_path: Path, number: int) -> None:
    sent: list[str] = []
    runs = 3
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        for _ in range(runs):
            bridge.start()
            device = Traffic(bridge.tcp, first=len(sent), per_write=20, pause_seconds=0.002)
            device.start()
            bridge.wait_received(3000)
            assert bridge.process is not None
            bridge.process.signal(number)
            bridge.stop()
            device.stop()
            sent += [message.text for message in device.sent]
        # Deliver what the stops left in the spool.
        bridge.start()
        bridge.wait_drained()
        texts = [event.text for event in collector.refresh()]
    # A stop cuts the stream anywhere: the received part of a line may become an event.
    whole = set(sent)
    cut = [text for text in texts if text not in whole]
    assert len(cut) <= runs, cut
    texts = [text for text in texts if text in whole]
    arrived = {number_of(text) for text in texts}
    # Data in the sockets of a stopped bridge is not received: the first messages of each run arrive.
    assert_same(texts, (text for text in sent if number_of(text) in arrived))
    gaps = [number for number in arrived if number and number - 1 not in arrived]
    assert len(gaps) < runs, f"more gaps than restarts: {gaps}"


def test_second_signal_while_stopping_is_ignored(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.start()
        device = Traffic(bridge.tcp, first=0, per_write=20, pause_seconds=0.002)
        device.start()
        bridge.wait_received(1000)
        process = bridge.process
        assert process is not None
        # The bridge takes at least a tenth of a second to drain its sockets.
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            process.signal(number)
        assert process.wait() == 0
        device.stop()
        log = process.stderr
        assert "stopping" in log
        assert log.count("in the spool") == 1
        assert "ReactorNotRunning" not in log
        assert "Traceback" not in log
        bridge.start()
        bridge.wait_drained()
        arrived = {number_of(event.text) for event in collector.refresh()}
        assert_same((number for number in arrived if number is not None), range(max(filter(None, arrived)) + 1))
