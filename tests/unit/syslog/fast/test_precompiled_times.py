"""Tests that PrecompiledTimes gives the times and texts of ``columns`` and TimeReader, or None."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog.fast import pcre2, precompiled_times
from bridge.syslog.fast.columns import parse_all
from bridge.syslog.fast.precompiled_times import PrecompiledTimes, Reception
from bridge.syslog.timestamps import TimeReader, milliseconds
from tests.unit.syslog.fast.test_single_second import FRAMES, NEEDS, NOT_PLAIN, block

pytestmark = pytest.mark.skipif(
    pcre2.load() is None, reason="this machine has no libpcre2-8 (Debian: libpcre2-8-0): times are not precompiled"
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def reception(
    received: datetime = NOON, zone: tzinfo = UTC, *, past: timedelta | None = None, future: timedelta | None = None
) -> Reception:
    now = milliseconds(received)
    earliest = float("-inf") if past is None else milliseconds(received - past)
    latest = float("inf") if future is None else milliseconds(received + future)
    return Reception(TimeReader(), zone, now, earliest, latest)


def format_second(moment: datetime) -> bytes:
    return f"{moment:%b %e %H:%M:%S}".encode()


def clocks(until: datetime, zone: tzinfo = UTC, *, spread: int = 600, count: int = 100, seed: int = 1) -> list[bytes]:
    """Returns random seconds of the last ``spread`` seconds, as many clocks would write them."""
    rng = random.Random(seed)
    moments = (until - timedelta(seconds=rng.randrange(spread)) for _ in range(count))
    return [format_second(moment.astimezone(zone)) for moment in moments]


def frames(seconds: list[bytes]) -> list[bytes]:
    return [b"<%d>%b gw unbound[7640]: [1:0] %d" % (i % 192, second, i) for i, second in enumerate(seconds)]


def expected(read: bytes, reception_values: Reception) -> list[tuple[int | None, bytes]]:
    columns = parse_all(read, NEEDS)
    return [
        (reception_values.reader.second_ms(second, offset, reception_values.zone, reception_values.received), text)
        for second, offset, text in zip(columns["second"], columns["offset"], columns["text"], strict=True)
    ]


def read_timed(
    precompiled: PrecompiledTimes, read: bytes, reception_values: Reception
) -> list[tuple[int, bytes]] | None:
    columns = precompiled.strip(read, reception_values)
    if columns is None:
        return None
    assert columns.timed is not None
    times = columns.timed.times()
    assert columns.count == len(times) == len(columns["text"])
    assert (columns.timed.earliest, columns.timed.latest) == (min(times), max(times))
    assert columns.timed.lines == b"".join(b"%d\t%b\n" % row for row in zip(times, columns["text"], strict=True))
    return list(zip(times, columns["text"], strict=True))


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
    reception_values, precompiled = reception(received, zone), PrecompiledTimes()
    assert precompiled.strip(block(b"<13>Nov 23 12:00:00 gw app: x"), reception_values) is None
    precompiled.learn(clocks(received, zone), reception_values)
    read = block(*frames(clocks(received, zone, seed=2)))
    assert read_timed(precompiled, read, reception_values) == expected(read, reception_values)


def test_repeated_hour_is_read_as_the_parser_reads_it() -> None:
    """Tests the end of daylight saving time in Paris at 01:00 UTC. Both readers use the first of two possible times."""
    received = datetime(2026, 10, 25, 1, 5, tzinfo=UTC)
    reception_values, precompiled = reception(received, PARIS), PrecompiledTimes()
    seconds = clocks(received, PARIS)
    precompiled.learn(seconds, reception_values)
    read = block(*frames(seconds))
    assert read_timed(precompiled, read, reception_values) == expected(read, reception_values)


def test_span_that_holds_a_repeated_half_hour_is_left_to_the_parser() -> None:
    """Tests Lord Howe Island, which repeats 01:30 to 02:00 at 15:00 UTC: texts in that span have two possible times."""
    zone, received = ZoneInfo("Australia/Lord_Howe"), datetime(2026, 4, 4, 15, 34, tzinfo=UTC)
    reception_values, precompiled = reception(received, zone), PrecompiledTimes()
    seconds = clocks(received, zone, spread=300)
    assert {second[7:12] for second in seconds} >= {b"01:59", b"02:00"}
    precompiled.learn(seconds, reception_values)
    assert read_timed(precompiled, block(*frames(seconds)), reception_values) is None


def test_days_of_one_digit_are_read_with_blank_or_zero() -> None:
    received = datetime(2026, 12, 7, 12, tzinfo=UTC)
    reception_values = reception(received)
    for old, new in ((b"Dec  7", b"Dec  7"), (b"Dec  7", b"Dec 07")):
        precompiled = PrecompiledTimes()
        seconds = [second.replace(old, new) for second in clocks(received)]
        precompiled.learn(seconds, reception_values)
        read = block(*frames(seconds))
        assert read_timed(precompiled, read, reception_values) == expected(read, reception_values)


def test_another_minute_is_rejected_until_it_is_learnt() -> None:
    reception_values, precompiled = reception(), PrecompiledTimes()
    precompiled.learn(clocks(NOON), reception_values)
    later = clocks(NOON + timedelta(minutes=10))
    read = block(*frames(later))
    assert read_timed(precompiled, read, reception_values) is None
    for _ in range(3):
        precompiled.learn(later, reception_values)
    assert read_timed(precompiled, read, reception_values) == expected(read, reception_values)


@pytest.mark.parametrize("place", [0, 1, 99])
@pytest.mark.parametrize("frame", [*NOT_PLAIN, b"<30>Nov 23 11:59:60 gw app: a leap second", b"<30>Nov 23 11:5"])
def test_one_unmatched_frame_rejects_the_read(frame: bytes, place: int) -> None:
    reception_values, precompiled = reception(), PrecompiledTimes()
    seconds = clocks(NOON)
    precompiled.learn(seconds, reception_values)
    good = frames(seconds)
    assert read_timed(precompiled, block(*good), reception_values) is not None
    assert read_timed(precompiled, block(*good[:place], frame, *good[place:]), reception_values) is None


def test_times_out_of_range_are_rejected() -> None:
    precompiled, seconds = PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    precompiled.learn(seconds, reception())
    assert read_timed(precompiled, read, reception(past=timedelta(minutes=5))) is None
    for narrow in (reception(past=timedelta(minutes=5)), reception(future=timedelta(seconds=-60))):
        precompiled = PrecompiledTimes()
        precompiled.learn(seconds, narrow)
        assert read_timed(precompiled, read, narrow) is None
    wide = reception(past=timedelta(hours=1), future=timedelta(hours=1))
    precompiled = PrecompiledTimes()
    precompiled.learn(seconds, wide)
    assert read_timed(precompiled, read, wide) == expected(read, wide)


def test_clocks_of_another_zone_or_hour_are_learnt_anew() -> None:
    precompiled, seconds = PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    for reception_values in (reception(), reception(zone=PARIS), reception(NOON + timedelta(hours=1), PARIS)):
        assert read_timed(precompiled, read, reception_values) is None
        precompiled.learn(seconds, reception_values)
        assert read_timed(precompiled, read, reception_values) == expected(read, reception_values)


def test_times_that_are_not_scattered_are_not_learnt() -> None:
    reception_values = reception()
    for seconds in (clocks(NOON, spread=10), clocks(NOON, spread=16, count=500), [b"Feb 30 12:00:00", *clocks(NOON)]):
        precompiled = PrecompiledTimes()
        precompiled.learn(seconds, reception_values)
        assert precompiled.strip(block(*frames(clocks(NOON))), reception_values) is None


def test_end_of_scattering_is_detected() -> None:
    reception_values, precompiled = reception(), PrecompiledTimes()
    precompiled.learn(clocks(NOON), reception_values)
    once = [format_second(NOON - timedelta(seconds=9))] * 5
    read = block(*frames(once))
    stamped = 0
    while precompiled.strip(read, reception_values) is not None:
        stamped += 1
    assert 0 < stamped < PrecompiledTimes.RECHECK_READS
    precompiled.learn(once, reception_values)
    assert precompiled.strip(read, reception_values) is None


def test_clocks_too_far_apart_are_not_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: compiled.append(about))
    precompiled = PrecompiledTimes()
    precompiled.learn(clocks(NOON, spread=86_400), reception())
    assert not compiled
    # The maximum number of minutes fits one expression.
    PrecompiledTimes().learn(
        clocks(NOON - timedelta(seconds=1), spread=60 * precompiled_times.MAX_MINUTES), reception()
    )
    ((span, *_),) = compiled
    assert span.end - span.first == precompiled_times.MAX_MINUTES * 60_000


def test_times_of_fewer_digits_are_rejected() -> None:
    long_ago = datetime(1999, 11, 23, 12, tzinfo=UTC)
    reception_values, precompiled, seconds = reception(long_ago), PrecompiledTimes(), clocks(long_ago)
    precompiled.learn(seconds, reception_values)
    assert precompiled.strip(block(*frames(seconds)), reception_values) is None


def test_longest_expression_compiles() -> None:
    reception_values = reception()
    first = milliseconds(NOON)
    span = precompiled_times._Span(
        first, first + precompiled_times.MAX_MINUTES * 60_000, UTC, reception_values.received // 3_600_000, padded=False
    )
    assert precompiled_times._rewriter(span, reception_values.reader) is not None


def test_evicted_expressions_pause_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    original = precompiled_times._rewriter
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: compiled.append(about) or original(*about))
    reception_values, precompiled, seconds = reception(), PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    for _ in range(1000):
        precompiled.learn(seconds, reception_values)
        # Simulates that the expressions of many other connections evicted this one.
        original.cache_clear()
        assert precompiled.strip(read, reception_values) is None
    assert 5 < len(compiled) < 15


def test_changing_minutes_are_learnt_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    original = precompiled_times._rewriter
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: compiled.append(about) or original(*about))
    reception_values, precompiled = reception(), PrecompiledTimes()
    for turn in range(2000):
        seconds = clocks(NOON - timedelta(hours=turn % 7))
        precompiled.strip(block(*frames(seconds[:1])), reception_values)
        precompiled.learn(seconds, reception_values)
    assert 5 < len(compiled) < 30


@settings(max_examples=400, deadline=None)
@given(
    st.lists(FRAMES, min_size=1, max_size=4),
    st.sampled_from([UTC, PARIS]),
    st.timedeltas(timedelta(minutes=-8), timedelta(minutes=12)),
)
def test_result_equals_columns(read_frames: list[bytes], zone: tzinfo, ago: timedelta) -> None:
    learnt = datetime(2026, 11, 23, 7, 28, tzinfo=UTC)
    reception_values, precompiled = reception(learnt + ago, zone), PrecompiledTimes()
    precompiled.learn(clocks(learnt), reception_values)
    read = block(*read_frames)
    result = read_timed(precompiled, read, reception_values)
    if result is not None:
        assert result == expected(read, reception_values)
