"""Tests that PrecompiledTimes gives the times and texts of ``fields`` and TimeReader, or None."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog.columns import TEXT
from bridge.syslog.fast import pcre2, precompiled_times
from bridge.syslog.fast.fields import parse_all
from bridge.syslog.fast.precompiled_times import PrecompiledTimes
from bridge.syslog.timestamps import TimeConversion, TimeReader, Window, milliseconds
from tests.unit.syslog.fast.generated import MANY_SECONDS, NEARLY_PLAIN, HitRate, block
from tests.unit.syslog.fast.test_single_second import NOT_PLAIN

pytestmark = pytest.mark.skipif(
    pcre2.load() is None, reason="this machine has no libpcre2-8 (Debian: libpcre2-8-0): times are not precompiled"
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


class Conversion(NamedTuple):
    """The arguments of ``read`` and ``learn`` after the first."""

    received: int
    how: TimeConversion


def conversion_at(
    received: datetime = NOON, zone: tzinfo = UTC, *, past: timedelta | None = None, future: timedelta | None = None
) -> Conversion:
    past_ms, future_ms = (None if most is None else most // timedelta(milliseconds=1) for most in (past, future))
    return Conversion(milliseconds(received), TimeConversion(TimeReader(), zone, Window(past_ms, future_ms)))


def format_second(moment: datetime) -> bytes:
    return f"{moment:%b %e %H:%M:%S}".encode()


def clocks(until: datetime, zone: tzinfo = UTC, *, spread: int = 600, count: int = 100, seed: int = 1) -> list[bytes]:
    """Returns random seconds of the last ``spread`` seconds, as many clocks would write them."""
    rng = random.Random(seed)
    moments = (until - timedelta(seconds=rng.randrange(spread)) for _ in range(count))
    return [format_second(moment.astimezone(zone)) for moment in moments]


def frames(seconds: list[bytes]) -> list[bytes]:
    return [b"<%d>%b gw unbound[7640]: [1:0] %d" % (i % 192, second, i) for i, second in enumerate(seconds)]


def expected(read: bytes, conversion: Conversion) -> list[tuple[int | None, bytes]]:
    columns = parse_all(read, TEXT)
    return [
        (conversion.how.reader.second_ms(second, offset, conversion.how.zone, conversion.received), text)
        for second, offset, text in zip(columns["second"], columns["offset"], columns["text"], strict=True)
    ]


def read_timed(precompiled: PrecompiledTimes, read: bytes, conversion: Conversion) -> list[tuple[int, bytes]] | None:
    found = precompiled.read(read, *conversion)
    if found is None:
        return None
    reader, zone = conversion.how.reader, conversion.how.zone
    times = [reader.second_ms(second, b"Z", zone, conversion.received) for second in found.times()[0]]
    rows = list(zip(times, found.texts(), strict=True))
    assert found.count == len(rows)
    assert (found.earliest, found.latest) == (min(times), max(times))
    assert found.lines == b"".join(b"%d\t%b\n" % row for row in rows)
    return rows


@pytest.mark.parametrize("zone", [UTC, PARIS, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/St_Johns")])
@pytest.mark.parametrize(
    "received",
    [
        NOON,
        datetime(2026, 1, 1, 0, 3, tzinfo=UTC),  # times of the previous year
        datetime(2028, 2, 29, 0, 3, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 4, tzinfo=UTC),  # Paris has just skipped an hour
        datetime(2026, 12, 7, 12, tzinfo=UTC),  # day of one digit
    ],
)
def test_each_event_has_its_own_time(zone: tzinfo, received: datetime) -> None:
    conversion, precompiled = conversion_at(received, zone), PrecompiledTimes()
    assert precompiled.read(block(b"<13>Nov 23 12:00:00 gw app: x"), *conversion) is None
    precompiled.learn(clocks(received, zone), *conversion)
    read = block(*frames(clocks(received, zone, seed=2)))
    assert read_timed(precompiled, read, conversion) == expected(read, conversion)


def test_repeated_hour_is_read_as_the_parser_reads_it() -> None:
    """Tests the end of daylight saving time in Paris at 01:00 UTC. Both readers use the first of two possible times."""
    received = datetime(2026, 10, 25, 1, 5, tzinfo=UTC)
    conversion, precompiled = conversion_at(received, PARIS), PrecompiledTimes()
    seconds = clocks(received, PARIS)
    precompiled.learn(seconds, *conversion)
    read = block(*frames(seconds))
    assert read_timed(precompiled, read, conversion) == expected(read, conversion)


def test_span_that_holds_a_repeated_half_hour_is_left_to_the_parser() -> None:
    """Tests Lord Howe Island, which repeats 01:30 to 02:00 at 15:00 UTC: texts in that span have two possible times."""
    zone, received = ZoneInfo("Australia/Lord_Howe"), datetime(2026, 4, 4, 15, 34, tzinfo=UTC)
    conversion, precompiled = conversion_at(received, zone), PrecompiledTimes()
    seconds = clocks(received, zone, spread=300)
    assert {second[7:12] for second in seconds} >= {b"01:59", b"02:00"}
    precompiled.learn(seconds, *conversion)
    assert read_timed(precompiled, block(*frames(seconds)), conversion) is None


def test_days_of_one_digit_are_read_with_blank_or_zero() -> None:
    received = datetime(2026, 12, 7, 12, tzinfo=UTC)
    conversion = conversion_at(received)
    for old, new in ((b"Dec  7", b"Dec  7"), (b"Dec  7", b"Dec 07")):
        precompiled = PrecompiledTimes()
        seconds = [second.replace(old, new) for second in clocks(received)]
        precompiled.learn(seconds, *conversion)
        read = block(*frames(seconds))
        assert read_timed(precompiled, read, conversion) == expected(read, conversion)


def test_another_minute_is_rejected_until_it_is_learnt() -> None:
    conversion, precompiled = conversion_at(), PrecompiledTimes()
    precompiled.learn(clocks(NOON), *conversion)
    later = clocks(NOON + timedelta(minutes=10))
    read = block(*frames(later))
    assert read_timed(precompiled, read, conversion) is None
    for _ in range(3):
        precompiled.learn(later, *conversion)
    assert read_timed(precompiled, read, conversion) == expected(read, conversion)


@pytest.mark.parametrize("place", [0, 1, 99])
@pytest.mark.parametrize("frame", [*NOT_PLAIN, b"<30>Nov 23 11:59:60 gw app: a leap second", b"<30>Nov 23 11:5"])
def test_one_unmatched_frame_rejects_the_read(frame: bytes, place: int) -> None:
    conversion, precompiled = conversion_at(), PrecompiledTimes()
    seconds = clocks(NOON)
    precompiled.learn(seconds, *conversion)
    good = frames(seconds)
    assert read_timed(precompiled, block(*good), conversion) is not None
    assert read_timed(precompiled, block(*good[:place], frame, *good[place:]), conversion) is None


def test_times_out_of_range_are_rejected() -> None:
    precompiled, seconds = PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    precompiled.learn(seconds, *conversion_at())
    assert read_timed(precompiled, read, conversion_at(past=timedelta(minutes=5))) is None
    for narrow in (conversion_at(past=timedelta(minutes=5)), conversion_at(future=timedelta(seconds=-60))):
        precompiled = PrecompiledTimes()
        precompiled.learn(seconds, *narrow)
        assert read_timed(precompiled, read, narrow) is None
    wide = conversion_at(past=timedelta(hours=1), future=timedelta(hours=1))
    precompiled = PrecompiledTimes()
    precompiled.learn(seconds, *wide)
    assert read_timed(precompiled, read, wide) == expected(read, wide)


def test_clocks_of_another_zone_or_hour_are_learnt_anew() -> None:
    precompiled, seconds = PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    for conversion in (conversion_at(), conversion_at(zone=PARIS), conversion_at(NOON + timedelta(hours=1), PARIS)):
        assert read_timed(precompiled, read, conversion) is None
        precompiled.learn(seconds, *conversion)
        assert read_timed(precompiled, read, conversion) == expected(read, conversion)


def test_times_that_are_not_scattered_are_not_learnt() -> None:
    conversion = conversion_at()
    for seconds in (clocks(NOON, spread=10), clocks(NOON, spread=16, count=500), [b"Feb 30 12:00:00", *clocks(NOON)]):
        precompiled = PrecompiledTimes()
        precompiled.learn(seconds, *conversion)
        assert precompiled.read(block(*frames(clocks(NOON))), *conversion) is None


def test_end_of_scattering_is_detected() -> None:
    conversion, precompiled = conversion_at(), PrecompiledTimes()
    precompiled.learn(clocks(NOON), *conversion)
    once = [format_second(NOON - timedelta(seconds=9))] * 5
    read = block(*frames(once))
    stamped = 0
    while precompiled.read(read, *conversion) is not None:
        stamped += 1
    assert 0 < stamped < PrecompiledTimes.RECHECK_READS
    precompiled.learn(once, *conversion)
    assert precompiled.read(read, *conversion) is None


def test_clocks_too_far_apart_are_not_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: compiled.append(about))
    precompiled = PrecompiledTimes()
    precompiled.learn(clocks(NOON, spread=86_400), *conversion_at())
    assert not compiled
    # The maximum number of minutes fits one expression.
    PrecompiledTimes().learn(
        clocks(NOON - timedelta(seconds=1), spread=60 * precompiled_times.MAX_MINUTES), *conversion_at()
    )
    ((span, *_),) = compiled
    assert span.end - span.first == precompiled_times.MAX_MINUTES * 60_000


def test_times_of_fewer_digits_are_rejected() -> None:
    long_ago = datetime(1999, 11, 23, 12, tzinfo=UTC)
    conversion, precompiled, seconds = conversion_at(long_ago), PrecompiledTimes(), clocks(long_ago)
    precompiled.learn(seconds, *conversion)
    assert precompiled.read(block(*frames(seconds)), *conversion) is None


def test_longest_expression_compiles() -> None:
    conversion = conversion_at()
    first = milliseconds(NOON)
    span = precompiled_times._Span(
        first, first + precompiled_times.MAX_MINUTES * 60_000, UTC, conversion.received // 3_600_000, padded=False
    )
    assert precompiled_times._rewriter(span, conversion.how.reader) is not None


def test_evicted_expressions_pause_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    original = precompiled_times._rewriter
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: compiled.append(about) or original(*about))
    conversion, precompiled, seconds = conversion_at(), PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    for _ in range(1000):
        precompiled.learn(seconds, *conversion)
        # Simulates that the expressions of many other connections evicted this one.
        original.cache_clear()
        assert precompiled.read(read, *conversion) is None
    assert 5 < len(compiled) < 15


def test_changing_minutes_are_learnt_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    original = precompiled_times._rewriter
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: compiled.append(about) or original(*about))
    conversion, precompiled = conversion_at(), PrecompiledTimes()
    for turn in range(2000):
        seconds = clocks(NOON - timedelta(hours=turn % 7))
        precompiled.read(block(*frames(seconds[:1])), *conversion)
        precompiled.learn(seconds, *conversion)
    assert 5 < len(compiled) < 30


LEARNT = datetime(2026, 11, 23, 7, 28, tzinfo=UTC)
AGO = st.timedeltas(timedelta(minutes=-8), timedelta(minutes=12))


def learn_and_read(
    read_frames: list[bytes], zone: tzinfo, ago: timedelta
) -> tuple[list[tuple[int, bytes]] | None, list[tuple[int | None, bytes]]]:
    """Returns the rows of a read after the span of its times was learnt, or None, and the expected rows."""
    conversion, precompiled = conversion_at(LEARNT + ago, zone), PrecompiledTimes()
    precompiled.learn(clocks(LEARNT), *conversion)
    read = block(*read_frames)
    return read_timed(precompiled, read, conversion), expected(read, conversion)


def test_reads_that_fit_equal_fields() -> None:
    hits = HitRate()

    @settings(max_examples=200, deadline=None)
    @given(MANY_SECONDS, st.sampled_from([UTC, PARIS]), AGO)
    def check(read_frames: list[bytes], zone: tzinfo, ago: timedelta) -> None:
        result, rows = learn_and_read(read_frames, zone, ago)
        hits.note(result is not None)
        assert result is None or result == rows

    check()
    hits.check(0.99)


@settings(max_examples=300, deadline=None)
@given(st.lists(NEARLY_PLAIN, min_size=1, max_size=4), st.sampled_from([UTC, PARIS]), AGO)
def test_result_equals_fields(read_frames: list[bytes], zone: tzinfo, ago: timedelta) -> None:
    result, rows = learn_and_read(read_frames, zone, ago)
    assert result is None or result == rows
