"""Tests a wall clock that is set back by an hour under load: sealing, back-off and timeouts continue."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.harness import clock_set_back, spool
from tests.harness.asserting import assert_same
from tests.harness.gate import Gate
from tests.harness.polling import until
from tests.harness.process import Process
from tests.harness.running import bridging, collecting
from tests.harness.traffic import traffic


def test_clock_set_back_by_an_hour_does_not_stop_delivery(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        gate.open()
        with bridging(tmp_path, gate.url) as bridge:
            argv = [sys.executable, "-P", clock_set_back.__file__, str(bridge.write_configuration()), str(tmp_path)]
            bridge.process = Process(argv, directory=bridge.directory, name="bridge")
            bridge.process.wait_until(lambda: bridge.get("/readyz")[0] == 200, "/readyz answers 200")
            with traffic(bridge.tcp) as device:
                collector.wait_for(100)
                highest = max(batch_sequences(bridge.spool), default=0)
                (tmp_path / "set-back").touch()
                sent_before = len(device.sent)
                until(lambda: len(device.sent) > sent_before + 50, "traffic continues")
                collector.wait_for(sent_before + 50)
                gate.shut()
                until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", "it backs off")
                until(lambda: len(spool.batches(bridge.spool)) >= 10, "batches are sealed while it backs off")
                # Sequence numbers only rise, or a restart would send the oldest batches last.
                assert min(batch_sequences(bridge.spool)) > highest
                gate.open()
                until(lambda: bridge.status()["intakes"][0]["state"] != "backing-off", "back-off ends")
            collector.wait_for(len(device.sent))
            bridge.wait_drained()
        gate.shut()
        assert_same((event.text for event in collector.refresh()), (message.text for message in device.sent))


def batch_sequences(folder: Path) -> list[int]:
    return [int(path.name.split("-")[0]) for path in folder.glob("*/*.lines")]
