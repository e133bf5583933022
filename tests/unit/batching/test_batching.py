"""Tests the path from a read to an append: payload forms, encodings, slots, and that no event is lost or duplicated."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.batching import GroupLimits, Window, encoding, group
from bridge.batching.event_times import times_from_headers
from bridge.batching.groups import NO_TIME, split
from bridge.batching.payload import FORMS
from bridge.routing.profile import PAYLOAD_NEEDS, Disposition
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeConversion, TimeReader, milliseconds
from tests.harness.cost import stays_under
from tests.harness.examples import examples

RECEIVED = milliseconds(datetime(2026, 11, 23, 7, 24, 5, 500_000, tzinfo=UTC))
NOV23 = milliseconds(datetime(2026, 11, 23, 7, 24, tzinfo=UTC))


def grouped(
    frames, *, payload="message", limits=None, received_ms=RECEIVED, endpoint="/plain/batch", zone=UTC, **options
):
    columns = read_columns(block_of(frames), PAYLOAD_NEEDS[payload])
    disposition = Disposition(
        "deliver", "r", "i", payload, options.pop("encoding", "auto"), options.pop("timestamp", "event"), zone,
        endpoint=endpoint,
    )  # fmt: skip
    return group(
        columns, disposition, reader=TimeReader(), received_ms=received_ms, peer=b"192.0.2.7", listener="udp",
        limits=limits or GroupLimits(), **options,
    )  # fmt: skip


def lines_of(result):
    return [line for part in result.groups for line in part.data.split(b"\n")[:-1]]


def line_of(frame, **options):
    result = grouped([frame], **options)
    (line,) = lines_of(result)
    return line


# --- payload forms --------------------------------------------------------------------------------------------------

UNBOUND = b"<30>Nov 23 07:24:00 gw unbound[7640]: [764008:0] info: 198.51.100.10 example.org. A IN"
SSHD = b'<38>1 2026-11-23T08:24:00.25+01:00 db.example sshd 123 ID47 [x@1 y="z"]  text'
BARE = b"<13>just text"

EXPECTED = {
    "message": (b"[764008:0] info: 198.51.100.10 example.org. A IN", b"text", b"just text"),
    "auto": (b"[764008:0] info: 198.51.100.10 example.org. A IN", b'ID47 [x@1 y="z"] text', b"just text"),
    "content": (b"unbound[7640]: [764008:0] info: 198.51.100.10 example.org. A IN", b"sshd[123]: text", b"just text"),
    "device": (UNBOUND[4:], SSHD[4:], b"just text"),
    "line": (
        b"2026-11-23T07:24:00.000Z gw unbound[7640]: [764008:0] info: 198.51.100.10 example.org. A IN",
        b"2026-11-23T07:24:00.250Z db.example sshd[123]: text",
        b"2026-11-23T07:24:05.500Z 192.0.2.7 just text",
    ),
    "structured": (b"[764008:0] info: 198.51.100.10 example.org. A IN", b'ID47 [x@1 y="z"] text', b"just text"),
    "raw": (UNBOUND, SSHD, BARE),
    "rfc5424": (
        b"<30>1 2026-11-23T07:24:00.000Z gw unbound 7640 - - [764008:0] info: 198.51.100.10 example.org. A IN",
        b'<38>1 2026-11-23T07:24:00.250Z db.example sshd 123 ID47 [x@1 y="z"]  text',
        b"<13>1 2026-11-23T07:24:05.500Z 192.0.2.7 - - - - just text",
    ),
}


@pytest.mark.parametrize("form", EXPECTED)
def test_payload_forms_contain_the_expected_header_fields(form):
    assert tuple(line_of(frame, payload=form) for frame in (UNBOUND, SSHD, BARE)) == EXPECTED[form]
    assert sorted(lines_of(grouped([UNBOUND, SSHD, BARE], payload=form))) == sorted(EXPECTED[form])
    assert set(EXPECTED) | {"json"} == set(FORMS)


def test_json_form_contains_all_fields():
    assert json.loads(line_of(SSHD, payload="json")) == {
        "priority": 38, "facility": 4, "severity": 6, "timestamp": "2026-11-23T08:24:00.250000+01:00",
        "hostname": "db.example",
        "app_name": "sshd", "procid": "123", "msgid": "ID47", "structured_data": {"x@1": [["y", "z"]]}, "msg": " text",
        "format": "rfc5424", "shape": "rfc5424", "listener": "udp", "route": "r", "intake": "i",
    }  # fmt: skip
    assert json.loads(line_of(BARE, payload="json"))["hostname"] is None


def test_rfc5424_form_adds_the_default_pri():
    assert line_of(b"Nov 23 07:24:00 gw app: x", payload="rfc5424") == b"<13>1 2026-11-23T07:24:00.000Z gw app - - - x"


def test_content_and_message_begin_at_the_first_non_blank():
    frame = b"<13>1 2026-11-23T07:24:00Z h - - - -  \t two "
    assert line_of(frame, payload="message") == line_of(frame, payload="content") == b"two "


@pytest.mark.parametrize("blanks", [b" ", b"  ", b"   ", b" \t"])
def test_blanks_of_rsyslogs_template_are_not_in_the_text(blanks):
    """`RSYSLOG_SyslogProtocol23Format` writes a blank, and then MSG with the blank that followed the tag."""
    frame = b"<30>1 2026-11-23T07:24:00.250Z gw app 77 - -" + blanks + b"two  words"
    assert line_of(frame, payload="message") == b"two  words"
    assert line_of(frame, payload="content") == b"app[77]: two  words"
    assert line_of(frame, payload="line") == b"2026-11-23T07:24:00.250Z gw app[77]: two  words"
    classic = b"<30>Nov 23 07:24:00 gw app[77]:" + blanks + b"two  words"
    assert line_of(classic, payload="line") == b"2026-11-23T07:24:00.000Z gw app[77]: two  words"


def test_line_form_converts_the_time_from_the_source_zone():
    zone = timezone(timedelta(hours=-5))
    assert line_of(b"<13>Nov 23 02:24:00 gw app: x", payload="line", zone=zone).startswith(
        b"2026-11-23T07:24:00.000Z gw"
    )


@pytest.mark.parametrize(
    "form", ["message", "auto", "content", "device", "structured", "raw", "line", "rfc5424", "json"]
)
@pytest.mark.parametrize("frame", [b"<13>", b"<13>  ", b"<13>Nov 23 07:24:00 gw ", b"<13>1 - - - - - -",
    b"<13>1 - - - - - - ",
    b"<13>1 2026-11-23T07:24:00Z h a p m -", b"<13>1 2026-11-23T07:24:00Z h - - - -  \t",
    b'<13>1 - h - - - [a b="c"]'])  # fmt: skip
def test_no_event_is_empty(form, frame):
    result = grouped([frame, UNBOUND], payload=form)
    assert len(lines_of(result)) == 2
    assert all(line.strip(b" \t") for line in lines_of(result))


def test_empty_event_is_sent_as_structured_or_raw():
    with_data = b'<13>1 2026-11-23T07:24:00Z h - - ID47 [a b="c"]'
    assert line_of(with_data, payload="message") == b'ID47 [a b="c"]'
    without = b"<13>1 2026-11-23T07:24:00Z h a p - -"
    assert line_of(without, payload="message") == without
    assert line_of(without, payload="content") == b"a[p]: "
    assert grouped([with_data, without, UNBOUND], payload="message").emptied == 2
    assert line_of(b"<13>", payload="device") == b"<13>"


# --- encodings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "auto", "latin_1"),
    [
        (b"plain", b"plain", b"plain"), ("caf\u00e9".encode(), "caf\u00e9".encode(), "caf\u00c3\u00a9".encode()),
        (b"caf\xe9", "caf\u00e9".encode(), "caf\u00e9".encode()), (b"\x80 5", "\u20ac 5".encode(),
        "\u0080 5".encode()),
        (b"\x93q\x94", "\u201cq\u201d".encode(), "\u0093q\u0094".encode()), (b"\x81", "\u0081".encode(),
        "\u0081".encode()),
        (b"\xc3\xa9\xff", "\u00c3\u00a9\u00ff".encode(), "\u00c3\u00a9\u00ff".encode()),
    ],
)  # fmt: skip
def test_encoding_option_converts_the_text(text, auto, latin_1):
    frame = b"<13>" + text
    assert [line_of(frame, encoding=name) for name in ("auto", "latin-1", "bytes")] == [auto, latin_1, text]
    assert grouped([frame]).converted == (auto != text)


def test_invalid_utf8_in_one_event_changes_no_other():
    frames = [b"<13>caf\xe9", "<13>na\u00efve".encode(), b"<13>plain"]
    result = grouped(frames)
    assert lines_of(result) == ["caf\u00e9".encode(), "na\u00efve".encode(), b"plain"]
    assert result.converted == 1


@pytest.mark.parametrize("endpoint", ["/plain/batch", "/jsons", "/array"])
def test_line_ends_in_a_frame_do_not_split_the_event(endpoint):
    frames = [b"<13>a\nb", b"<13>c\rd\0e", b"<13>\n", b"<13>f"]
    result = grouped(frames, endpoint=endpoint, payload="raw")
    found = [line for part in result.groups for line in part.data.split(b"\n")[:-1]]
    if endpoint == "/plain/batch":
        assert found == [b"<13>a#012b", b"<13>c#015d#000e", b"<13>#012", b"<13>f"]
    else:
        assert [event for part in result.groups for event in part.events()] == frames
        assert len(found) == len(frames)
    assert sum(part.count for part in result.groups) == 4


def test_cr_and_nul_are_escaped_if_no_frame_contains_lf():
    assert lines_of(grouped([b"<13>a\0b", b"<13>c\rd"])) == [b"a#000b", b"c#015d"]


@settings(max_examples=examples(200, long=500), deadline=None)
@given(st.binary(max_size=30))
@example(b"\xed\xa0\x80\xed\xb0\x80")
def test_json_line_preserves_every_byte(event):
    line = encoding.json_line(event)
    assert b"\n" not in line
    assert b"\0" not in line
    assert line.decode()
    assert encoding.from_json_line(line) == event


@pytest.mark.parametrize("line", [b"", b"x", b"1", b"[]", b'"a', b'"\\ud800"', b"null"])
def test_invalid_json_line_raises_value_error(line):
    with pytest.raises(ValueError):
        encoding.from_json_line(line)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=20))
def test_auto_encoding_returns_utf8_and_keeps_valid_utf8(event):
    text, converted = encoding.as_utf8(event, "auto")
    text.decode()
    assert converted == (not encoding.is_utf8(event))
    assert converted or text == event


# --- times and slots ------------------------------------------------------------------------------------------------


def test_read_of_one_second_is_one_group():
    result = grouped(
        [b"<13>Nov 23 07:24:00 gw a: 1", b"<13>Nov 23 07:24:00.75 gw a: 2", b"<13>Nov 23 07:24:00.5 gw a: 3"]
    )
    (part,) = result.groups
    assert (part.earliest, part.latest, part.count, part.slot) == (NOV23, NOV23 + 750, 3, NOV23 // 1000)


def test_earliest_time_is_found_with_dot_and_comma_fractions():
    frames = [b"<13>Nov 23 07:24:00,900 gw a: 1", b"<13>Nov 23 07:24:00.200 gw a: 2", b"<13>Nov 23 07:24:00.95 gw a: 2"]
    (part,) = grouped(frames).groups
    assert (part.earliest, part.latest) == (NOV23 + 200, NOV23 + 950)


def test_slots_are_aligned_to_seconds():
    frames = [b"<13>Nov 23 07:24:0%d gw a: %d" % (second, second) for second in (1, 0, 2, 1, 0)]
    result = grouped(frames)
    assert [(part.slot - NOV23 // 1000, part.data) for part in result.groups] == [
        (1, b"1\n1\n"), (0, b"0\n0\n"), (2, b"2\n")
    ]  # fmt: skip


def test_scattered_times_form_one_timed_group_with_exact_times():
    """Sources with random clocks, or a relay that replays a day, must not cause a file or a write per event."""
    seconds = [7 * n % 120 for n in range(60)]
    frames = [b"<13>1 2026-11-23T07:%02d:%02d.250Z h a - - - e%d" % (*divmod(s, 60), s) for s in seconds]
    (part,) = grouped(frames).groups
    noon = NOV23 - 24 * 60_000
    assert (part.timed, part.count) == (True, 60)
    assert part.data == b"".join(b"%d\te%d\n" % (noon + s * 1000 + 250, s) for s in seconds)
    assert (part.earliest, part.latest) == (noon + min(seconds) * 1000 + 250, noon + max(seconds) * 1000 + 250)
    few = grouped(frames[:16]).groups
    assert [part.timed for part in few] == [False] * 16
    eight_per_slot = grouped([frame for frame in frames[:17] for _ in range(8)]).groups
    assert [(part.timed, part.count) for part in eight_per_slot] == [(False, 8)] * 17


def test_event_without_readable_time_gets_the_reception_time():
    (part,) = grouped([b"<13>text", b"<13>Feb 30 07:24:00 gw a: x"]).groups
    assert (part.earliest, part.latest) == (RECEIVED, RECEIVED)


@pytest.mark.parametrize(("timestamp", "expected"), [("received", RECEIVED), ("none", NO_TIME)])
def test_timestamp_option_replaces_the_event_time(timestamp, expected):
    frames = [b"<13>Nov 23 07:24:00 gw a: 1", b"<13>Nov 23 07:20:00 gw a: 2"]
    (part,) = grouped(frames, timestamp=timestamp).groups
    assert (part.earliest, part.latest, part.count) == (expected, expected, 2)
    # The line still shows the time that the sender gave.
    (part,) = grouped(frames, timestamp=timestamp, payload="line").groups
    assert part.earliest == expected
    assert part.data.startswith(b"2026-11-23T07:24:00.000Z gw a: 1\n2026-11-23T07:20:00.000Z")


def test_times_outside_the_window_become_the_reception_time():
    limits = GroupLimits(window=Window(3_600_000, 60_000))
    frames = [b"<13>Nov 23 06:24:06 gw a: in", b"<13>Nov 23 06:24:05 gw a: past", b"<13>Nov 23 07:25:05 gw a: in",
              b"<13>Nov 23 07:25:06 gw a: future", b"<13>1970-01-01T00:00:00Z gw a: x", b"<13>no time"]  # fmt: skip
    result = grouped(frames, limits=limits)
    assert result.outside == 3
    times = {line: part.earliest for part in result.groups for line in part.data.split()}
    assert times[b"past"] == times[b"future"] == times[b"x"] == times[b"no"] == RECEIVED
    # All events share one second, which is outside the window.
    result = grouped([b"<13>1970-01-01T00:00:00.5Z gw a: x"] * 3, limits=limits)
    assert (result.outside, [part.earliest for part in result.groups]) == (3, [RECEIVED])


def test_read_of_distinct_out_of_range_times_takes_linear_time():
    """Tests random clocks, which need a conversion per event. In quadratic time, this would take two seconds."""
    count = 8000
    start = datetime(1990, 1, 1, tzinfo=UTC)
    frames = [
        b"<13>%b gw a: x" % f"{start + timedelta(seconds=i):%Y-%m-%dT%H:%M:%S}{'Z' if i % 2 else '+00:00'}".encode()
        for i in range(count)
    ]
    columns = read_columns(block_of(frames), PAYLOAD_NEEDS["message"])
    window = Window(3_600_000, 60_000)
    reader = TimeReader()

    def read():
        times = times_from_headers(columns, TimeConversion(reader, UTC, window), RECEIVED, fine=False)
        assert (times.outside, set(times.each())) == (count, {RECEIVED})

    assert stays_under(0.5, read)


TIMES = st.integers(0, 4000).map(lambda ms: NOV23 + ms) | st.integers(NOV23 - 120_000, NOV23 + 120_000)


@settings(max_examples=examples(150, long=400), deadline=None)
@given(
    st.lists(st.tuples(st.none() | TIMES, st.sampled_from([b"a", b"b\xe9", b"c\0", b"", b"\xc3\xa9"])), min_size=1,
    max_size=12),
    st.sampled_from([100, 1000, 60_000]), st.sampled_from(FORMS), st.sampled_from(["/plain/batch", "/jsons"]),
    st.booleans(),
)  # fmt: skip
def test_events_are_neither_lost_nor_duplicated(events, resolution, form, endpoint, holds_lf):
    """Each row is one line of the right slot. A group's time is its earliest event, and all events lie within the
    resolution."""
    frames, expected = [], []
    for i, (ms, text) in enumerate(events):
        if ms is None:
            frames.append(b"<13>%d %b" % (i, text))
        else:
            when = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
            frames.append(b"<13>1 %bZ gw app %d - - %b" % (when.encode(), i, text))
        expected.append(RECEIVED if ms is None else ms)
        if holds_lf and i % 3 == 0:
            frames[-1] += b"\nrest"
    limits = GroupLimits(resolution_ms=resolution)
    result = grouped(frames, payload=form, limits=limits, endpoint=endpoint)
    assert sum(part.count for part in result.groups) == len(events)
    assert len({part.slot for part in result.groups}) == len(result.groups)
    want = {}
    for frame, ms in zip(frames, expected, strict=True):
        want.setdefault(ms // resolution, []).append((ms, line_of(frame, payload=form, endpoint=endpoint)))
    assert {part.slot: Counter(part.data.split(b"\n")[:-1]) for part in result.groups} == {
        slot: Counter(line for _, line in rows) for slot, rows in want.items()
    }
    for part in result.groups:
        times = [ms for ms, _ in want[part.slot]]
        assert (part.earliest, part.latest) == (min(times), max(times))
        assert part.latest - part.earliest < resolution
        assert part.count == len(times) == part.data.count(b"\n")


# --- limits ---------------------------------------------------------------------------------------------------------


def test_size_limit_applies_to_the_encoded_event():
    limits = GroupLimits(event_bytes=20)
    frames = [
        b"<13>" + b"x" * 20,
        b"<13>" + b"y" * 21,
        b"<13>" + b"\xe9" * 10,
        b"<13>" + b"\xe9" * 11,
        b"<13>" + b"\0" * 6,
        b"<13>z",
    ]
    result = grouped(frames, limits=limits)
    assert lines_of(result) == [b"x" * 20, "\u00e9".encode() * 10, b"z"]
    assert result.oversize == [b"y" * 21, b"\xe9" * 11, b"\0" * 6]


def test_group_of_oversize_events_only_is_omitted():
    result = grouped([b"<13>" + b"y" * 21], limits=GroupLimits(event_bytes=20))
    assert (result.groups, len(result.oversize)) == ([], 1)


def test_size_limit_applies_to_each_event_not_to_their_sum():
    result = grouped([b"<13>" + b"y" * 19] * 50, limits=GroupLimits(event_bytes=20))
    assert (lines_of(result), result.oversize) == ([b"y" * 19] * 50, [])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.integers(1, 6), st.integers(5, 60))
def test_split_keeps_all_events_and_respects_the_limits(sizes, max_events, max_bytes):
    (whole,) = grouped([b"<13>" + b"x" * (size + 1) for size in sizes]).groups
    parts = list(split(whole, max_events, max_bytes))
    assert b"".join(part.data for part in parts) == whole.data
    assert sum(part.count for part in parts) == whole.count
    for part in parts:
        assert part.count == part.data.count(b"\n") <= max_events
        assert len(part.data) <= max_bytes or part.count == 1
        assert (part.slot, part.earliest, part.latest, part.intake) == (whole.slot, whole.earliest, whole.latest, "i")
