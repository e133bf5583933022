"""Eight dead collectors among twenty: the intakes of the twelve others are served as if they were alone."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.harness.black_holes import BlackHole, Deaf, closing_all
from tests.harness.bridge import Bridge, key_of
from tests.harness.faulty import FaultyCollector, Seen, faulty
from tests.harness.messages import rfc5424, time_of
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.send import tcp

ALIVE = [f"alive-{number:02}" for number in range(12)]
DEAD = [f"dead-{number:02}" for number in range(8)]
ADDRESS_OF = {intake: f"127.0.1.{number}" for number, intake in enumerate(ALIVE + DEAD, start=1)}
CONNECTIONS = 8  # the default


class Run(NamedTuple):
    """What one run showed of the living."""

    delays: list[float]  # seconds from sending to acceptance, one an event
    dead: list[dict[str, object]]  # their entries of /api/status at its end

    @property
    def median(self) -> float:
        return statistics.median(self.delays)


def run(directory: Path, collector: FaultyCollector, dead_urls: list[str], rounds: int) -> Run:
    """A new bridge; each round, one event an intake, until the living have theirs accepted."""
    # Each intake has a base URL of its own: the living ones' differ by their loopback address.
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
            # The dead first, so that their requests are under way before the others'.
            for intake in reversed(intakes):
                with tcp(bridge.tcp, source=ADDRESS_OF[intake]) as connection:
                    connection.sendall(rfc5424(sent, datetime.now(UTC)).frame + b"\n")
                sent += intake in ALIVE
            until(
                lambda sent=sent: sum(len(seen.taken) for seen in collector.refresh()[before:]) >= sent,
                lambda: f"the living are served: {bridge.status()['intakes']}",
            )
        status = bridge.status()
    finally:
        bridge.kill()
    fresh = collector.refresh()[before:]
    assert {seen.key for seen in fresh} == {key_of(intake) for intake in ALIVE}
    assert status["ledger"]["delivered"] <= sent == sum(len(seen.taken) for seen in fresh)
    dead = [intake for intake in status["intakes"] if intake["name"] in DEAD]
    return Run([delay for seen in fresh for delay in _delays(seen)], dead)


def _delays(seen: Seen) -> list[float]:
    return [seen.at - time_of(text).timestamp() for text in seen.taken]


@pytest.mark.parametrize("kind", ["never answer", "never accept", "refuse"])
@pytest.mark.parametrize("rounds", [6, pytest.param(200, marks=pytest.mark.long)])
def test_the_others_are_not_slower(tmp_path: Path, kind: str, rounds: int) -> None:
    holes: list[BlackHole] | list[Deaf] = []
    if kind == "never answer":
        holes = [BlackHole() for _ in DEAD]
    elif kind == "never accept":
        holes = [Deaf() for _ in DEAD]
    urls = [hole.url for hole in holes] or [f"http://127.0.0.1:{free_port()}" for _ in DEAD]
    hosts = ["127.0.0.1", *(ADDRESS_OF[intake] for intake in ALIVE)]
    with closing_all(holes), faulty(tmp_path, hosts=hosts) as collector:
        # In turns, and again if the machine was busy in the wrong ones.
        for attempt in range(3):
            alone = run(tmp_path / f"alone-{attempt}", collector, [], rounds)
            beside = run(tmp_path / f"beside-{attempt}", collector, urls, rounds)
            # They hung all the while, with everything that was theirs.
            assert len(beside.dead) == len(DEAD)
            assert all(dead["delivered"] == 0 and dead["backlog_events"] == rounds for dead in beside.dead), beside.dead
            told = f"alone {alone.median:.3f} s, beside {beside.median:.3f} s; worst {max(beside.delays):.3f} s"
            print(f"{kind}: {told}")
            if beside.median <= 3 * alone.median + 1:
                break
        else:
            pytest.fail(f"slower beside black holes: {told}")
        for hole in holes:
            if isinstance(hole, BlackHole):
                assert hole.bytes > 0 and 1 <= hole.most <= CONNECTIONS // 4, hole.most


def test_a_dead_url_holds_no_more_than_a_quarter(tmp_path: Path) -> None:
    """Eight intakes of one dead base URL, with much to send."""
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
            # Several time-outs and probes long, the living one is served.
            for number in range(20):
                with tcp(bridge.tcp) as connection:
                    connection.sendall(rfc5424(number, datetime.now(UTC)).frame + b"\n")
                collector.wait_taken(number + 1)
            until(
                lambda: sum(intake["requests"]["retry"] for intake in bridge.status()["intakes"]) >= 4,
                lambda: f"time-outs: {bridge.status()['intakes']}",
            )
            status = bridge.status()
        finally:
            bridge.kill()
    assert hole.most <= CONNECTIONS // 4, hole.most
    assert status["ledger"]["delivered"] >= 20 and status["ledger"]["spooled"] >= 8000
    assert {intake["state"] for intake in status["intakes"] if intake["name"] in DEAD} == {"backing-off"}
