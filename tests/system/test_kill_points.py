"""`kill -9` where it hurts most, and at random moments while the collector misbehaves.

Whatever an append had returned for is accepted or in quarantine once the bridge runs again; only what was being sent
at a kill may arrive twice, and the next start counts it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness import altered, held, spool
from tests.harness.altered import AppendCounter
from tests.harness.altered_bridge import POINTS
from tests.harness.bridge import Bridge
from tests.harness.faulty import FaultyCollector, faulty
from tests.harness.messages import number_of, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging
from tests.harness.send import send_lines
from tests.harness.traffic import Traffic

# Faults after which the bridge cannot know whether its events were taken, or knows that it must wait; none that refuses
# an event by chance: what is refused once must be refused for ever, or a kill may make it both.
TROUBLE = {
    "reset": 0.03, "half": 0.02, "taken-reset": 0.04, "taken-half": 0.03, "taken-garbage": 0.02, "taken-500": 0.02,
    "taken-200-html": 0.02, "204": 0.02, "502": 0.02, "503": 0.02, "429": 0.002, "401": 0.02, "closed-keep-alive": 0.05,
    "slow": 0.02, "taken-never": 0.002,
}  # fmt: skip


# Batches stay files of their own, which are counted here; packs have a test of their own.
CONSTANTS = altered.IMPATIENT | {"bridge.deliver.send_queue.MIN_BATCHES": 10**9}


class Story:
    """The lives of one bridge, and what it owes after them."""

    def __init__(self, bridge: Bridge, collector: FaultyCollector, directory: Path) -> None:
        self.bridge = bridge
        self.sent: dict[int, str] = {}
        self.owed: list[range] = []
        "Numbers whose append returned."
        self.in_flight: set[int] = set()
        "Numbers in batches that were being sent at a kill."
        self.possible_duplicates = 0
        "As the starts after a kill have counted them."
        self._collector = collector
        self._directory = directory

    def live(self, *, kill: tuple[str, int] | None = None, appended: int = 0, requests: int = 0) -> None:
        """Start it, load it, until it has killed itself; or kill it after so many appended events and requests."""
        bridge, first = self.bridge, len(self.sent)
        counter = AppendCounter(self._directory / f"appended-{len(self.owed)}")
        ready = self.start(counter, kill)
        process = bridge.process
        assert process is not None
        device = Traffic(bridge.tcp, first=first, per_write=10, pause_seconds=0.004)
        requests += len(self._collector.refresh())

        def enough() -> bool:
            return counter.value() >= appended and len(self._collector.refresh()) >= requests

        try:
            if ready:
                device.start()
                until(
                    lambda: process.exit_code is not None or (kill is None and enough()),
                    lambda: f"{kill} or {appended} appended: {counter.value()} of {len(device.sent)}",
                    every_seconds=0.002,
                )
        finally:
            if kill is not None:
                assert process.exit_code == -9, f"{kill}: it ended with {process.exit_code}:\n{process.stderr}"
            bridge.kill()
            if ready:
                device.stop()
        # One connection: the first so many of this life's messages are those that were appended.
        self.owed.append(range(first, first + counter.value()))
        self.sent |= {number_of(message.text): message.text for message in device.sent}
        self.in_flight |= spool.numbers_in_flight(bridge.spool)

    def start(self, counter: AppendCounter | None, kill: tuple[str, int] | None) -> bool:
        """Start it; what it says that it has found must be what is there."""
        bridge = self.bridge
        there, refused, marked = Counter[int](), 0, set[int]()
        if bridge.spool.exists():
            there, marked = held.numbers(bridge.spool), spool.numbers_in_flight(bridge.spool)
            refused = len(list(held.refused(bridge.spool)))
        if not altered.start(bridge, constants=CONSTANTS, counter=counter, kill=kill):
            return False
        if kill is None:
            # An event that is in quarantine and in a batch is recovered once, as soon as that is seen.
            status = bridge.status()
            recovered = status["ledger"]["recovered"]
            twice = {entry["text"] for entry in held.refused(bridge.spool)}
            assert there.total() + refused - len(twice) <= recovered <= there.total() + refused, (recovered, there)
            counted = sum(status["possible_duplicates"].values())
            assert counted >= len(marked), "fewer possible duplicates than events marked as being sent"
            self.possible_duplicates += counted
        else:
            # It may die before it can be asked; its batches are marked still.
            self.possible_duplicates += len(marked)
        return True

    def end_well(self) -> None:
        """Start it for good, until all is settled; then everything must be accounted for."""
        bridge = self.bridge
        self.start(None, None)

        def settled() -> bool:
            """A refused event waits for another's acceptance: where something is left, send one more."""
            ledger = bridge.ledger()
            if ledger["spooled"]:
                number = len(self.sent)
                message = rfc5424(number, datetime.now(UTC))
                self.sent[number] = message.text
                self.owed.append(range(number, number + 1))
                send_lines(bridge.tcp, [message.frame])
            return bool(ledger["spooled"] == 0)

        until(
            settled, lambda: f"{bridge.status()}; {self._collector.faults()}", deadline_seconds=300, every_seconds=0.1
        )  # fmt: skip
        self._account(held.settled(bridge))

    def _account(self, status: dict[str, Any]) -> None:
        ledger = status["ledger"]
        refused = Counter(number_of(entry["text"]) for entry in held.refused(self.bridge.spool))
        accepted = Counter[int]()
        for text, times in self._collector.taken().items():
            number = number_of(text)
            assert self.sent.get(number) == text, f"a text that nobody sent: {text}"
            accepted[number] += times
        assert set(refused.values()) <= {1}, "twice in quarantine"
        assert not refused.keys() & accepted.keys(), "both accepted and in quarantine"
        missing = [number for life in self.owed for number in life if number not in accepted and number not in refused]
        assert not missing, f"{len(missing)} appended events are lost: {missing[:5]} ..."
        again = {number for number, times in accepted.items() if times > 1}
        doubtful = {number_of(text) for text in self._collector.doubtful()}
        unmarked = again - self.in_flight - doubtful
        assert not unmarked, f"{len(unmarked)} delivered twice, though not being sent at a kill: {sorted(unmarked)[:5]}"
        # What a life counted of its collector's cut answers died with it: those are left out.
        assert len(again - doubtful) <= self.possible_duplicates
        assert (ledger["spooled"], ledger["buffered"], ledger["dropped"]) == (0, 0, {}), ledger
        assert ledger["quarantined"] == refused.total(), ledger
        print(
            f"{len(self.owed)} lives, {len(accepted)} accepted, {len(again)} twice, {refused.total()} refused,"
            f" {self.possible_duplicates} possible duplicates"
        )


@contextmanager
def telling(directory: Path, **plan: Any) -> Iterator[Story]:
    """A bridge and its faulty collector; at the end all must be settled."""
    with (
        faulty(directory, **plan) as collector,
        bridging(directory, collector.url, batch={"max_age": "200ms", "max_events": 500}) as bridge,
    ):
        if "faults" in plan:
            # Some of them never answer. Where all do, a machine that stands still for a second is no fault.
            bridge.configuration["collector"] |= {"timeout": "1s"}
        story = Story(bridge, collector, directory)
        yield story
        story.end_well()


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.long)])
def test_killed_at(tmp_path: Path, point: str, kills: int) -> None:
    """The first passages and later ones, in a spool that holds what the kill before has left."""
    chance = random.Random(point)
    with telling(tmp_path, poison_every=250) as story:
        for _ in range(kills):
            story.live(kill=(point, chance.randint(1, 8)))


@pytest.mark.weight(40)
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.long)])
def test_killed_at_random_moments_with_a_faulty_collector(tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    with telling(tmp_path, seed=kills, faults=TROUBLE, poison_every=4000) as story:
        for _ in range(kills):
            story.live(appended=chance.randint(1, 1500), requests=chance.randint(0, 8))
