"""Tests a burst of datagrams that the receive buffer cannot hold: each lost datagram is counted.

The receive buffer is as large as an unprivileged bridge gets with the default net.core.rmem_max (212,992 bytes). During
the burst the bridge is stopped for a moment, as on a machine with other work: a fast machine loses datagrams too.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.harness.cli import cli
from tests.harness.polling import until
from tests.harness.running import running

RECEIVE_BUFFER = 212_992
PHASES = (1, 5, 1)
"""The rate of each second, as a multiple of the usual rate."""


class Bursts:
    """Sends numbered datagrams with a rate that rises and falls."""

    def __init__(self, port: int, rate: int) -> None:
        self.sent = 0
        self.bursting, self.go_on = threading.Event(), threading.Event()
        self._port, self._rate = port, rate
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Bursts:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as origin:
            origin.connect(("127.0.0.1", self._port))
            for multiple in PHASES:
                begun, before = time.monotonic(), self.sent
                due = self._rate * multiple
                while (sent := self.sent - before) < due:
                    if sent > due // 4 and multiple > 1 and not self.bursting.is_set():
                        # The rest of the burst waits until the bridge is stopped, however long that takes.
                        self.bursting.set()
                        self.go_on.wait(180)
                    for _ in range(min(due, int((time.monotonic() - begun) * due) + 1) - sent):
                        origin.send(b"<13>Nov 24 00:00:00 gw app: number %d of a burst" % self.sent)
                        self.sent += 1
                    time.sleep(0.002)


@pytest.mark.parametrize("rate", [1000, pytest.param(20_000, marks=pytest.mark.long)])
def test_datagrams_lost_in_a_burst_are_counted(tmp_path: Path, rate: int) -> None:
    with running(tmp_path, intakes={"all": {}}, batch={"max_age": "200ms"}) as (collector, bridge):
        bridge.stop()
        bridge.configuration["listeners"][0]["receive_buffer"] = f"{RECEIVE_BUFFER // 1024}KiB"
        bridge.start()
        process = bridge.process
        assert process is not None

        def counted() -> tuple[int, int]:
            status = bridge.status()
            return status["ledger"]["received"], status["kernel_drops"]["udp"]

        with Bursts(bridge.udp, rate) as bursts:
            assert bursts.bursting.wait(180)
            with process.stopped():
                stopped_at = bursts.sent
                bursts.go_on.set()
                # Twice as many datagrams as fit the buffer: each takes about a KiB of it.
                until(lambda: bursts.sent >= min(stopped_at + 900, rate * 6), lambda: f"{bursts.sent} datagrams sent")
        until(lambda: sum(counted()) >= bursts.sent, lambda: f"{bursts.sent} sent, {counted()} received and dropped")
        bridge.wait_drained()
        received, dropped = counted()
        print(f"{bursts.sent} sent, {received} received, {dropped} dropped by the kernel")
        assert received + dropped == bursts.sent
        assert dropped > 100
        metrics = bridge.get("/metrics")[1].decode()
        assert f'syslog_bridge_udp_receive_buffer_drops_total{{listener="udp"}} {dropped}.0\n' in metrics
        until(
            lambda: any(
                "the receive buffer of listener udp is" in alarm["text"] for alarm in bridge.status()["alarms"]
            ),
            lambda: f"an alarm: {bridge.status()['alarms']}",
        )
        numbers = Counter(event.text.split()[1] for event in collector.wait_for(received))
        assert len(numbers) == numbers.total() == received
        bridge.stop()
        assert f"{dropped:,} " in cli(bridge, "report").stdout
