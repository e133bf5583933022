"""Tests that a slow disk delays acknowledgements only: what was received is delivered meanwhile."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from statistics import quantiles

import pytest

from tests.harness import slow_sync
from tests.harness.bridge import Bridge
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.relp import RelpClient
from tests.harness.running import bridging, collecting


class SlowDiskBridge:
    """Runs a bridge with a RELP listener and one intake per host name, on a disk with slow syncs."""

    def __init__(self, bridge: Bridge, *, intakes: int) -> None:
        self.bridge = bridge
        self.relp = free_port()
        self.intakes = intakes
        self._control = bridge.directory / "sync-seconds"
        bridge.configuration["listeners"].append({"name": "relp", "relp": f"127.0.0.1:{self.relp}"})
        bridge.configuration["routes"] = [
            {"name": f"r{n}", "intake": f"i{n}", "hostname": f"host{n}"} for n in range(intakes)
        ]

    def set_sync(self, text: str) -> None:
        """Changes what a sync costs: seconds, or `block`. The file is replaced, as the bridge reads it all the time."""
        partial = self._control.with_suffix(".new")
        partial.write_text(text)
        partial.rename(self._control)

    def start(self) -> None:
        self.set_sync("0")
        argv = [sys.executable, "-P", slow_sync.__file__, str(self.bridge.write_configuration()), str(self._control)]
        self.bridge.process = Process(argv, directory=self.bridge.directory, name="bridge")
        self.bridge.process.wait_until(lambda: self.bridge.get("/readyz")[0] == 200, "/readyz answers 200")

    def message(self, number: int) -> bytes:
        return b"<13>Nov 23 12:00:00 host%d app: event %d" % (number % self.intakes, number)


def intakes(count: int) -> dict[str, dict[str, str]]:
    return {f"i{n}": {} for n in range(count)}


def test_events_are_delivered_while_a_sync_hangs(tmp_path: Path) -> None:
    """Nothing is acknowledged before the sync has returned, and everything is afterwards, once."""
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url, intakes=intakes(5)) as bridge:
        disk = SlowDiskBridge(bridge, intakes=5)
        disk.start()
        client = RelpClient(disk.relp)
        disk.set_sync("block")
        messages = [disk.message(n) for n in range(100)]
        client.send(messages[:50])
        bridge.wait_received(50)
        client.send(messages[50:])
        until(lambda: len(collector.refresh()) == 100, lambda: f"all delivered: {bridge.ledger()}")
        assert not client.unread
        disk.set_sync("0")
        client.wait_acknowledged(100)
        client.close()
        assert sorted(event.text for event in collector.refresh()) == sorted(f"event {n}" for n in range(100))


class Flow:
    """Sends messages over one RELP connection in groups of ten, at a given rate, and measures when each group is
    acknowledged."""

    def __init__(self, disk: SlowDiskBridge, first: int, *, rate: int, seconds: float) -> None:
        self.latencies: list[float] = []
        self._disk, self._number, self._rate = disk, first, rate
        self._groups = int(seconds * rate / 10)
        self._client = RelpClient(disk.relp)
        self._sent: list[float] = []
        self.sender, self.reader = threading.Thread(target=self._send), threading.Thread(target=self._read)
        self.sender.start()
        self.reader.start()

    def _send(self) -> None:
        began = time.monotonic()
        for group in range(self._groups):
            self._sent.append(time.monotonic())
            self._client.send(self._disk.message(self._number + 10 * group + n) for n in range(10))
            time.sleep(max(0.0, began + (group + 1) * 10 / self._rate - time.monotonic()))

    def _read(self) -> None:
        while len(self.latencies) < self._groups:
            self._client.read()
            while len(self._client.acknowledged) >= 10 * (len(self.latencies) + 1):
                self.latencies.append(time.monotonic() - self._sent[len(self.latencies)])
        self._client.close()


@pytest.mark.long
@pytest.mark.parametrize("milliseconds", [10, 50])
def test_fifty_intakes_on_a_slow_disk_are_delivered(tmp_path: Path, milliseconds: int) -> None:
    """Of what is received within 30 s, at least 95 % is delivered 30 s later."""
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url, intakes=intakes(50)) as bridge:
        bridge.configuration["batch"] = {"max_age": "2s"}
        disk = SlowDiskBridge(bridge, intakes=50)
        disk.start()
        disk.set_sync(str(milliseconds / 1000))
        flows = [Flow(disk, n * 1_000_000, rate=51, seconds=30) for n in range(10)]
        for flow in flows:
            flow.sender.join()
        received, ended = bridge.ledger()["received"], time.monotonic()
        until(lambda: bridge.ledger()["delivered"] >= received * 0.95, lambda: f"delivered: {bridge.ledger()}",
              deadline_seconds=30)  # fmt: skip
        took = time.monotonic() - ended
        for flow in flows:
            flow.reader.join()
        cuts = quantiles([each for flow in flows for each in flow.latencies], n=100)
        print(
            f"{milliseconds} ms a sync: {received} received in 30 s, 95 % delivered {took:.1f} s later,"
            f" acknowledged after {cuts[49]:.2f} s (p50), {cuts[98]:.2f} s (p99)"
        )
        bridge.wait_drained()
        assert len(collector.refresh()) == bridge.ledger()["received"]
