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
        assert client.acknowledged == []
        disk.set_sync("0")
        client.wait_acknowledged(100)
        client.close()
        assert sorted(event.text for event in collector.refresh()) == sorted(f"event {n}" for n in range(100))


class Flow(threading.Thread):
    """Sends messages over one RELP connection in groups of ten, at a given rate, with at most 200 unacknowledged."""

    def __init__(self, disk: SlowDiskBridge, first: int, *, rate: int, until: float) -> None:
        super().__init__()
        self.latencies: list[float] = []
        self._disk, self._number, self._rate, self._until = disk, first, rate, until

    def run(self) -> None:
        client = RelpClient(self._disk.relp)
        sent: list[tuple[int, float]] = []
        due, total = time.monotonic(), 0
        while time.monotonic() < self._until:
            client.send(self._disk.message(self._number + n) for n in range(10))
            self._number, total = self._number + 10, total + 10
            sent.append((total, time.monotonic()))
            while total - len(client.acknowledged) > 200:
                client.read()
            self._note(client, sent)
            due += 10 / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
        while sent:
            client.read()
            self._note(client, sent)
        client.close()

    def _note(self, client: RelpClient, sent: list[tuple[int, float]]) -> None:
        while sent and sent[0][0] <= len(client.acknowledged):
            self.latencies.append(time.monotonic() - sent.pop(0)[1])


@pytest.mark.long
@pytest.mark.parametrize("milliseconds", [10, 50])
def test_fifty_intakes_on_a_slow_disk_are_delivered(tmp_path: Path, milliseconds: int) -> None:
    """Of what is received within 30 s, at least 95 % is delivered 30 s later."""
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url, intakes=intakes(50)) as bridge:
        bridge.configuration["batch"] = {"max_age": "2s"}
        disk = SlowDiskBridge(bridge, intakes=50)
        disk.start()
        disk.set_sync(str(milliseconds / 1000))
        flows = [Flow(disk, n * 1_000_000, rate=130, until=time.monotonic() + 30) for n in range(4)]
        for flow in flows:
            flow.start()
        for flow in flows:
            flow.join()
        received, ended = bridge.ledger()["received"], time.monotonic()
        until(lambda: bridge.ledger()["delivered"] >= received * 0.95, lambda: f"delivered: {bridge.ledger()}",
              deadline_seconds=30)  # fmt: skip
        cuts = quantiles([each for flow in flows for each in flow.latencies], n=100)
        print(
            f"{milliseconds} ms a sync: {received} received in 30 s, 95 % delivered {time.monotonic() - ended:.1f} s"
            f" later, acknowledged after {cuts[49]:.2f} s (p50), {cuts[98]:.2f} s (p99)"
        )
        bridge.wait_drained()
        assert len(collector.refresh()) == received
