"""What the collector refuses: one event, several, everything, and what is too large for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness import altered, held
from tests.harness.bridge import Bridge
from tests.harness.faulty import FaultyCollector, faulty
from tests.harness.messages import Sent, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging
from tests.harness.send import send_lines

WORDS = "there is poison in it"  # of the collector's answer


def messages(count: int, *, first: int = 0) -> list[Sent]:
    """Of one second, so of one batch."""
    now = datetime.now(UTC).replace(microsecond=0)
    return [rfc5424(first + place, now) for place in range(count)]


def send(bridge: Bridge, sent: list[Sent]) -> None:
    """All of it, and wait until it is received."""
    before = bridge.ledger()["received"]
    send_lines(bridge.tcp, (message.frame for message in sent))
    bridge.wait_received(before + len(sent))


def one_batch(directory: Path, collector: FaultyCollector, events: int) -> Any:
    """A bridge that seals a batch when it holds so many events: as many, sent at once, are one batch."""
    return bridging(directory, collector.url, batch={"max_age": "1m", "max_events": events})


def one(status: dict[str, Any]) -> dict[str, Any]:
    (intake,) = status["intakes"]
    found: dict[str, Any] = intake
    return found


LONG = [pytest.param(place, marks=pytest.mark.long) for place in (1, 2499, 2500, 4998)]


@pytest.mark.parametrize("place", [0, *LONG, 4999])
def test_one_poison_event_in_five_thousand(tmp_path: Path, place: int) -> None:
    sent = messages(5000)
    poison = sent[place].text
    with faulty(tmp_path, poison=poison) as collector, one_batch(tmp_path, collector, 5000) as bridge:
        bridge.start()
        send(bridge, sent)
        status = held.settled(bridge)
        entries = list(held.refused(bridge.spool))
    assert collector.seen[0].count == 5000, "it was one batch"
    assert len(collector.seen) <= 30, f"{len(collector.seen)} requests"
    print(f"{len(collector.seen)} requests")
    assert collector.taken() == dict.fromkeys((message.text for message in sent if message.text != poison), 1)
    assert [(entry["intake"], entry["text"]) for entry in entries] == [("all", poison)]
    assert WORDS in entries[0]["reason"] and "400" in entries[0]["reason"]
    assert status["ledger"]["quarantined"] == 1 and status["ledger"]["delivered"] == 4999, status["ledger"]
    assert status["quarantine"]["refused"] == 1
    assert one(status)["requests"]["refused"] == sum(seen.fault == "poison" for seen in collector.seen)
    assert status["possible_duplicates"] == {}


def test_several_poison_events(tmp_path: Path) -> None:
    """The first, the last, and neighbours between them."""
    now = datetime.now(UTC).replace(microsecond=0)
    wrong = [rfc5424(1000 * place + 7, now) for place in range(4)]
    fine = messages(396, first=100)
    with faulty(tmp_path, poison_every=1000) as collector, one_batch(tmp_path, collector, 400) as bridge:
        # Without the limit of 64 requests a minute and batch, of which other tests tell.
        altered.start(bridge, constants=altered.IMPATIENT)
        send(bridge, wrong[:1] + fine[:50] + wrong[1:3] + fine[50:] + wrong[3:])
        status = held.settled(bridge)
        refused = {entry["text"] for entry in held.refused(bridge.spool)}
    assert refused == {message.text for message in wrong}
    assert collector.taken() == dict.fromkeys((message.text for message in fine), 1)
    assert status["ledger"]["quarantined"] == len(wrong)


def test_poison_in_every_batch_of_a_backlog(tmp_path: Path) -> None:
    """Refusals from all sides, but each search ends at events that are accepted: that is no collector that refuses
    everything, and the intake must not park (for minutes, and then again)."""
    sent = messages(6000)
    bad = {message.text for message in sent[7::100]}
    with faulty(tmp_path, poison_every=100) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration["batch"] |= {"max_events": 500}
        altered.start(bridge, constants={"bridge.deliver.split_queue.PER_MINUTE": 100_000})
        send(bridge, sent)
        until(
            lambda: bridge.ledger()["spooled"] == 0 or one(bridge.status())["state"] == "parked",
            lambda: f"it drains: {bridge.status()}",
        )
        assert one(bridge.status())["state"] != "parked", bridge.status()["intakes"]
        status = held.settled(bridge)
        refused = {entry["text"] for entry in held.refused(bridge.spool)}
    assert refused == bad and status["ledger"]["quarantined"] == len(bad)
    assert collector.taken() == dict.fromkeys((message.text for message in sent if message.text not in bad), 1)


def test_alone_in_a_quiet_intake(tmp_path: Path) -> None:
    """Is it the event, or the collector? It stays in the spool until another event is accepted."""
    bad, good = messages(8)[7], messages(1, first=100)
    with faulty(tmp_path, poison_every=1000) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.start()
        send(bridge, [bad])
        until(lambda: one(bridge.status())["requests"]["refused"] == 1, lambda: f"refused: {bridge.status()}")
        status = bridge.status()
        assert (status["ledger"]["spooled"], status["ledger"]["quarantined"]) == (1, 0)
        assert WORDS in one(status)["last_error"]
        assert held.numbers(bridge.spool) == {7: 1}
        bridge.stop()

        # A restart asks once more, and knows no more.
        bridge.start()
        until(lambda: one(bridge.status())["requests"]["refused"] == 1, lambda: f"refused: {bridge.status()}")
        assert not list(held.refused(bridge.spool)) and held.numbers(bridge.spool) == {7: 1}

        send(bridge, good)
        held.settled(bridge)
        until(lambda: not held.batch_files(bridge.spool), "the files are gone")
        assert [entry["text"] for entry in held.refused(bridge.spool)] == [bad.text]
        ledger = bridge.ledger()
    assert (ledger["delivered"], ledger["quarantined"], ledger["recovered"]) == (1, 1, 1), ledger
    assert collector.taken() == {good[0].text: 1}
    assert len(collector.seen) == 3


def test_too_large_is_halved_and_the_size_remembered(tmp_path: Path) -> None:
    sent = messages(4000)
    size = len("\n".join(message.text for message in sent))
    largest = size // 5
    with faulty(tmp_path, largest=largest) as collector, one_batch(tmp_path, collector, 4000) as bridge:
        bridge.start()
        send(bridge, sent)
        bridge.wait_drained()
        first = len(collector.refresh())
        assert collector.seen[0].count == 4000, "it was one batch"
        # 4000, 2000, 1000 in vain, then eight that fit: none but the first of a size is tried.
        assert [seen.count for seen in collector.seen if seen.fault == "413"] == [4000, 2000, 1000]
        assert first == 3 + 8
        again = messages(4000, first=4000)
        send(bridge, again)
        status = held.settled(bridge)
    assert collector.faults() == {"413": 3, "none": 16}, "the second batch knew"
    assert max(seen.size for seen in collector.seen if seen.fault == "none") <= largest
    assert collector.taken() == dict.fromkeys((message.text for message in sent + again), 1)
    assert status["ledger"]["delivered"] == 8000 and status["ledger"]["quarantined"] == 0


@pytest.mark.parametrize("count", [1, 5000])
def test_everything_is_refused(tmp_path: Path, count: int) -> None:
    """Nothing goes to quarantine; the intake parks within 16 requests and says why; it recovers."""
    marker = tmp_path / "refuse"
    marker.touch()
    with faulty(tmp_path, refuse_all=str(marker)) as collector, bridging(tmp_path, collector.url) as bridge:
        # The first parked wait is long: the requests before it are counted at leisure.
        altered.start(bridge, constants={"bridge.deliver.retry_state.PARKED_WAIT": 0.8})
        sent: list[Sent] = []

        def parked() -> bool:
            # One event alone is refused once, and then only asked for with others: more must come.
            if count == 1:
                fresh = messages(1, first=len(sent))
                send(bridge, fresh)
                sent.extend(fresh)
            return one(bridge.status())["state"] == "parked"

        if count > 1:
            sent += messages(count)
            send(bridge, sent)
        until(parked, lambda: f"parked: {bridge.status()}", every_seconds=0.1)
        requests = len(collector.refresh())
        status = bridge.status()
        assert requests <= 16, requests
        assert "the collector refuses everything" in one(status)["last_error"]
        assert "I cannot read this" in one(status)["last_error"]
        assert any("is parked" in alarm["text"] for alarm in status["alarms"])
        assert status["ledger"]["quarantined"] == 0 and status["ledger"]["spooled"] == len(sent)
        # Parked for a second time, as hopeless as before: nothing has been given up.
        until(lambda: len(collector.refresh()) >= 32, lambda: f"it tries again: {bridge.status()}")
        until(lambda: one(bridge.status())["state"] == "parked", lambda: f"parked: {bridge.status()}")
        assert bridge.ledger()["quarantined"] == 0

        marker.unlink()
        status = held.settled(bridge)
        assert not list(held.refused(bridge.spool))
    assert collector.taken() == dict.fromkeys((message.text for message in sent), 1)
    assert status["ledger"]["delivered"] == len(sent) and status["ledger"]["quarantined"] == 0
    assert one(status)["state"] == "idle" and one(status)["last_error"] is None
    assert not [alarm for alarm in status["alarms"] if alarm["kind"] == "parked"]
