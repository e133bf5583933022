"""Whatever the collector answers, every event ends in one column of the ledger."""

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
from tests.harness.messages import Sent, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging
from tests.harness.send import send_lines

# Each request meets one of these with the chance given: about every second one.
ANSWERS = {
    "200-html": 0.01, "200-wrong-json": 0.01, "200-no-object": 0.005, "200-empty": 0.005, "204": 0.01,
    "taken-200-html": 0.01, "taken-without-ids": 0.02, "shortfall": 0.02, "shortfall-with-errors": 0.02,
    "shortfall-with-nulls": 0.02, "301": 0.01, "400": 0.04, "401": 0.01, "403": 0.01, "403-proxy": 0.01, "404": 0.01,
    "405": 0.01, "407": 0.01, "408": 0.01, "422": 0.02, "425": 0.01, "429": 0.005, "429-date": 0.005, "500": 0.01,
    "502": 0.01, "503": 0.01, "504": 0.01, "599": 0.01, "taken-500": 0.01, "taken-502": 0.01, "taken-504": 0.01,
    "slow": 0.02, "closed-keep-alive": 0.05,
}  # fmt: skip
BREAKS = {
    "reset": 0.015, "half": 0.01, "taken-half": 0.015, "taken-half-reset": 0.01, "taken-reset": 0.02,
    "taken-short-length": 0.01, "taken-long-length": 0.01, "garbage": 0.01, "taken-garbage": 0.01,
    "never": 0.003, "taken-never": 0.003,
}  # fmt: skip
INTAKES = [f"intake-{number:02}" for number in range(20)]
SOURCE_OF = {intake: f"127.0.1.{number}" for number, intake in enumerate(INTAKES, start=1)}
SLOTS, PER_SLOT = 25, 12


@contextmanager
def sampling(bridge: Bridge) -> Iterator[list[dict[str, Any]]]:
    """`/api/status` again and again: `Bridge.status` holds each against the ledger's identity."""
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
    """A device an intake; all that they ever sent."""

    def __init__(self, bridge: Bridge) -> None:
        self.sent: dict[str, list[Sent]] = {intake: [] for intake in INTAKES}
        self._bridge = bridge
        self._start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def send(self, intake: str, count: int, slots: int) -> None:
        """So many messages, whose times lie in so many seconds."""
        fresh = [
            rfc5424(self._count + place, self._start + timedelta(milliseconds=place * slots * 1000 // count))
            for place in range(count)
        ]
        self._count += count
        self.sent[intake] += fresh
        send_lines(self._bridge.tcp, (message.frame for message in fresh), source=SOURCE_OF[intake])

    def nudge(self) -> bool:
        """Whether all is settled. Where not, one more message: a refused event waits for another's acceptance."""
        status = self._bridge.status()
        for intake in status["intakes"]:
            # A parked one tries again by itself, unless all that it has left is a refused event.
            if intake["backlog_events"] and (intake["state"] != "parked" or intake["next_attempt_seconds"] is None):
                self.send(intake["name"], 1, 1)
        return status["ledger"]["spooled"] == 0 and status["ledger"]["received"] == self._count


def make(directory: Path, collector: FaultyCollector, **batch: Any) -> Any:
    return bridging(
        directory, collector.url, intakes={intake: {} for intake in INTAKES},
        routes=[{"intake": intake, "source": SOURCE_OF[intake]} for intake in INTAKES],
        batch={"max_age": "200ms", "catch_up_resolution": "1s", **batch},
    )  # fmt: skip


def assert_exact(collector: FaultyCollector, bridge: Bridge, senders: Senders, ledger: dict[str, Any]) -> None:
    """Every event ended in one column, and every column is true."""
    refused = Counter((entry["intake"], entry["text"]) for entry in held.refused(bridge.spool))
    withheld = collector.withheld()
    # Taken by a request of which the sender heard nothing, and left out of the answer to its repetition.
    twofold = withheld & collector.doubtful()
    assert set(refused.values()) <= {1}
    for intake in INTAKES:
        sent = {message.text for message in senders.sent[intake]}
        taken = collector.taken(key_of(intake)).keys()
        kept_back = {text for name, text in refused if name == intake}
        assert taken == sent - kept_back - (withheld - twofold), intake
        assert not kept_back & withheld and kept_back <= sent, intake
    times = collector.taken()
    again = {text for text, count in times.items() if count > 1}
    assert again <= collector.doubtful(), "twice, though the sender could know that it was taken"
    dropped = {"collector_shortfall": len(withheld)} if withheld else {}
    assert ledger["dropped"] == dropped
    assert ledger["quarantined"] == len(refused)
    assert ledger["delivered"] == senders.count - len(refused) - len(withheld) == len(times) - len(twofold)


@pytest.mark.weight(11)
@pytest.mark.parametrize("waves", [1, pytest.param(20, marks=pytest.mark.long)])
def test_faults_of_all_kinds(tmp_path: Path, waves: int) -> None:
    """500 batches a wave over 20 intakes."""
    with (
        # Half a batch fits, a whole one does not: each intake learns that with its first 413.
        faulty(tmp_path, seed=waves, faults=ANSWERS | BREAKS, largest=800) as collector,
        make(tmp_path, collector) as bridge,
    ):
        bridge.configuration["collector"] |= {"timeout": "1s", "connections": 16}
        altered.start(bridge, constants=altered.IMPATIENT)
        senders = Senders(bridge)
        with sampling(bridge) as samples:
            for _ in range(waves):
                for intake in INTAKES:
                    senders.send(intake, SLOTS * PER_SLOT, SLOTS)
                until(
                    lambda: bridge.ledger()["spooled"] <= 500,
                    lambda: f"{bridge.status()['ledger']}, {collector.faults()}",
                    deadline_seconds=120,
                    every_seconds=0.1,
                )
            until(
                senders.nudge, lambda: f"{bridge.status()}, {collector.faults()}", deadline_seconds=120,
                every_seconds=0.3,
            )  # fmt: skip
        status = held.settled(bridge)
        assert_exact(collector, bridge, senders, status["ledger"])
        print(len(samples), "samples;", len(collector.seen), "requests:", collector.faults())
        print("possible duplicates", status["possible_duplicates"])

    # A request bears the number of its first batch; batches of different seconds are not joined here.
    assert len({(seen.key, seen.id) for seen in collector.seen}) >= waves * SLOTS * len(INTAKES)
    assert {*ANSWERS, *BREAKS, "413"} <= collector.faults().keys(), "a fault that never came"
    for intake in INTAKES:
        again = sum(count > 1 for count in collector.taken(key_of(intake)).values())
        assert again <= status["possible_duplicates"].get(intake, 0), intake


# Answers after which the collector certainly has not taken the events, and connections that it never made.
CERTAIN = ["301", "401", "403-proxy", "404", "407", "408", "425", "429", "503", "400", "422", "shortfall-with-errors"]


def test_no_possible_duplicates_where_the_answer_is_clear(tmp_path: Path) -> None:
    with (
        faulty(tmp_path, faults=dict.fromkeys(CERTAIN, 0.02)) as collector,
        make(tmp_path, collector) as bridge,
    ):
        altered.start(bridge, constants=altered.IMPATIENT)
        senders = Senders(bridge)
        collector.kill()
        for intake in INTAKES:
            senders.send(intake, 20, 2)
        until(
            lambda: any(intake["last_error"] for intake in bridge.status()["intakes"]),
            lambda: f"it sees that nobody listens: {bridge.status()['intakes']}",
        )
        collector.start()
        until(senders.nudge, lambda: f"{bridge.status()}, {collector.faults()}", every_seconds=0.3)
        status = held.settled(bridge)
        assert_exact(collector, bridge, senders, status["ledger"])
    assert max(collector.taken().values()) == 1
    assert set(CERTAIN) <= collector.faults().keys()
    assert status["possible_duplicates"] == {}


def test_accepted_then_reset_is_counted_event_by_event(tmp_path: Path) -> None:
    """Neither more nor less: an event counts once, however often its request broke."""
    with (
        faulty(tmp_path, faults={"taken-reset": 0.2, "taken-half": 0.2}) as collector,
        make(tmp_path, collector) as bridge,
    ):
        altered.start(bridge, constants=altered.IMPATIENT)
        senders = Senders(bridge)
        for intake in INTAKES[:5]:
            senders.send(intake, 100, 10)
        until(senders.nudge, lambda: f"{bridge.status()}, {collector.faults()}", every_seconds=0.1)
        status = held.settled(bridge)
        assert_exact(collector, bridge, senders, status["ledger"])
    for intake in INTAKES[:5]:
        broken = {
            text for seen in collector.seen if seen.key == key_of(intake) and not seen.clean for text in seen.taken
        }
        assert broken == {text for text, count in collector.taken(key_of(intake)).items() if count > 1}
        assert status["possible_duplicates"].get(intake, 0) == len(broken)
    assert {"taken-reset", "taken-half"} <= collector.faults().keys()
