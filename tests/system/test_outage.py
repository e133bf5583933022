"""Tests outages of the collector and a stop with undelivered events: every event arrives, none twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness import spool
from tests.harness.asserting import assert_same, assert_times, assert_two_lanes
from tests.harness.bridge import Bridge, key_of
from tests.harness.gate import Gate
from tests.harness.messages import number_of, rfc5424
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines
from tests.harness.traffic import traffic

# One request in flight at a time: the order of arrival is then the order in which requests began.
ONE_AT_A_TIME = {"connections_per_intake": 1, "max_request_rate": 1000}


def wait_for_backlog(bridge: Bridge, *, batches: int) -> None:
    """Waits until the bridge has noticed the outage and this many batches are in the backlog."""

    def waiting() -> bool:
        (intake,) = bridge.status()["intakes"]
        return (
            intake["state"] == "backing-off"
            and bool(intake["last_error"])
            and intake["backlog_events"] > 0
            and len(spool.batches(bridge.spool)) >= batches
        )

    until(
        waiting,
        lambda: f"{batches} batches in the backlog: {len(spool.batches(bridge.spool))}, {bridge.status()['intakes']}",
    )


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.long)])
def test_outage_under_traffic_delivers_each_event_once_in_order(tmp_path: Path, seconds: int) -> None:
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        gate.open()
        with bridging(tmp_path, gate.url) as bridge:
            bridge.configuration["collector"] |= ONE_AT_A_TIME
            bridge.start()
            with traffic(bridge.tcp) as device:
                collector.wait_for(200)
                gate.shut()
                gone = time.monotonic()
                wait_for_backlog(bridge, batches=20)
                until(lambda: time.monotonic() - gone >= seconds, "the outage is over", deadline_seconds=seconds + 180)
                back_at = len(device.sent)
                gate.open()
                # Wait until live events arrive too, beside the backlog.
                until(
                    lambda: any(number_of(event.text) > back_at for event in collector.refresh()),
                    lambda: f"events after number {back_at}; {bridge.status()}",
                )
            collector.wait_for(len(device.sent))
            bridge.wait_drained()
        gate.shut()
        events = collector.refresh()
    assert_same((event.text for event in events), (message.text for message in device.sent))
    assert_two_lanes(events)
    assert {request.status // 100 for request in gate.requests} == {2}


def test_killed_collector_gets_every_event_after_its_restart(tmp_path: Path) -> None:
    """Every event arrives; only events that the killed collector had already accepted may arrive again."""
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.start()
        with traffic(bridge.tcp) as device:
            collector.wait_for(200)
            collector.kill()
            taken = len(collector.refresh())
            wait_for_backlog(bridge, batches=10)
            collector.start()
            collector.wait_for(taken + 200)
        until(lambda: bridge.ledger()["received"] >= len(device.sent), lambda: f"all received: {bridge.status()}")
        bridge.wait_drained()
        events = collector.refresh()
    first, second = events[:taken], events[taken:]
    sent = {message.text for message in device.sent}
    assert sent == {event.text for event in events}
    assert len({event.text for event in first}) == len(first)
    assert len({event.text for event in second}) == len(second)


def test_undelivered_events_survive_a_stop(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    sent = [rfc5424(number, now) for number in range(3000)]
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        intakes: dict[str, dict[str, str]] = {"first": {}, "second": {}}
        with bridging(
            tmp_path, gate.url, intakes=intakes, routes=[{"intake": "second", "source": "127.0.1.2"}]
        ) as bridge:
            bridge.start()
            for source in ("127.0.1.1", "127.0.1.2"):
                send_lines(bridge.tcp, (message.frame for message in sent), source=source)
            bridge.wait_received(2 * len(sent))
            bridge.stop()
            assert not collector.refresh()
            assert spool.batches(bridge.spool), "undelivered events are in sealed batches after SIGTERM"

            gate.open()
            bridge.start()
            collector.wait_for(2 * len(sent))
            bridge.wait_drained()
            ledger = bridge.ledger()
        gate.shut()
        assert (ledger["recovered"], ledger["delivered"]) == (2 * len(sent), 2 * len(sent)), ledger
        for intake in intakes:
            texts = [event.text for event in collector.refresh() if event.key == key_of(intake)]
            assert_same(texts, (message.text for message in sent), intake)
        assert_times(collector.arrived)


def test_bridge_is_ready_while_the_collector_is_unreachable(tmp_path: Path) -> None:
    """A gateway that can spool must get traffic, so it is ready; the status shows the error."""
    with bridging(tmp_path, f"http://127.0.0.1:{free_port()}") as bridge:
        bridge.start()
        send_lines(bridge.tcp, [rfc5424(1, datetime.now(UTC)).frame])
        wait_for_backlog(bridge, batches=1)
        assert bridge.get("/readyz")[0] == 200
