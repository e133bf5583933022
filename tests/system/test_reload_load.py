"""Tests that reloads of ten thousand routes lose nothing under load: a steady rate of datagrams, 50 TCP connections.

The test prints the pause that the bridge measures: the one reactor turn in which everything changes.

A busy machine may not handle 50,000 datagrams a second. So the rate is halved until none is lost without a reload. At
that rate, which is printed, reloads must lose none either.
"""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest

from tests.harness.background import BackgroundSender
from tests.harness.running import running
from tests.system.test_reload import reload


class DatagramSender(BackgroundSender):
    """Sends `rate` datagrams a second, in slices of a hundredth of a second."""

    def __init__(self, port: int, rate: int) -> None:
        super().__init__()
        self._port, self._slice = port, rate // 100

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as origin:
            origin.connect(("127.0.0.1", self._port))
            due = time.monotonic()
            while not self._stop.is_set():
                for _ in range(self._slice):
                    origin.send(
                        b"<13>Nov 23 07:24:00 gw unbound[7640]: [7640:0] info: 10.0.0.7 example.org. A IN %d"
                        % self.sent
                    )
                    self.sent += 1
                due += 0.01
                time.sleep(max(0.0, due - time.monotonic()))


class LineSender(BackgroundSender):
    """Sends lines over 50 connections in turn."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        for connection in self._sockets:
            connection.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for connection in self._sockets:
                connection.sendall(b"".join(b"<13>line %d\n" % (self.sent + i) for i in range(4)))
                self.sent += 4
            time.sleep(0.02)


@pytest.mark.weight(20)
@pytest.mark.parametrize(
    ("rate", "routes"),
    [pytest.param(1000, 2000, id="1000"), pytest.param(50_000, 10_000, id="50000", marks=pytest.mark.long)],
)
def test_reload_of_many_routes_under_load_loses_nothing(tmp_path: Path, rate: int, routes: int) -> None:
    with running(tmp_path, intakes={f"i{n}": {} for n in range(20)}, batch={"max_age": "1s"}) as (collector, bridge):
        bridge.configuration["routes"] = [
            {"name": f"r{n}", "intake": f"i{n % 20}", "source": f"10.{n // 256}.{n % 256}.0/24"} for n in range(routes)
        ]
        reload(bridge)
        sent_before = 0

        def drops() -> int:
            return sum(bridge.status()["kernel_drops"].values())

        while True:
            baseline_drops = drops()
            with DatagramSender(bridge.udp, rate) as datagrams:
                time.sleep(4)
            sent_before += datagrams.sent
            bridge.wait_received(sent_before - drops())
            if drops() == baseline_drops:
                break
            rate //= 2
            assert rate >= 500, "this machine cannot receive 500 datagrams a second"
        with DatagramSender(bridge.udp, rate) as datagrams, LineSender(bridge.tcp) as lines:
            bridge.wait_received(sent_before - baseline_drops + rate)
            pauses = []
            for turn in range(3):
                bridge.configuration["unrouted"] = {"intake": f"i{turn + 1}"}
                log = reload(bridge)
                pauses += [float(found) for found in re.findall(r"the pause was ([0-9.]+) ms", log)]
        sent = sent_before - baseline_drops + datagrams.sent + lines.sent
        print(f"{rate} datagrams/s, {routes} routes: {datagrams.sent} + {lines.sent} sent, pauses {pauses} ms")
        bridge.wait_received(sent - (drops() - baseline_drops))
        assert (bridge.ledger()["received"], drops()) == (sent, baseline_drops)
        bridge.wait_drained()
        assert len(collector.refresh()) == sent
