"""Tests senders with random clocks: with ``scattered_endpoint``, each event has its exact time, in few requests."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.polling import until
from tests.harness.running import running
from tests.harness.send import send_lines, udp

EVENTS = 600
DAYS = 20


def random_clocks(seed: int) -> dict[str, datetime]:
    """Returns texts with a random time each."""
    now, chance = datetime.now(UTC).replace(microsecond=0), random.Random(seed)
    return {f"event {seed}-{i}": now - timedelta(seconds=chance.randrange(DAYS * 86_400)) for i in range(EVENTS)}


def frames(times: dict[str, datetime]) -> list[bytes]:
    return [f"<13>{time:%b %e %H:%M:%S} gw app: {text}".encode() for text, time in times.items()]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_each_event_has_its_exact_time_in_few_requests(tmp_path: Path, transport: str) -> None:
    with running(tmp_path, intakes={"all": {"scattered_endpoint": "/array"}}) as (collector, bridge):
        bridge.stop()
        # 600 requests would take five minutes, longer than any deadline of a test.
        bridge.configuration["collector"]["max_request_rate"] = 2
        bridge.start()
        sent: dict[str, datetime] = {}
        for seed in range(3):
            times = random_clocks(seed)
            sent |= times
            if transport == "tcp":
                send_lines(bridge.tcp, frames(times))
            else:
                with udp() as origin:
                    for number, frame in enumerate(frames(times), start=1):
                        origin.sendto(frame, ("127.0.0.1", bridge.udp))
                        if number % 100 == 0:
                            bridge.wait_received(seed * EVENTS + number)
            bridge.wait_received((seed + 1) * EVENTS)
        until(lambda: len(collector.refresh()) >= len(sent), lambda: f"{len(sent)} events: {bridge.status()}")
        assert {event.text: event.time for event in collector.arrived} == sent
        assert len(collector.arrived) == len(sent)
        assert "width" not in {alarm["kind"] for alarm in bridge.status()["alarms"]}


def test_events_of_one_time_keep_the_endpoint(tmp_path: Path) -> None:
    """The header's time is that of the first event, so the time of the second shows which endpoint was used."""
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    lines = [f"<13>1 {moment:%Y-%m-%dT%H:%M:%S}.{ms}Z gw app - - - event {ms}".encode() for ms in (250, 750)]
    with running(tmp_path, intakes={"all": {"scattered_endpoint": "/array"}}) as (collector, bridge):
        send_lines(bridge.tcp, lines)
        until(lambda: len(collector.refresh()) >= 2, lambda: f"2 events: {bridge.status()}")
        assert {event.time for event in collector.arrived} == {moment + timedelta(milliseconds=250)}
