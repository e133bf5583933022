"""Tests the conversion of timestamps: missing years, zones, daylight saving time, invalid texts."""

import contextlib
import random
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog import timestamps
from bridge.syslog.time_formats import civil
from bridge.syslog.time_zones import zone_of
from bridge.syslog.timestamps import TimeReader, fraction_ms, milliseconds, moment, rfc3339

PARIS = ZoneInfo("Europe/Paris")
NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 23, 7, 24, tzinfo=UTC)


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "received", "expected"),
    [
        (b"Nov 23 07:24:00", "2026-11-23T07:24:01+00:00", "2026-11-23T07:24:00+00:00"),
        (b"Dec 31 23:59:59", "2027-01-01T00:00:03+00:00", "2026-12-31T23:59:59+00:00"),
        (b"Jan  1 00:00:02", "2026-12-31T23:59:58+00:00", "2027-01-01T00:00:02+00:00"),
        (b"Jun  1 00:00:00", "2026-01-01T00:00:00+00:00", "2026-06-01T00:00:00+00:00"),
        (b"Aug  1 00:00:00", "2026-01-01T00:00:00+00:00", "2025-08-01T00:00:00+00:00"),
        (b"Feb 29 12:00:00", "2024-02-29T12:00:01+00:00", "2024-02-29T12:00:00+00:00"),
        (b"Feb 29 12:00:00", "2025-01-15T00:00:00+00:00", "2024-02-29T12:00:00+00:00"),
        (b"Feb 29 12:00:00", "2026-03-02T00:00:00+00:00", "2028-02-29T12:00:00+00:00"),
        (b"Feb 29 12:00:00", "2100-06-01T00:00:00+00:00", "2104-02-29T12:00:00+00:00"),
    ],
)
def test_missing_year_is_the_year_nearest_to_reception(text, received, expected):
    assert moment(text, zone=UTC, received=at(received)) == at(expected)


def test_new_year_follows_the_zone_of_the_source():
    # It is already 2027 in Tokyo, and still 2026 at the gateway.
    received = at("2026-12-31T15:00:05+00:00")
    assert moment(b"Jan  1 00:00:00", zone=ZoneInfo("Asia/Tokyo"), received=received) == at("2026-12-31T15:00:00+00:00")
    assert moment(b"Dec 31 10:00:00", zone=NEW_YORK, received=received) == at("2026-12-31T15:00:00+00:00")


@settings(max_examples=300, deadline=None)
@given(
    st.datetimes(at("1971-01-01"), at("2099-01-01")),
    st.integers(-180 * 86400, 180 * 86400),
    st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))]),
)
def test_missing_year_is_found_within_half_a_year(when, away, zone):
    when = when.replace(tzinfo=zone, microsecond=0)
    text = f"{when:%b} {when.day:2} {when:%H:%M:%S}".encode()
    assert moment(text, zone=zone, received=when + timedelta(seconds=away)) == when


@pytest.mark.parametrize(
    "form", [b"Nov  3 07:24:00", b"Nov 3 07:24:00", b"Nov 03 07:24:00", b"nov 03 07:24:00", b"NOV  3 07:24:00"]
)
def test_day_padding_and_month_case_do_not_matter(form):
    assert moment(form, zone=UTC, received=NOW) == datetime(2026, 11, 3, 7, 24, tzinfo=UTC)


def test_repeated_hour_is_read_nearest_to_reception():
    # 25 October 2026: 03:00 CEST becomes 02:00 CET.
    for received in ("2026-10-25T00:30:05+00:00", "2026-10-25T01:30:05+00:00"):
        expected = at(received) - timedelta(seconds=5)
        # In UTC: Python never treats a time in a repeated hour as equal to one in another zone.
        for text in (b"Oct 25 02:30:00", b"2026-10-25T02:30:00"):
            assert moment(text, zone=PARIS, received=at(received)).astimezone(UTC) == expected


def test_skipped_hour_is_a_valid_time():
    # 29 March 2026: 02:00 CET becomes 03:00 CEST. A clock that was not changed is an hour behind.
    received = at("2026-03-29T01:30:05+00:00")
    found = moment(b"Mar 29 02:30:00", zone=PARIS, received=received)
    assert found.astimezone(UTC) == at("2026-03-29T01:30:00+00:00")


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (b"Z", "2026-11-23T07:24:00+00:00"), (b"+01:00", "2026-11-23T06:24:00+00:00"),
        (b"-05:30", "2026-11-23T12:54:00+00:00"), (b"+23:59", "2026-11-22T07:25:00+00:00"),
        (b"-00:00", "2026-11-23T07:24:00+00:00"), (b"", "2026-11-23T12:24:00+00:00"),
    ],
)  # fmt: skip
def test_offset_overrides_the_zone(offset, expected):
    assert moment(b"2026-11-23T07:24:00", offset=offset, zone=NEW_YORK, received=NOW) == at(expected)


@pytest.mark.parametrize("offset", [b"+24:00", b"-99:99", b"+01:60", b"+1:2"])
def test_offset_out_of_range_is_invalid(offset):
    assert zone_of(offset) is None
    assert moment(b"2026-11-23T07:24:00", offset=offset, zone=UTC, received=NOW) is None


def test_fractions_are_kept_to_the_microsecond():
    def read(fraction):
        return moment(b"Nov 23 07:24:00", fraction, zone=UTC, received=NOW).microsecond

    assert [read(f) for f in (b"", b".5", b".003", b".123456", b".123456789", b",25")] == [
        0, 500_000, 3_000, 123_456, 123_456, 250_000
    ]  # fmt: skip
    assert [fraction_ms(f) for f in (b"", b".5", b".003", b".9999", b",25")] == [0, 500, 3, 999, 250]


def test_leap_second_is_read_as_the_second_before():
    assert moment(b"2016-12-31T23:59:60", offset=b"Z", zone=UTC, received=NOW) == at("2016-12-31T23:59:59+00:00")
    assert moment(b"Dec 31 23:59:60", zone=UTC, received=at("2017-01-01T00:00:01+00:00")) == at(
        "2016-12-31T23:59:59+00:00"
    )


@pytest.mark.parametrize(
    "text",
    [
        b"", b"Feb 30 07:24:00", b"Nov 31 07:24:00", b"Nov  0 07:24:00", b"Xyz 23 07:24:00", b"Nov 23 24:00:00",
        b"Nov 23 07:60:00", b"Nov 23 07:24:61", b"2026-02-29T00:00:00", b"2026-13-01T00:00:00",
        b"0000-01-01T00:00:00",
        b"2y10w", b"16474790", b"Nov 23 07:24", b"Nov 23 07:24:00 ", b"\xff\xff\xff 23 07:24:00",
    ],
)  # fmt: skip
def test_invalid_text_is_not_a_time(text):
    assert moment(text, zone=UTC, received=NOW) is None


def test_earliest_and_latest_years_are_handled():
    assert moment(b"0001-01-01T00:00:00", offset=b"+01:00", zone=UTC, received=NOW) is None
    assert moment(b"9999-12-31T23:59:59", offset=b"-01:00", zone=UTC, received=NOW) is None
    assert moment(b"Dec 31 00:00:00", zone=UTC, received=datetime(9999, 12, 31, tzinfo=UTC)).year == 9999
    assert moment(b"Jan  1 00:00:00", zone=UTC, received=datetime(1, 1, 1, tzinfo=UTC)).year == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=24), st.binary(max_size=10).map(lambda b: b"." + b), st.binary(max_size=7))
def test_any_bytes_give_a_time_or_none(second, fraction, offset):
    if not fraction[1:7].isdigit():
        fraction = b""
    found = moment(second, fraction, offset, zone=PARIS, received=NOW)
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (1795418640250, "2026-11-23T07:24:00.250Z"), (1795418640000, "2026-11-23T07:24:00.000Z"),
        (1795418640007, "2026-11-23T07:24:00.007Z"), (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (-62135596800000, "0001-01-01T00:00:00.000Z"),
    ],
)  # fmt: skip
def test_milliseconds_convert_to_rfc3339_and_back(ms, text):
    assert rfc3339(ms) == text
    assert milliseconds(at(text)) == ms


@settings(max_examples=200, deadline=None)
@given(st.datetimes())
def test_any_rfc3339_time_is_read_back(when):
    when = when.replace(tzinfo=UTC, microsecond=when.microsecond // 1000 * 1000)
    assert datetime.fromisoformat(rfc3339(milliseconds(when))) == when


# --- the reader that converts each text once ------------------------------------------------------------------------


@pytest.fixture
def conversions(monkeypatch):
    """Returns the texts that were read with the table of formats, which costs some microseconds each."""
    texts = []

    def counting(second):
        texts.append(second)
        return civil(second)

    monkeypatch.setattr(timestamps, "civil", counting)
    return texts


def test_each_text_is_converted_once_an_hour(conversions):
    reader = TimeReader()
    start = milliseconds(datetime(2026, 11, 23, 7, 0, tzinfo=UTC))
    for received in (start, start + 1, start + 3_599_999):
        assert rfc3339(reader.second_ms(b"Nov 23 07:24:00", b"", UTC, received)) == "2026-11-23T07:24:00.000Z"
    # The begin and the end of the day.
    assert len(conversions) == 2
    reader.second_ms(b"Nov 23 07:24:00", b"", UTC, start + 3_600_000)
    reader.second_ms(b"Nov 23 07:24:00", b"", UTC, start)
    assert len(conversions) == 6


@pytest.mark.parametrize(
    ("form", "offset"),
    [("%b %d %H:%M:%S", b""), ("%Y-%m-%dT%H:%M:%S", b"Z"), ("%Y/%m/%d:%H:%M:%S", b"GMT"), ("%d %b %Y %H:%M:%S", b"")],
)
@pytest.mark.parametrize("days", [1, 30, 365])
def test_random_clocks_cost_a_conversion_per_day(conversions, form, offset, days):
    """Tests clocks that never repeat a second: only the first time of a day is read with the table of formats."""
    timestamps.is_time.cache_clear()
    timestamps._is_day.cache_clear()
    reader, chance, received = TimeReader(), random.Random(days), milliseconds(NOW)
    for _ in range(4000):
        when = NOW - timedelta(seconds=chance.randrange(days * 86_400))
        text = when.strftime(form).encode()
        assert timestamps.is_time(text, offset)
        if days < 180:
            assert reader.second_ms(text, offset, UTC, received) == milliseconds(when)
        else:
            reader.second_ms(text, offset, UTC, received)
    # Two for each day, by each of the two functions; more on the day on which another year becomes the nearest.
    assert len(conversions) <= 4 * (days + 1) + 40


class Unwalkable(dict):
    """Allows to look up single keys only."""

    def __iter__(self):
        raise AssertionError("this walks through all known seconds")

    keys = values = items = __iter__


def test_unknown_seconds_cost_no_walk_through_the_known_ones():
    """Tests a stream that brings one message with a new second per read, with 20,000 seconds known."""
    reader, received = TimeReader(), milliseconds(NOW)
    reader.second_ms(b"Nov 23 07:24:00", b"", UTC, received)
    reader._known[UTC, b""] = Unwalkable(reader._known[UTC, b""])
    for second in range(1, 60):
        assert reader.second_ms(b"Nov 23 07:24:%02d" % second, b"", UTC, received) == received + 1000 * second
    assert len(reader._known[UTC, b""]) == 60


ZONES = [
    UTC, PARIS, NEW_YORK, timezone(timedelta(hours=5, minutes=45)), ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("America/Havana"), ZoneInfo("Pacific/Apia"), ZoneInfo("Africa/Casablanca"),
]  # fmt: skip
DATES = st.sampled_from(
    [
        b"Nov 23 ", b"Mar 29 ", b"Oct 25 ", b"Apr  5 ", b"Oct  4 ", b"Nov 01 ", b"Mar  8 ", b"Feb 29 ", b"Feb 30 ",
        b"Dec 31 ", b"Jan  1 ", b"May 23 ", b"2026-03-29T", b"2026-10-25T", b"2011-12-30T", b"0001-01-01T",
        b"9999-12-31T", b"04/10/2026:", b"10/04/2026:", b"2026:10:25-", b"", b"x",
    ]
)  # fmt: skip
CLOCKS = st.builds(
    lambda hour, minute, second: b"%02d:%02d:%02d" % (hour, minute, second),
    st.integers(0, 24), st.sampled_from([0, 29, 30, 59, 60]), st.sampled_from([0, 1, 59, 60, 61]),
)  # fmt: skip
OFFSETS = st.sampled_from([b"", b"Z", b"+01:00", b"-00:30", b"+00:30", b"CEST", b"XYZ", b"+25:00"])


@settings(max_examples=1500, deadline=None)
@given(
    DATES, st.lists(CLOCKS, min_size=1, max_size=5), OFFSETS, st.sampled_from(ZONES),
    st.datetimes(at("2025-12-01"), at("2027-02-01")), st.booleans(),
)  # fmt: skip
def test_any_time_of_a_known_day_is_that_of_moment(date, clocks, offset, zone, received, near_half_a_year):
    received = received.replace(tzinfo=UTC)
    if near_half_a_year and (first := moment(date + clocks[0], offset=offset, zone=zone, received=received)):
        with contextlib.suppress(OverflowError):
            received = first.astimezone(UTC) + timedelta(days=182, hours=12)
    # The cache is valid within one hour of reception.
    received = received.replace(minute=0, second=0, microsecond=0)
    reader = TimeReader()
    for clock in clocks:
        expected = moment(date + clock, offset=offset, zone=zone, received=received)
        found = reader.second_ms(date + clock, offset, zone, milliseconds(received))
        assert found == (None if expected is None else milliseconds(expected))
        assert timestamps.is_time(date + clock, offset) is timestamps._is_moment(date + clock, offset)


def test_text_is_cached_by_offset_and_zone():
    reader = TimeReader()
    received = milliseconds(NOW)
    found = {
        reader.second_ms(b"2026-11-23T07:24:00", offset, zone, received)
        for offset, zone in ((b"", UTC), (b"", NEW_YORK), (b"+01:00", UTC), (b"Z", UTC))
    }
    assert len(found) == 3


def test_year_follows_reception_across_hours():
    reader = TimeReader()
    for received, year in (("2026-12-31T23:59:59+00:00", "2027"), ("2027-12-31T23:59:59+00:00", "2028")):
        ms = reader.second_ms(b"Jan  1 00:00:00", b"", UTC, milliseconds(at(received)))
        assert rfc3339(ms).startswith(year)


def test_invalid_text_is_cached_as_well(conversions):
    reader = TimeReader()
    for _ in range(3):
        assert reader.second_ms(b"Feb 30 00:00:00", b"", UTC, milliseconds(NOW)) is None
    # The begin and the end of the day, and the second.
    assert len(conversions) == 3


def test_cache_of_the_reader_is_bounded():
    reader = TimeReader()
    reader.MAX_TEXTS = 50
    for i in range(500):
        reader.second_ms(b"2026-11-23T07:%02d:%02d" % divmod(i, 60), b"Z", UTC, milliseconds(NOW))
        assert sum(map(len, reader._known.values())) <= 50


def test_cache_of_days_is_bounded():
    reader = TimeReader()
    reader.MAX_TEXTS = 50
    for i in range(500):
        reader.second_ms(b"%04d-11-23T07:24:00" % (2000 + i), b"Z", UTC, milliseconds(NOW))
        assert len(reader._midnights) <= 50
