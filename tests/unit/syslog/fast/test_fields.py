"""Tests that all columns of a read are those of the reference parser."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.routing.profile import PAYLOAD_NEEDS
from bridge.syslog import parser
from bridge.syslog.columns import ALWAYS, FIELDS, Columns, stamp_of
from bridge.syslog.frames import block_of, list_of
from bridge.syslog.reader import parse_rows
from bridge.syslog.structured_data import auto_text
from tests.harness.examples import examples
from tests.unit.syslog.fast.generated import (
    MANY_SECONDS,
    MANY_SECONDS_5424,
    ONE_SECOND,
    ONE_SECOND_5424,
    CountedReference,
    HitRate,
    stamps,
)

EVERYTHING = frozenset(FIELDS)
NEEDS = [
    EVERYTHING,
    frozenset(),
    *PAYLOAD_NEEDS.values(),
    frozenset(("hostname", "text")),
    frozenset(("content", "raw")),
]


def reference(frames, needs):
    """Returns count, {column: values} and blank rows, made with ``parser.read`` alone."""
    rows = [frame for frame in frames if frame.strip(b" \t\r\n\0")]
    columns = {name: [] for name in FIELDS if name in needs - ALWAYS} | {"stamp": []}
    blank = {}
    for i, frame in enumerate(rows):
        parts = parser.read(frame)
        text = parts.msg.lstrip(b" \t")
        auto = auto_text(parts.msgid, parts.structured_data, text)
        known = parts._asdict() | {"raw": frame, "text": text, "auto": auto}
        known["stamp"] = stamp_of(parts.second, parts.fraction, parts.offset)
        for name, column in columns.items():
            column.append(known[name])
        if not parts.msg.strip(b" \t"):
            blank[i] = frame
    return len(rows), columns, blank


def fast(frames, needs):
    read = parse_rows(frames, needs | ALWAYS)
    columns = {name: list(read[name]) for name in FIELDS if name in needs - ALWAYS} | {"stamp": stamps(read)}
    return read.count, columns, read.blank


def check(frames):
    for needs in NEEDS:
        assert fast(frames, needs) == reference(list_of(frames), needs)


@settings(max_examples=examples(400, long=1500), deadline=None)
@given(st.data())
def test_fast_equals_reference(messages, data):
    check(block_of([frame.replace(b"\n", b" ") for frame in data.draw(messages.reads)]))


def test_frames_that_fit_rarely_use_the_reference_parser(monkeypatch):
    hits = HitRate()
    reference_parser = CountedReference()
    monkeypatch.setattr(parser, "read", reference_parser)

    @settings(max_examples=100, deadline=None)
    @given(ONE_SECOND | MANY_SECONDS | ONE_SECOND_5424 | MANY_SECONDS_5424)
    def check_count(frames):
        before = reference_parser.calls
        assert parse_rows(block_of(frames), EVERYTHING).count == len(frames)
        hits.note(len(frames) - (reference_parser.calls - before), len(frames))

    check_count()
    hits.check(0.99)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_fast_equals_reference_if_frames_contain_line_ends(messages, data):
    frames = data.draw(messages.reads)
    at = data.draw(st.integers(0, 10))
    frames = [frame[:at] + b"\n" + frame[at:] for frame in frames] or [b"\n"]
    read = block_of(frames)
    assert read is frames
    check(read)
    assert parse_rows(read, EVERYTHING).holds_lf


def test_read_of_one_kind_never_uses_the_reference_parser(monkeypatch):
    monkeypatch.setattr(parser, "read", None)
    lines = [b"<30>Nov 23 07:24:0%d gw sshd[%d]: text %d" % (i, i, i) for i in range(5)]
    assert parse_rows(block_of(lines), EVERYTHING)["text"] == [b"text %d" % i for i in range(5)]
    lines = [b'<30>1 2026-11-23T07:24:0%d.5Z gw app - - [a b="%d"] text %d' % (i, i, i) for i in range(5)]
    assert parse_rows(block_of(lines), EVERYTHING)["msg"] == [b"text %d" % i for i in range(5)]


# Frames on which the two once differed, or could easily differ.
EDGES = {
    "offset out of range": b"<13>1 2026-11-23T07:24:00+99:00 h a p m - text",
    "offset minutes out of range": b"<13>1 2026-11-23T07:24:00+01:60 h a p m - text",
    "3164 offset out of range": b"<13>2026-11-23T07:24:00+25:00 gw app: text",
    "offset after a BSD time": b"<13>Nov 23 07:24:00Z gw app: text",
    "year 0": b"<13>1 0000-01-01T00:00:00Z h a p m - text",
    "earliest hour, east": b"<13>1 0001-01-01T00:00:00+01:00 h a p m - text",
    "latest hour, west": b"<13>1 9999-12-31T23:59:59-01:00 h a p m - text",
    "BOM alone": b"<13>1 2026-11-23T07:24:00Z h a p m - \xef\xbb\xbf",
    "BOM and blanks": b"<13>1 2026-11-23T07:24:00Z h a p m - \xef\xbb\xbf  ",
    "BOM twice": b"<13>1 2026-11-23T07:24:00Z h a p m - \xef\xbb\xbf\xef\xbb\xbfx",
    "no message": b"<13>1 2026-11-23T07:24:00Z h a p m -",
    "blanks for a message": b"<13>Nov 23 07:24:00 gw app:    ",
    "30 February": b"<13>Feb 30 07:24:00 gw app: text",
    "leap second": b"<13>1 2016-12-31T23:59:60Z h a p m - text",
    "zone name": b"<13>Nov 23 07:24:00 CET gw app: text",
    "empty pid": b"<13>Nov 23 07:24:00 gw app[]: text",
    "CEF": b"<13>Nov 23 07:24:00 gw CEF: 0|a",
    "PRI alone": b"<13>",
    "NUL alone": b"\0",
}


@pytest.mark.parametrize("name", EDGES)
def test_edge_case_equals_reference(name):
    frame = EDGES[name]
    check(block_of([frame]))
    plain = [b"<13>Nov 23 07:24:00 gw app: x", b'<13>1 2026-11-23T07:24:00Z h a p m [x y="z"] x']
    for other in plain:
        check(block_of([other, frame, other]))
        check(block_of([frame, other]))


def test_value_does_not_extend_into_the_next_frame():
    check(block_of([b'<13>1 2026-11-23T07:24:00Z h a p m [x y="a', b'<13>1 2026-11-23T07:24:00Z h a p m [x y="b"] c']))
    check(block_of([b'<13>1 2026-11-23T07:24:00Z h a p m [x y="a\\', b'b"] text']))


def test_empty_reads_have_no_rows():
    for frames in ([], [b""], [b"", b" \0\r"]):
        read = parse_rows(block_of(frames), EVERYTHING)
        assert (read.count, set(read.fields) - {"stamp"} - ALWAYS) == (0, set(FIELDS) - ALWAYS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=6), max_size=6))
def test_block_and_list_contain_the_same_frames(frames):
    assert list_of(block_of(frames)) == frames or frames == []


@example([0, 2])
@given(st.lists(st.integers(0, 3), max_size=6))
def test_take_keeps_the_values_of_each_row(rows):
    read = parse_rows(
        block_of([b"<1>Nov 23 07:24:00 a x: 1", b"<13>", b"<2>Nov 23 07:24:00 b y: 2", b"<14>  "]), EVERYTHING
    )
    part = read.take(rows)
    assert isinstance(part, Columns)
    assert (part.count, part["raw"]) == (len(rows), [read["raw"][i] for i in rows])
    assert part.blank == {new: read.blank[old] for new, old in enumerate(rows) if old in read.blank}
