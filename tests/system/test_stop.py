"""SIGTERM under load: the bridge ends well, and what it had taken arrives once, without a gap."""

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
def test_stopped_under_load(tmp_path: Path, number: int) -> None:
    sent: list[str] = []
    lives = 3
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        for _ in range(lives):
            bridge.start()
            device = Traffic(bridge.tcp, first=len(sent), per_write=20, pause_seconds=0.002)
            device.start()
            bridge.wait_received(3000)
            assert bridge.process is not None
            bridge.process.signal(number)
            bridge.stop()
            device.stop()
            sent += [message.text for message in device.sent]
        # Whatever a stop left in the spool goes out now.
        bridge.start()
        bridge.wait_drained()
        texts = [event.text for event in collector.refresh()]
    # The stop cuts the stream wherever it is: what was there of a line, header or text, may come as an event.
    whole = set(sent)
    cut = [text for text in texts if text not in whole]
    assert len(cut) <= lives, cut
    texts = [text for text in texts if text in whole]
    arrived = {number_of(text) for text in texts}
    # What was still in the sockets of a stopped bridge was never taken: of each life a beginning arrives.
    assert_same(texts, (text for text in sent if number_of(text) in arrived))
    gaps = [number for number in arrived if number and number - 1 not in arrived]
    assert len(gaps) < lives, f"more beginnings than lives: {gaps}"
