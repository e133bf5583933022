"""Tests SIGKILL while packs are written, read and acknowledged: nothing is lost, only in-flight events arrive twice."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.batching import Group
from bridge.spool import Batch, pack_writer
from tests.harness import killed_at, spool
from tests.harness.bridge import Bridge
from tests.harness.builders import build_spool
from tests.harness.gate import Gate
from tests.harness.messages import number_of, rfc5424
from tests.harness.polling import until
from tests.harness.process import Process
from tests.harness.reporting import report
from tests.harness.running import bridging, collecting

BATCHES = 300
EVENTS = 3  # per batch
MAX_REQUESTS = 30


def fill(directory: Path, numbers: range, *, packs: int) -> list[str]:
    """Spools batches of messages with these numbers as an outage does, some in `packs` packs of 60 batches; returns the
    events' texts."""
    now = datetime.now(UTC)
    sent = [rfc5424(number, now).text for number in numbers]
    ms = int(now.timestamp() * 1000)
    waiting = build_spool(directory, wall=time.time, clock=time.monotonic)
    sealed: list[Batch] = []
    waiting.subscribe(sealed.append)
    for at in range(0, len(sent), EVENTS):
        lines = "".join(text + "\n" for text in sent[at : at + EVENTS]).encode()
        waiting.append(Group("all", "lines", ms // 1000, ms, ms, EVENTS, lines))
        waiting.seal_all()
    for at in range(packs):
        pack_writer.pack(sealed[60 * at : 60 * (at + 1)], waiting.removals.failed)
    waiting.close()
    return sent


def run_until_killed(bridge: Bridge, point: str, count: int) -> set[int]:
    """Runs a bridge until it is killed at the point or has no work left; returns the message numbers in flight."""
    script = Path(killed_at.__file__)
    argv = [sys.executable, "-P", str(script), str(bridge.write_configuration()), point, str(count)]
    bridge.process = process = Process(argv, directory=bridge.directory, name="bridge")

    def over() -> bool:
        code, _ = bridge.get("/readyz")
        return process.exit_code is not None or (
            code == 200 and not spool.batches(bridge.spool) + spool.packs(bridge.spool)
        )

    until(over, lambda: f"{point}, time {count}: {bridge.get('/api/status')}\n{process.stderr}")
    if process.exit_code is None:
        bridge.kill()
    else:
        assert process.exit_code == -9, process.stderr
    bridge.process = None
    return spool.numbers_in_flight(bridge.spool)


@pytest.mark.weight(20)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def test_kill_at_every_point_of_pack_handling_loses_no_event(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sent: list[str] = []
    twice: set[int] = set()
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        with bridging(tmp_path, gate.url) as bridge:
            # A request carries four batches, so that there are many requests to interrupt.
            bridge.configuration["batch"] |= {"max_events": 4 * EVENTS}
            for point in killed_at.PACKING:
                sent += fill(
                    bridge.spool, range(len(sent), len(sent) + BATCHES * EVENTS), packs=4 * ("together" in point)
                )
                twice |= run_until_killed(bridge, point, 1)
            assert spool.packs(bridge.spool)
            assert not gate.requests
            gate.open()
            for point in killed_at.SENDING:
                twice |= run_until_killed(bridge, point, chance.randint(1, MAX_REQUESTS))
            bridge.start()
            bridge.wait_drained()
            ledger = bridge.ledger()
            bridge.stop()
            row = report(bridge)[0]["all"]
        gate.shut()
        events = collector.refresh()
    assert not ledger["dropped"], ledger
    arrived = Counter(number_of(event.text) for event in events)
    missing = [number for number in range(len(sent)) if number not in arrived]
    assert not missing, f"{len(missing)} events are lost: {missing[:5]} ..."
    again = {number for number, times in arrived.items() if times > 1}
    assert all(sent[number_of(event.text)] == event.text for event in events), "a text that was not sent"
    assert again <= twice, f"delivered twice, though not in flight at a kill: {sorted(again - twice)[:5]} ..."
    # Events with a receipt that a killed process had not noted in a pack were queued again; none was received twice.
    assert int(row["carried_over"]) + int(row["received"]) == int(row["delivered"]) == len(sent), row
    assert int(row["sent_twice"]) <= arrived.total() - len(sent), row
    assert int(row["held"]) == int(row["dropped"]) == int(row["unexplained"]) == 0, row
