"""Tests that every event ends in one column of the ledger, whatever the collector answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness import altered, held
from tests.harness.bridge import Bridge, key_of
from tests.harness.faulty import FaultyCollector, faulty
from tests.harness.messages import SentMessage, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging
from tests.harness.send import send_lines

# The probability of each fault; together they hit about every second request.
ANSWERS = {
    "200-html": 0.01, "200-wrong-json": 0.01, "200-no-object": 0.005, "200-empty": 0.005, "204": 0.01,
    "taken-200-html": 0.01, "taken-without-ids": 0.02, "shortfall": 0.02, "shortfall-with-errors": 0.02,
    "shortfall-with-nulls": 0.02, "301": 0.01, "400": 0.04, "401": 0.01, "403": 0.01, "403-proxy": 0.01, "404": 0.01,
    "405": 0.01, "407": 0.01, "408": 0.01, "422": 0.02, "425": 0.01, "429": 0.005, "429-date": 0.005, "500": 0.01,
    "502": 0.01, "503": 0.01, "504": 0.01, "599": 0.01, "taken-500": 0.01, "taken-502": 0.01, "taken-504": 0.01,
    "slow": 0.02, "closed-keep-alive": 0.05,
}  # fmt: skip
BROKEN_ANSWERS = {
    "reset": 0.015, "half": 0.01, "taken-half": 0.015, "taken-half-reset": 0.01, "taken-reset": 0.02,
    "taken-short-length": 0.01, "taken-long-length": 0.01, "garbage": 0.01, "taken-garbage": 0.01,
    "never": 0.003, "taken-never": 0.003,
}  # fmt: skip
INTAKES = [f"intake-{number:02}" for number in range(20)]
SOURCE_OF = {intake: f"127.0.1.{number}" for number, intake in enumerate(INTAKES, start=1)}
SLOTS, PER_SLOT = 25, 12


@contextmanager
def sampling(bridge: Bridge) -> Iterator[list[dict[str, Any]]]:
    """Polls `/api/status` in a thread; `Bridge.status` asserts that each ledger balances."""
    ending, taken, wrong = threading.Event(), [], []

    def sample() -> None:
        try:
            while not ending.wait(0.03):
                taken.append(bridge.status())
        except BaseException as error:
            wrong.append(error)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield taken
    finally:
        ending.set()
        sampler.join()
    if wrong:
        raise wrong[0]


class Senders:
    """One device per intake; records all that they sent."""

    def __init__(self, bridge: Bridge) -> None:
        self.sent: dict[str, list[SentMessage]] = {intake: [] for intake in INTAKES}
        self._bridge = bridge
        self._start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def send(self, intake: str, count: int, slots: int) -> None:
        """Sends `count` messages whose times span `slots` seconds."""
        fresh = [
            rfc5424(self._count + place, self._start + timedelta(milliseconds=place * slots * 1000 // count))
            for place in range(count)
        ]
        self._count += count
        self.sent[intake] += fresh
        send_lines(self._bridge.tcp, (message.frame for message in fresh), source=SOURCE_OF[intake])

    def settle(self) -> bool:
        """Returns True if all is settled; else sends one more message: a refused event waits for an accepted one."""
        status = self._bridge.status()
        for intake in status["intakes"]:
            # A parked intake retries by itself, unless only a refused event is left.
            if intake["backlog_events"] and (intake["state"] != "parked" or intake["next_attempt_seconds"] is None):
                self.send(intake["name"], 1, 1)
        return status["ledger"]["spooled"] == 0 and status["ledger"]["received"] == self._count


def bridge_with_intakes(directory: Path, collector: FaultyCollector, **batch: Any) -> Any:
    return bridging(
        directory, collector.url, intakes={intake: {} for intake in INTAKES},
        routes=[{"intake": intake, "source": SOURCE_OF[intake]} for intake in INTAKES],
        batch={"max_age": "200ms", "backlog_timestamp_resolution": "1s", **batch},
    )  # fmt: skip


def assert_exact(collector: FaultyCollector, bridge: Bridge, senders: Senders, ledger: dict[str, Any]) -> None:
    """Asserts that every event ended in one ledger column and that every column is exact."""
    refused = Counter((entry["intake"], entry["text"]) for entry in held.refused_entries(bridge.spool))
    withheld = collector.withheld()
    # Accepted by a request without an answer, and then left out of the answer to its repetition.
    accepted_then_withheld = withheld & collector.unconfirmed()
    assert set(refused.values()) <= {1}
    for intake in INTAKES:
        sent = {message.text for message in senders.sent[intake]}
        taken = collector.taken(key_of(intake)).keys()
        quarantined = {text for name, text in refused if name == intake}
        assert taken == sent - quarantined - (withheld - accepted_then_withheld), intake
        assert not quarantined & withheld and quarantined <= sent, intake
    times = collector.taken()
    again = {text for text, count in times.items() if count > 1}
    assert again <= collector.unconfirmed(), "accepted twice, though the sender knew of the first time"
    dropped = {"collector_shortfall": len(withheld)} if withheld else {}
    assert ledger["dropped"] == dropped
    assert ledger["quarantined"] == len(refused)
    assert (
        ledger["delivered"] == senders.count - len(refused) - len(withheld) == len(times) - len(accepted_then_withheld)
    )


@pytest.mark.weight(11)
@pytest.mark.parametrize("waves", [1, pytest.param(20, marks=pytest.mark.long)])
def test_all_faults_leave_every_event_in_one_ledger_column(tmp_path: Path, waves: int) -> None:
    """Each wave has 500 batches over 20 intakes."""
    with (
        # Half a batch fits, a whole one does not: each intake learns it from its first 413.
        faulty(tmp_path, seed=waves, faults=ANSWERS | BROKEN_ANSWERS, largest=800) as collector,
        bridge_with_intakes(tmp_path, collector) as bridge,
    ):
        # A timeout that a pause of the machine does not reach: after it, events that were confirmed arrive twice.
        bridge.configuration["collector"] |= {"timeout": "5s", "connections": 16}
        altered.start(bridge, constants=altered.SHORT_WAITS | altered.SMALL_BODIES)
        senders = Senders(bridge)
        with sampling(bridge) as samples:
            for _ in range(waves):
                for intake in INTAKES:
                    senders.send(intake, SLOTS * PER_SLOT, SLOTS)
                until(
                    lambda: bridge.ledger()["spooled"] <= 500,
                    lambda: f"{bridge.status()['ledger']}, {collector.faults()}",
                    deadline_seconds=300,
                    every_seconds=0.1,
                )
            until(
                senders.settle, lambda: f"{bridge.status()}, {collector.faults()}", deadline_seconds=300,
                every_seconds=0.3,
            )  # fmt: skip
        status = held.wait_settled(bridge)
        assert_exact(collector, bridge, senders, status["ledger"])
        print(len(samples), "samples;", len(collector.requests), "requests:", collector.faults())
        print("possible duplicates", status["possible_duplicates"])

    # A request id is the number of its first batch; batches of different seconds are not joined here.
    assert len({(request.key, request.id) for request in collector.requests}) >= waves * SLOTS * len(INTAKES)
    assert {*ANSWERS, *BROKEN_ANSWERS, "413"} <= collector.faults().keys(), "a fault did not occur"
    for intake in INTAKES:
        again = sum(count > 1 for count in collector.taken(key_of(intake)).values())
        assert again <= status["possible_duplicates"].get(intake, 0), intake


# Answers after which the collector has certainly not accepted the events.
CERTAIN = ["301", "401", "403-proxy", "404", "407", "408", "425", "429", "503", "400", "422", "shortfall-with-errors"]


def test_clear_answers_cause_no_possible_duplicates(tmp_path: Path) -> None:
    with (
        faulty(tmp_path, faults=dict.fromkeys(CERTAIN, 0.02)) as collector,
        bridge_with_intakes(tmp_path, collector) as bridge,
    ):
        altered.start(bridge, constants=altered.SHORT_WAITS)
        senders = Senders(bridge)
        collector.kill()
        for intake in INTAKES:
            senders.send(intake, 20, 2)
        until(
            lambda: any(intake["last_error"] for intake in bridge.status()["intakes"]),
            lambda: f"refused connection is noticed: {bridge.status()['intakes']}",
        )
        collector.start()
        until(senders.settle, lambda: f"{bridge.status()}, {collector.faults()}", every_seconds=0.3)
        status = held.wait_settled(bridge)
        assert_exact(collector, bridge, senders, status["ledger"])
    assert max(collector.taken().values()) == 1
    assert set(CERTAIN) <= collector.faults().keys()
    assert status["possible_duplicates"] == {}


def test_accepted_then_reset_counts_each_copy(tmp_path: Path) -> None:
    """An event counts once for each request that broke after it was accepted."""
    with (
        faulty(tmp_path, faults={"taken-reset": 0.2, "taken-half": 0.2}) as collector,
        bridge_with_intakes(tmp_path, collector) as bridge,
    ):
        altered.start(bridge, constants=altered.SHORT_WAITS)
        senders = Senders(bridge)
        for intake in INTAKES[:5]:
            senders.send(intake, 100, 10)
        until(senders.settle, lambda: f"{bridge.status()}, {collector.faults()}", every_seconds=0.1)
        status = held.wait_settled(bridge)
        assert_exact(collector, bridge, senders, status["ledger"])
    for intake in INTAKES[:5]:
        broken = Counter(
            text
            for request in collector.requests
            if request.key == key_of(intake) and not request.clean
            for text in request.taken
        )
        assert broken == collector.taken(key_of(intake)) - Counter(collector.taken(key_of(intake)).keys())
        assert status["possible_duplicates"].get(intake, 0) == broken.total()
    assert {"taken-reset", "taken-half"} <= collector.faults().keys()
