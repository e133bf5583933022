"""Lists messages with what rsyslog 8.2302 and syslog-ng 3.38 read of them. tests/system/test_shadow.py asks both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SENDER = "127.0.0.7"


class Reading(NamedTuple):
    """A message, and the fields that a server reads of it. ``timed``: it has read a time."""

    host: str
    program: str
    process: str
    text: str
    timed: bool


class Message(NamedTuple):
    """A message with its readings. syslog-ng reads it with ``flags(syslog-protocol)``; None: it refuses it."""

    frame: bytes
    rsyslog: Reading
    syslog_ng: Reading | None


MESSAGES: Sequence[Message] = (
    Message(
        b"<38>Nov 23 07:24:00 web-1 sshd[4711]: Accepted publickey for anna",
        Reading("web-1", "sshd", "4711", " Accepted publickey for anna", True),
        Reading("web-1", "sshd", "4711", "Accepted publickey for anna", True),
    ),
    Message(
        b"<38>Nov  3 07:24:00 web-1 sshd: session opened",
        Reading("web-1", "sshd", "-", " session opened", True),
        Reading("web-1", "sshd", "", "session opened", True),
    ),
    Message(
        b"<13>Nov 23 07:24:00 pump-7 pressure 7 bar",
        Reading("pump-7", "pressure", "-", " 7 bar", True),
        Reading("pump-7", "pressure", "", "7 bar", True),
    ),
    Message(
        b'<189>date=2026-11-23 time=07:24:00 devname="fw-1" type="traffic"',
        Reading("127.0.0.7", "date=2026-11-23", "-", ' time=07:24:00 devname="fw-1" type="traffic"', False),
        Reading("127.0.0.7", "date=2026-11-23", "", 'time=07:24:00 devname="fw-1" type="traffic"', False),
    ),
    Message(
        b"<166>Nov 23 07:24:00 asa-1 : %ASA-6-302013: Built outbound TCP connection 7",
        Reading("asa-1", "", "-", " %ASA-6-302013: Built outbound TCP connection 7", True),
        Reading("asa-1", "", "", "%ASA-6-302013: Built outbound TCP connection 7", True),
    ),
    Message(
        b"<166>Nov 23 2026 07:24:00: %ASA-6-302013: Built outbound TCP connection 7",
        Reading("127.0.0.7", "%ASA-6-302013", "-", " Built outbound TCP connection 7", True),
        Reading("127.0.0.7", "%ASA-6-302013", "", "Built outbound TCP connection 7", True),
    ),
    Message(
        b"<189>52: sw-1: Nov 23 07:24:11.250: %LINK-3-UPDOWN: Interface Gi1/0/1, changed state to up",
        Reading(
            "127.0.0.7",
            "52",
            "-",
            " sw-1: Nov 23 07:24:11.250: %LINK-3-UPDOWN: Interface Gi1/0/1, changed state to up",
            False,
        ),
        Reading(
            "127.0.0.7",
            "sw-1",
            "",
            "Nov 23 07:24:11.250: %LINK-3-UPDOWN: Interface Gi1/0/1, changed state to up",
            False,
        ),
    ),
    Message(
        b"<189>52: *Nov 23 07:24:11.250: %LINK-3-UPDOWN: Interface Gi1/0/1, changed state to up",
        Reading(
            "127.0.0.7",
            "52",
            "-",
            " *Nov 23 07:24:11.250: %LINK-3-UPDOWN: Interface Gi1/0/1, changed state to up",
            False,
        ),
        Reading("127.0.0.7", "%LINK-3-UPDOWN", "", "Interface Gi1/0/1, changed state to up", True),
    ),
    Message(
        b"<134>1 1795418640.535897000 ap-1 events type=association radio='0'",
        Reading("127.0.0.7", "", "-", "1795418640.535897000 ap-1 events type=association radio='0'", False),
        None,
    ),
    Message(
        b"<134> 1795418640.535897000 ap-1 events type=association radio='0'",
        Reading("127.0.0.7", "", "-", " 1795418640.535897000 ap-1 events type=association radio='0'", False),
        Reading("127.0.0.7", "1795418640.535897000", "", "ap-1 events type=association radio='0'", False),
    ),
    Message(
        b'<134>{"event": "login", "user": "anna"}',
        Reading("127.0.0.7", "", "-", '{"event": "login", "user": "anna"}', False),
        Reading("127.0.0.7", '{"event"', "", '"login", "user": "anna"}', False),
    ),
    Message(
        b"<134>CEF:0|Vendor|Product|1.0|100|login|5|src=192.0.2.31 msg=two words",
        Reading("127.0.0.7", "CEF", "-", "0|Vendor|Product|1.0|100|login|5|src=192.0.2.31 msg=two words", False),
        Reading("127.0.0.7", "CEF", "", "0|Vendor|Product|1.0|100|login|5|src=192.0.2.31 msg=two words", False),
    ),
    Message(
        b"<134>2026-11-23T07:24:00Z fw-2 CEF:0|Vendor|Product|1.0|100|login|5|src=192.0.2.31",
        Reading("fw-2", "CEF", "-", "0|Vendor|Product|1.0|100|login|5|src=192.0.2.31", True),
        Reading("fw-2", "CEF", "", "0|Vendor|Product|1.0|100|login|5|src=192.0.2.31", True),
    ),
    Message(
        b"<134>1 2026-11-23T07:24:00.250Z web-1 app 77 ID47 - the text",
        Reading("web-1", "app", "77", "the text", True),
        Reading("web-1", "app", "77", "the text", True),
    ),
    Message(
        b'<134>1 2026-11-23T07:24:00+01:00 web-1 app - - [a@1 b="c]"][d@1] the text',
        Reading("web-1", "app", "-", "the text", True),
        None,
    ),
    Message(
        b"<134>1 - - - - - -",
        Reading("-", "-", "-", "", False),
        Reading("127.0.0.7", "", "", "", False),
    ),
    Message(
        b"<134>1 2026-11-23T07:24:00Z web-1 app 77 ID47 no structured data",
        Reading("web-1", "app", "77", "no structured data", True),
        None,
    ),
    Message(
        b"<134>1 2026-11-23 07:24:00 web-1 app 77 - - text",
        Reading("127.0.0.7", "", "-", "2026-11-23 07:24:00 web-1 app 77 - - text", False),
        Reading("web-1", "app", "77", "text", True),
    ),
    Message(
        b"no header at all, only words",
        Reading("no", "header", "-", " at all, only words", False),
        Reading("127.0.0.7", "no", "", "header at all, only words", False),
    ),
    Message(
        b" <13>a blank before",
        Reading("127.0.0.7", "", "-", " <13>a blank before", False),
        Reading("127.0.0.7", "<13>a", "", "blank before", False),
    ),
    Message(
        b"<999>Nov 23 07:24:00 web-1 app: text",
        Reading("127.0.0.7", "", "-", "<999>Nov 23 07:24:00 web-1 app: text", False),
        Reading("web-1", "app", "", "text", True),
    ),
    Message(
        b"<14>Nov 23 07:24:00 dc-1 MSWinEventLog\t1\tSecurity\t24740\tMon Nov 23 07:24:00 2026",
        Reading("dc-1", "MSWinEventLog#0111#011Security#01124740#011Mon", "-", " Nov 23 07:24:00 2026", True),
        Reading("dc-1", "MSWinEventLog\t1\tSecurity\t24740\tMon", "", "Nov 23 07:24:00 2026", True),
    ),
    Message(
        b"<13>",
        Reading("127.0.0.7", "", "-", "", False),
        Reading("127.0.0.7", "", "", "", False),
    ),
    Message(
        b"<13>word",
        Reading("word", "", "-", "", False),
        Reading("127.0.0.7", "word", "", "", False),
    ),
    Message(
        b"<134>Nov 23 07:24:00 [audit] user=anna",
        Reading("127.0.0.7", "", "audit", " user=anna", True),
        Reading("127.0.0.7", "", "audit", "user=anna", True),
    ),
    Message(
        b"<134>Nov 23 07:24:00 2001:db8::1 app[7:1]: text",
        Reading("127.0.0.7", "2001", "-", "db8::1 app[7:1]: text", True),
        Reading("2001:db8::1", "app", "7", "1]: text", True),
    ),
    Message(
        b"<38>Nov 23 07:24:00 web-1 app: Zugriff f\xc3\xbcr J\xc3\xbcrgen",
        Reading("web-1", "app", "-", " Zugriff für Jürgen", True),
        Reading("web-1", "app", "", "Zugriff für Jürgen", True),
    ),
    Message(
        b"<14>Nov 23 07:24:00 mail-1 postfix/smtpd[91]: connect from unknown[192.0.2.31]",
        Reading("mail-1", "postfix", "91", " connect from unknown[192.0.2.31]", True),
        Reading("mail-1", "postfix/smtpd", "91", "connect from unknown[192.0.2.31]", True),
    ),
    Message(
        b"<14>Nov 23 07:24:00 panos-1 1,2026/11/23 07:24:00,0118010,THREAT,url",
        Reading("panos-1", "1,2026", "-", " 07:24:00,0118010,THREAT,url", True),
        Reading("panos-1", "1,2026/11/23", "", "07:24:00,0118010,THREAT,url", True),
    ),
    Message(
        b"<30>2026 Nov 23 07:24:00 sw-2 %LLDP-3-PEERS: Multiple peers detected",
        Reading("sw-2", "%LLDP-3-PEERS", "-", " Multiple peers detected", True),
        Reading("127.0.0.7", "2026", "", "Nov 23 07:24:00 sw-2 %LLDP-3-PEERS: Multiple peers detected", False),
    ),
)
