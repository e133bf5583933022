"""Tests that an intake key in the text of a message is removed from all that is parsed, and masked in what is shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog import parser
from bridge.syslog.columns import ALWAYS, FIELDS, Columns, TextBlock
from bridge.syslog.frames import Frames, block_of
from bridge.syslog.intake_key import ELEMENT_ID, has_key, masked, without_key, without_keys
from bridge.syslog.one_by_one import parse_each
from bridge.syslog.reader import Reader, read_columns
from bridge.syslog.timestamps import milliseconds
from tests.unit.syslog.fast.generated import MANY_SECONDS, NEARLY, ONE_SECOND, ONE_SECOND_5424, stamps
from tests.unit.syslog.test_reader import rows_of

KEY = b"ABCDefgh01234567"
ELEMENT = b'[SEKOIA@53288 intake_key="%b"]' % KEY
HEADER = b"<13>1 2026-11-23T07:24:00Z gw app 7 LOG "
BSD = b"<13>Nov 23 07:24:00 gw app: "
JSON = BSD + b'{"m":"[SEKOIA@53288 intake_key=\\"%b\\"' % KEY


@pytest.mark.parametrize(
    ("frame", "rest"),
    [
        pytest.param(HEADER + ELEMENT + b" text", HEADER + b"- text", id="the vendor's template"),
        pytest.param(HEADER + ELEMENT + b"  text", HEADER + b"-  text", id="rsyslog's leading blank"),
        pytest.param(HEADER + ELEMENT, HEADER + b"-", id="no text"),
        pytest.param(b"<13>1 - - - - - " + ELEMENT + b" text", b"<13>1 - - - - - - text", id="only nil values"),
        pytest.param(HEADER + ELEMENT + b'[a b="c"] text', HEADER + b'[a b="c"] text', id="before another"),
        pytest.param(HEADER + b'[a b="c"]' + ELEMENT + b" text", HEADER + b'[a b="c"] text', id="after another"),
        pytest.param(HEADER + ELEMENT + ELEMENT + b" text", HEADER + b"- text", id="two elements"),
        pytest.param(HEADER + ELEMENT + b" " + ELEMENT + b" text", HEADER + b"- text", id="of two relays"),
        pytest.param(HEADER + b"[SEKOIA@53288] text", HEADER + b"- text", id="no parameter"),
        pytest.param(
            HEADER + rb'[SEKOIA@53288 a="\]\"" intake_key="' + KEY + b'" b=""] text', HEADER + b"- text",
            id="more parameters",
        ),
        pytest.param(BSD + ELEMENT + b" text", BSD + b"text", id="in MSG"),
        pytest.param(BSD + b"two " + ELEMENT + b" parts", BSD + b"two parts", id="within MSG"),
        pytest.param(BSD + b"text " + ELEMENT, BSD + b"text ", id="at the end"),
        pytest.param(
            b"<13>1 2026-11-23T07:24:00Z a name app 7 LOG " + ELEMENT + b" text",
            b"<13>1 2026-11-23T07:24:00Z a name app 7 LOG text", id="a malformed header",
        ),
        pytest.param(HEADER + b"[SEKOIA@53288 intake_key=" + KEY + b"] text", HEADER + b"- text", id="no quotes"),
        pytest.param(HEADER + b"[SEKOIA@53288 intake_key='" + KEY + b"'] text", HEADER + b"- text", id="other quotes"),
        pytest.param(JSON + b'] text"}', BSD + b'{"m":" text"}', id="within JSON"),
        pytest.param(JSON + b' text"}', BSD + b'{"m":" text"}', id="not closed, within JSON"),
        pytest.param(JSON[:-2] + b'","b":1}', BSD + b'{"m":"","b":1}', id="truncated, within JSON"),
        pytest.param(
            HEADER + ELEMENT[:-1] + b" user=a in [x] text", HEADER + b"- user=a in [x] text", id="not closed",
        ),
        pytest.param(HEADER + ELEMENT[:-8], HEADER + b"-", id="truncated in the value"),
        pytest.param(HEADER + ELEMENT[:-19], HEADER + b"-", id="truncated before the value"),
        pytest.param(ELEMENT, b'[SEKOIA@53288 intake_key="***"]', id="nothing else"),
        pytest.param(HEADER + b"- what is [SEKOIA@53288 ?", HEADER + b"- what is [SEKOIA@53288 ?", id="no key"),
    ],
)  # fmt: skip
def test_element_is_removed_and_the_rest_is_unchanged(frame: bytes, rest: bytes) -> None:
    assert without_key(frame) == rest
    others = b"\n<1>first", b"\n" + b"<2>last"
    assert without_keys(others[0] + b"\n" + frame + others[1]) == others[0] + b"\n" + rest + others[1]
    assert without_keys([frame, b"<1>with\na line end"]) == [rest, b"<1>with\na line end"]
    assert KEY[:8] not in masked(frame) and masked(rest) == rest


@pytest.mark.parametrize(
    "text",
    [
        b"X-SEKOIAIO-INTAKE-KEY: %b", b"-H 'x-sekoiaio-intake-key:%b'", b"GET /plain?intake_key=%b&x=1 HTTP/1.1",
        b"%%2Fplain%%3Fintake_key%%3D%b%%26x", b'[relay@1 intake_key="%b"]', b'{"intake_key": "%b", "x": 1}',
        b'{\\"intake_key\\": \\"%b\\"}', b"intake_key=&quot;%b&quot;", b"INTAKE-KEY = %b", b'intake_key="%b',
    ],
)  # fmt: skip
def test_keys_in_other_places_are_masked_but_not_removed(text: bytes) -> None:
    frame = BSD + text % KEY
    assert masked(frame) == frame.replace(KEY, b"***")
    assert not has_key([frame]) and without_key(frame) == frame


PLACES = st.sampled_from(
    [ELEMENT, ELEMENT + b" ", ELEMENT + ELEMENT, ELEMENT[:-1], ELEMENT[:-6], b"[SEKOIA@53288 intake_key=%b] " % KEY]
)
# Frames with the element where its template puts it, anywhere, and without it.
KEYED = st.builds(
    lambda place, data, text: HEADER + data.replace(b"S", place) + text,
    PLACES,
    st.sampled_from([b"S ", b'[a b="c"]S ', b'S[a b="c"] ', b"- S"]),
    st.binary(max_size=12).map(lambda text: b"t" + text.replace(b"\n", b" ")),
)
READS = st.builds(
    lambda frames, keyed, place, at: [*(frame[:at] + place + frame[at:] for frame in frames[:2]), *frames[2:], *keyed],
    st.one_of(ONE_SECOND, ONE_SECOND_5424, MANY_SECONDS, NEARLY),
    st.lists(KEYED, max_size=4),
    PLACES,
    st.integers(0, 80),
)
RECEIVED = milliseconds(datetime(2026, 11, 23, 7, 28, tzinfo=UTC))


@settings(max_examples=300, deadline=None)
@given(st.lists(READS, min_size=1, max_size=6))
def test_fast_and_plain_readers_agree_on_reads_with_keys(reads: list[list[bytes]]) -> None:
    reader = Reader()
    for frames in reads:
        plain = parse_each([without_key(frame) for frame in frames], frozenset(FIELDS))
        fast = reader.read(block_of(frames), frozenset(("text",)))
        assert rows_of(fast) == rows_of(plain)
        assert fast.keyed == sum(ELEMENT_ID in frame for frame in frames)
        for read in (block_of(frames), list(frames)):
            columns = read_columns(read, frozenset(FIELDS))
            assert stamps(columns) == stamps(plain)
            for name in {*FIELDS} - ALWAYS - {"raw"}:
                assert list(columns[name]) == list(plain[name])
            assert list(columns["raw"]) == [frame for frame in frames if frame.strip(b" \t\r\n\0")]
            assert columns.count == plain.count


@settings(max_examples=300, deadline=None)
@given(READS)
def test_no_column_but_raw_contains_a_key(frames: list[bytes]) -> None:
    columns = read_columns(block_of(frames), frozenset(FIELDS))
    for name in columns.fields.keys() - {"raw"}:
        assert not any(KEY in value for value in columns[name])
    assert not any(KEY in frame for frame in columns.blank.values())


@settings(max_examples=300, deadline=None)
@given(KEYED)
def test_message_of_a_valid_header_stays(frame: bytes) -> None:
    """What the element leaves behind is the message that a parser of RFC 5424 finds after the element."""
    before, after = parser.read(frame), parser.read(without_key(frame))
    assert (after.hostname, after.app_name, after.procid, after.msgid) == (b"gw", b"app", b"7", b"LOG")
    if before.shape == "rfc5424" and ELEMENT_ID not in before.msg:
        assert after.msg == before.msg


@pytest.mark.parametrize("frames", [b"\n" + BSD + b"text", [BSD + b"text"], b"\n" + BSD + b"a@b.example"])
def test_reads_without_a_key_are_not_copied(frames: Frames) -> None:
    assert not has_key(frames)
    found: Columns | TextBlock = read_columns(frames, frozenset(("text",)))
    assert found.keyed == 0


@pytest.mark.parametrize(
    "piece", [b"[SEKOIA@53288", b"[SEKOIA@53288 intake_key=", b"[SEKOIA@53288 a=b ", b"\\", b'"', b" "]
)
def test_time_is_linear_in_the_length(piece: bytes) -> None:
    """Hostile text: the test hangs if an expression takes quadratic time."""
    for frame in (HEADER + ELEMENT_ID + piece * (1_000_000 // len(piece)), b"[SEKOIA@53288 " + piece * 100_000):
        without_key(frame)
        without_keys(b"\n" + frame.replace(b"\n", b" "))
        masked(b"intake_key" + frame)
