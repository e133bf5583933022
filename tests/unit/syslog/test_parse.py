"""Tests ``parse``: examples of the decisions of parsing.md (1-7 and 13), and properties for any bytes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog import parse
from bridge.syslog.parser import read
from tests.harness.examples import examples
from tests.unit.syslog.accounting import account

NOW = datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC)
TIME = datetime(2026, 11, 23, 7, 24, tzinfo=UTC)


def fields(frame, **options):
    message = parse(frame, received=NOW, **options)
    return (
        message.priority, message.timestamp, message.hostname, message.app_name, message.procid, message.msgid,
        message.msg,
    )  # fmt: skip


# --- decisions 1 and 2: PRI, and texts that are not a PRI -----------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"<>text", b"<abc>text", b"<192>text", b"<002>text", b"<02>text", b"<13text", b"<-1>text", b"< 13>text",
        b"<1 3>text",
        b"<1234>text", b"text", b"<", b"\xff\xfe", b"{\"a\": 1}", b"<192>Nov 23 07:24:00 gw app: text", b"5 text",
        b"579 <192>x",
    ],
)  # fmt: skip
def test_frame_without_pri_and_time_is_all_text(frame):
    message = parse(frame, received=NOW)
    assert (message.format, message.msg, message.priority, message.facility) == ("none", frame, None, None)
    assert (message.severity, message.timestamp, message.hostname, message.app_name) == (None, None, None, None)


@pytest.mark.parametrize("priority", [0, 7, 13, 99, 100, 165, 189, 191])
def test_pri_sets_facility_and_severity(priority):
    message = parse(b"<%d>text" % priority, received=NOW)
    assert (message.priority, message.facility, message.severity) == (priority, priority // 8, priority % 8)
    assert (message.format, message.msg) == ("none", b"text")


def test_blank_after_the_pri_is_tolerated():
    assert fields(b"<13> Nov 23 07:24:00 gw app: text") == (13, TIME, "gw", "app", None, None, b"text")
    assert parse(b"<13>  text", received=NOW).msg == b" text"


def test_leftover_octet_count_is_removed():
    assert fields(b"579 <13>Nov 23 07:24:00 gw app: text") == (13, TIME, "gw", "app", None, None, b"text")
    assert parse(b"579 <13>text", received=NOW).msg == b"text"


# --- decision 3: no PRI ---------------------------------------------------------------------------------------------


def test_header_without_pri_is_parsed():
    assert fields(b"Nov 23 07:24:00 gw sshd[7]: text") == (None, TIME, "gw", "sshd", "7", None, b"text")
    assert fields(b"1 2026-11-23T07:24:00Z gw app 7 ID - text") == (None, TIME, "gw", "app", "7", "ID", b"text")


# --- decision 4: look-alikes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"1 words follow", b"1 - gw app 7 ID", b"1 2026-02-30T07:24:00Z gw app 7 ID - text",
        b"1 2026-11-23T07:24:00+25:00 gw app 7 ID - text", b"2 2026-11-23T07:24:00Z gw app 7 ID - text",
        b"1 1700000000.5 gw", b"1 1700000000 gw events type=x",
    ],
)  # fmt: skip
def test_false_rfc5424_header_is_text(text):
    message = parse(b"<134>" + text, received=NOW)
    assert (message.format, message.msg, message.priority) == ("none", text, 134)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        # Structured data is missing, and an app-name contains no colon.
        (b"gw app 7 ID text", ("rfc5424", "gw", "app", "7", None, b"ID text")),
        (b"gw su - ID47 ", ("rfc5424", "gw", "su", None, "ID47", b"")),
        (b"gw su - - ", ("rfc5424", "gw", "su", None, None, b"")),
        # RFC 3164 after a version
        (b"gw DriveArray: Smart Array - Drive is failed", ("rfc3164", "gw", "DriveArray", None, None,
                                                           b"Smart Array - Drive is failed")),
        (b"gw PulseSecure: - - - text", ("rfc5424", "gw", "PulseSecure:", None, None, b"text")),
        (b"gw CEF:0|a|b c d e", ("rfc3164", "gw", None, None, None, b"CEF:0|a|b c d e")),
        (b"", ("rfc3164", None, None, None, None, b"")),
    ],
)  # fmt: skip
def test_malformed_rfc5424_falls_back(rest, expected):
    message = parse(b"<134>1 2026-11-23T07:24:00Z " + rest, received=NOW)
    assert message.timestamp == TIME
    assert (
        message.format, message.hostname, message.app_name, message.procid, message.msgid, message.msg
    ) == expected  # fmt: skip


def test_missing_version_is_read_as_rfc3164():
    message = parse(b"<134>2026-11-23T07:24:00Z gw rest of the text", received=NOW)
    assert (message.format, message.timestamp, message.hostname, message.msg) == (
        "rfc3164", TIME, "gw", b"rest of the text"
    )  # fmt: skip


# --- decision 5: RFC 5424 -------------------------------------------------------------------------------------------


def test_rfc5424_fields_are_parsed():
    message = parse(b'<165>1 2026-11-23T07:24:00.003-01:00 gw.example app 7 ID47 [x@1 y="z"] text', received=NOW)
    assert message.timestamp == TIME + timedelta(hours=1, milliseconds=3)
    assert (message.facility, message.severity) == (20, 5)
    assert (message.hostname, message.app_name, message.procid, message.msgid) == ("gw.example", "app", "7", "ID47")
    assert (message.structured_data, message.msg) == ({"x@1": [("y", "z")]}, b"text")
    assert (message.format, message.shape) == ("rfc5424", "rfc5424")


def test_nil_values_are_none():
    assert fields(b"<13>1 - - - - - - text") == (13, None, None, None, None, None, b"text")
    assert fields(b"<13>1 - - - - - -") == (13, None, None, None, None, None, b"")


def test_field_lengths_are_not_enforced():
    name = b"n" * 300
    assert fields(b"<13>1 2026-11-23T07:24:00Z %b %b %b %b - x" % ((name,) * 4))[2:6] == (name.decode(),) * 4


@pytest.mark.parametrize(
    ("tail", "msg"),
    [
        (b"- text", b"text"), (b"-  text", b" text"), (b"- ", b""), (b"-", b""), (b"- \xef\xbb\xbftext", b"text"),
        (b"- \xef\xbb\xbf", b""), (b"-  \xef\xbb\xbftext", b" \xef\xbb\xbftext"), (b"- text ", b"text "),
        (b'[a b="c"] text', b"text"), (b'[a b="c"]', b""), (b'[a b="c"]  x', b" x"), (b"- a\nb", b"a\nb"),
    ],
)  # fmt: skip
def test_one_blank_before_msg_is_removed(tail, msg):
    assert parse(b"<13>1 2026-11-23T07:24:00Z h a p m " + tail, received=NOW).msg == msg


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (rb'[a b="c"]', {"a": [("b", "c")]}),
        (rb'[a b="\"\\\]\n\q"]', {"a": [("b", '"\\]\\n\\q')]}),
        (rb'[a b="[x=y z] "]'.replace(b"]", rb"\]", 1), {"a": [("b", "[x=y z] ")]}),
        (rb'[a b=""]', {"a": [("b", "")]}),
        (rb"[a]", {"a": []}),
        (rb'[a b="1" b="2" c="3"]', {"a": [("b", "1"), ("b", "2"), ("c", "3")]}),
        (rb'[a b="1"][c d="2"][a e="3"]', {"a": [("b", "1"), ("e", "3")], "c": [("d", "2")]}),
        (rb'[a@32473 b="x y=\"1\""]', {"a@32473": [("b", 'x y="1"')]}),
        ('[a b="\u00e9"]'.encode(), {"a": [("b", "\u00e9")]}),
        (b'[a b="\xff"]', {"a": [("b", "\udcff")]}),
        (b'[a b="line\nend"]', {"a": [("b", "line\nend")]}),
    ],
)
def test_structured_data_is_parsed(text, values):
    message = parse(b"<13>1 2026-11-23T07:24:00Z h a p m " + text + b" text", received=NOW)
    assert (message.structured_data, message.msg) == (values, b"text")
    assert list(message.structured_data) == list(values)


@pytest.mark.parametrize(
    "text", [b'[a b="c" text', b"[a b=c] text", b'[a b="]"] text', b"[] text", b"[ a] text", b'[a b="c"]text',
    b'[a  b="c"] text', b"[", b"[a b=\"c\\"]
)  # fmt: skip
def test_malformed_structured_data_stays_in_msg(text):
    message = parse(b"<13>1 2026-11-23T07:24:00Z h a p m " + text, received=NOW)
    assert (message.format, message.structured_data, message.msg) == ("rfc5424", {}, text)
    assert (message.hostname, message.app_name, message.msgid) == ("h", "a", "m")
    assert message.shape == "rfc5424-malformed-data"


# --- decisions 6 and 7: RFC 3164 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (b"gw unbound[7640]: [764008:0] info: x", ("gw", "unbound", "7640", b"[764008:0] info: x")),
        (b"gw kernel: text", ("gw", "kernel", None, b"text")),
        (b"gw kernel:text", ("gw", "kernel", None, b"text")),
        (b"gw kernel:  text", ("gw", "kernel", None, b" text")),
        (b"gw app[015] text", ("gw", "app", "015", b"text")),
        (b"gw monit[2340:0]: text", ("gw", "monit", "2340:0", b"text")),
        (b"gw app[]: text", ("gw", "app", None, b"text")),
        (b"gw app[1]text", ("gw", None, None, b"app[1]text")),
        (b"gw two words", ("gw", None, None, b"two words")),
        (b"gw two words: later", ("gw", None, None, b"two words: later")),
        (b"gw word", ("gw", None, None, b"word")),
        (b"gw app:", ("gw", "app", None, b"")),
        (b"gw CEF:0|a|b", ("gw", None, None, b"CEF:0|a|b")),
        (b"gw LEEF:1.0|a|b", ("gw", None, None, b"LEEF:1.0|a|b")),
        (b"sshd[7]: text", (None, "sshd", "7", b"text")),
        (b"sshd: text", (None, "sshd", None, b"text")),
        (b"sshd[7] text", (None, "sshd", "7", b"text")),
        (b"filterlog: 82,,,1000", (None, "filterlog", None, b"82,,,1000")),
        (b"word", (None, None, None, b"word")),
        (b"2001:db8::1 app: text", ("2001:db8::1", "app", None, b"text")),
        (b"192.0.2.7 app: text", ("192.0.2.7", "app", None, b"text")),
        (b"", (None, None, None, b"")),
    ],
)  # fmt: skip
def test_rfc3164_fields_are_parsed(rest, expected):
    assert fields(b"<30>Nov 23 07:24:00 " + rest) == (30, TIME, *expected[:3], None, expected[3])
    assert parse(b"<30>Nov 23 07:24:00 " + rest, received=NOW).format == "rfc3164"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"Nov 23 07:24:00", TIME), (b"nov 23 07:24:00", TIME),
        (b"Nov 23 07:24:00.250", TIME + timedelta(milliseconds=250)),
        (b"Nov 23 07:24:00,250", TIME + timedelta(milliseconds=250)), (b"Nov  3 07:24:00", TIME - timedelta(days=20)),
        (b"Nov 3 07:24:00", TIME - timedelta(days=20)), (b"Nov 03 07:24:00", TIME - timedelta(days=20)),
        (b"2026-11-23T07:24:00Z", TIME), (b"2026-11-23T08:24:00+01:00", TIME), (b"2026-11-23T07:24:00", TIME),
        (b"2026-11-23T07:24:00.123456789Z", TIME + timedelta(microseconds=123456)), (b"Nov 23 08:24:00+01:00", TIME),
    ],
)  # fmt: skip
def test_time_forms_of_rfc3164_are_parsed(text, expected):
    assert fields(b"<30>%b gw app: text" % text) == (30, expected, "gw", "app", None, None, b"text")


def test_missing_zone_is_the_given_zone():
    zone = ZoneInfo("America/New_York")
    assert fields(b"<30>Nov 23 02:24:00 gw app: text", timezone=zone)[1] == TIME
    assert fields(b"<30>2026-11-23T02:24:00 gw app: text", timezone=zone)[1] == TIME
    assert fields(b"<30>2026-11-23T07:24:00Z gw app: text", timezone=zone)[1] == TIME


def test_invalid_time_is_not_a_header():
    message = parse(b"<30>Feb 30 07:24:00 gw app: text", received=NOW)
    assert (message.format, message.timestamp, message.msg) == ("none", None, b"Feb 30 07:24:00 gw app: text")


# --- decision 13 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("msg", [b"a\0b", b"a\tb", b"caf\xe9", b"\xff\xfe", b"a\nb", b"a\rb ", b"\x01"])
def test_bytes_pass_through_msg(msg):
    assert parse(b"<30>Nov 23 07:24:00 gw app: " + msg, received=NOW).msg == msg
    assert parse(b"<13>1 2026-11-23T07:24:00Z h a p m - " + msg, received=NOW).msg == msg
    assert parse(b"<30>" + msg, received=NOW).msg == msg


@pytest.mark.parametrize("end", [b"\n", b"\0", b"\r\n", b"\n\0"])
def test_trailing_line_ends_and_nuls_are_removed(end):
    assert parse(b"<30>Nov 23 07:24:00 gw app: text" + end, received=NOW).msg == b"text"


def test_header_fields_decode_with_surrogateescape():
    assert parse(b"<30>Nov 23 07:24:00 h\xc3\xb6st app: text", received=NOW).hostname == "h\u00f6st"
    assert parse(b"<30>Nov 23 07:24:00 h\xf6st app: text", received=NOW).hostname == "h\udcf6st"


# --- any bytes ------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(400, long=1500), deadline=None)
@given(st.data())
def test_any_message_is_parsed_without_loss(messages, data):
    frame = data.draw(messages.frame)
    account(frame)
    message = parse(frame, received=NOW)
    stripped = frame.rstrip(b"\r\n\0")
    assert stripped.endswith(message.msg)
    assert (message.format == "none") == (read(stripped).format == "none")
    assert message.priority is None or (message.priority == message.facility * 8 + message.severity)
    assert message.timestamp is None or message.timestamp.tzinfo is not None


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_without_loss(frame):
    account(frame)
    assert frame.rstrip(b"\r\n\0").endswith(parse(frame, received=NOW).msg)
