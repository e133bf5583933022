"""Reloads of ten thousand routes under load: datagrams at a steady rate and 50 TCP connections, and nothing is lost.

The pause is what the bridge measures itself: the one reactor turn in which everything changes. It is printed.

A machine that is busy with other things may not take 50,000 datagrams a second at all. So the rate is halved until it
loses none for a while without any reload; at that rate, which is printed, reloads must lose none either.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.harness.running import running
from tests.system.test_reload import reload


class Flood:
    """Datagrams, paced: `rate` a second in slices of a hundredth."""

    def __init__(self, port: int, rate: int) -> None:
        self.sent = 0
        self._port, self._slice = port, rate // 100
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

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


class Lines:
    """50 connections, a few lines each, over and over."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Lines:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
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
def test_reload_loses_nothing(tmp_path: Path, rate: int, routes: int) -> None:
    with running(tmp_path, intakes={f"i{n}": {} for n in range(20)}, batch={"max_age": "1s"}) as (collector, bridge):
        bridge.configuration["routes"] = [
            {"name": f"r{n}", "intake": f"i{n % 20}", "source": f"10.{n // 256}.{n % 256}.0/24"} for n in range(routes)
        ]
        reload(bridge)
        before = 0

        def drops() -> int:
            return sum(bridge.status()["kernel_drops"].values())

        while True:
            lost = drops()
            with Flood(bridge.udp, rate) as datagrams:
                time.sleep(4)
            before += datagrams.sent
            bridge.wait_received(before - drops())
            if drops() == lost:
                break
            rate //= 2
            assert rate >= 500, "this machine takes no datagrams at all"
        with Flood(bridge.udp, rate) as datagrams, Lines(bridge.tcp) as lines:
            bridge.wait_received(before - lost + rate)
            pauses = []
            for turn in range(3):
                bridge.configuration["unrouted"] = {"intake": f"i{turn + 1}"}
                said = reload(bridge)
                pauses += [float(found) for found in re.findall(r"the pause was ([0-9.]+) ms", said)]
        sent = before - lost + datagrams.sent + lines.sent
        print(f"{rate} datagrams/s, {routes} routes: {datagrams.sent} + {lines.sent} sent, pauses {pauses} ms")
        bridge.wait_received(sent - (drops() - lost))
        assert (bridge.ledger()["received"], drops()) == (sent, lost)
        bridge.wait_drained()
        assert len(collector.refresh()) == sent
