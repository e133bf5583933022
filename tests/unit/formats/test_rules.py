"""Tests the format rules: each choice and edit with a device's frame, and reads against single frames."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batching import GroupLimits, group
from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import FORMATS, find
from bridge.routing import Disposition
from bridge.routing.profile import needs_of
from bridge.syslog.columns import SameSecond
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader, milliseconds

CONTEXT = FrameContext(received=datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC))
BSD = b"Nov 23 07:24:00"

# Format, frame, and the event that the parser receives.
CASES = [
    # Cisco IOS: counters, origin-id, clock marks, years, zones, and a relay's header before them.
    ("ios", b"<189>: Mar 12 07:10:10: %SYS-5-CONFIG_I: text", b"Mar 12 07:10:10: %SYS-5-CONFIG_I: text"),
    ("ios", b"<189>105: 000104: Mar 12 07:12:10: %SYS-5-A: text", b"Mar 12 07:12:10: %SYS-5-A: text"),
    (
        "ios",
        b"<189>643: *Jan  8 19:46:03.295: %LINEPROTO-5-UPDOWN: text",
        b"Jan  8 19:46:03.295: %LINEPROTO-5-UPDOWN: text",
    ),
    (
        "ios",
        b"<180>782431: machine1: .Nov 18 21:03:22.631 GMT: %CDP-4-X: t",
        b"machine1: Nov 18 21:03:22.631 GMT: %CDP-4-X: t",
    ),
    (
        "ios",
        b"<190>3132783: 2a02:cf40::: 3132779: Jul 14 2023 08:23:43.398 UTC: %FOO-6-BAR: t",
        b"Jul 14 2023 08:23:43.398 UTC: %FOO-6-BAR: t",
    ),
    (
        "ios",
        b"<189>1234_service_my-city_ext01a: Mar 6 2023 08:04:45.866 CET: %L-5-U: t",
        b"1234_service_my-city_ext01a: Mar 6 2023 08:04:45.866 CET: %L-5-U: t",
    ),
    (
        "ios",
        b"<189>" + BSD + b" relay 45: sw-01: *Nov 23 07:23:59.311: %AAAA-6-B: t: 5%",
        b"sw-01: Nov 23 07:23:59.311: %AAAA-6-B: t: 5%",
    ),
    # NX-OS: from the year, one blank before the day.
    ("nexus", b"<46>: 2024 Aug 27 21:40:50 PDT: %SNMPD-6-INFO: t", b"2024 Aug 27 21:40:50 PDT: %SNMPD-6-INFO: t"),
    ("nexus", b"<46>sw: 2024 Aug  7 21:40:50.5 PDT: %SNMPD-6-INFO: t", b"2024 Aug 7 21:40:50.5 PDT: %SNMPD-6-INFO: t"),
    # Meraki, directly and through a relay.
    (
        "meraki",
        b"<134>1 1647479055.795119971 MR_device_2 events type=dfs",
        b"1647479055.795119971 MR_device_2 events type=dfs",
    ),
    ("meraki", b"<134>" + BSD + b" relay 1 1647479055.79 MX_1 flows x", b"1647479055.79 MX_1 flows x"),
    # Aruba: by what the message begins with.
    (
        "aruba",
        b"<187>" + BSD + b" h authmgr[4130]: <133006> <6069> <ERRS> <A 192.0.2.1>  User a",
        b"<133006> <6069> <ERRS> <A 192.0.2.1>  User a",
    ),
    (
        "aruba",
        b"<190>1 2026-11-23T07:24:00Z sw hpe-restd 45 - - Event|4655|LOG_INFO|AMM|-|text",
        b"Event|4655|LOG_INFO|AMM|-|text",
    ),
    ("aruba", b"<190>" + BSD + b" sw auth:  ST1-CMDR: User 'a' logged in", b"auth:  ST1-CMDR: User 'a' logged in"),
    # Check Point's native syslog.
    (
        "checkpoint",
        b'<134>1 2026-11-23T07:24:00Z gw CheckPoint 13752 - [action:"Accept"; flags:"1"]',
        b'syslog[action:"Accept"; flags:"1"]',
    ),
    # NetScaler: CEF and shell commands.
    (
        "netscaler",
        b"<134>" + BSD + b" ns CEF:0|Citrix|NetScaler|NS13.0|APPFW|x|6|src=192.0.2.1",
        b"CEF:0|Citrix|NetScaler|NS13.0|APPFW|x|6|src=192.0.2.1",
    ),
    (
        "netscaler",
        b"<133>" + BSD + b' ns bash[77]: nsroot on /dev/pts/0 shell_command="ls"',
        b'nsroot on /dev/pts/0 shell_command="ls"',
    ),
    (
        "netscaler",
        b"<134>" + BSD + b" relay 11/23/2026:07:24:00 GMT ns 0-PPE-0 : default TCP",
        b"11/23/2026:07:24:00 GMT ns 0-PPE-0 : default TCP",
    ),
    # F5: as sent for APM, alone for CEF, with the tag otherwise.
    (
        "f5",
        b"<133>" + BSD + b" bigip notice apmd[14311]: 01490005:5: /Common/vpn:x",
        BSD + b" bigip notice apmd[14311]: 01490005:5: /Common/vpn:x",
    ),
    (
        "f5",
        b"<131>" + BSD + b" bigip ASM:CEF:0|F5|ASM|11.3|x|y|5|dvchost=bigip",
        b"CEF:0|F5|ASM|11.3|x|y|5|dvchost=bigip",
    ),
    ("f5", b"<131>" + BSD + b" bigip tmm1[20358]: 01260013:4: text", b"tmm1[20358]: 01260013:4: text"),
    # HAProxy's JSON keeps its tag.
    ("haproxy", b"<134>" + BSD + b" lb hapee-lb[12]: [ACCESS] 1234 {", b"hapee-lb[12]: [ACCESS] 1234 {"),
    (
        "haproxy",
        b"<134>" + BSD + b' lb haproxy[12]: 192.0.2.1:5 [23/Nov/2026:07:24:00.9] a b/c "POST \n/x"',
        b'192.0.2.1:5 [23/Nov/2026:07:24:00.9] a b/c "POST /x"',
    ),
    # Junos: by structured data, process id, the event's name.
    (
        "srx",
        b"<14>" + BSD + b" srx RT_FLOW: RT_FLOW_SESSION_CLOSE: session closed",
        b"RT_FLOW_SESSION_CLOSE: session closed",
    ),
    ("srx", b"<14>" + BSD + b" srx RT_FLOW_SESSION_CLOSE: session closed", b"RT_FLOW_SESSION_CLOSE: session closed"),
    ("srx", b"<14>" + BSD + b" srx mgd[1]: UI_AUTH_EVENT: text", b"mgd[1]: UI_AUTH_EVENT: text"),
    (
        "srx",
        b'<14>1 2026-11-23T07:24:00Z srx RT_IDS - RT_SCREEN_TCP [junos@2636.1.1.1.2.40 a="b"] text',
        b'RT_SCREEN_TCP [junos@2636.1.1.1.2.40 a="b"] text',
    ),
    # Firewall filters of switches, whichever word was read as a tag.
    ("juniper-ex", b"<158>" + BSD + b" ex feb FW: so-0/1/0.0 A icmp 192.0.2.1", b"FW: so-0/1/0.0 A icmp 192.0.2.1"),
    ("juniper-ex", b"<158>" + BSD + b" ex FW: so-0/1/0.0 A icmp 192.0.2.1", b"FW: so-0/1/0.0 A icmp 192.0.2.1"),
    # PROVE IT: the byte order mark, removed from RFC 5424 or never sent.
    ("proveit", b"<14>" + BSD + b' p @cee: {"a": 1}', b'\xef\xbb\xbf@cee: {"a": 1}'),
    ("proveit", b'<14>1 2026-11-23T07:24:00Z p p - - - @cee: {"a": 1}', b'\xef\xbb\xbf@cee: {"a": 1}'),
    # SonicWall Enhanced needs the PRI.
    (
        "sonicwall",
        b'<134> id=firewall sn=1 time="2026-11-23 07:24:00" fw=192.0.2.1',
        b'<134> id=firewall sn=1 time="2026-11-23 07:24:00" fw=192.0.2.1',
    ),
    (
        "sonicwall",
        b"<134>" + BSD + b' relay id=firewall sn=1 time="2026-11-23 07:24:00"',
        b'<134>id=firewall sn=1 time="2026-11-23 07:24:00"',
    ),
    (
        "unbound",
        b"<30>" + BSD + b" ns1 unbound: [17265:0] info: 192.0.2.10 example.org. A IN",
        b"[17265:0] info: 192.0.2.10 example.org. A IN",
    ),
    ("vectra", b"<13>" + BSD + b' v - :{"version":"6.12"}', b'- :{"version":"6.12"}'),
    (
        "esxi",
        b'<14>1 2026-11-23T07:24:00Z esx Hostd 20 - [Originator@6876 sub="Vimsvc"] text',
        b'[Originator@6876 sub="Vimsvc"] text',
    ),
    (
        "wallix",
        b'<14>1 2026-11-23T07:24:00+01:00 b WAB(root) 17 - - [Vault Activity] type="Vault"',
        b'2026-11-23T07:24:00+01:00 b WAB(root) 17 - - [Vault Activity] type="Vault"',
    ),
    ("wallix", b'<14>1 2026-11-23T07:24:00+01:00 b rdpproxy 17 - - [RDP Session] a="b"', b'[RDP Session] a="b"'),
    # CEF and LEEF: nothing before them, no line ends inside.
    ("trellix-nx", b"<149>fenotify-3.alert: CEF:0|FireEye|MPS|1|x|y|1|a=b", b"CEF:0|FireEye|MPS|1|x|y|1|a=b"),
    (
        "cyberark",
        b"<5>1 2026-11-23T07:24:00Z VAULT LEEF:1.0|Cyber-Ark|Vault|14|7|sev=6\tAction=Logon",
        b"LEEF:1.0|Cyber-Ark|Vault|14|7|sev=6\tAction=Logon",
    ),
    ("claroty", b"<14>1 2026-11-23T07:24:00Z x - - - - \nCEF:0|Claroty|x|1|2|3|4|a=b", b"CEF:0|Claroty|x|1|2|3|4|a=b"),
    (
        "nozomi",
        b"<14>" + BSD + b" n CEF:0|Nozomi Networks|N2OS|1|2|3|4|\n  app=smb\n  dvc=192.0.2.1",
        b"CEF:0|Nozomi Networks|N2OS|1|2|3|4|   app=smb   dvc=192.0.2.1",
    ),
    ("cyberwatch", b"<14>" + BSD + b" c cyberwatch: active='true',\ncomputer_id='0'", b"active='true',computer_id='0'"),
    (
        "trellix-epo",
        b'<29>1 2026-11-23T07:24:00Z e EPOEvents - - - <?xml version="1.0"?>\r\n<EPOEvent>',
        b'<?xml version="1.0"?> <EPOEvent>',
    ),
]


@pytest.mark.parametrize(("name", "frame", "event"), CASES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(CASES)])
def test_rule_makes_the_event_that_the_parser_expects(name: str, frame: bytes, event: bytes) -> None:
    one = find(name)
    assert event_for(one, frame, CONTEXT) == event
    assert one.fits(event)


@pytest.mark.parametrize("name", sorted({find(name).name for name, _, _ in CASES}))
def test_read_of_many_forms_equals_single_frames(name: str) -> None:
    one = find(name)
    frames = [frame for other, frame, _ in CASES if find(other) is one] * 2 + [one.example, b"<13>unlike anything"]
    disposition = Disposition("deliver", "r", "i", one.payload, zone=UTC, format=one.name, refined=True)
    for selected in (frames, [frame for frame in frames if b"\n" not in frame]):
        grouped = group(
            read_columns(block_of(selected), needs_of(disposition)), disposition, reader=TimeReader(),
            received_ms=milliseconds(CONTEXT.received), peer=CONTEXT.peer, limits=GroupLimits(resolution_ms=10**12),
        )  # fmt: skip
        lines = [line for made in grouped.groups for line in made.data.split(b"\n")[:-1]]
        assert sorted(lines) == sorted(event_for(one, frame, CONTEXT) for frame in selected)


PIECES = st.sampled_from(
    [
        b"CEF:0|",
        b"LEEF:1.0|",
        b"Nov 23 07:24:00",
        b" ",
        b": ",
        b"%SYS-5-A: ",
        b"2026 Nov  3 07:24:00 CET: ",
        b"sw-01",
        b"104",
        b"*",
        b"1 ",
        b"1795418640.79 MX_1 flows ",
        b"FW: a A ",
        b"@cee: ",
        b"[action:",
        b"<134>",
        b"notice ",
        b"tmm[1]: ",
        b'-: {"',
        b"\t",
        b"\r",
        b"a",
        b"=",
        b"2026-11-23T07:24:00",
        b"11/23/2026:",
        b'{"',
        b"[x@1 a] ",
        b"CISE_A ",
        b"0001027727 1 0 ",
        b" %SYS-5-A: ",
        b'"headend_addr":',
        b"",
    ]
)


@given(st.lists(st.lists(PIECES, max_size=6).map(b"".join), min_size=1, max_size=6))
def test_edited_block_equals_edited_rows(events: list[bytes]) -> None:
    for one in FORMATS.values():
        if one.rule:
            assert list(one.rule.edited(events, holds_lf=False)) == list(one.rule.edited(events, holds_lf=True)), (
                one.name
            )


def test_lines_as_one_block_are_edited() -> None:
    """Tests a read that consists of lines only, without columns, as SameSecond."""
    texts = [b"CEF:0|Example|a|1|2|3|4|x=y", b"word CEF:0|Example|a|1|2|3|4|x=y", b"nothing like it"]
    columns = SameSecond(b"".join(text + b"\n" for text in texts), 3, BSD)
    disposition = Disposition("deliver", "r", "i", "message", zone=UTC, format="cef", refined=True)
    grouped = group(
        columns,
        disposition,
        reader=TimeReader(),
        received_ms=milliseconds(CONTEXT.received),
        peer=b"-",
        limits=GroupLimits(),
    )
    assert grouped.groups[0].data == texts[0] + b"\n" + texts[0] + b"\n" + texts[2] + b"\n"
    assert (grouped.sampled, grouped.mismatched) == (3, 1)
