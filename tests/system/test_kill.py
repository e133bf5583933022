"""Tests `kill -9` under load and a restart: every event whose append had returned is delivered.

The bridge counts these appends in a mapped file that outlives it (`altered_bridge.py`).
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.harness import altered, spool
from tests.harness.altered import AppendCounter
from tests.harness.black_holes import BlackHole
from tests.harness.bridge import Bridge
from tests.harness.messages import number_of
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines
from tests.harness.traffic import Traffic

MAX_EVENTS_PER_RUN = 20_000


def run_until_killed(bridge: Bridge, directory: Path, *, first: int, appended: int) -> tuple[Traffic, int]:
    """Starts the bridge under load and kills it after `appended` events. Returns what was sent and appended."""
    counter = AppendCounter(directory / f"appended-{first}")
    altered.start(bridge, counter=counter)
    device = Traffic(bridge.tcp, first=first, per_write=50, pause_seconds=0)
    device.start()
    try:
        until(
            lambda: counter.value() >= appended or device.broken,
            lambda: f"{appended} appended: {counter.value()} of {len(device.sent)}; {bridge.status()}",
            every_seconds=0.001,
        )
        assert device.broken is None, device.broken
    finally:
        bridge.kill()
        device.stop()
    return device, counter.value()


@pytest.mark.weight(15)
@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.long)])
def test_appended_events_are_delivered_after_kills(tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    sent: dict[int, str] = {}
    owed: list[range] = []  # numbers whose append returned, per process run
    twice: set[int] = set()  # numbers that may arrive twice
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        # Small batches and short waits: each kill meets open, sealed and in-flight files.
        bridge.configuration["batch"] |= {"max_events": 1000}
        for _ in range(kills):
            device, appended = run_until_killed(
                bridge, tmp_path, first=len(sent), appended=chance.randint(1, MAX_EVENTS_PER_RUN)
            )
            # One connection: the first `appended` messages of this run are those that were appended.
            owed.append(range(len(sent), len(sent) + appended))
            twice |= spool.numbers_in_flight(bridge.spool)
            sent |= {number_of(message.text): message.text for message in device.sent}
        bridge.start()
        bridge.wait_drained()
        ledger = bridge.ledger()
        events = collector.refresh()

    assert ledger["delivered"] == ledger["recovered"], ledger
    arrived = Counter(number_of(event.text) for event in events)
    assert all(sent.get(number_of(event.text)) == event.text for event in events), "a text that was not sent"
    missing = [number for run in owed for number in run if number not in arrived]
    assert not missing, f"{len(missing)} appended events are lost: {missing[:5]} ..."
    again = {number for number, times in arrived.items() if times > 1}
    assert again <= twice, f"delivered twice, though not in flight at a kill: {sorted(again - twice)[:5]} ..."


def test_restarts_alone_count_no_possible_duplicates(tmp_path: Path) -> None:
    """Only the first start after a request without an answer counts its events; refused connections carry nothing."""
    hole = BlackHole()
    try:
        with bridging(tmp_path, hole.url) as bridge:
            bridge.start()
            send_lines(bridge.tcp, [b"<13>one", b"<13>two", b"<13>three"])
            until(lambda: hole.bytes > 0, "a request is sent")
            bridge.kill()
            bridge.configuration["collector"]["url"] = f"http://127.0.0.1:{free_port()}"
            for killed, counted in ((False, {"all": 3}), (True, {}), (False, {}), (True, {})):
                bridge.start()
                until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", "a connection was refused")
                status = bridge.status()
                assert (status["possible_duplicates"], status["ledger"]["spooled"]) == (counted, 3)
                if killed:
                    kill_between_requests(bridge)
                else:
                    bridge.stop()
            bridge.start()
    finally:
        hole.close()


def kill_between_requests(bridge: Bridge) -> None:
    process = bridge.process
    assert process is not None

    def killed() -> bool:
        with process.stopped():
            if list(bridge.spool.glob("all/*.sending.*")):
                return False
            bridge.kill()
            return True

    until(killed, "no request is in flight")
