"""Tests refusals of the collector: one event, several events, all events, and requests that are too large."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.harness import altered, held
from tests.harness.bridge import Bridge
from tests.harness.faulty import FaultyCollector, faulty
from tests.harness.messages import SentMessage, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging
from tests.harness.send import send_lines

REFUSAL_TEXT = "there is poison in it"  # in the collector's answer
PARKED_WAIT = 3.0


def messages(count: int, *, first: int = 0) -> list[SentMessage]:
    """Builds messages of one second, so of one batch."""
    now = datetime.now(UTC).replace(microsecond=0)
    return [rfc5424(first + place, now) for place in range(count)]


def send(bridge: Bridge, sent: list[SentMessage]) -> None:
    """Sends all messages and waits until they are received."""
    before = bridge.ledger()["received"]
    send_lines(bridge.tcp, (message.frame for message in sent))
    bridge.wait_received(before + len(sent))


def one_batch(directory: Path, collector: FaultyCollector, events: int) -> Any:
    """Runs a bridge that seals a batch at `events` events, so that as many sent together are one batch."""
    return bridging(directory, collector.url, batch={"max_age": "1m", "max_events": events})


def only_intake(status: dict[str, Any]) -> dict[str, Any]:
    (intake,) = status["intakes"]
    found: dict[str, Any] = intake
    return found


OTHER_PLACES = [pytest.param(place, marks=pytest.mark.long) for place in (1, 2499, 2500, 4998)]


@pytest.mark.parametrize("place", [0, *OTHER_PLACES, 4999])
def test_one_refused_event_of_5000_is_found_and_quarantined(tmp_path: Path, place: int) -> None:
    sent = messages(5000)
    poison = sent[place].text
    with faulty(tmp_path, poison=poison) as collector, one_batch(tmp_path, collector, 5000) as bridge:
        bridge.start()
        send(bridge, sent)
        status = held.wait_settled(bridge)
        entries = list(held.refused_entries(bridge.spool))
    assert collector.requests[0].count == 5000, "it was one batch"
    assert len(collector.requests) <= 30, f"{len(collector.requests)} requests"
    print(f"{len(collector.requests)} requests")
    assert collector.taken() == dict.fromkeys((message.text for message in sent if message.text != poison), 1)
    assert [(entry["intake"], entry["text"]) for entry in entries] == [("all", poison)]
    assert REFUSAL_TEXT in entries[0]["reason"] and "400" in entries[0]["reason"]
    assert status["ledger"]["quarantined"] == 1 and status["ledger"]["delivered"] == 4999, status["ledger"]
    assert status["quarantine"]["refused"] == 1
    assert only_intake(status)["requests"]["refused"] == sum(
        request.fault == "poison" for request in collector.requests
    )
    assert status["possible_duplicates"] == {}


def test_several_refused_events_of_a_batch_are_quarantined(tmp_path: Path) -> None:
    """The first, the last and two neighbouring events are refused."""
    now = datetime.now(UTC).replace(microsecond=0)
    wrong = [rfc5424(1000 * place + 7, now) for place in range(4)]
    fine = messages(396, first=100)
    with faulty(tmp_path, poison_every=1000) as collector, one_batch(tmp_path, collector, 400) as bridge:
        # Without the limit of 64 requests a minute and batch, which other tests cover.
        altered.start(bridge, constants=altered.SHORT_WAITS)
        send(bridge, wrong[:1] + fine[:50] + wrong[1:3] + fine[50:] + wrong[3:])
        status = held.wait_settled(bridge)
        refused = {entry["text"] for entry in held.refused_entries(bridge.spool)}
    assert refused == {message.text for message in wrong}
    assert collector.taken() == dict.fromkeys((message.text for message in fine), 1)
    assert status["ledger"]["quarantined"] == len(wrong)


def test_refused_events_in_every_batch_do_not_park_the_intake(tmp_path: Path) -> None:
    """Each batch has a refused event, but every search also finds accepted events: the collector does not refuse
    everything, so the intake must not park."""
    sent = messages(6000)
    bad = {message.text for message in sent[7::100]}
    with faulty(tmp_path, poison_every=100) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration["batch"] |= {"max_events": 500}
        altered.start(bridge, constants={"bridge.deliver.split_queue.PER_MINUTE": 100_000})
        send(bridge, sent)
        until(
            lambda: bridge.ledger()["spooled"] == 0 or only_intake(bridge.status())["state"] == "parked",
            lambda: f"the backlog drains: {bridge.status()}",
        )
        assert only_intake(bridge.status())["state"] != "parked", bridge.status()["intakes"]
        status = held.wait_settled(bridge)
        refused = {entry["text"] for entry in held.refused_entries(bridge.spool)}
    assert refused == bad and status["ledger"]["quarantined"] == len(bad)
    assert collector.taken() == dict.fromkeys((message.text for message in sent if message.text not in bad), 1)


def test_single_refused_event_waits_until_another_is_accepted(tmp_path: Path) -> None:
    """The event or the collector may be at fault: the event stays in the spool until another is accepted."""
    bad, good = messages(8)[7], messages(1, first=100)
    with faulty(tmp_path, poison_every=1000) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.start()
        send(bridge, [bad])
        until(lambda: only_intake(bridge.status())["requests"]["refused"] == 1, lambda: f"refused: {bridge.status()}")
        status = bridge.status()
        assert (status["ledger"]["spooled"], status["ledger"]["quarantined"]) == (1, 0)
        assert REFUSAL_TEXT in only_intake(status)["last_error"]
        assert held.message_numbers(bridge.spool) == {7: 1}
        bridge.stop()

        # A restart sends it once more and learns nothing new.
        bridge.start()
        until(lambda: only_intake(bridge.status())["requests"]["refused"] == 1, lambda: f"refused: {bridge.status()}")
        assert not list(held.refused_entries(bridge.spool)) and held.message_numbers(bridge.spool) == {7: 1}

        send(bridge, good)
        held.wait_settled(bridge)
        until(lambda: not held.batch_files(bridge.spool), "batch files are removed")
        assert [entry["text"] for entry in held.refused_entries(bridge.spool)] == [bad.text]
        ledger = bridge.ledger()
    assert (ledger["delivered"], ledger["quarantined"], ledger["recovered"]) == (1, 1, 1), ledger
    assert collector.taken() == {good[0].text: 1}
    assert len(collector.requests) == 3


def test_413_halves_the_request_and_the_size_is_remembered(tmp_path: Path) -> None:
    sent = messages(4000)
    size = len("\n".join(message.text for message in sent))
    largest = size // 5
    with faulty(tmp_path, largest=largest) as collector, one_batch(tmp_path, collector, 4000) as bridge:
        altered.start(bridge, constants=altered.SMALL_BODIES)
        send(bridge, sent)
        bridge.wait_drained()
        first = len(collector.refresh())
        assert collector.requests[0].count == 4000, "it was one batch"
        # 4000, 2000 and 1000 are too large, then eight requests fit: each size is tried once.
        assert [request.count for request in collector.requests if request.fault == "413"] == [4000, 2000, 1000]
        assert first == 3 + 8
        again = messages(4000, first=4000)
        send(bridge, again)
        status = held.wait_settled(bridge)
    assert collector.faults() == {"413": 3, "none": 16}, "the second batch used the known size"
    assert max(request.size for request in collector.requests if request.fault == "none") <= largest
    assert collector.taken() == dict.fromkeys((message.text for message in sent + again), 1)
    assert status["ledger"]["delivered"] == 8000 and status["ledger"]["quarantined"] == 0


@pytest.mark.parametrize("count", [1, 5000])
def test_intake_parks_when_every_event_is_refused_and_recovers(tmp_path: Path, count: int) -> None:
    """Nothing is quarantined; the intake parks within 16 requests with the reason, and recovers later."""
    marker = tmp_path / "refuse"
    marker.touch()
    with faulty(tmp_path, refuse_all=str(marker)) as collector, bridging(tmp_path, collector.url) as bridge:
        # The waits while parked are long enough to tell them from others, and to end the refusals within one.
        altered.start(bridge, constants={"bridge.deliver.retry_state.PARKED_WAIT": PARKED_WAIT})
        sent: list[SentMessage] = []

        def parked() -> dict[str, Any] | None:
            # A single event is sent once, and again only with others: send more.
            if count == 1:
                fresh = messages(1, first=len(sent))
                send(bridge, fresh)
                sent.extend(fresh)
            status = bridge.status()
            return status if only_intake(status)["state"] == "parked" else None

        if count > 1:
            sent += messages(count)
            send(bridge, sent)
        status = until(parked, lambda: f"parked: {bridge.status()}", every_seconds=0.1)
        assert status is not None
        assert "I cannot read this" in only_intake(status)["last_error"]
        (alarm,) = [alarm["text"] for alarm in status["alarms"] if "is parked" in alarm["text"]]
        assert "the collector refuses everything" in alarm and "I cannot read this" in alarm
        assert status["ledger"]["quarantined"] == 0 and status["ledger"]["spooled"] == len(sent)
        # Parked for a second time: no event has been given up.
        until(lambda: len(collector.refresh()) >= 32, lambda: f"it retries: {bridge.status()}")
        until(
            lambda: (only_intake(bridge.status())["next_attempt_seconds"] or 0) > PARKED_WAIT / 2,
            lambda: f"waits again: {bridge.status()}",
        )
        assert bridge.ledger()["quarantined"] == 0
        # A look at the bridge could come too late to count the requests before the first wait.
        pauses = [later.at - earlier.at for earlier, later in pairwise(collector.requests[:17])]
        assert max(pauses) >= 0.8 * PARKED_WAIT, f"not parked within 16 requests: {pauses}"

        marker.unlink()
        status = held.wait_settled(bridge)
        assert not list(held.refused_entries(bridge.spool))
    assert collector.taken() == dict.fromkeys((message.text for message in sent), 1)
    assert status["ledger"]["delivered"] == len(sent) and status["ledger"]["quarantined"] == 0
    # It counts as delivering for a minute after the next look at its rates.
    assert only_intake(status)["state"] in ("idle", "delivering") and only_intake(status)["last_error"] is None
    assert not [alarm for alarm in status["alarms"] if alarm["kind"] == "parked"]
