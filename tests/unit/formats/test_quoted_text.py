"""Tests that text quoted in an event, by a user for instance, does not cut the event."""

from datetime import UTC, datetime

import pytest

from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import FORMATS, Format, find

CONTEXT = FrameContext(received=datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC))
BSD = b"Nov 23 07:24:00"

# Beginnings at which a rule cuts.
BEGINNINGS = (
    b"CEF:0|Example|Probe|1|2|3|4|a=b",
    b"CEF: 1|Example|Probe|1|2|3|4|a=b",
    b"LEEF:1.0|Example|Probe|1|2|a=b",
    b'{"a":1}',
    b"FW: ge-0/0/1 A tcp",
    b"1795418640.5 MX_9 flows x",
    b"Nov 23 07:23:00: %SYS-5-A: x",
    b"Nov 23 07:23:00 sw-9 %SYS-5-A: x",
    b"2026 Nov 23 07:23:00 CET: %ETH-5-A: x",
    b"CISE_Alarm WARN: x",
    b"id=firewall x",
    b'-: {"a":1}',
    b'[action:"Accept"]',
)


@pytest.mark.parametrize("one", FORMATS.values(), ids=FORMATS)
def test_text_behind_the_beginning_does_not_cut(one: Format) -> None:
    base = event_for(one, one.example, CONTEXT)
    for beginning in BEGINNINGS:
        for quoted in (b' note="%b"' % beginning, b" note=" + beginning):
            assert event_for(one, one.example + quoted, CONTEXT) == base + quoted


# Format, frame, event: the quoted text stands within the part in which a rule searches.
CASES = [
    ("citrix-adc", b'<134> 11/23/2026:07:24:00 GMT ns-4 0-PPE-0 : default SSLVPN Message 71 0 : "agent CEF:0|A|B|1"',
     b'11/23/2026:07:24:00 GMT ns-4 0-PPE-0 : default SSLVPN Message 71 0 : "agent CEF:0|A|B|1"'),
    ("citrix-adc", b'<134> 11/23/2026:07:24:00 GMT ns-4 0-PPE-0 : default GUI CMD_EXECUTED 71 0 : "CEF:0|A|B|1"',
     b'11/23/2026:07:24:00 GMT ns-4 0-PPE-0 : default GUI CMD_EXECUTED 71 0 : "CEF:0|A|B|1"'),
    ("citrix-adc", b"<134> 11/23/2026:07:24:00 GMT ns-4 0-PPE-0 : default AAA LOGIN_FAILED 71 0 : User CEF:0|A|B",
     b"11/23/2026:07:24:00 GMT ns-4 0-PPE-0 : default AAA LOGIN_FAILED 71 0 : User CEF:0|A|B"),
    ("citrix-adc", b'<133>' + BSD + b' ns-4 bash[7]: oper on /dev/pts/1 shell_command="echo CEF:0|A|B"',
     b'oper on /dev/pts/1 shell_command="echo CEF:0|A|B"'),
    ("fortigate", b'<189>date=2026-11-23 time=07:24:00 devname="CEF:0|A|B" logid="1"',
     b'date=2026-11-23 time=07:24:00 devname="CEF:0|A|B" logid="1"'),
    ("paloalto", b"<14>" + BSD + b" pa-4 1,2026/11/23 07:24:00,0164,THREAT,url,1,x,CEF:0|A|B,allow",
     b"1,2026/11/23 07:24:00,0164,THREAT,url,1,x,CEF:0|A|B,allow"),
    ("checkpoint", b'<134>1 2026-11-23T07:24:00Z cp-4 CheckPoint 71 - [action:"Accept"; x:"CEF:0|A|B"]',
     b'syslog[action:"Accept"; x:"CEF:0|A|B"]'),
    ("sonicwall", b'<134> id=firewall sn=7 msg="CEF:0|A|B" note="id=firewall x"',
     b'<134> id=firewall sn=7 msg="CEF:0|A|B" note="id=firewall x"'),
    ("forcepoint-ngfw", b'<6>CEF:0|FORCEPOINT|Firewall|6|7|x|0|msg=LEEF:1.0|A',
     b"CEF:0|FORCEPOINT|Firewall|6|7|x|0|msg=LEEF:1.0|A"),
    ("meraki", b"<134>1 1795418640.1 MX-4 urls request: GET x 1795418639.5 b c ",
     b"1795418640.1 MX-4 urls request: GET x 1795418639.5 b c "),
    ("meraki", b'<134>1 note="1795418639.5 b c " x', b'1 note="1795418639.5 b c " x'),
    ("juniper-ex", b'<158>' + BSD + b' ex-4 pfed: term "FW: a A tcp" matched', b'term "FW: a A tcp" matched'),
    ("cef", b'<134>' + BSD + b' gw-4 app: user="x CEF:0|A|B|1|2|3|4|" denied',
     b'user="x CEF:0|A|B|1|2|3|4|" denied'),
    ("cyberark", b'<134>' + BSD + b' vault-4 app: reason="LEEF:1.0|A|B|1|" refused',
     b'reason="LEEF:1.0|A|B|1|" refused'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "frame", "event"), CASES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(CASES)])
def test_quoted_text_near_the_beginning_does_not_cut(name: str, frame: bytes, event: bytes) -> None:
    assert event_for(find(name), frame, CONTEXT) == event


HEADERS = [
    ("cef", b"<134>" + BSD + b" gw-4 alert - word: CEF:0|Example|a|1|2|3|4|x=y"),
    ("cef", b"<134>" + BSD + b" gw-4 2026-11-23 07:23:59,417 word CEF:0|Example|a|1|2|3|4|x=y"),
    ("cef", b"<134>" + BSD + b" gw-4 cef[2436]: CEF:0|Example|a|1|2|3|4|x=y"),
    ("gravityzone", b"<134>" + BSD + b" gz-4 word: CEF:0|Bitdefender|GravityZone|6|1|a|9|x=y"),
    ("citrix-adc", b"<134> 11/23/2026:07:24:00 GMT ns-4 CEF:0|Citrix|NetScaler|NS14|APPFW|a|6|x=y"),
]


@pytest.mark.parametrize(("name", "frame"), HEADERS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(HEADERS)])
def test_header_before_the_event_is_cut(name: str, frame: bytes) -> None:
    event = event_for(find(name), frame, CONTEXT)
    assert event == frame[frame.index(b"CEF:") :]
    assert find(name).fits(event)


@pytest.mark.parametrize(
    "head", [b" gz-4 ", b" gz-4 gz: ", b" gz-4 gz[4]: ", b" gz-4 console 6.5 ", b" gz-4 console: "]
)
def test_quotes_of_gravityzone_stay_around_the_event(head: bytes) -> None:
    event = b'"CEF:0|Bitdefender|GravityZone|6.50|10|AntiMalware|9|dvchost=pc-9"'
    one = find("gravityzone")
    assert event_for(one, b"<134>" + BSD + head + event, CONTEXT) == event
    assert one.fits(event)


@pytest.mark.parametrize(
    "text",
    [
        b"198.51.100.4:40118 TLS: Initial packet from [AF_INET]198.51.100.4:40118",
        b"anna/198.51.100.4:40118 peer info: IV_VER=2.6.8",
        b"2001:db8:4::7:40118 VERIFY OK: depth=0, CN=anna",
        b"TCP connection established with [AF_INET]198.51.100.4:40118",
        b"MANAGEMENT: CMD 'status 2'",
        b"net_route_v4_add: 10.8.0.0/24 via 10.8.0.2 dev [NULL] table 0 metric -1",
        b"Initialization Sequence Completed",
    ],
)
def test_usual_lines_of_openvpn_are_no_mismatch(text: bytes) -> None:
    one = find("openvpn")
    event = event_for(one, b"<29>" + BSD + b" vpn-4 openvpn[702]: " + text, CONTEXT)
    assert event == text
    assert one.fits(event)


@pytest.mark.parametrize(
    "text",
    [
        b"cpu3:2097611)ScsiDeviceIO: 4167: Cmd failed",
        b"0:2097611)NMP: nmp_ThrottleLog: retry",
        b"Executing '/usr/bin/esxcli network ip'",
        b"USER root pid 4711 cmd /bin/ls",
        b"pam_unix(sshd:session): session closed for user root",
        b"info hostd[2099] [Originator@6876 sub=Vimsvc] text",
        b"[iscsiCorrelator] 3087813295957us: [vob.iscsi.connection.stopped] stopped",
    ],
)
def test_usual_lines_of_esxi_are_no_mismatch(text: bytes) -> None:
    assert find("esxi").fits(text)
