"""Times that the expression itself writes are what the fast reading and the reader of times say, or nothing is said."""

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
from tests.unit.syslog.fast.test_single_second import (
    FRAMES,
    NEEDS,
    STRANGE,
    block,
)

pytestmark = pytest.mark.skipif(
    pcre2.load() is None, reason="this machine has no libpcre2-8 (Debian: libpcre2-8-0): nothing is stamped"
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


def written(moment: datetime) -> bytes:
    return f"{moment:%b %e %H:%M:%S}".encode()


def clocks(until: datetime, zone: tzinfo = UTC, *, spread: int = 600, count: int = 100, seed: int = 1) -> list[bytes]:
    """Seconds of the last ``spread``, as many clocks tell them."""
    chance = random.Random(seed)
    moments = (until - timedelta(seconds=chance.randrange(spread)) for _ in range(count))
    return [written(moment.astimezone(zone)) for moment in moments]


def frames(seconds: list[bytes]) -> list[bytes]:
    return [b"<%d>%b gw unbound[7640]: [1:0] %d" % (i % 192, second, i) for i, second in enumerate(seconds)]


def expected(read: bytes, how: Reception) -> list[tuple[int | None, bytes]]:
    columns = parse_all(read, NEEDS)
    return [
        (how.reader.second_ms(second, offset, how.zone, how.received), text)
        for second, offset, text in zip(columns["second"], columns["offset"], columns["text"], strict=True)
    ]


def said(precompiled: PrecompiledTimes, read: bytes, how: Reception) -> list[tuple[int, bytes]] | None:
    columns = precompiled.strip(read, how)
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
        datetime(2026, 1, 1, 0, 3, tzinfo=UTC),  # last year's
        datetime(2028, 2, 29, 0, 3, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 4, tzinfo=UTC),  # Paris has just left an hour out
        datetime(2026, 12, 7, 12, tzinfo=UTC),  # a day of one digit
    ],
)
def test_each_event_has_its_own_time(zone: tzinfo, received: datetime) -> None:
    how, precompiled = reception(received, zone), PrecompiledTimes()
    assert precompiled.strip(block(b"<13>Nov 23 12:00:00 gw app: x"), how) is None
    precompiled.learn(clocks(received, zone), how)
    read = block(*frames(clocks(received, zone, seed=2)))
    assert said(precompiled, read, how) == expected(read, how)


def test_repeated_hour_is_read_as_the_parser_reads_it() -> None:
    """Paris leaves daylight saving at 01:00 UTC; both readings take the first of two possible moments."""
    received = datetime(2026, 10, 25, 1, 5, tzinfo=UTC)
    how, precompiled = reception(received, PARIS), PrecompiledTimes()
    seconds = clocks(received, PARIS)
    precompiled.learn(seconds, how)
    read = block(*frames(seconds))
    assert said(precompiled, read, how) == expected(read, how)


def test_span_that_holds_a_repeated_half_hour_is_left_to_the_parser() -> None:
    """Lord Howe Island repeats 01:30 to 02:00 at 15:00 UTC; a span across it has texts of two moments each."""
    zone, received = ZoneInfo("Australia/Lord_Howe"), datetime(2026, 4, 4, 15, 34, tzinfo=UTC)
    how, precompiled = reception(received, zone), PrecompiledTimes()
    seconds = clocks(received, zone, spread=300)
    assert {second[7:12] for second in seconds} >= {b"01:59", b"02:00"}
    precompiled.learn(seconds, how)
    assert said(precompiled, block(*frames(seconds)), how) is None


def test_days_of_one_digit_as_they_are_written() -> None:
    received = datetime(2026, 12, 7, 12, tzinfo=UTC)
    how = reception(received)
    for old, new in ((b"Dec  7", b"Dec  7"), (b"Dec  7", b"Dec 07")):
        precompiled = PrecompiledTimes()
        seconds = [second.replace(old, new) for second in clocks(received)]
        precompiled.learn(seconds, how)
        read = block(*frames(seconds))
        assert said(precompiled, read, how) == expected(read, how)


def test_another_minute_and_nothing_is_said_until_it_is_learnt() -> None:
    how, precompiled = reception(), PrecompiledTimes()
    precompiled.learn(clocks(NOON), how)
    later = clocks(NOON + timedelta(minutes=10))
    read = block(*frames(later))
    assert said(precompiled, read, how) is None
    for _ in range(3):
        precompiled.learn(later, how)
    assert said(precompiled, read, how) == expected(read, how)


@pytest.mark.parametrize("place", [0, 1, 99])
@pytest.mark.parametrize("frame", [*STRANGE, b"<30>Nov 23 11:59:60 gw app: a leap second", b"<30>Nov 23 11:5"])
def test_one_other_frame_and_nothing_is_said(frame: bytes, place: int) -> None:
    how, precompiled = reception(), PrecompiledTimes()
    seconds = clocks(NOON)
    precompiled.learn(seconds, how)
    good = frames(seconds)
    assert said(precompiled, block(*good), how) is not None
    assert said(precompiled, block(*good[:place], frame, *good[place:]), how) is None


def test_times_that_are_not_believed_are_left_to_others() -> None:
    precompiled, seconds = PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    precompiled.learn(seconds, reception())
    assert said(precompiled, read, reception(past=timedelta(minutes=5))) is None
    for narrow in (reception(past=timedelta(minutes=5)), reception(future=timedelta(seconds=-60))):
        precompiled = PrecompiledTimes()
        precompiled.learn(seconds, narrow)
        assert said(precompiled, read, narrow) is None
    wide = reception(past=timedelta(hours=1), future=timedelta(hours=1))
    precompiled = PrecompiledTimes()
    precompiled.learn(seconds, wide)
    assert said(precompiled, read, wide) == expected(read, wide)


def test_clocks_of_another_zone_or_hour_are_learnt_anew() -> None:
    precompiled, seconds = PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    for how in (reception(), reception(zone=PARIS), reception(NOON + timedelta(hours=1), PARIS)):
        assert said(precompiled, read, how) is None
        precompiled.learn(seconds, how)
        assert said(precompiled, read, how) == expected(read, how)


def test_what_is_not_scattered_is_not_stamped() -> None:
    how = reception()
    for seconds in (clocks(NOON, spread=10), clocks(NOON, spread=16, count=500), [b"Feb 30 12:00:00", *clocks(NOON)]):
        precompiled = PrecompiledTimes()
        precompiled.learn(seconds, how)
        assert precompiled.strip(block(*frames(clocks(NOON))), how) is None


def test_what_is_scattered_no_more_is_found_out() -> None:
    how, precompiled = reception(), PrecompiledTimes()
    precompiled.learn(clocks(NOON), how)
    once = [written(NOON - timedelta(seconds=9))] * 5
    read = block(*frames(once))
    stamped = 0
    while precompiled.strip(read, how) is not None:
        stamped += 1
    assert 0 < stamped < PrecompiledTimes.LOOK_AGAIN
    precompiled.learn(once, how)
    assert precompiled.strip(read, how) is None


def test_clocks_too_far_apart_are_not_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: made.append(about))
    precompiled = PrecompiledTimes()
    precompiled.learn(clocks(NOON, spread=86_400), reception())
    assert not made
    # As many minutes as there may be fit one expression.
    PrecompiledTimes().learn(
        clocks(NOON - timedelta(seconds=1), spread=60 * precompiled_times.MOST_MINUTES), reception()
    )
    ((span, *_),) = made
    assert span.end - span.first == precompiled_times.MOST_MINUTES * 60_000


def test_times_of_fewer_digits_are_left_to_others() -> None:
    long_ago = datetime(1999, 11, 23, 12, tzinfo=UTC)
    how, precompiled, seconds = reception(long_ago), PrecompiledTimes(), clocks(long_ago)
    precompiled.learn(seconds, how)
    assert precompiled.strip(block(*frames(seconds)), how) is None


def test_the_longest_expression_is_within_the_library_s_bound() -> None:
    how = reception()
    first = milliseconds(NOON)
    span = precompiled_times._Span(
        first, first + precompiled_times.MOST_MINUTES * 60_000, UTC, how.received // 3_600_000, padded=False
    )
    assert precompiled_times._rewriter(span, how.reader) is not None


def test_expressions_that_are_made_in_turn_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = precompiled_times._rewriter
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: made.append(about) or original(*about))
    how, precompiled, seconds = reception(), PrecompiledTimes(), clocks(NOON)
    read = block(*frames(seconds))
    for _ in range(1000):
        precompiled.learn(seconds, how)
        # As where many others have had theirs made meanwhile.
        original.cache_clear()
        assert precompiled.strip(read, how) is None
    assert 5 < len(made) < 15


def test_minutes_that_change_at_every_read_are_learnt_ever_less(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = precompiled_times._rewriter
    monkeypatch.setattr(precompiled_times, "_rewriter", lambda *about: made.append(about) or original(*about))
    how, precompiled = reception(), PrecompiledTimes()
    for turn in range(2000):
        seconds = clocks(NOON - timedelta(hours=turn % 7))
        precompiled.strip(block(*frames(seconds[:1])), how)
        precompiled.learn(seconds, how)
    assert 5 < len(made) < 30


@settings(max_examples=400, deadline=None)
@given(
    st.lists(FRAMES, min_size=1, max_size=4),
    st.sampled_from([UTC, PARIS]),
    st.timedeltas(timedelta(minutes=-8), timedelta(minutes=12)),
)
def test_what_is_said_is_what_the_fast_path_says(some: list[bytes], zone: tzinfo, ago: timedelta) -> None:
    learnt = datetime(2026, 11, 23, 7, 28, tzinfo=UTC)
    how, precompiled = reception(learnt + ago, zone), PrecompiledTimes()
    precompiled.learn(clocks(learnt), how)
    read = block(*some)
    told = said(precompiled, read, how)
    if told is not None:
        assert told == expected(read, how)
