"""Tests a bridge while its disk, its collector and its clock fail at random, and after the faults are gone.

Each event has a number of its own and is sent once, so that lost, doubled and changed events are told apart.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness import spool
from tests.harness.chaos import COLLECTOR_FAULTS, CONSTANTS, Chaos, chaos
from tests.harness.disk_faults import KINDS
from tests.harness.polling import until

CLOCK_JUMPS = (0, 0, 3600, -3600, 86_400)
"""Seconds by which the wall clock is wrong."""
SMALL_JUMPS = (90, -90)
"""After these, the offsets of the sources' clocks are wrong for up to two minutes."""
ARCHIVE = {"archive": {"max_size": "1GB", "max_age": "7d"}}
HEALED_WITHIN = 60
"""Seconds after the faults within which everything is delivered and the headline is healthy."""


def assert_healed_and_exact(scenario: Chaos, *, deadline_seconds: float) -> None:
    """Asserts, after the faults, that the bridge heals while its senders go on, and that it has counted everything."""
    took = scenario.wait_healthy(deadline_seconds=deadline_seconds)
    dropped = scenario.status()["ledger"]["dropped"]
    scenario.settle()
    # The last lines of a connection are read within 50 ms, and may be in its socket when all others are delivered.
    until(scenario.has_read_tcp, lambda: f"all TCP lines are read: {scenario.bridge.status()['sources']}")
    status = scenario.settle()
    print(f"healthy {took:.1f} s after the faults; {status['ledger']}")
    assert status["ledger"]["dropped"] == dropped, "events are dropped though nothing fails"
    pauses = scenario.bridge.configuration["spool"].get("when_full") == "pause"
    arrived = scenario.assert_delivered(but=0 if pauses else dropped.get("spool_full", 0))
    scenario.assert_exact(status, arrived)
    ledger = status["ledger"]
    scenario.assert_report(
        received=ledger["received"], delivered=ledger["delivered"], dropped=sum(ledger["dropped"].values())
    )


@pytest.mark.weight(30)
@pytest.mark.parametrize(
    "spool_options",
    [pytest.param({"when_full": "pause"}, id="pause"), pytest.param(ARCHIVE, id="archive", marks=pytest.mark.long)],
)
def test_each_fault_of_the_disk_heals(tmp_path: Path, spool_options: dict[str, Any]) -> None:
    """One kind of fault after the other, each with another fault of the collector or a jump of the clock."""
    collector_faults = list(COLLECTOR_FAULTS.values())
    with chaos(tmp_path, seed=random.randrange(10**6), **spool_options) as scenario:
        scenario.bridge.configuration["batch"] |= {"max_events": 20}
        scenario.start(constants=CONSTANTS)
        scenario.start_senders()
        for turn, kind in enumerate(KINDS):
            scenario.faults.move_clock(CLOCK_JUMPS[turn % len(CLOCK_JUMPS)])
            scenario.faults.fail(kind, rate=0.3)
            scenario.collector.change(**collector_faults[turn % len(collector_faults)])
            if turn % 3 == 1:
                scenario.reload()
            scenario.watch(1.5)
            wait_until_it_occurs(kind, scenario)
        scenario.calm()
        scenario.reload()
        assert_healed_and_exact(scenario, deadline_seconds=240)


def wait_until_it_occurs(fault: str, scenario: Chaos) -> None:
    """Waits on: a busy machine may make few calls within the time."""
    occurred = lambda: {kind for _, kind in scenario.faults.counts()}  # noqa: E731
    until(lambda: fault in occurred(), lambda: f"{fault} occurs: {scenario.faults.counts()}")


def test_packs_written_and_read_under_faults_are_delivered(tmp_path: Path) -> None:
    """A backlog is packed while nothing is accepted, and delivered while the disk still fails."""
    with chaos(tmp_path, seed=random.randrange(10**6), when_full="pause") as scenario:
        scenario.bridge.configuration["batch"] |= {"max_events": 20}
        scenario.start(constants=CONSTANTS)
        scenario.start_senders()
        scenario.collector.change(**COLLECTOR_FAULTS["refused"])
        scenario.faults.fail(*KINDS, rate=0.05, delay=0.05)
        until(lambda: len(spool.packs(scenario.bridge.spool)) >= 2, lambda: f"two packs: {scenario.bridge.status()}")
        scenario.watch(1)
        for name in ("reset", "500", "slow", "none"):
            scenario.collector.change(**COLLECTOR_FAULTS[name])
            scenario.watch(1.5)
        scenario.calm()
        assert_healed_and_exact(scenario, deadline_seconds=240)


@pytest.mark.long
@pytest.mark.parametrize("when_full", ["pause", "drop-oldest"])
@pytest.mark.parametrize("minutes", [20])
def test_chaos_loses_no_acknowledged_event(tmp_path: Path, minutes: float, when_full: str) -> None:
    """The real waits of the bridge, and random faults at random times."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    with chaos(tmp_path, seed=seed, when_full=when_full) as scenario:
        scenario.start()
        scenario.start_senders()
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            step(scenario, chance)
        scenario.calm()
        scenario.reload()
        assert_healed_and_exact(scenario, deadline_seconds=HEALED_WITHIN)


def step(scenario: Chaos, chance: random.Random) -> None:
    """Causes faults for some seconds."""
    if chance.random() < 0.2:
        scenario.faults.move_clock(chance.choice(CLOCK_JUMPS + SMALL_JUMPS))
    if chance.random() < 0.6:
        kinds = chance.sample(KINDS, chance.randint(1, len(KINDS)))
        scenario.faults.fail(*kinds, rate=chance.choice((0.02, 0.2, 0.6, 1.0)), delay=chance.choice((0.02, 0.3, 1.0)))
    else:
        scenario.faults.heal()
    scenario.collector.change(**COLLECTOR_FAULTS[chance.choice(list(COLLECTOR_FAULTS))])
    if chance.random() < 0.15:
        scenario.reload()
    scenario.watch(chance.uniform(1, 8))
