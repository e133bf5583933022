"""Tests the diagnosis of clock offsets."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ingest.clock_skew import TOLERANCE, SourceClock, diagnose

SUMMER = datetime(2026, 7, 15, 12, tzinfo=UTC)
WINTER = datetime(2026, 11, 23, 7, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("offset", "now", "zone", "has_year", "kind", "words", "remedy"),
    [
        (-2, WINTER, UTC, False, "right", "right", ""),
        (TOLERANCE, WINTER, None, True, "right", "right", ""),
        (-55 * 60, WINTER, UTC, False, "wrong", "55 minutes behind", "NTP"),
        (95, WINTER, UTC, False, "wrong", "95 seconds ahead", "NTP"),
        (-3 * DAY, WINTER, UTC, False, "wrong", "3 days behind", "NTP"),
        # New York's time read as UTC
        (-5 * HOUR - 1, WINTER, UTC, False, "zone", "5 hours behind: local time without zone", "America/New_York"),
        (2 * HOUR, SUMMER, UTC, False, "zone", "(UTC+02:00)", "Europe/Paris"),
        # the same offset in winter belongs to another location
        (2 * HOUR, WINTER, UTC, False, "zone", "(UTC+02:00)", "Europe/Athens"),
        (5.5 * HOUR - 1, WINTER, UTC, False, "zone", "5 hours 30 minutes ahead", "Asia/Kolkata"),
        # the timestamp names its zone, and is still wrong by a whole hour
        (HOUR, WINTER, None, True, "zone", "1 hour ahead, although its messages name a zone", "timestamp: received"),
        # a device without summer time, and one that stays in it
        (-HOUR, SUMMER, PARIS, False, "dst", "stays in winter time while Europe/Paris", "Africa/Lagos"),
        (HOUR - 1, WINTER, PARIS, False, "dst", "stays in summer time while Europe/Paris", "Africa/Johannesburg"),
        # one hour in the other direction is not a daylight saving error
        (HOUR, SUMMER, PARIS, False, "zone", "(UTC+03:00)", "Europe/Istanbul"),
        (-365 * DAY, WINTER, None, True, "year", "the year is wrong: it shows 2025-11-23", "year"),
        (365 * DAY - 2 * HOUR, WINTER, None, True, "year", "the year is wrong: it shows 2027-11-23", "year"),
        (-(datetime(2026, 11, 23, tzinfo=UTC) - datetime(2000, 1, 1, tzinfo=UTC)).total_seconds(), WINTER, None, True,
         "unset", "never set: it shows 2000-01-01", "NTP"),
        ((datetime(2027, 3, 1, tzinfo=UTC) - WINTER).total_seconds(), WINTER, UTC, False,
         "unset", "it shows March 1: probably not set since the device started", "NTP"),
    ],
)  # fmt: skip
def test_offset_gives_diagnosis_and_remedy(offset, now, zone, has_year, kind, words, remedy):
    found = diagnose(offset, latest=offset, now=now, zone=zone, has_year=has_year)
    assert found.kind == kind, found
    assert words in found.words
    assert remedy in found.remedy
    assert found.needs_action == (kind != "right")


@given(offset=st.integers(-(10**10), 10**10), has_zone=st.booleans(), has_year=st.booleans(), when=st.datetimes())
def test_any_offset_has_a_diagnosis(offset, has_zone, has_year, when):
    now = when.replace(tzinfo=UTC, year=min(max(when.year, 2026), 2100), day=min(when.day, 28))
    clock = SourceClock()
    clock.note(offset, now_ms=int(now.timestamp() * 1000), has_zone=has_zone, has_year=has_year, zone=PARIS)
    found = clock.diagnosis()
    assert found.words
    assert found.needs_action == clock.needs_action == (abs(offset) > TOLERANCE)
    assert bool(found.remedy) == found.needs_action


def note(clock, offset, at, **facts):
    clock.note(offset, now_ms=at * 1000, **({"has_zone": False, "has_year": False, "zone": UTC} | facts))


def test_late_messages_are_not_a_wrong_clock():
    clock = SourceClock()
    note(clock, -1.0, 1_800_000_000)
    note(clock, -300.0, 1_800_000_010)
    assert clock.diagnosis().kind == "late"
    assert "5 minutes late" in clock.diagnosis().words
    assert not clock.needs_action


def test_clock_set_back_is_found_within_two_windows():
    clock = SourceClock()
    for second in range(0, 300, 10):
        note(clock, -1.0 if second < 60 else -3600.0, 1_800_000_000 + second)
    assert clock.best == -3600.0


def test_old_offsets_are_forgotten():
    clock = SourceClock()
    note(clock, -1.0, 1_800_000_000)
    note(clock, -600.0, 1_800_003_600)
    assert clock.needs_action


def test_new_zone_resets_the_offsets():
    clock = SourceClock()
    note(clock, 7200.0, 1_800_000_000)
    note(clock, -0.5, 1_800_000_001, zone=PARIS)
    assert not clock.needs_action
