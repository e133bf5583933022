"""Tests that eight dead collectors of twenty do not slow down the intakes of the other twelve."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.harness.black_holes import BlackHole, FullAcceptQueue, closing_all
from tests.harness.bridge import Bridge, key_of
from tests.harness.faulty import FaultyCollector, RecordedRequest, faulty
from tests.harness.messages import rfc5424, time_of
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.send import tcp

ALIVE = [f"alive-{number:02}" for number in range(12)]
DEAD = [f"dead-{number:02}" for number in range(8)]
ADDRESS_OF = {intake: f"127.0.1.{number}" for number, intake in enumerate(ALIVE + DEAD, start=1)}
CONNECTIONS = 8  # the default


class Run(NamedTuple):
    """Results of one run."""

    delays: list[float]  # seconds from sending to acceptance, one per event of a living intake
    dead: list[dict[str, object]]  # the dead intakes in /api/status at the end

    @property
    def median(self) -> float:
        return statistics.median(self.delays)


def run(directory: Path, collector: FaultyCollector, dead_urls: list[str], rounds: int) -> Run:
    """Runs a new bridge; each round sends one event per intake and waits until the living collectors have theirs."""
    # Each intake has its own base URL; those of the living collector differ by the loopback address.
    intakes = {intake: {"url": f"http://{ADDRESS_OF[intake]}:{collector.port}"} for intake in ALIVE}
    intakes |= {intake: {"url": url} for intake, url in zip(DEAD, dead_urls, strict=False)}
    bridge = Bridge(directory, collector_url=collector.url, intakes=intakes)
    bridge.configuration |= {
        "routes": [{"intake": intake, "source": ADDRESS_OF[intake]} for intake in intakes],
        "batch": {"max_age": "100ms"},
    }
    assert "connections" not in bridge.configuration["collector"]
    before = len(collector.refresh())
    try:
        bridge.start()
        sent = 0
        for _ in range(rounds):
            # The dead first, so that their requests begin before the others'.
            for intake in reversed(intakes):
                with tcp(bridge.tcp, source=ADDRESS_OF[intake]) as connection:
                    connection.sendall(rfc5424(sent, datetime.now(UTC)).frame + b"\n")
                sent += intake in ALIVE
            until(
                lambda sent=sent: sum(len(request.taken) for request in collector.refresh()[before:]) >= sent,
                lambda: f"living intakes are served: {bridge.status()['intakes']}",
            )
        bridge.wait_received(rounds * len(intakes))
        ledger, dead = bridge.ledger(), dead_of(bridge)
    finally:
        bridge.kill()
    fresh = collector.refresh()[before:]
    assert {request.key for request in fresh} == {key_of(intake) for intake in ALIVE}
    assert ledger["delivered"] <= sent == sum(len(request.taken) for request in fresh)
    return Run([delay for request in fresh for delay in _delays(request)], dead)


def dead_of(bridge: Bridge) -> list[dict[str, object]]:
    return [intake for intake in bridge.status()["intakes"] if intake["name"] in DEAD]


def _delays(request: RecordedRequest) -> list[float]:
    return [request.at - time_of(text).timestamp() for text in request.taken]


@pytest.mark.parametrize("kind", ["never answer", "never accept", "refuse"])
@pytest.mark.parametrize("rounds", [6, pytest.param(200, marks=pytest.mark.long)])
def test_dead_collectors_do_not_slow_down_other_intakes(tmp_path: Path, kind: str, rounds: int) -> None:
    holes: list[BlackHole] | list[FullAcceptQueue] = []
    if kind == "never answer":
        holes = [BlackHole() for _ in DEAD]
    elif kind == "never accept":
        holes = [FullAcceptQueue() for _ in DEAD]
    urls = [hole.url for hole in holes] or [f"http://127.0.0.1:{free_port()}" for _ in DEAD]
    hosts = ["127.0.0.1", *(ADDRESS_OF[intake] for intake in ALIVE)]
    with closing_all(holes), faulty(tmp_path, hosts=hosts) as collector:
        # In turn, and again if the machine was busy during the wrong ones.
        for attempt in range(3):
            alone = run(tmp_path / f"alone-{attempt}", collector, [], rounds)
            beside = run(tmp_path / f"beside-{attempt}", collector, urls, rounds)
            # The dead intakes delivered nothing and kept all their events.
            assert len(beside.dead) == len(DEAD)
            assert all(dead["delivered"] == 0 and dead["backlog_events"] == rounds for dead in beside.dead), beside.dead
            summary = f"alone {alone.median:.3f} s, beside {beside.median:.3f} s; worst {max(beside.delays):.3f} s"
            print(f"{kind}: {summary}")
            if beside.median <= 3 * alone.median + 1:
                break
        else:
            pytest.fail(f"slower beside dead collectors: {summary}")
        for hole in holes:
            if isinstance(hole, BlackHole):
                assert hole.bytes > 0 and 1 <= hole.max_open <= CONNECTIONS // 4, hole.max_open


def test_dead_url_uses_at_most_a_quarter_of_the_connections(tmp_path: Path) -> None:
    """Eight intakes with a backlog share one dead base URL."""
    hole = BlackHole()
    intakes = {intake: {"url": hole.url} for intake in DEAD}
    with closing_all([hole]), faulty(tmp_path) as collector:
        bridge = Bridge(tmp_path / "bridge", collector_url=collector.url, intakes={**intakes, "alive": {}})
        bridge.configuration |= {
            "routes": [{"intake": intake, "source": ADDRESS_OF[intake]} for intake in intakes],
            "unrouted": {"intake": "alive"},
            "batch": {"max_age": "100ms", "max_events": 100},
        }
        bridge.configuration["collector"] |= {"timeout": "500ms"}
        try:
            bridge.start()
            for intake in DEAD:
                with tcp(bridge.tcp, source=ADDRESS_OF[intake]) as connection:
                    for number in range(10_000, 11_000):
                        connection.sendall(rfc5424(number, datetime.now(UTC)).frame + b"\n")
            # The living intake is served during several timeouts and probes.
            for number in range(20):
                with tcp(bridge.tcp) as connection:
                    connection.sendall(rfc5424(number, datetime.now(UTC)).frame + b"\n")
                collector.wait_taken(number + 1)
            until(
                lambda: sum(intake["requests"]["retry"] for intake in bridge.status()["intakes"]) >= 4,
                lambda: f"timeouts: {bridge.status()['intakes']}",
            )
            bridge.wait_received(1000 * len(DEAD) + 20)
            until(lambda: bridge.ledger()["delivered"] >= 20, lambda: f"delivered: {bridge.ledger()}")
            until(
                lambda: {intake["state"] for intake in dead_of(bridge)} == {"backing-off"},
                lambda: f"the dead intakes back off: {dead_of(bridge)}",
            )
            ledger = bridge.ledger()
        finally:
            bridge.kill()
    assert hole.max_open <= CONNECTIONS // 4, hole.max_open
    assert ledger["delivered"] == 20 and ledger["spooled"] == 8000
