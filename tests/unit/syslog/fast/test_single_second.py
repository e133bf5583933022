"""Tests that SingleSecond gives the result of ``fields``, or None."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog.columns import TEXT
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.fast.single_second import SingleSecond, _Moment
from bridge.syslog.reader import parse_rows
from tests.unit.syslog.fast.generated import (
    NEARLY,
    ONE_SECOND,
    ONE_SECOND_5424,
    SECOND,
    block,
    check_reads_that_fit,
    rows,
)


def strip(read: bytes, times: int = _Moment.MIN_READS) -> list[tuple[bytes, ...]] | None:
    """Returns the rows of a reader that has seen the second often enough, or None."""
    single_second = SingleSecond()
    found = None
    for _ in range(times):
        found = single_second.read(read)
    if found is None:
        return None
    assert found.lines == b"".join(text + b"\n" for text in found.texts())
    assert found.count == len(found.texts())
    return rows(found.rows())


def test_plain_read_is_stripped() -> None:
    read = block(b"<30>Nov 23 07:24:00 gw unbound[7640]: [1:0] info: a", b"<0>Nov 23 07:24:00 h-2.example app:   b: c")
    assert strip(read) == [(SECOND + b"\t\t", b"[1:0] info: a"), (SECOND + b"\t\t", b"b: c")]


def test_read_of_structured_data_is_stripped() -> None:
    read = block(
        b'<30>1 2026-11-23T07:24:00.250Z gw app 7 ID1 [a@1 b="c\\"" d="e"][f] \xef\xbb\xbf  text',
        b"<191>1 2026-11-23T07:24:00Z - - - - - x",
    )
    second = b"2026-11-23T07:24:00"
    assert strip(read) == [(second + b"\t.250\tZ", b"text"), (second + b"\t\tZ", b"x")]


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
    single_second = SingleSecond()
    for _ in range(3):
        single_second.read(block(frames[0 if place else 1]))
    assert single_second.read(block(*frames)) is None


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
    single_second = SingleSecond()
    mixed = block(b"<30>Nov 23 07:24:00 gw app: text", b"something else")
    plain = block(b"<30>Nov 23 07:24:00 gw app: text")
    for _ in range(50):
        assert single_second.read(mixed) is None
    # The reader tries again after the pause.
    assert any(single_second.read(plain) is not None for _ in range(2 * RetryPause().max_skips))


def test_new_second_is_recognised() -> None:
    single_second = SingleSecond()
    for second in range(5):
        read = block(b"<30>Nov 23 07:24:%02d gw app: text" % second)
        result = [single_second.read(read) for _ in range(4)]
        assert result[-1] is not None and result[-1].times()[0] == [b"Nov 23 07:24:%02d" % second]


def test_reads_that_fit_equal_fields() -> None:
    check_reads_that_fit(ONE_SECOND | ONE_SECOND_5424, strip)


@settings(max_examples=400, deadline=None)
@given(NEARLY, st.booleans())
def test_result_equals_fields(frames: list[bytes], same: bool) -> None:
    read = block(*(frames[:1] * len(frames) if same else frames))
    result = strip(read)
    assert result is None or result == rows(parse_rows(read, TEXT))


def test_connections_share_the_expression_of_a_second() -> None:
    read = block(b"<30>Oct 11 05:33:07 gw app: text")
    *early, second, third = (SingleSecond() for _ in range(_Moment.MIN_READS + 1))
    assert [reader.read(read) for reader in early] == [None] * (_Moment.MIN_READS - 1)
    assert second.read(read) is not None
    assert third.read(read) is not None
    assert third.read(block(b"no syslog")) is None
