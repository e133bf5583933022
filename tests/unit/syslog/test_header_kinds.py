"""Tests headers of the kinds of parsing decisions 15 to 22: fields, accounted bytes, and all readers alike."""

from datetime import UTC, datetime

import pytest

from bridge.syslog import parse
from tests.unit.syslog.accounting import account, assert_fast_equals_reference

NOW = datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC)
START = b"<134>Nov 23 07:24:00 "


def check(frame, hostname, app_name, procid, msg, clock="07:24:00"):
    account(frame)
    assert_fast_equals_reference(frame)
    message = parse(frame, received=NOW)
    time = message.timestamp and f"{message.timestamp.astimezone(UTC):%H:%M:%S}"
    assert (message.hostname, message.app_name, message.procid, message.msg, time) == (
        hostname, app_name, procid, msg, clock
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "app_name", "procid", "msg"),
    [
        (b'[{"k": 1}]', None, None, b'[{"k": 1}]'),
        (b"'CEF:0|x|y'", None, None, b"'CEF:0|x|y'"),
        (b"<mark>[12]: x", None, None, b"<mark>[12]: x"),
        (b"{app}[12]: x", None, None, b"{app}[12]: x"),
        (b"0011.2233.4455: x", None, None, b"0011.2233.4455: x"),
        (b"2001:db8::1: x", None, None, b"2001:db8::1: x"),
        (b"ftp://x/y: z", None, None, b"ftp://x/y: z"),
        (b"D:\\logs\\x: failed", None, None, b"D:\\logs\\x: failed"),
        (b"mail.example.org:25: x", None, None, b"mail.example.org:25: x"),
        (b"[812]: x", None, None, b"[812]: x"),
        (b"key=value: x", None, None, b"key=value: x"),
        (b"key=value[12]: x", "key=value", "12", b"x"),
        (b"a7f3c9d0e1b2[812] x", "a7f3c9d0e1b2", "812", b"x"),
        (b"su(pam_unix)[77]: x", "su(pam_unix)", "77", b"x"),
        (b"c++filt: x", "c++filt", None, b"x"),
        (b"app#2: x", "app#2", None, b"x"),
        (b"getty@tty1.service: x", "getty@tty1.service", None, b"x"),
        (b"(07:23:58) http-proxy[4]: x", "http-proxy", "4", b"x"),
    ],
)
def test_tag_after_the_host(text, app_name, procid, msg):
    check(START + b"gw-3 " + text, "gw-3", app_name, procid, msg)


@pytest.mark.parametrize(
    ("text", "hostname", "app_name", "msg"),
    [
        (b"fe80::7%ens3 app: x", "fe80::7%ens3", "app", b"x"),
        (b"2001:db8:7:: app: x", "2001:db8:7::", "app", b"x"),
        (b"[2001:db8::7] app: x", "2001:db8::7", "app", b"x"),
        (b"asa-7/guest %ASA-6-302013: x", "asa-7/guest", "%ASA-6-302013", b"%ASA-6-302013: x"),
        (b"asa-7/guest app: x", None, None, b"asa-7/guest app: x"),
        (b"NOTICE app: x", None, "app", b"x"),
        (b"SEVERE out of memory", None, None, b"SEVERE out of memory"),
        (b"notice app: x", "notice", "app", b"x"),
        (b"0815 app: x", "0815", "app", b"x"),
        (b"0815 sessions open", None, None, b"0815 sessions open"),
        (b"DST gw-3 app: x", "gw-3", "app", b"x"),
        (b"gw-3 gw-3 app: x", "gw-3", "app", b"x"),
        (b"gw-3 gw-3 text without tag", "gw-3", None, b"gw-3 text without tag"),
        (b"grid-3 192.0.2.7 dhcpd: x", "grid-3", "dhcpd", b"x"),
        (b"web-3 192.0.2.7 PUT: /x", "web-3", None, b"192.0.2.7 PUT: /x"),
        (b"<auth.notice> gw-3 app: x", "gw-3", "app", b"x"),
        (b"<4.5> gw-3 app: x", "gw-3", "app", b"x"),
        (b"<div.menu> gw-3 app: x", None, None, b"<div.menu> gw-3 app: x"),
        (b"<24.5> gw-3 app: x", None, None, b"<24.5> gw-3 app: x"),
        (b"leaf-3 WARNING bgp#bgpd: x", "leaf-3", "bgp#bgpd", b"x"),
        (b"app-3 WARNING worker: x", "app-3", None, b"WARNING worker: x"),
        (b"store-3(id12) isi_x: x", "store-3", "isi_x", b"x"),
        (b"(none) app: x", None, "app", b"x"),
        (b"(none) of them", None, None, b"(none) of them"),
        (b"store-3(id12) is full", None, None, b"store-3(id12) is full"),
        (b"rel-3 2026-11-23T07:23:59Z WARN x", "rel-3", None, b"2026-11-23T07:23:59Z WARN x"),
        (b"app-3 2026-11-23 07:23:59,1 gw-3 app: x", "app-3", None, b"2026-11-23 07:23:59,1 gw-3 app: x"),
        (b"rel-3 Nov 23 07:23:59 gw-3 text", "rel-3", None, b"Nov 23 07:23:59 gw-3 text"),
    ],
)
def test_host_after_the_time(text, hostname, app_name, msg):
    check(START + text, hostname, app_name, None, msg)


@pytest.mark.parametrize(
    "relay", [b"rel-3 Nov 23 07:23:59 ", b"rel-3.example.org. 2026-11-23T07:23:59Z ", b"2026-11-23T08:23:59+01:00 "]
)
def test_header_of_the_device_behind_a_relay(relay):
    check(START + relay + b"gw-3 app[4]: x", "gw-3", "app", "4", b"x", "07:23:59")


@pytest.mark.parametrize("relay", [b"Nov 23 07:24:07 rel-3 ", b"2026-11-23T07:24:07+00:00 192.0.2.3 "])
@pytest.mark.parametrize(
    ("text", "hostname", "app_name", "procid", "msg", "clock"),
    [
        # The counter before the origin-id, as IOS writes it
        (b"81: sw-7: Nov 23 07:24:00.1: %SYS-5-X: y", "sw-7", "%SYS-5-X", None, b"%SYS-5-X: y", "07:24:00"),
        (b"81: 192.0.2.7: 000044: *Nov 23 08:24:00 CET: %SYS-5-X: y", "192.0.2.7", "%SYS-5-X", None, b"%SYS-5-X: y",
         "07:24:00"),
        (b'81: sw-7: [x@9 s_sn="1"]: 44: Nov 23 07:24:00: %SYS-5-X: y', "sw-7", "%SYS-5-X", None, b"%SYS-5-X: y",
         "07:24:00"),
        (b"81: xr-7 RP/0/RP1/CPU0:Nov 23 07:24:00 UTC: ifmgr[28]: %SYS-5-X : y", "xr-7", "%SYS-5-X", "28",
         b"%SYS-5-X : y", "07:24:00"),
        # No time of its own: the relay's counts
        (b"81: sw-7: 3d04h: %SYS-5-X: y", "sw-7", "%SYS-5-X", None, b"%SYS-5-X: y", "07:24:07"),
        (b"81: sw-7: %SYS-5-X: y", "sw-7", "%SYS-5-X", None, b"%SYS-5-X: y", "07:24:07"),
        # RFC 5424 and what resembles it
        (b"1 2026-11-23T08:24:00.5+01:00 db-7 app 4 ID7 [a@9 b=\"c\"] x", "db-7", "app", "4", b"x", "07:24:00"),
        (b"1 2026-11-23 07:24:00 db-7 app 4 - - x", "db-7", "app", "4", b"x", "07:24:00"),
        (b"1 2026-11-23T07:24:00Z db-7 CEF:0|a|b", "db-7", None, None, b"CEF:0|a|b", "07:24:00"),
        (b"1 1795418640.25 mx_7 flows src=192.0.2.7", "mx_7", None, None, b"flows src=192.0.2.7", "07:24:00"),
    ],
)  # fmt: skip
def test_header_within_the_header_of_a_relay(relay, text, hostname, app_name, procid, msg, clock):
    check(b"<189>" + relay + text, hostname, app_name, procid, msg, clock)


def test_relay_without_counter_gives_its_name_and_time():
    check(b"<189>Nov 23 07:24:07 rel-3 81: %SYS-5-X: y", "rel-3", "%SYS-5-X", None, b"%SYS-5-X: y", "07:24:07")


@pytest.mark.parametrize(
    "text",
    [
        b"1 2026-11-23T07:24:00Z WARN disk is full",
        b"1 1026-11-23T07:24:00Z db-7 app 4 - - x",
        b"1 2026-02-30T07:24:00Z db-7 app 4 - - x",
        b"1 1795418640.25 of 3 done",
        b"81: 17 percent (17%) used",
        b"81: sw-7: see %SYS-5-X: y",
    ],
)
def test_text_that_resembles_a_header_behind_a_relay(text):
    check(b"<189>Nov 23 07:24:00 rel-3 " + text, "rel-3", None, None, text)


@pytest.mark.parametrize(
    ("time", "clock"),
    [
        (b"Nov 23 2026 08:24:00.140.2+01:00", "07:24:00"),
        (b"Nov 23 07:24:00:270 2026", "07:24:00"),
        (b"2026-11-23T04:24:00-03", "07:24:00"),
        (b"Nov 23 2026 11:24:00 +04", "07:24:00"),
        (b"Mon Nov 23 04:24:00 -03 2026", "07:24:00"),
        (b"Nov 23 08:24:00 2026 CET", "07:24:00"),
        (b"Mon Nov 23 02:24:00 2026 -0500", "07:24:00"),
        (b"Nov 23 10:24:00 EAT", "07:24:00"),
        (b"11/23/2026 7:24:00 AM", "07:24:00"),
        (b"23/11/2026, 07:24:00 PM", "19:24:00"),
        (b"Nov 23 07:24:00 Z", "07:24:00"),
        (b"2026-11-23 07:24:00.5 Z", "07:24:00"),
        (b"1795418640.25", "07:24:00"),
        (b"*Nov 23 07:24:00", "07:24:00"),
        (b".2026 Nov 23 08:24:00.1 CET", "07:24:00"),
    ],
)
def test_time_of_a_device(time, clock):
    check(b"<189>" + time + b" gw-3 app[4]: x", "gw-3", "app", "4", b"x", clock)


def test_host_that_begins_like_a_year_and_a_zone():
    check(b"<30>Nov 23 07:24:00 2001CET named[77]: x", "2001CET", "named", "77", b"x", "07:24:00")


@pytest.mark.parametrize(
    ("text", "app_name", "msg"),
    [
        (b'80D40A7700112 http-proxy[91]: msg_id="1AFF-0024"', "http-proxy", b'msg_id="1AFF-0024"'),
        (b"80D40A7700112 http-proxy[91]: x", None, b"80D40A7700112 http-proxy[91]: x"),
    ],
)
def test_serial_number_of_watchguard(text, app_name, msg):
    check(START + b"fb-3 " + text, "fb-3", app_name, "91" if app_name else None, msg)


@pytest.mark.parametrize(
    ("header", "hostname", "clock"),
    [
        (b"41: Anna's lab: Nov 23 07:24:00: ", "Anna's lab", "07:24:00"),
        (b"41: Lille, Nord: 000007: *Nov 23 07:24:00.1: ", "Lille, Nord", "07:24:00"),
        (b"41: site=lille: Nov 23 07:24:00: ", "site=lille", "07:24:00"),
        (b"41: Lille Nord: ", "Lille Nord", None),
        (b":Nov 23 07:24:00 UTC fw: ", "fw", "07:24:00"),
        (b":Nov 23 08:24:00 CET FW: ", "FW", "07:24:00"),
        (b":2026-11-23T07:24:00Z fw : ", "fw", "07:24:00"),
        (b"Nov 23 07:24:03 rel-3 Nov 23 07:24:00 UTC fw: ", "fw", "07:24:00"),
        (b"41: Nov 23 07:24:00 Paris: ", None, "07:24:00"),
        (b":192.0.2.7: ", "192.0.2.7", None),
        (b"41: Nov 22 23:24:00 PST -8:00: ", None, "07:24:00"),
        (b"Nov 23 07:24:00.6: sw-3: ", "sw-3", "07:24:00"),
        (b"Nov 23 2026 07:24:00 sw-3: ", "sw-3", "07:24:00"),
        (b"Nov 23 07:24:00 2026 192.0.2.7: ", "192.0.2.7", "07:24:00"),
        (b"2026 Nov 23 07:24:00 2001:db8::7: ", "2001:db8::7", "07:24:00"),
        # An uptime is not a host.
        (b"41: 2y10w: ", None, None),
        (b"3d04h: ", None, None),
        (b"41: 1w0d: *", None, None),
        (b"41: sw-3: 2y10w: ", "sw-3", None),
        (b"3d: Nov 23 07:24:00: ", "3d", "07:24:00"),
        (b'Nov 23 07:24:03 rel-3 sw-3: [syslog@9 s_sn="4"]: *Nov 23 07:24:00.5 UTC: ', "sw-3", "07:24:00"),
        (b"Nov 23 07:24:03 rel-3 41: Lille Nord: Nov 23 07:24:00: ", "Lille Nord", "07:24:00"),
        (b"Nov 23 07:24:03 rel-3 41: Lille Nord: 000007: *Nov 23 08:24:00.1 CET: ", "Lille Nord", "07:24:00"),
    ],
)
def test_host_in_front_of_a_mnemonic(header, hostname, clock):
    check(b"<189>" + header + b"%SYS-5-X: y", hostname, "%SYS-5-X", None, b"%SYS-5-X: y", clock)


@pytest.mark.parametrize(
    ("header", "hostname", "clock"),
    [
        (b": 2026 Nov 23 07:24:00 UTC: ", None, "07:24:00"),
        (b"2026 Nov 23 07:24:00 nx-3 ", "nx-3", "07:24:00"),
        (b"Nov 23 07:24:00 nx-3: ", "nx-3", "07:24:00"),
        (b"", None, None),
    ],
)
def test_virtual_device_before_a_mnemonic(header, hostname, clock):
    msg = b"%$ VDC-2 %$ %ETHPORT-5-IF_UP: y"
    check(b"<189>" + header + msg, hostname, "%ETHPORT-5-IF_UP", None, msg, clock)


@pytest.mark.parametrize("text", [b'{"k": "v: w"}', b"CEF:0|a|b|c|d|e|f|g", b"LEEF:1.0|a|b|c|d|k=v"])
@pytest.mark.parametrize("time", [b"1795418640.25", b"1 1795418640.25", b"*Nov 23 07:24:00"])
def test_text_without_tag_after_a_rare_time(time, text):
    check(b"<189>" + time + b" gw-3 " + text, "gw-3", None, None, text)


@pytest.mark.parametrize(
    "text",
    [
        b"1795418640.123     45 192.0.2.9 TCP_MISS/200 1039 GET http://example.org/ - DIRECT/192.0.2.1 text/html",
        b"1795418640.123\tCx1\t192.0.2.9\t53: x",
        b"1795418640.123: gw-3 app: x",
        b"1795418640 gw-3 app: x",
        b"1795418640.123 WARN pool: x",
        b"*Nov 23 is a day: x",
        b"* Nov 23 07:24:00 gw-3 app: x",
    ],
)
def test_text_that_begins_like_a_time_stays_whole(text):
    account(b"<189>" + text)
    assert_fast_equals_reference(b"<189>" + text)
    message = parse(b"<189>" + text, received=NOW)
    assert (message.timestamp, message.hostname, message.msg) == (None, None, text)


def test_words_before_a_mnemonic_alone_are_text():
    text = b"error in module: %SYS-5-X: y"
    check(b"<189>" + text, None, None, None, text, None)


@pytest.mark.parametrize("text", [b"MSWinEventLog named[4]: x", b"20261123T072359Z app: x"])
def test_first_word_of_a_text_is_no_host(text):
    check(START + text, None, None, None, text)


def test_cef_after_a_level_is_no_tag():
    check(START + b"ltm-3 info  CEF:0|a|b", "ltm-3", None, None, b"info  CEF:0|a|b")


@pytest.mark.parametrize(
    "header",
    [
        b"1 2026-11-23T07:24:00+0000 gw-3 app w-4 ID7 -",
        b'1 2026-11-23 07:24:00 gw-3 app w-4 ID7 [a@1 b="c"]',
        b"1 2026-11-23T07:24:00Z gw-3 app w-4 ID7 -",
        b'2026-11-23T07:24:00Z gw-3 app 4 ID7 [a@1 b="c"]',
    ],
)
def test_byte_order_mark_before_msg_is_dropped(header):
    procid = "w-4" if b"w-4" in header else "4"
    check(b"<134>" + header + b" \xef\xbb\xbfx", "gw-3", "app", procid, b"x")
    check(b"<134>" + header + b" x\xef\xbb\xbf", "gw-3", "app", procid, b"x\xef\xbb\xbf")


@pytest.mark.parametrize("user", [b"anna", b"-"])
def test_columns_of_an_access_log_are_no_fields_of_rfc5424(user):
    text = b"2026-11-23 07:23:59 736 192.0.2.9 " + user + b" - - OBSERVED 200"
    check(START + b"proxy-3 " + text, "proxy-3", None, None, text)


def test_program_may_have_the_name_of_its_host():
    frame = b"<29>2026-11-23T07:24:00Z openvpn openvpn 7 - - peer info: IV_VER=2.6.8"
    check(frame, "openvpn", "openvpn", "7", b"peer info: IV_VER=2.6.8")
