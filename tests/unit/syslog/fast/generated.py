"""Generates reads that fit a strategy, reads that nearly do, and counts how many of the former a strategy answered."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog import parser
from bridge.syslog.columns import TEXT, Columns, stamp_of
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.grammar import Header
from bridge.syslog.reader import parse_rows


class HitRate:
    """Counts the reads, or frames, that were generated to fit a strategy, and those that it answered."""

    def __init__(self) -> None:
        self.generated = 0
        self.answered = 0

    def note(self, answered: int, generated: int = 1) -> None:
        """Counts generated reads, of which the strategy answered some."""
        self.generated += generated
        self.answered += answered

    def check(self, least: float) -> None:
        """Asserts that the strategy answered at least this share."""
        assert self.generated >= 100
        assert self.answered >= least * self.generated, f"{self.answered} of {self.generated}"


class CountedReference:
    """Replaces ``parser.read`` and counts its calls: the frames that a strategy left to the reference parser."""

    def __init__(self) -> None:
        self.calls = 0
        self._read = parser.read

    def __call__(self, frame: bytes) -> Header:
        self.calls += 1
        return self._read(frame)


def block(*frames: bytes) -> bytes:
    return b"".join(b"\n" + frame for frame in frames)


def rows(columns: Columns) -> list[tuple[bytes, ...]]:
    """Returns the stamp and the text of each row."""
    return list(zip(stamps(columns), columns["text"], strict=True))


def stamps(columns: Columns) -> list[bytes]:
    """Returns the time of each row as a stamp."""
    if "stamp" in columns.fields:
        return list(columns["stamp"])
    return list(map(stamp_of, *columns.times()))


def paused() -> RetryPause:
    """Returns the memory of a sender whose last read had headers of unknown layouts."""
    pause = RetryPause()
    pause.record_failure()
    return pause


def check_reads_that_fit(
    fitting: st.SearchStrategy[list[bytes]], strip: Callable[[bytes], list[tuple[bytes, ...]] | None]
) -> None:
    """Asserts that ``strip`` answers at least 99 % of the generated reads, and as the general reading does."""
    hits = HitRate()

    @settings(max_examples=300, deadline=None)
    @given(fitting)
    def check(frames: list[bytes]) -> None:
        read = block(*frames)
        result = strip(read)
        hits.note(result is not None)
        assert result is None or result == rows(parse_rows(read, TEXT))

    check()
    hits.check(0.99)


TEXTS = st.binary(max_size=12).map(lambda data: b"t" + data.replace(b"\n", b" "))


def _plain(seconds: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda pri, second, host, tag, text: b"<%d>%s %s %s%s" % (pri, second, host, tag, text),
        st.integers(0, 191),
        seconds,
        st.sampled_from([b"gw", b"192.0.2.1", b"a_b.c", b"SRV-1"]),
        st.sampled_from([b"app: ", b"app[1]: ", b"a/b(c)[x:1]:   ", b"CRON[]: "]),
        TEXTS,
    )


def _plain_5424(seconds: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda pri, second, fraction, words, data, text: (
            b"<%d>1 %s%sZ %s %s %s" % (pri, second, fraction, b" ".join(words), data, text)
        ),
        st.integers(0, 191),
        seconds,
        st.sampled_from([b"", b".5", b".250", b".123456789"]),
        st.lists(st.sampled_from([b"gw", b"-", b"app", b"ID47", b"7"]), min_size=4, max_size=4),
        st.sampled_from([b"-", b'[a b="c"]', b'[a b="\\]"][c]']),
        TEXTS,
    )


SECOND, SECOND_5424 = b"Nov 23 07:24:00", b"2026-11-23T07:24:00"
_LATER = st.integers(0, 59).map(lambda second: b"Nov 23 07:24:%02d" % second)
_LATER_5424 = st.integers(0, 59).map(lambda second: b"2026-11-23T07:24:%02d" % second)

ONE_SECOND = st.lists(_plain(st.just(SECOND)), min_size=1, max_size=5)
ONE_SECOND_5424 = st.lists(_plain_5424(st.just(SECOND_5424)), min_size=1, max_size=5)
MANY_SECONDS = st.lists(_plain(_LATER), min_size=1, max_size=5)
MANY_SECONDS_5424 = st.lists(_plain_5424(_LATER_5424), min_size=1, max_size=5)

# Frames of which many do not fit.
NEARLY_PLAIN = st.one_of(
    st.builds(
        lambda pri, time, host, tag, text: b"<%d>%s %s %s %s" % (pri, time, host, tag, text),
        st.integers(0, 200),
        st.sampled_from([SECOND, SECOND, b"Nov 23 07:24:01", b"Nov  3 07:24:00", b"nov 23 07:24:00"]),
        st.sampled_from([b"gw", b"192.0.2.1", b"UTC", b"2026", b"host:", b"a_b.c"]),
        st.sampled_from([b"app:", b"app[1]:", b"app", b"CEF:", b"a/b[x.y]:", b"[1]:"]),
        st.binary(max_size=12).map(lambda data: data.replace(b"\n", b" ")),
    ),
    st.just(b"<30>Nov 23 07:24:00 gw app: text"),
    st.binary(max_size=30).map(lambda data: data.replace(b"\n", b" ")),
)
NEARLY_PLAIN_5424 = st.builds(
    lambda pri, time, fraction, offset, words, data, text: (
        b"<%d>1 %s%s%s %s %s %s" % (pri, time, fraction, offset, b" ".join(words), data, text)
    ),
    st.integers(0, 200),
    st.sampled_from([SECOND_5424] * 4 + [b"2026-11-23T07:24:01", b"2026-02-30T07:24:00"]),
    st.sampled_from([b"", b".5", b".250", b".123456789", b",5"]),
    st.sampled_from([b"Z", b"Z", b"Z", b"+01:00", b""]),
    st.lists(st.sampled_from([b"gw", b"-", b"app", b"app:", b"\xc3\xbc", b"7"]), min_size=4, max_size=4),
    st.sampled_from([b"-", b'[a b="c"]', b'[a b="\\]"][c]', b"[a b=c]", b'[a b="c']),
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b" ")),
)
NEARLY = st.lists(NEARLY_PLAIN, min_size=1, max_size=4) | st.lists(NEARLY_PLAIN_5424, min_size=1, max_size=4)
