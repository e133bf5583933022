"""Tests the grammar of hosts and tags, and second times (parsing decisions 15 to 22)."""

from datetime import UTC, datetime

import pytest

from bridge.syslog import parse
from tests.unit.syslog.accounting import account, assert_fast_equals_reference

NOW = datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC)
START = b"<134>Nov 23 07:24:00 "


def fields(frame):
    account(frame)
    assert_fast_equals_reference(frame)
    message = parse(frame, received=NOW)
    return message.hostname, message.app_name, message.procid, message.msg


# --- decision 15: tags ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b'{"k":"v","n":1}',
        b'{ "k" : [1,2] }',
        b'["a: b"]',
        b'"a","b: c"',
        b"'a': 1",
        b'"CEF:0|a|b"',
        b'"LEEF:1.0|a|b"',
        b"<event>a: b</event>",
        b"<13>app: nested",
        b"[12]: text",
        b"(07:24:00) without a tag",
        b"12:34:56 text",
        b"2026-11-23T07:24:00Z app: text",
        b"20261123T072400Z: text",
        b"192.0.2.1:443 opened",
        b"192.0.2.1: text",
        b"[192.0.2.1]:443 opened",
        b"2001:db8::1 text",
        b"2001:db8::1: text",
        b"::1: text",
        b"02:00:5e:00:00:01: text",
        b"02-00-5e-00-00-01: text",
        b"0200.5e00.0001: text",
        b"www.example.org:443 192.0.2.1 - -",
        b"4711: text",
        b"1.2.3.4.5: text",
        b"http://example.org/a",
        b"C:\\Program Files: text",
        b"d:/data: text",
        b"a,b: text",
        b"a;b: text",
        b"a|b: c",
        b'key="v: w"',
        b"key=v: w",
        b"{x}[12]: text",
        b'"x"[12]: text',
        b"<x>[12]: text",
        b"`x`: text",
        b"-: text",
        b"...: text",
        b"two words: text",
        b"\xef\xbb\xbfapp: text",
    ],
)
def test_text_without_tag_is_all_msg(text):
    assert fields(START + b"gw-5 " + text) == ("gw-5", None, None, text)


@pytest.mark.parametrize(
    ("tag", "app", "pid"),
    [
        (b"cron: ", "cron", None),
        (b"cron[7]: ", "cron", "7"),
        (b"cron[7] ", "cron", "7"),
        (b"cron[-]: ", "cron", None),
        (b"my_app.sh: ", "my_app.sh", None),
        (b"a/b-c@d+e$f#g~h*i%j: ", "a/b-c@d+e$f#g~h*i%j", None),
        (b"(squid-2): ", "(squid-2)", None),
        (b"login(pam_unix)[8]: ", "login(pam_unix)", "8"),
        (b"(sd-pam)[8]: ", "(sd-pam)", "8"),
        (b"90b1c4d2e7aa[8]: ", "90b1c4d2e7aa", "8"),
        (b"482915073366[8]: ", "482915073366", "8"),
        (b"a,b;c[8]: ", "a,b;c", "8"),
        (b"x<y>[8]: ", "x<y>", "8"),
        (b"Foo::Bar[8]: ", "Foo::Bar", "8"),
        (b"kworker/1:2[8] ", "kworker/1:2", "8"),
        (b"v1.2.3: ", "v1.2.3", None),
        ("caf\u00e9: ".encode(), "caf\u00e9", None),
        (b"a" * 90 + b": ", "a" * 90, None),
        (b"kernel:", "kernel", None),
    ],
)
def test_program_name_or_word_with_pid_is_a_tag(tag, app, pid):
    assert fields(START + b"gw-5 " + tag + b"text") == ("gw-5", app, pid, b"text")


def test_pid_in_the_text_is_not_part_of_a_tag():
    assert fields(START + b"gw-5 kernel:[12.5] text") == ("gw-5", "kernel", None, b"[12.5] text")
    assert fields(START + b"gw-5 app: [12]: text") == ("gw-5", "app", None, b"[12]: text")


# --- decision 16: hosts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "gw-5",
        "GW5+",
        "_gw",
        "info",
        "Error",
        "gw.example.org.",
        "h\u00f6st",
        "192.0.2.7",
        "2001:db8::",
        "::1",
        "::ffff:192.0.2.7",
        "fe80::7%eth0",
        "1:2:3:4:5:6:7:8",
        "0471",
        "10.5",
        "oper@gw",
        "02:00:5e:00:00:01",
        "192.0.2.7:514",
        "UTC-host",
    ],
)
def test_host_before_a_tag(host):
    assert fields(START + host.encode() + b" app[1]: text") == (host, "app", "1", b"text")


@pytest.mark.parametrize("host", [b"192.0.2.7", b"2001:db8::", b"::1", b"fe80::7%eth0"])
def test_address_in_brackets_is_a_host(host):
    assert fields(START + b"[" + host + b"] app: text") == (host.decode(), "app", None, b"text")


@pytest.mark.parametrize(
    "text",
    [
        b"INFO text",
        b"WARNING two words: more",
        b"INFORMATIONAL text",
        b"[147] text",
        b"[worker-1] text",
        b"0471 text",
        b"12.5 text",
        b"oper@gw text",
        b"02:00:5e:00:00:01 text",
        b"192.0.2.7:514 text",
        b"gw/1 text",
        b"gw#1 app: text",
        b"CRITICAL %ASA-1-1: x",
    ],
)
def test_word_that_is_not_a_host_stays_in_msg(text):
    assert fields(START + text) == (None, None, None, text)


@pytest.mark.parametrize("level", [b"INFO", b"WARN ", b"ERROR", b"CRITICAL", b"SEVERE"])
def test_level_before_a_tag_is_dropped(level):
    assert fields(START + level + b" uvm[2]:  {}") == (None, "uvm", "2", b" {}")


@pytest.mark.parametrize(
    "zone", [b"-8:00", b"+01:00", b"PST -8:00", b"IST +5:30", b"CET DST", b"DST", b"UTC-3", b"GMT+1"]
)
def test_zone_and_offset_are_not_a_host(zone):
    for text in (b" gw-5 app: text", b" : %SYS-5-X: text"):
        host, app, _, _ = fields(START + zone + text)
        assert (host, app) in (("gw-5", "app"), (None, "%SYS-5-X"))


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("PST -8:00", -8),
        ("XYZ -3:00", -3),
        ("IST +5:30", 5.5),
        ("CET DST", 2),
        ("CEST DST", 2),
        ("UTC-3", -3),
        ("-8:00", -8),
    ],
)
def test_offset_is_read(zone, hours):
    timestamp = parse(START + zone.encode() + b" gw-5 app: text", received=NOW).timestamp
    assert timestamp.utcoffset().total_seconds() == 3600 * hours


def test_colon_after_the_time_is_followed_by_no_host():
    assert fields(b"<189>Nov 23 07:24:00: port 4 is down") == (None, None, None, b"port 4 is down")
    assert fields(b"<189>Nov 23 07:24:00: gw-5 app: text") == (None, None, None, b"gw-5 app: text")
    assert fields(b"<189>Nov 23 07:24:00: app[1]: text") == (None, "app", "1", b"text")
    assert fields(b"<189>Nov 23 07:24:00: gw-5: %SYS-5-X: y") == ("gw-5", "%SYS-5-X", None, b"%SYS-5-X: y")


# --- decision 17: second times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time",
    [
        b"Nov 23 06:24:00",
        b"Nov 23 2026 06:24:00",
        b"2026 Nov 23 06:24:00",
        b"2026-11-23T06:24:00.5Z",
        b"2026-11-23 06:24:00",
        b"2026-11-23 06:24:00.5",
    ],
)
@pytest.mark.parametrize("relay", [b"", b"relay-5 ", b"192.0.2.5 ", b"2001:db8::5 "])
def test_time_before_host_and_tag_is_the_device_s(time, relay):
    frame = START + relay + time + b" gw-5 app[1]: text"
    assert fields(frame) == ("gw-5", "app", "1", b"text")
    assert parse(frame, received=NOW).timestamp.hour == 6
    assert fields(START + relay + time + b" gw-5 CEF:0|a|b")[0::3] == ("gw-5", b"CEF:0|a|b")


@pytest.mark.parametrize(
    "text",
    [
        b"2026-11-23 06:24:00,116 INFO [a.b] - x",
        b"2026-11-23 06:24:00,116 gw-5 app: x",
        b"2026-11-23 06:24:00 INFO a.b: x",
        b"2026-11-23 06:24:00 main ERROR: x",
        b"2026-11-23 06:24:00.116 [main] x",
        b"Nov 23 06:24:00 text only here",
        b"Nov 23 06:24:00 app[1]: x",
        b"2026-11-23T06:24:00Z text only",
        b"Feb 30 06:24:00 gw-5 app: x",
        b"Nov 23 06:24:00",
    ],
)
def test_time_of_an_application_stays_in_msg(text):
    for host in (b"", b"relay-5 "):
        frame = START + host + text
        assert fields(frame) == (host.decode().strip() or None, None, None, text)
        assert parse(frame, received=NOW).timestamp.hour == 7


# --- decision 18: two hosts -----------------------------------------------------------------------------------------


def test_host_twice_is_one_host():
    assert fields(START + b"gw-5 gw-5 app[1]: text") == ("gw-5", "app", "1", b"text")
    assert fields(START + b"gw-5 gw-5 %SYS-5-X: y") == ("gw-5", "%SYS-5-X", None, b"%SYS-5-X: y")
    assert fields(START + b"gw-5 gw-5 CEF:0|a") == ("gw-5", None, None, b"CEF:0|a")
    assert fields(START + b"gw-5 gw-5: text") == ("gw-5", "gw-5", None, b"text")
    assert fields(START + b"gw-5 gw-5 text") == ("gw-5", None, None, b"gw-5 text")


# --- decision 20: look-alikes of RFC 5424 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (b'nas-5 logd: 7 - [a@b c="d"] text', ("nas-5", "logd:", "7", b"text")),
        (b"nas-5 logd: 7 - - text", ("nas-5", "logd", None, b"7 - - text")),
        (b'nas-5 logd: x - [a@b c="d"] text', ("nas-5", "logd", None, b'x - [a@b c="d"] text')),
        (b"ilo-5 Array: Smart Array - failed", ("ilo-5", "Array", None, b"Smart Array - failed")),
        (b"st-5 audit user oper", ("st-5", "audit", None, b"user oper")),
        (b"st-5 audit 7 - 55 users", ("st-5", "audit", "7", b"55 users")),
        (b"st-5 audit - - user", ("st-5", "audit", None, b"user")),
        (b"st-5 audit - LOGIN user", ("st-5", "audit", None, b"LOGIN user")),
        (b'st-5 audit {"a":1}', ("st-5", "audit", None, b'{"a":1}')),
        (b'st-5 {"a":1}', ("st-5", None, None, b'{"a":1}')),
        (b"st-5 192.0.2.7 connected", ("st-5", None, None, b"192.0.2.7 connected")),
        (b"st-5 2026-11-23 07:24:00,116 INFO x", ("st-5", None, None, b"2026-11-23 07:24:00,116 INFO x")),
        (b"st-5 date=2026-11-23 x", ("st-5", None, None, b"date=2026-11-23 x")),
        (b"st-5 word", ("st-5", None, None, b"word")),
    ],
)
def test_fields_of_a_look_alike(rest, expected):
    assert fields(b"<30>1 2026-11-23T07:24:00Z " + rest) == expected


@pytest.mark.parametrize("offset", [b"+0000", b"-0500", b"", b"Z"])
def test_structured_data_allows_any_procid(offset):
    frame = b"<30>1 2026-11-23T07:24:00" + offset + b' app-5 cart worker-b m1 [meta a="1"] text'
    assert fields(frame) == ("app-5", "cart", "worker-b", b"text")
    message = parse(frame, received=NOW)
    assert (message.format, message.msgid, message.structured_data) == ("rfc5424", "m1", {"meta": [("a", "1")]})


@pytest.mark.parametrize("time", [b"Nov 23 07:24:00", b"Nov 23 2026 07:24:00", b"2026 Nov 23 07:24:00"])
def test_version_before_a_time_of_rfc3164_is_dropped(time):
    assert fields(b"<30>1 " + time + b" gw-5 app[1]: text") == ("gw-5", "app", "1", b"text")


@pytest.mark.parametrize("digits", [10, 13, 400])
def test_more_than_nine_fraction_digits_are_ignored(digits):
    for frame in (b"<30>2026-11-23T07:24:00.%bZ gw-5 app: text", b"<30>1 2026-11-23T07:24:00.%bZ gw-5 app - - - text"):
        long = frame % (b"4" * digits)
        assert fields(long)[0::3] == ("gw-5", b"text")
        assert parse(long, received=NOW).timestamp.microsecond == 444444


# --- decision 21: texts that a client may have chosen ---------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b'{"hostname":"dc-5","timestamp":"2026-11-23T07:24:00Z"}',
        b'{"a":{"hostname":"dc-5"},"timestamp":"2026-11-23T07:24:00Z"}',
        b"hostname=dc-5 time=2026-11-23T07:24:00Z",
        b"host_name=dc-5 date=2026-11-23 time=07:24:00",
        b'fw=dc-5 time="2026-11-23 07:24:00"',
        b'{"timestamp":"2026-11-23T07:24:00Z","a":{"timestamp":"2026-11-23T01:00:00Z"}}',
        b'{"a":{"timestamp":"2026-11-23T01:00:00Z"},"timestamp":"2026-11-23T07:24:00Z"}',
        b'{"a":"{","b":"\\"}","timestamp":"2026-11-23T07:24:00Z"}',
        b'{"a":[],"EventTime":"2026-11-23 07:24:00"}',
    ],
)
def test_host_of_an_unknown_text_is_not_used(text):
    for frame in (text, b"<13>" + text):
        assert fields(frame) == (None, None, None, text)
        assert parse(frame, received=NOW).timestamp == NOW.replace(second=0)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":{"timestamp":"2026-11-23T07:24:00Z"}}',
        b'[{"timestamp":"2026-11-23T07:24:00Z"}]',
        b'{"a":[{"eventtime":"1795418640"}]}',
    ],
)
def test_time_of_a_nested_object_is_not_used(text):
    assert parse(b"<13>" + text, received=NOW).timestamp is None


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (b"devname=fgt-5 devid=x", "fgt-5"),
        (b'id=firewall fw="sns-5" x=y', "sns-5"),
        (b'device_name="xgs-5" x=y', "xgs-5"),
        (b"hostname=cp-5|ifdir=inbound", "cp-5"),
    ],
)
def test_host_of_a_known_device_is_used(text, host):
    assert fields(b"<13>" + text)[0] == host


# --- decision 22: BOM and FreeBSD's facility ------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\xef\xbb\xbf79 ", b"79 \xef\xbb\xbf", b"\xef\xbb\xbf "])
def test_bom_before_the_pri_is_dropped(before):
    assert fields(before + b"<30>Nov 23 07:24:00 gw-5 app: text") == ("gw-5", "app", None, b"text")
    assert fields(before + b"<30>1 2026-11-23T07:24:00Z gw-5 app 7 - - text") == ("gw-5", "app", "7", b"text")


def test_bom_before_text_stays():
    for text in (b"\xef\xbb\xbftext", b"\xef\xbb\xbf<999>text", b"\xef\xbb\xbf"):
        assert fields(text) == (None, None, None, text)


@pytest.mark.parametrize("facility", [b"<local0.info>", b"<kern.crit>", b"<16.6>"])
def test_facility_and_level_after_the_time_are_dropped(facility):
    assert fields(START + facility + b" gw-5 app: text") == ("gw-5", "app", None, b"text")
    assert fields(START + facility + b" app: text") == (None, "app", None, b"text")
    assert fields(START + b"<b>bold</b> text") == (None, None, None, b"<b>bold</b> text")
