"""Tests the column ``auto``: the text, with MSGID and structured data where these are a vendor's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.routing.profile import PAYLOAD_NEEDS
from bridge.syslog import parse, parser
from bridge.syslog.columns import ALWAYS, AUTO, TEXT, Columns, SameSecond, TextBlock, stamp_of
from bridge.syslog.fast import mixed_formats, single_second
from bridge.syslog.fast.mixed_formats import read_mixed
from bridge.syslog.fast.single_second import SingleSecond, _Moment
from bridge.syslog.frames import block_of
from bridge.syslog.intake_key import without_key
from bridge.syslog.reader import Reader, parse_rows
from bridge.syslog.structured_data import vendor_ids
from bridge.util import rewriter
from tests.unit.syslog import test_linear
from tests.unit.syslog.fast.generated import (
    MANY_SECONDS,
    MANY_SECONDS_5424,
    NEARLY_PLAIN,
    NEARLY_PLAIN_5424,
    ONE_SECOND,
    ONE_SECOND_5424,
    CountedReference,
    HitRate,
    block,
    stamps,
)
from tests.unit.syslog.fast.test_mixed_formats import FRAMES, needs_pcre2
from tests.unit.syslog.mutation import mutated

DESCRIPTIVE = {"timeQuality", "origin", "meta", "SEKOIA@53288"}
SRX = b'[junos@2636.1.1.1.2.129 source-address="192.0.2.7" reason="TCP FIN"]'
CLOCK = b'[timeQuality tzKnown="1" isSynced="1"]'
HEAD = b"<14>1 2026-11-23T07:24:00.003Z srx-1 RT_FLOW - "
NOW = datetime(2026, 11, 23, 7, 28, tzinfo=UTC)
ONLY_AUTO = frozenset(("auto",))
BOTH = frozenset(("auto", "text"))


def expected(frame: bytes) -> bytes:
    """Returns the column's value, from the fields of the library."""
    header, message = parser.read(frame), parse(frame, received=NOW)
    text = header.msg.lstrip(b" \t")
    if set(message.structured_data) <= DESCRIPTIVE:
        return text
    return b" ".join(part for part in (header.msgid, header.structured_data, text) if part)


def auto_of(read: Columns | TextBlock) -> list[bytes]:
    return list(read.texts()) if isinstance(read, TextBlock) else list(read["auto"])


def check_mixed(frames: Sequence[bytes]) -> None:
    rows = [frame for frame in frames if frame.strip(b" \t\r\n\0")]
    read = list(map(parser.read, rows))
    alone, columns = read_mixed(block(*frames), ALWAYS | {"auto"}), read_mixed(block(*frames), AUTO)
    assert set(alone.fields) in ({"stamp", "auto"}, ALWAYS | {"auto"})
    assert set(columns.fields) in ({"stamp", "auto", "text"}, AUTO)
    for found in (alone, columns):
        assert found.count == len(rows)
        assert list(found["auto"]) == list(map(expected, rows))
    assert alone.times() == columns.times()
    assert list(columns["text"]) == [parts.msg.lstrip(b" \t") for parts in read]
    assert stamps(columns) == [stamp_of(parts.second, parts.fraction, parts.offset) for parts in read]
    assert columns.blank == {row: frame for row, frame in enumerate(rows) if not read[row].msg.strip(b" \t")}


ELEMENTS = st.sampled_from(
    [SRX, CLOCK, b"[origin]", b'[meta sequenceId="7"]', b'[SEKOIA@53288 intake_key="***"]', b'[NXLOG@14506 Id="4624"]',
     b'[a b="c"]', b'[a b="\\"\\]"]', b'[timeQualityX a="1"]', b"[x]", b'[origin@1 a="b"]']
)  # fmt: skip
DATA = st.just(b"-") | st.lists(ELEMENTS, min_size=1, max_size=3).map(b"".join)
MSG = st.sampled_from(
    [b"", b" ", b"  \t", b" session created", b"  two", b" \xef\xbb\xbf with BOM", b' [x@1 a="b"] after']
)
WORDS = st.sampled_from([b"-", b"ID47", b"[x]", b"7"])
TIMES = st.sampled_from(
    [b"2026-11-23T07:24:00Z"] * 3
    + [b"2026-02-30T07:24:00Z", b"2026-11-23T07:24:00.003Z", b"2026-11-23T07:24:01Z", b"-"]
)


def _with_data(times: st.SearchStrategy[bytes], msg: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda pri, time, app, procid, msgid, data, text: (
            b"<%d>1 %s gw %s %s %s %s%s" % (pri, time, app, procid, msgid, data, text)
        ),
        st.integers(0, 191), times, st.sampled_from([b"app", b"app", b"-", b"app:"]), WORDS, WORDS, DATA, msg,
    )  # fmt: skip


VENDORS_ONE_SECOND = st.lists(_with_data(st.just(b"2026-11-23T07:24:00Z"), MSG), min_size=1, max_size=5)
VENDORS = st.lists(_with_data(TIMES, MSG), min_size=1, max_size=6)
# What devices send: a text, or data of a vendor without a text.
USUAL = st.lists(
    st.builds(
        lambda time, msgid, data, text: b"<14>1 %s srx-1 RT_FLOW - %s %s%s" % (time, msgid, *data, text),
        st.just(b"2026-11-23T07:24:00.003Z"),
        st.sampled_from([b"RT_FLOW_SESSION_CREATE", b"-"]),
        st.sampled_from([(SRX,), (CLOCK + SRX,), (SRX + CLOCK,), (b'[NXLOG@14506 EventID="4624"]',)]),
        st.sampled_from([b"", b" session created", b" \xef\xbb\xbflogon"]),
    )
    | st.sampled_from([HEAD + b"ID " + CLOCK + b" text", HEAD + b"- - text", HEAD + b'ID - [x@1 a="b"] text']),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(VENDORS)
def test_mixed_formats_equals_reference(frames: list[bytes]) -> None:
    check_mixed(frames)


@pytest.mark.parametrize("frame", FRAMES)
def test_each_device_message_equals_reference(frame: bytes) -> None:
    check_mixed([frame, HEAD + b"ID " + SRX, frame])


@pytest.mark.parametrize("seed", range(20))
def test_damaged_messages_equal_reference(seed: int) -> None:
    frames = [HEAD + b"ID " + SRX + b" text", HEAD + b"- " + CLOCK + SRX, *FRAMES]
    check_mixed([frame.replace(b"\n", b" ") for frame in mutated(seed, 300, frames)])


def test_reference_parser_reads_all_without_pcre2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_formats, "_auto_layouts", lambda: None)
    check_mixed([HEAD + b"ID " + SRX, HEAD + b"ID " + CLOCK + b" text", *FRAMES])


@settings(max_examples=500, deadline=None)
@given(
    st.lists(_with_data(st.just(b"2026-11-23T07:24:00Z"), MSG), min_size=1, max_size=5) | ONE_SECOND_5424 | ONE_SECOND
)
def test_single_second_equals_reference(frames: list[bytes]) -> None:
    reader = SingleSecond()
    found = [reader.read(block(*frames), "auto") for _ in range(5)][-1]
    if found is not None:
        assert found.texts() == list(map(expected, frames))
        assert list(found.times()[1]) == [parser.read(frame).fraction for frame in frames]


READS = st.one_of(
    VENDORS, USUAL, ONE_SECOND, ONE_SECOND_5424, MANY_SECONDS, MANY_SECONDS_5424,
    st.lists(NEARLY_PLAIN | NEARLY_PLAIN_5424, max_size=4),
    st.lists(st.sampled_from(FRAMES), max_size=4),
    st.just([HEAD + b"ID " + SRX + b" with\na line end"]),
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(READS, min_size=1, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_any_sequence_of_reads_equals_reference(reads: list[list[bytes]], with_text: list[bool]) -> None:
    reader = Reader()
    for frames, both in zip(reads, with_text, strict=False):
        rows = [frame for frame in frames if frame.strip(b" \t\r\n\0")]
        found = reader.read(block_of(frames), BOTH if both else ONLY_AUTO)
        # The reader removes intake keys.
        rows = [without_key(frame) for frame in rows]
        assert auto_of(found) == list(map(expected, rows))
        if both:
            assert list(found.rows()["text"]) == [parser.read(frame).msg.lstrip(b" \t") for frame in rows]


@settings(max_examples=200, deadline=None)
@given(VENDORS_ONE_SECOND | USUAL)
def test_single_second_without_pcre2_equals_reference(frames: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriter, "load", lambda: None)
        patch.setattr(single_second, "_moment", _Moment)
        reader = SingleSecond()
        found = [reader.read(block(*frames), "auto") for _ in range(5)][-1]
    if found is not None:
        assert found.texts() == list(map(expected, frames))


def _read_auto(text: bytes) -> None:
    read_mixed(text if text[:1] == b"\n" else b"\n" + text, AUTO)


def test_hostile_text_takes_linear_time() -> None:
    test_linear.test_hostile_text_takes_linear_time(_read_auto)


@pytest.mark.parametrize("unit", [SRX, b"[x]", b'[a b="c"', b"[timeQuality]", b"] [", b'[a b="\\"'])
@pytest.mark.parametrize("head", [HEAD, HEAD + b"ID ", b"<13>1: ", b"<13>a ", HEAD + SRX + b" "])
def test_repeated_elements_take_linear_time(head: bytes, unit: bytes) -> None:
    big, small = b"\n" + head + unit * (256_000 // len(unit)), b"\n" + head + unit * (32_000 // len(unit))
    for _ in range(5):
        seconds = test_linear.cost(big, _read_auto)
        if seconds < test_linear.FLOOR or seconds / (8 * test_linear.cost(small, _read_auto)) < test_linear.MAX_RATIO:
            return
    pytest.fail(f"{seconds:.3f} s for 256 kB")


def test_columns_alternate_between_reads() -> None:
    reader, frames = Reader(), [HEAD + b"ID " + SRX + b" text"] * 3
    for _ in range(6):
        assert auto_of(reader.read(block_of(frames), ONLY_AUTO)) == [b"ID " + SRX + b" text"] * 3
        texts = reader.read(block_of(frames), frozenset(("text",)))
        assert list(texts.rows()["text"]) == [b"text"] * 3


@pytest.mark.parametrize("reads", [USUAL, ONE_SECOND_5424, ONE_SECOND], ids=["usual", "generated", "rfc3164"])
def test_usual_reads_of_one_second_are_blocks(reads: st.SearchStrategy[list[bytes]]) -> None:
    hits = HitRate()

    @settings(max_examples=200, deadline=None)
    @given(reads)
    def check(frames: list[bytes]) -> None:
        reader = Reader()
        found = [reader.read(block_of(frames), ONLY_AUTO) for _ in range(6)][-1]
        hits.note(isinstance(found, SameSecond))
        assert auto_of(found) == list(map(expected, frames))

    check()
    hits.check(0.95)


@needs_pcre2
@pytest.mark.parametrize("reads", [USUAL, MANY_SECONDS, MANY_SECONDS_5424], ids=["usual", "rfc3164", "rfc5424"])
def test_usual_messages_never_use_the_reference_parser(
    monkeypatch: pytest.MonkeyPatch, reads: st.SearchStrategy[list[bytes]]
) -> None:
    reference_parser, hits = CountedReference(), HitRate()
    monkeypatch.setattr(parser, "read", reference_parser)

    @settings(max_examples=100, deadline=None)
    @given(reads)
    def check(frames: list[bytes]) -> None:
        before = reference_parser.calls
        assert read_mixed(block(*frames), AUTO).count == len(frames)
        hits.note(len(frames) - (reference_parser.calls - before), len(frames))

    check()
    hits.check(0.99)


@settings(max_examples=500, deadline=None)
@given(VENDORS | st.lists(_with_data(TIMES, MSG) | st.sampled_from([b"", b" ", b"text"]), min_size=1, max_size=6))
def test_columns_with_other_fields_equal_reference(frames: list[bytes]) -> None:
    rows = [frame for frame in frames if frame.strip(b" \t\r\n\0")]
    columns = parse_rows(block(*frames), AUTO | {"hostname"})
    read = list(map(parser.read, rows))
    assert list(columns["auto"]) == list(map(expected, rows))
    assert list(columns["text"]) == [parts.msg.lstrip(b" \t") for parts in read]
    assert list(columns["hostname"]) == [parts.hostname for parts in read]
    assert columns.blank == {row: frame for row, frame in enumerate(rows) if not read[row].msg.strip(b" \t")}


@pytest.mark.parametrize("form", ["auto", "structured"])
def test_usual_columns_never_use_the_reference_parser(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    reference_parser, hits = CountedReference(), HitRate()
    monkeypatch.setattr(parser, "read", reference_parser)

    @settings(max_examples=100, deadline=None)
    @given(USUAL)
    def check(frames: list[bytes]) -> None:
        before = reference_parser.calls
        assert parse_rows(block(*frames), PAYLOAD_NEEDS[form] | ALWAYS | {"hostname"}).count == len(frames)
        hits.note(len(frames) - (reference_parser.calls - before), len(frames))

    check()
    hits.check(0.99)


@needs_pcre2
def test_most_devices_never_use_the_reference_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def calls(needs: frozenset[str]) -> int:
        reference_parser = CountedReference()
        with monkeypatch.context() as patch:
            patch.setattr(parser, "read", reference_parser)
            read_mixed(block(*FRAMES), needs)
        return reference_parser.calls

    # Besides the frames that are read so for ``text``, those with data in another layout than RFC 5424's.
    assert calls(AUTO) - calls(TEXT) <= len(FRAMES) // 20


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        (b"", []),
        (CLOCK, []),
        (b'[SEKOIA@53288 intake_key="x"]', []),
        (CLOCK + SRX + b"[x]", [b"junos@2636.1.1.1.2.129", b"x"]),
        (b'[origin@9 a="\\]["]', [b"origin@9"]),
    ],
)
def test_vendor_ids_are_all_but_the_descriptive_ones(data: bytes, ids: list[bytes]) -> None:
    assert vendor_ids(data) == ids
