"""The clock doctor: offsets and their readings."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ingest.clock_skew import RIGHT_WITHIN, SourceClock, diagnose

SUMMER = datetime(2026, 7, 15, 12, tzinfo=UTC)
WINTER = datetime(2026, 11, 23, 7, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("offset", "now", "zone", "dated", "kind", "words", "remedy"),
    [
        (-2, WINTER, UTC, False, "right", "right", ""),
        (RIGHT_WITHIN, WINTER, None, True, "right", "right", ""),
        (-55 * 60, WINTER, UTC, False, "wrong", "55 minutes behind", "NTP"),
        (95, WINTER, UTC, False, "wrong", "95 seconds ahead", "NTP"),
        (-3 * DAY, WINTER, UTC, False, "wrong", "3 days behind", "NTP"),
        # New York's time read as UTC
        (-5 * HOUR - 1, WINTER, UTC, False, "zone", "5 hours behind: local time without zone", "America/New_York"),
        (2 * HOUR, SUMMER, UTC, False, "zone", "(UTC+02:00)", "Europe/Paris"),
        # the same offset in winter is another place's
        (2 * HOUR, WINTER, UTC, False, "zone", "(UTC+02:00)", "Europe/Athens"),
        (5.5 * HOUR - 1, WINTER, UTC, False, "zone", "5 hours 30 minutes ahead", "Asia/Kolkata"),
        # it names its zone, and is off by a whole one all the same
        (HOUR, WINTER, None, True, "zone", "1 hour ahead, and the zone is in its messages", "timestamp: received"),
        # a device that knows no summer time, and one that knows no winter
        (-HOUR, SUMMER, PARIS, False, "dst", "stays in winter time while Europe/Paris has changed", "Etc/GMT-1"),
        (HOUR - 1, WINTER, PARIS, False, "dst", "stays in summer time while Europe/Paris has changed", "Etc/GMT-2"),
        # an hour the other way is no slip
        (HOUR, SUMMER, PARIS, False, "zone", "(UTC+03:00)", "Europe/Istanbul"),
        (-365 * DAY, WINTER, None, True, "year", "the year is wrong: it says 2025-11-23", "year"),
        (365 * DAY - 2 * HOUR, WINTER, None, True, "year", "the year is wrong: it says 2027-11-23", "year"),
        (-(datetime(2026, 11, 23, tzinfo=UTC) - datetime(2000, 1, 1, tzinfo=UTC)).total_seconds(), WINTER, None, True,
         "unset", "never set: it says 2000-01-01", "NTP"),
        ((datetime(2027, 3, 1, tzinfo=UTC) - WINTER).total_seconds(), WINTER, UTC, False,
         "unset", "it says March 1: probably not set since it started", "NTP"),
    ],
)  # fmt: skip
def test_a_clock_is_named_with_what_mends_it(offset, now, zone, dated, kind, words, remedy):
    found = diagnose(offset, latest=offset, now=now, zone=zone, dated=dated)
    assert found.kind == kind, found
    assert words in found.words
    assert remedy in found.remedy
    assert found.sick == (kind != "right")


@given(offset=st.integers(-(10**10), 10**10), zoned=st.booleans(), dated=st.booleans(), when=st.datetimes())
def test_any_offset_has_a_reading(offset, zoned, dated, when):
    now = when.replace(tzinfo=UTC, year=min(max(when.year, 2026), 2100), day=min(when.day, 28))
    clock = SourceClock()
    clock.note(offset, now_ms=int(now.timestamp() * 1000), zoned=zoned, dated=dated, zone=PARIS)
    found = clock.diagnosis()
    assert found.words
    assert found.sick == clock.sick == (abs(offset) > RIGHT_WITHIN)
    assert bool(found.remedy) == found.sick


def note(clock, offset, at, **facts):
    clock.note(offset, now_ms=at * 1000, **({"zoned": False, "dated": False, "zone": UTC} | facts))


def test_late_messages_are_no_wrong_clock():
    clock = SourceClock()
    note(clock, -1.0, 1_800_000_000)
    note(clock, -300.0, 1_800_000_010)
    assert clock.diagnosis().kind == "late"
    assert "5 minutes late" in clock.diagnosis().words
    assert not clock.sick


def test_a_clock_that_is_set_back_is_seen_within_two_windows():
    clock = SourceClock()
    for second in range(0, 300, 10):
        note(clock, -1.0 if second < 60 else -3600.0, 1_800_000_000 + second)
    assert clock.best == -3600.0


def test_what_was_seen_long_ago_says_nothing():
    clock = SourceClock()
    note(clock, -1.0, 1_800_000_000)
    note(clock, -600.0, 1_800_003_600)
    assert clock.sick


def test_a_zone_that_is_configured_begins_anew():
    clock = SourceClock()
    note(clock, 7200.0, 1_800_000_000)
    note(clock, -0.5, 1_800_000_001, zone=PARIS)
    assert not clock.sick
