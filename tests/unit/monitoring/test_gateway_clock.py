"""Tests how the gateway's clock is compared with the ``Date`` header of the collector."""

from datetime import UTC
from email.utils import formatdate
from types import SimpleNamespace

import pytest

from bridge.ingest.clock_skew import SourceClock
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.gateway_clock import ClockWatch, GatewayClock

NOW = 1_795_418_640.4


def build_gateway_clock(wall=NOW):
    alarms = Alarms()
    return GatewayClock(alarms, wall=lambda: wall), alarms


def answer_three_times(gateway_clock, date, seconds=0.2):
    for _ in range(3):
        gateway_clock.answered(formatdate(date, usegmt=True), seconds)


@pytest.mark.parametrize("offset", [-4.0, -0.5, 0.0, 0.9, 4.0])
def test_small_offset_raises_no_alarm(offset):
    gateway_clock, alarms = build_gateway_clock()
    answer_three_times(gateway_clock, NOW - offset)
    assert abs(gateway_clock.offset) <= abs(offset) + 1
    assert not alarms.active


@pytest.mark.parametrize(("offset", "words"), [(-180.0, "behind"), (7200.0, "ahead of")])
def test_wrong_clock_raises_an_alarm_with_its_remedy(offset, words):
    gateway_clock, alarms = build_gateway_clock()
    answer_three_times(gateway_clock, NOW - offset)
    assert abs(gateway_clock.offset - offset) < 1.5
    alarm = alarms.current["clock", "gateway"]
    assert f"{words} the collector's" in alarm.text
    assert "NTP" in alarm.remedy


def test_slow_response_is_not_a_wrong_clock():
    gateway_clock, alarms = build_gateway_clock()
    answer_three_times(gateway_clock, NOW - 20, seconds=25.0)
    assert gateway_clock.offset == 0
    assert not alarms.active


def test_clock_that_is_set_to_another_wrong_time_is_reported_again():
    gateway_clock, alarms = build_gateway_clock()
    texts = []
    for offset in (7200.0, 7190.0, -3600.0):
        answer_three_times(gateway_clock, NOW - offset)
        texts.append(alarms.active["clock", "gateway"])
    assert texts[0] == texts[1], "a little more or less is not reported"
    assert "7199 s ahead of" in texts[1] and "3600 s behind" in texts[2]


def test_alarm_ends_when_the_clock_is_corrected():
    gateway_clock, alarms = build_gateway_clock()
    answer_three_times(gateway_clock, NOW + 3600)
    assert alarms.active
    answer_three_times(gateway_clock, NOW)
    assert not alarms.active
    assert gateway_clock.offset == 0


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Nov 2026 07:24:00 GMT", "\x00" * 100])
def test_missing_or_invalid_date_gives_no_offset(date):
    gateway_clock, _ = build_gateway_clock()
    gateway_clock.answered(date, 0.1)
    assert gateway_clock.offset is None


# --- a clock that is set ----------------------------------------------------------------------------------------------


def build_watch():
    now = SimpleNamespace(wall=NOW, monotonic=5.0, is_set=True, changes=[], steps=0)

    def stepped():
        now.steps += 1

    alarms = Alarms()
    watch = ClockWatch(
        alarms, wall=lambda: now.wall, is_set=lambda: now.is_set, clock=lambda: now.monotonic,
        changed=lambda: now.changes.append(now.is_set), stepped=stepped,
    )  # fmt: skip

    def look(seconds=5.0, step=0.0):
        now.monotonic += seconds
        now.wall += seconds + step
        watch.look()
        return alarms.active

    return now, look


@pytest.mark.parametrize(
    ("step", "text"), [(3650 * 86_400, "ahead by 3,650 days"), (-3600, "back by 3600 s"), (-86_400, "back by 24 hours")]
)
def test_clock_that_is_set_raises_an_alarm_for_an_hour(step, text):
    now, look = build_watch()
    assert not look(step=1.0)
    assert f"clock was set {text}. " in look(step=step)["clock", "step"]
    assert look(seconds=3500)
    assert not look(seconds=100)
    assert not now.changes


def test_clock_that_was_never_set_raises_an_alarm_until_it_is_set():
    now, look = build_watch()
    now.is_set = False
    assert "never set" in look()["clock", "unset"]
    now.is_set = True
    (text,) = look(step=1e8).values()
    assert "set for the first time since it booted" in text
    look()
    assert now.changes == [False, True]
    assert not look(seconds=3600)


def test_clock_offsets_of_sources_end_when_the_gateways_clock_is_set():
    now, look = build_watch()
    look(step=1.0)
    assert now.steps == 0, "a clock that is adjusted slowly"
    look(step=-180.0)
    assert now.steps == 1
    look()
    assert now.steps == 1
    clock = SourceClock()
    clock.note(180.0, now_ms=60_000, has_zone=True, has_year=True, zone=UTC)
    assert clock.needs_action
    clock.forget()
    assert not clock.needs_action and clock.diagnosis().kind == "none"
    clock.note(0.0, now_ms=61_000, has_zone=True, has_year=True, zone=UTC)
    assert clock.diagnosis().kind == "right", "without it, the largest offset of the last two minutes counts"
