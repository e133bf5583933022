"""Tests that SingleSecondReader gives the result of ``columns``, or None."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog.fast.columns import ALWAYS, parse_all
from bridge.syslog.fast.single_second import SingleSecondReader

NEEDS = ALWAYS | {"text"}
SECOND = b"Nov 23 07:24:00"


def strip(block: bytes, times: int = 3) -> list[tuple[bytes, ...]] | None:
    """Returns the rows of a reader that has seen the second often enough, or None."""
    single_second = SingleSecondReader()
    columns = None
    for _ in range(times):
        columns = single_second.strip(block)
    if columns is None:
        return None
    assert columns.lines is not None
    assert columns.lines == b"".join(text + b"\n" for text in columns["text"])
    assert columns.count == len(columns["text"])
    return rows(columns)


def rows(columns) -> list[tuple[bytes, ...]]:
    return list(zip(columns["second"], columns["fraction"], columns["offset"], columns["text"], strict=True))


def block(*frames: bytes) -> bytes:
    return b"".join(b"\n" + frame for frame in frames)


def test_plain_read_is_stripped() -> None:
    read = block(b"<30>Nov 23 07:24:00 gw unbound[7640]: [1:0] info: a", b"<0>Nov 23 07:24:00 h-2.example app:   b: c")
    assert strip(read) == [(SECOND, b"", b"", b"[1:0] info: a"), (SECOND, b"", b"", b"b: c")]


def test_read_of_structured_data_is_stripped() -> None:
    read = block(
        b'<30>1 2026-11-23T07:24:00.250Z gw app 7 ID1 [a@1 b="c\\"" d="e"][f] \xef\xbb\xbf  text',
        b"<191>1 2026-11-23T07:24:00Z - - - - - x",
    )
    second = b"2026-11-23T07:24:00"
    assert strip(read) == [(second, b".250", b"Z", b"text"), (second, b"", b"Z", b"x")]


@pytest.mark.parametrize(
    "frame",
    [
        b"<30>1 2026-11-23T07:24:01Z gw app - - - another second",
        b"<30>1 2026-11-23T07:24:00+01:00 gw app - - - another zone",
        b"<30>1 2026-11-23T07:24:00Z gw app: - - - a tag",
        b"<30>1 2026-11-23T07:24:00Z gw app - - [a b=c] no data",
        b"<30>1 2026-11-23T07:24:00Z gw app - - -",
        b"<30>Nov 23 07:24:00 gw app: of the other kind",
        b"",
        b"  ",
        b"text",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_unmatched_rfc5424_frame_rejects_the_read(frame: bytes, place: int) -> None:
    frames = [b"<30>1 2026-11-23T07:24:00Z gw app - - - one", b'<31>1 2026-11-23T07:24:00.5Z gw app - - [a b="c"] two']
    frames.insert(place, frame)
    single_second = SingleSecondReader()
    for _ in range(3):
        single_second.strip(block(frames[0 if place else 1]))
    assert single_second.strip(block(*frames)) is None


# Frames without plain header: a reader of plain headers must reject a read that contains one.
NOT_PLAIN = [
    b"<192>Nov 23 07:24:00 gw app: no PRI",
    b"<30>Nov 23 07:24:00 gw no tag",
    b"<30>Nov 23 07:24:00 gw app: ",
    b"<30>Nov 23 07:24:00 UTC app: a zone name",
    b"",
    b"  ",
    b"text <30>Nov 23 07:24:00 gw app: with a header inside",
    b"<30>1 2026-11-23T07:24:00Z gw app - - - of the other kind",
]


@pytest.mark.parametrize(
    "frame",
    [
        *NOT_PLAIN,
        b"<30>Nov 23 07:24:01 gw app: another second",
        b"<30>Nov 23 07:24:00 gw app:text without a blank",
        b"<30>Nov 23 07:24:00 2026 app: a year",
        b"<30>Nov 23 07:24:00 gw CEF: 0|a|b",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_unmatched_frame_rejects_the_read(frame: bytes, place: int) -> None:
    frames = [b"<30>Nov 23 07:24:00 gw app: one", b"<31>Nov 23 07:24:00 gw app: two"]
    frames.insert(place, frame)
    assert strip(block(*frames)) is None


def test_invalid_date_is_rejected() -> None:
    assert strip(block(b"<30>Feb 30 07:24:00 gw app: text"), times=9) is None


def test_failures_pause_the_reader() -> None:
    single_second = SingleSecondReader()
    mixed = block(b"<30>Nov 23 07:24:00 gw app: text", b"something else")
    plain = block(b"<30>Nov 23 07:24:00 gw app: text")
    for _ in range(50):
        assert single_second.strip(mixed) is None
    # The reader tries again after the pause.
    assert any(single_second.strip(plain) is not None for _ in range(2 * SingleSecondReader.LONGEST_PAUSE))


def test_new_second_is_recognised() -> None:
    single_second = SingleSecondReader()
    for second in range(5):
        read = block(b"<30>Nov 23 07:24:%02d gw app: text" % second)
        result = [single_second.strip(read) for _ in range(4)]
        assert result[-1] is not None and result[-1]["second"] == [b"Nov 23 07:24:%02d" % second]


TIMES = st.sampled_from(
    [b"Nov 23 07:24:00", b"Nov 23 07:24:00", b"Nov 23 07:24:01", b"Nov  3 07:24:00", b"nov 23 07:24:00"]
)
FRAMES = st.one_of(
    st.builds(
        lambda pri, time, host, tag, text: b"<%d>%s %s %s %s" % (pri, time, host, tag, text),
        st.integers(0, 200),
        TIMES,
        st.sampled_from([b"gw", b"192.0.2.1", b"UTC", b"2026", b"host:", b"a_b.c"]),
        st.sampled_from([b"app:", b"app[1]:", b"app", b"CEF:", b"a/b[x.y]:", b"[1]:"]),
        st.binary(max_size=12).map(lambda data: data.replace(b"\n", b" ")),
    ),
    st.just(b"<30>Nov 23 07:24:00 gw app: text"),
    st.binary(max_size=30).map(lambda data: data.replace(b"\n", b" ")),
)


FRAMES_5424 = st.builds(
    lambda pri, time, fraction, offset, words, data, text: (
        b"<%d>1 %s%s%s %s %s %s" % (pri, time, fraction, offset, b" ".join(words), data, text)
    ),
    st.integers(0, 200),
    st.sampled_from([b"2026-11-23T07:24:00"] * 4 + [b"2026-11-23T07:24:01", b"2026-02-30T07:24:00"]),
    st.sampled_from([b"", b".5", b".250", b".123456789", b",5"]),
    st.sampled_from([b"Z", b"Z", b"Z", b"+01:00", b""]),
    st.lists(st.sampled_from([b"gw", b"-", b"app", b"app:", b"\xc3\xbc", b"7"]), min_size=4, max_size=4),
    st.sampled_from([b"-", b'[a b="c"]', b'[a b="\\]"][c]', b"[a b=c]", b'[a b="c']),
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b" ")),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(FRAMES, min_size=1, max_size=4) | st.lists(FRAMES_5424, min_size=1, max_size=4), st.booleans())
def test_result_equals_columns(frames: list[bytes], same: bool) -> None:
    read = block(*(frames[:1] * len(frames) if same else frames))
    result = strip(read)
    if result is not None:
        assert result == rows(parse_all(read, NEEDS))


def test_connections_share_the_expression_of_a_second() -> None:
    read = block(b"<30>Oct 11 05:33:07 gw app: text")
    first, second, third = SingleSecondReader(), SingleSecondReader(), SingleSecondReader()
    assert first.strip(read) is None
    assert second.strip(read) is not None
    assert third.strip(read) is not None
    assert not third.mixed
    assert third.strip(block(b"no syslog")) is None
    assert third.mixed
