"""Tests `kill -9` at random moments while the disk and the collector fail: what was acknowledged is delivered, and the
report accounts for it.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.harness import spool
from tests.harness.chaos import COLLECTOR_FAULTS, CONSTANTS, Chaos, chaos
from tests.harness.disk_faults import KINDS
from tests.harness.messages import number_of
from tests.harness.polling import until


def run_until_killed(scenario: Chaos, chance: random.Random) -> set[int]:
    """Runs the bridge under load and faults, and kills it. Returns the numbers that may arrive twice."""
    scenario.collector.change()
    # Most starts find a disk that works; a start with a faulty disk may fail, and is repeated.
    if chance.random() < 0.2:
        scenario.faults.fail(*KINDS, rate=0.01, delay=0.02)
    else:
        scenario.faults.heal()
    scenario.start(constants=CONSTANTS)
    scenario.start_senders()
    # A run without an acknowledgement would show nothing.
    acknowledging = [sender for sender in scenario.senders if sender.acknowledges]
    until(lambda: all(sender.acknowledged for sender in acknowledging), "the first acknowledgements")
    accepts_nothing = chance.random() < 0.4  # then the next run finds a backlog, in packs
    end = time.monotonic() + chance.uniform(0, 3)
    while time.monotonic() < end:
        scenario.faults.fail(*chance.sample(KINDS, 4), rate=chance.choice((0.05, 0.3)), delay=0.1)
        name = "refused" if accepts_nothing else chance.choice(list(COLLECTOR_FAULTS))
        scenario.collector.change(**COLLECTOR_FAULTS[name])
        scenario.watch(min(end - time.monotonic(), 0.5))
    process = scenario.bridge.process
    assert process is not None
    scenario.bridge.kill()
    scenario.stop_senders()
    in_flight = spool.numbers_in_flight(scenario.bridge.spool)
    if "They are sent nevertheless" in process.stderr:
        # Files that could not be renamed were sent without a mark.
        in_flight |= {number_of(text) for text in scenario.collector.taken()}
    return in_flight


@pytest.mark.weight(30)
@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.long)])
def test_kills_under_faults_lose_no_acknowledged_event(tmp_path: Path, kills: int) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    in_flight: set[int] = set()
    # The journal is spared: a receipt that cannot be written before a kill is lost, as the report then says.
    with chaos(tmp_path, seed=seed, spare=(".ledger",), when_full="pause") as scenario:
        scenario.bridge.configuration["batch"] |= {"max_events": 20}
        for _ in range(kills):
            in_flight |= run_until_killed(scenario, chance)
        scenario.calm()
        scenario.start(constants=CONSTANTS)
        scenario.bridge.wait_drained()
        ledger = scenario.bridge.ledger()
        arrived = scenario.assert_delivered()
        scenario.assert_doubles(arrived, in_flight)
        assert ledger["delivered"] == ledger["recovered"], ledger
        assert (ledger["quarantined"], ledger["dropped"]) == (0, {}), ledger
        rows = scenario.report_row()
    assert int(rows["delivered"]) == len(arrived), (rows, len(arrived))
    assert int(rows["held"]) == int(rows["unexplained"]) == 0, rows
