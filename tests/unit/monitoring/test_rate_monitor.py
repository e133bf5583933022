"""Tests ``alert_if_rate_below``: what is learned, when a source is reported, and that ordinary traffic is not."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.config.units import Share
from bridge.ingest.peers import Peers
from bridge.monitoring import rate_monitor
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.rate_file import FILE, LearnedRates
from bridge.monitoring.rate_monitor import EVERY, RateMonitor, end_percent, needed_events
from bridge.routing import Router
from tests.unit.ingest.test_pipeline import Intake, Route, Unrouted
from tests.unit.routing.test_routing import Source

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
FW1 = Source((ip_network("10.0.0.1"),), name="fw1", alert_if_rate_below=Share(30))
Traffic = Callable[[datetime], float]
"Returns the events per minute at a time."


def router(*sources: Source) -> Router:
    return Router(
        routes=[Route("all", "a")], intakes={"a": Intake()}, listeners={"udp": None}, unrouted=Unrouted(),
        timezone=UTC, sources=sources,
    )  # fmt: skip


def office(now: datetime) -> float:
    """480 events/min in office hours of weekdays, otherwise 20."""
    return 480 if now.weekday() < 5 and 8 <= now.hour < 18 else 20


class Watching:
    """A monitor on a clock that the test advances. Events come from 10.0.0.1 unless told otherwise."""

    def __init__(self, folder: Path, *sources: Source, start: datetime = MONDAY) -> None:
        self.folder = folder
        self.now = start
        self.wall_ahead = timedelta()
        self.settled = True
        self.peers = Peers(router(*(sources or (FW1,))))
        self.saves: list[Callable[[], Any]] = []
        self.begin()

    def begin(self) -> None:
        """Starts a process: only the file is left of an earlier one."""
        for save in self.saves[-1:]:
            assert save() is None
        self.saves.clear()
        self.peers = Peers(self.peers.router)
        self.alarms = Alarms(clock=self.clock)
        learned = LearnedRates(self.folder, lambda job, done: self.saves.append(job))
        self.monitor = RateMonitor(
            self.alarms, self.peers, learned, clock=self.clock, wall=self.wall_seconds,
            settled=lambda: self.settled,
        )  # fmt: skip
        self.monitor.look()

    def clock(self) -> float:
        return (self.now - MONDAY).total_seconds()

    def wall_seconds(self) -> float:
        return self.wall.timestamp()

    @property
    def wall(self) -> datetime:
        return self.now + self.wall_ahead

    def run(self, until: datetime, traffic: Traffic = office, address: str = "10.0.0.1") -> None:
        while self.now < until:
            events = round(traffic(self.now) * EVERY / 60)
            if events:
                self.peers.get("udp", address).note_read(events, int(self.wall.timestamp() * 1000))
            self.now += timedelta(seconds=EVERY)
            self.monitor.look()

    @property
    def text(self) -> str | None:
        return self.alarms.active.get(("rate_below", "10.0.0.1"))

    @property
    def report(self) -> dict[str, Any]:
        found = self.monitor.report("10.0.0.1")
        assert found is not None
        return found


def day(number: int, hour: int = 0, minute: int = 0) -> datetime:
    """Returns a time of the test's days. Day 0 is a Monday."""
    return MONDAY + timedelta(days=number, hours=hour, minutes=minute)


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return Watching(tmp_path)


def test_rate_far_below_the_usual_one_at_this_hour_is_reported(watching: Watching) -> None:
    watching.run(day(9, 14))
    assert not watching.alarms.active
    watching.run(day(9, 14, 30), lambda now: 12)
    assert watching.text is None, "half of the last hour had the usual rate"
    watching.run(day(9, 14, 55), lambda now: 12)
    assert watching.text == (
        "source fw1 (10.0.0.1) sends 129 events/min over the last hour; usual at 14:00 is 480 (30 % is the limit)"
    )
    text = watching.text
    watching.run(day(9, 16), lambda now: 12)
    assert watching.text == text, "a text that changes would be a new event"
    assert watching.report["below"]


def test_rates_of_nights_and_weekends_are_usual_then(watching: Watching) -> None:
    """Four weeks, of which all but the first could raise alarms."""
    watching.run(day(28))
    assert not watching.alarms.active
    assert list(watching.alarms.ended()) == []


def test_bursts_once_an_hour_and_random_arrivals_are_usual(tmp_path: Path) -> None:
    generator = random.Random(7)

    def bursts(now: datetime) -> float:
        return 100 if now.minute < 5 else 0

    def poisson(now: datetime) -> float:
        """About 0.8 events a minute."""
        return sum(generator.random() < 0.02 for _ in range(200)) * 60 / EVERY

    for number, traffic in enumerate((bursts, poisson)):
        watching = Watching(tmp_path / str(number))
        (tmp_path / str(number)).mkdir()
        watching.run(day(21), traffic)
        assert not watching.alarms.active
        assert list(watching.alarms.ended()) == []


def test_nothing_is_reported_before_the_same_weekday_was_observed(watching: Watching) -> None:
    watching.run(day(5, 10))
    assert watching.report["observations"] == 5
    assert watching.report["usual_per_minute"] is None
    watching.run(day(6, 12), lambda now: 0)
    assert watching.text is None
    watching.run(day(7, 7))
    assert watching.report["usual_per_minute"] is not None
    watching.run(day(7, 12), lambda now: 0)
    assert watching.text is not None


def test_alarm_ends_with_hysteresis(watching: Watching) -> None:
    watching.run(day(9, 10))
    watching.run(day(9, 12), lambda now: 60)
    assert watching.text is not None
    assert end_percent(30) == 47.5
    watching.run(day(9, 14), lambda now: 0.4 * 480)
    assert watching.text is not None, "above the limit, but not above the end"
    watching.run(day(9, 16), lambda now: 0.55 * 480)
    assert watching.text is None


def test_new_normal_rate_is_learned(watching: Watching) -> None:
    """A device whose logging was reduced on purpose is reported for some days, not for ever."""
    watching.run(day(10))
    watching.run(day(10, 12), lambda now: 20)
    assert watching.text is not None
    watching.run(day(25), lambda now: 20)
    assert watching.text is None
    watching.run(day(40), lambda now: 20)
    assert watching.text is None


def test_source_that_sends_too_little_is_not_judged(watching: Watching) -> None:
    """One event each half hour: an hour without any is chance."""
    assert round(needed_events(30)) == 33
    watching.run(day(9), lambda now: 0.2 if not now.minute % 30 else 0)
    assert watching.report["too_few_events"]
    watching.run(day(10), lambda now: 0)
    assert watching.text is None


def test_learned_rates_survive_a_restart(watching: Watching) -> None:
    watching.run(day(9, 14))
    watching.begin()
    assert watching.report["usual_per_minute"] == 480
    watching.run(day(9, 14, 50), lambda now: 12)
    assert watching.text is None, "the last hour was not observed as a whole"
    watching.run(day(9, 15, 30), lambda now: 12)
    assert watching.text is not None


def test_source_that_never_sends_after_a_restart_is_reported(watching: Watching) -> None:
    watching.run(day(9, 14))
    watching.begin()
    watching.run(day(9, 15, 30), lambda now: 0)
    assert watching.text is not None


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"sources": 7}', '{"sources": {"a": [null, {"x": [1]}]}}', '{"sources": {"a": 1}}']
)
def test_damaged_file_is_replaced(watching: Watching, content: str) -> None:
    (watching.folder / FILE).write_text(content)
    watching.begin()
    watching.run(day(1))
    watching.begin()
    assert watching.report["observations"] == 1


def test_hours_of_a_wrong_clock_are_not_learned(watching: Watching) -> None:
    watching.settled = False
    watching.run(day(2))
    assert watching.report["observations"] == 0
    watching.settled = True
    watching.run(day(9))
    watching.wall_ahead = timedelta(days=400)
    watching.settled = False
    watching.run(day(9, 3))
    watching.wall_ahead, watching.settled = timedelta(), True
    watching.run(day(9, 14))
    assert watching.report["usual_per_minute"] == 480


def test_hour_is_that_of_the_source(tmp_path: Path) -> None:
    tokyo = Source((ip_network("10.0.0.1"),), timezone=ZoneInfo("Asia/Tokyo"), alert_if_rate_below=Share(50))
    watching = Watching(tmp_path, tokyo)
    watching.run(day(9, 2, 30), lambda now: office(now.astimezone(ZoneInfo("Asia/Tokyo"))))
    assert (watching.report["hour"], watching.report["usual_per_minute"]) == ("11:00", 480)


def test_reload_that_removes_the_key_ends_the_alarm(watching: Watching) -> None:
    watching.run(day(9, 14))
    watching.run(day(9, 16), lambda now: 0)
    assert watching.text is not None
    watching.peers.change(router(Source((ip_network("10.0.0.1"),))))
    watching.run(day(9, 16, 10))
    assert watching.text is None
    assert watching.monitor.report("10.0.0.1") is None


def test_silent_source_has_no_second_alarm(watching: Watching) -> None:
    watching.run(day(9, 14))
    watching.alarms.on("silence", "10.0.0.1", "silent")
    watching.run(day(9, 16), lambda now: 0)
    assert watching.text is None


def test_events_behind_a_relay_are_those_of_the_relay_too(tmp_path: Path) -> None:
    relay = Source((ip_network("10.0.0.1"),), relay=True, alert_if_rate_below=Share(30))
    host = Source((ip_network("10.0.0.1"),), hostname=("paris",), alert_if_rate_below=Share(30))
    watching = Watching(tmp_path, relay, host)
    peer = watching.peers.get("udp", "10.0.0.1")
    for name, count in ((b"paris", 600), (b"rome", 400)):
        peer.relayed_source(name).note_read(count, 1)
    counts, relays = watching.monitor._count()
    assert counts == {"10.0.0.1": 1000, "paris": 600}
    assert relays == {"10.0.0.1": None, "paris": "10.0.0.1"}


def test_watched_sources_are_bounded_and_keep_those_with_learned_rates(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(rate_monitor, "MAX_SOURCES", 10)
    network = Source((ip_network("10.0.0.0/8"),), alert_if_rate_below=Share(30))
    watching = Watching(tmp_path, network)
    watching.run(day(0, 3))
    for number in range(1000):
        watching.peers.get("udp", f"10.1.{number // 250}.{number % 250}").note_read(number + 10_000_000, 1)
    watching.monitor.look()
    assert len(watching.monitor._watched) == 10
    assert watching.monitor.report("10.0.0.1") is not None
    assert watching.monitor.report("10.1.3.249") is not None, "the busiest of the others"
