"""Tests that a Reader gives the result of the reference parser, whichever strategies it chooses, and how it chooses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog import parser
from bridge.syslog.columns import TEXT, Columns, SameSecond, Stamped, TextBlock
from bridge.syslog.fast import mixed_formats
from bridge.syslog.frames import block_of
from bridge.syslog.reader import Reader, read_columns
from bridge.syslog.shapes import SHAPES
from bridge.syslog.timestamps import TimeReader, fraction_ms, milliseconds
from bridge.util import pcre2
from tests.unit.syslog.fast.generated import (
    MANY_SECONDS,
    NEARLY_PLAIN,
    NEARLY_PLAIN_5424,
    ONE_SECOND,
    ONE_SECOND_5424,
    HitRate,
)

RECEIVED = milliseconds(datetime(2026, 11, 23, 7, 28, tzinfo=UTC))
FIELDS = frozenset(("text",))
SCATTERED = [b"<%d>Nov 23 07:%02d:%02d gw app[7]: %d" % (i % 192, 20 + i % 8, i * 7 % 60, i) for i in range(100)]
DEVICES = [shape.example for shape in SHAPES.values()]
needs_pcre2 = pytest.mark.skipif(
    pcre2.load() is None,
    reason="this machine has no libpcre2-8 (Debian: libpcre2-8-0): the reference parser reads all",
)


def rows_of(read: Columns | TextBlock) -> list[tuple[int | None, bytes]]:
    """Returns time and text of each row."""
    rows = read.rows()
    assert read.count == rows.count == len(rows["text"])
    times = list(map(time_of, *read.times()))
    assert list(map(time_of, *rows.times())) == times
    return list(zip(times, rows["text"], strict=True))


def time_of(second: bytes, fraction: bytes, offset: bytes) -> int | None:
    """Returns the milliseconds of a time."""
    ms = TimeReader().second_ms(second, offset, UTC, RECEIVED)
    return None if ms is None else ms + fraction_ms(fraction)


def reference(frames: list[bytes]) -> list[tuple[int | None, bytes]]:
    parsed = [parser.read(frame) for frame in frames if frame.strip(b" \t\r\n\0")]
    return [(time_of(parts.second, parts.fraction, parts.offset), parts.msg.lstrip(b" \t")) for parts in parsed]


ANY = st.one_of(
    ONE_SECOND,
    ONE_SECOND_5424,
    MANY_SECONDS,
    st.lists(NEARLY_PLAIN | NEARLY_PLAIN_5424, max_size=4),
    st.just(SCATTERED),
    st.lists(st.sampled_from(DEVICES), max_size=4),
    st.just([b"<30>Nov 23 07:24:00 gw app: with\na line end"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ANY, min_size=1, max_size=8))
def test_any_sequence_of_reads_equals_reference(reads: list[list[bytes]]) -> None:
    reader = Reader()
    for frames in reads:
        assert rows_of(reader.read(block_of(frames), FIELDS)) == reference(frames)


@pytest.mark.parametrize(
    ("reads", "kind"),
    [
        pytest.param(ONE_SECOND, SameSecond, id="one second"),
        pytest.param(ONE_SECOND_5424, SameSecond, id="one second, RFC 5424"),
        pytest.param(MANY_SECONDS, Stamped | SameSecond, id="many seconds"),
        pytest.param(st.just(SCATTERED), Stamped, id="scattered"),
    ],
)
def test_reads_of_one_kind_are_blocks(reads: st.SearchStrategy[list[bytes]], kind: type[TextBlock]) -> None:
    hits = HitRate()

    @settings(max_examples=200, deadline=None)
    @given(reads)
    def check(frames: list[bytes]) -> None:
        reader = Reader()
        found = [reader.read(block_of(frames), FIELDS) for _ in range(6)][-1]
        hits.note(isinstance(found, kind))
        assert rows_of(found) == reference(frames)

    for _ in range(100 if kind is Stamped else 1):
        check()
    hits.check(0.95)


def test_reads_of_many_kinds_are_columns() -> None:
    reader = Reader()
    for _ in range(4):
        found = reader.read(block_of(DEVICES), FIELDS)
        assert isinstance(found, Columns) and set(found.fields) in ({"stamp", "text"}, TEXT)
        assert rows_of(found) == reference(DEVICES)


def test_other_fields_are_columns() -> None:
    reader = Reader()
    frames = [b"<30>Nov 23 07:24:00 gw app: text"] * 3
    for _ in range(4):
        found = reader.read(block_of(frames), frozenset(("hostname",)))
        assert isinstance(found, Columns)
        assert list(found["hostname"]) == [b"gw"] * 3
    assert isinstance(reader.read(frames, FIELDS), Columns)


def test_reading_columns_needs_no_memory() -> None:
    assert list(read_columns(b"\n<30>Nov 23 07:24:00 gw app: text", frozenset(("app_name",)))["app_name"]) == [b"app"]


@needs_pcre2
def test_general_expression_reads_only_the_frames_of_other_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    general = mixed_formats.any_header(auto=False)
    assert general is not None

    def counted(block: bytes) -> object:
        left.append(block.count(b"\n"))
        return general(block)

    monkeypatch.setattr(mixed_formats, "any_header", lambda auto: counted)
    line = b'<189>date=2026-11-23 time=08:24:00 devname="fgt-a" devid="FG0" tz="%b" type="traffic"'
    frames = [line % zone for zone in (b"+0100", b"+0000", b"-0500")] * 3
    reader = Reader()
    for _ in range(8):
        assert rows_of(reader.read(block_of(frames), FIELDS)) == reference(frames)
    assert left == []
    some = [*frames, b"<30>Nov 23 07:24:00 gw some text"]
    assert rows_of(reader.read(block_of(some), FIELDS)) == reference(some)
    assert left == [1]
    # If few frames are of a known layout, the general expression reads all frames of the next reads.
    for _ in range(8):
        assert rows_of(reader.read(block_of(DEVICES), FIELDS)) == reference(DEVICES)
    assert left.count(len(DEVICES)) > 3
