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
        (b"rel-3 2026-11-23T07:23:59Z WARN x", "rel-3", None, b"2026-11-23T07:23:59Z WARN x"),
        (b"app-3 2026-11-23 07:23:59,1 gw-3 app: x", "app-3", None, b"2026-11-23 07:23:59,1 gw-3 app: x"),
        (b"rel-3 Nov 23 07:23:59 gw-3 text", "rel-3", None, b"Nov 23 07:23:59 gw-3 text"),
    ],
)
def test_host_after_the_time(text, hostname, app_name, msg):
    check(START + text, hostname, app_name, None, msg)


@pytest.mark.parametrize(
    "relay", [b"rel-3 Nov 23 07:23:59 ", b"rel-3 2026-11-23T07:23:59Z ", b"2026-11-23T08:23:59+01:00 "]
)
def test_header_of_the_device_behind_a_relay(relay):
    check(START + relay + b"gw-3 app[4]: x", "gw-3", "app", "4", b"x", "07:23:59")


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
    ],
)
def test_host_in_front_of_a_mnemonic(header, hostname, clock):
    check(b"<189>" + header + b"%SYS-5-X: y", hostname, "%SYS-5-X", None, b"%SYS-5-X: y", clock)


def test_words_before_a_mnemonic_alone_are_text():
    text = b"error in module: %SYS-5-X: y"
    check(b"<189>" + text, None, None, None, text, None)


@pytest.mark.parametrize("text", [b"MSWinEventLog named[4]: x", b"20261123T072359Z app: x"])
def test_first_word_of_a_text_is_no_host(text):
    check(START + text, None, None, None, text)


def test_cef_after_a_level_is_no_tag():
    check(START + b"ltm-3 info  CEF:0|a|b", "ltm-3", None, None, b"info  CEF:0|a|b")
