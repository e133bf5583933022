"""Tests that the layouts and the reference parser give the same result, and that frames of each layout fit it."""

import random
from datetime import UTC, datetime

import pytest

from bridge.routing.profile import PAYLOAD_NEEDS
from bridge.syslog import parse, parser
from bridge.syslog.columns import ALWAYS, FIELDS, stamp_of
from bridge.syslog.fast import layouts
from bridge.syslog.fast.single_second import SingleSecond, _Moment
from bridge.syslog.frames import block_of
from bridge.syslog.reader import parse_rows
from bridge.syslog.shapes import SHAPES
from bridge.syslog.structured_data import auto_text
from tests.unit.syslog.fast.generated import HitRate, stamps
from tests.unit.syslog.mutation import mutated

KINDS = {
    "cisco-untimed": [
        b"<166>%ASA-6-302015: Built outbound UDP connection 5150",
        b"<166>%ASA-6-302015:",
        b"<188>%SNMP-W-SNMPAUTHFAIL: Access attempted",
    ],
    "cisco-timed": [
        b"<166>Nov 23 2026 07:24:00: %ASA-4-106023: Deny tcp src outside:198.51.100.7/5",
        b"<166>Nov 23 2026 07:24:00 fw-edge : %ASA-6-302014: Teardown TCP connection 7",
        b"<164>Nov  3 07:24:00.250 fw-edge: %ASA-4-733100: [ Scanning] drop rate-1 exceeded",
        b"<189>Nov 23 07:24:00 CET: %SYS-5-CONFIG_I: Configured from console",
        b"<189>Nov 23 07:24:00 nexus-1 %ETHPORT-5-IF_UP: Interface Ethernet1/7 is up in mode access",
    ],
    "cisco-counted": [
        b"<166>:Nov 23 07:24:00 UTC: %ASA-session-6-302013: Built inbound TCP connection 7",
        b"<189>88: *Nov 23 07:24:00.103: %LINEPROTO-5-UPDOWN: Line protocol on Interface Vlan1 is up",
        b"<187>90: 000088: Nov 23 2026 07:24:00 UTC: %LINK-3-UPDOWN: Interface Vlan20, changed state to down",
        b"<187>: .Nov 23 07:24:00: %LINK-3-UPDOWN: x",
    ],
    "cisco-origin": [
        b"<180>91: edge-7: .Nov 23 08:24:00.631 CET: %CDP-4-NATIVE_VLAN_MISMATCH: Native VLAN mismatch",
        b"<180>91: 192.0.2.1: 000090: Nov 23 2026 08:24:00 UTC: %FOO-6-BAR: x",
        b"<180>edge-7: Nov 23 08:24:00: %FOO-6-BAR: x",
        b"<134>wlc-1: *apfMsConnTask_1: Nov 23 07:24:00.123: %APF-6-RADIUS_OVERRIDE_DISABLED: x",
        b"<189>nexus-1: 2026 Nov 23 07:24:00.103 UTC: %ETHPORT-5-IF_UP: Interface Ethernet1/7 is up in mode access",
    ],
    "tagless": [
        b'<13>Nov 23 07:24:00 proxy-3 2026-11-23 07:23:59 736 192.0.2.9 anna - - OBSERVED "x" - 200 TCP_MISS GET',
        b"<13>Nov 23 07:24:00 proxy-3 2026-11-23 07:23:59 736 192.0.2.9 - - - OBSERVED 200 TCP_MISS GET http",
        b"<14>Nov 23 07:24:00 app-1 2026-11-23 07:23:59.120 [main] INFO com.example.Server: started",
        b"<14>Nov 23 07:24:00 app-1 2026-11-23T07:23:59 ERROR Server lost the database: timeout",
        b"<134>Nov 23 2026 07:24:00 gw-4 CEF:0|Zyxel|USG FLEX|5.3|0|Traffic Log|4|src=192.0.2.7",
        b"<14>Nov 23 07:24:00 PA-850 1,2026/11/23 07:24:00,013201000001,TRAFFIC,end,2560,2026/11/23 07:24:00,192.0.2.5",
        b"<134>Nov 23 07:24:00 dam-01 CEF:0|Example|Database Guard|4.1|101|Login failed|5|suser=anna src=192.0.2.9",
        b"<142>2026-11-23T07:24:00.5+01:00 fb LEEF:1.0|WatchGuard|XTM|12.8.2|30000148|disp=Allow",
        b"<14>Nov 23 07:24:00 dc1.example.org MSWinEventLog\t1\tSecurity\t4711\tMon Nov 23 07:24:00 2026\t4624\tok",
        b'<134>Nov 23 07:24:00 web-1 {"EventTime":"2026-11-23 07:24:00","EventID":4624}',
        b'<134>Nov 23 07:24:00 usg-6 src="192.0.2.31:5050" dst="198.51.100.9:53" msg="DNS query"',
        b"<12> Nov 23 07:24:00 am-1 2026-11-23 07:24:00,535, am-1.example.org, audit.admin, INFO, 434343",
        b'<165>Nov 23 07:24:00 dt-2 darktrace {"pbid":9120,"time":1795418638000,"score":0.44}',
        b'<13> 2026-11-23T07:24:00.5Z zscaler-nss NSS {"sourcetype" : "zscalernss-fw", "event" : {"action":"Allow"}}',
        b"<181>Nov 23 07:24:00 ise-lyon CISE_Passed_Authentications 0000200417 2 0 2026-11-23 07:24:00.031 +00:00 x",
    ],
    "cisco-iso": [
        b"<166>2026-11-23T07:24:00Z: %ASA-6-302013: Built inbound TCP connection 7",
        b"<113>2026-11-23T07:24:00Z  %FTD-1-430003: EventPriority: Low",
        b"<113>2026-11-23T07:24:00Z ftd-3 : %FTD-1-430003: EventPriority: Low",
        b"<166> 2026-11-23T07:24:00.250+01:00 ftd-3: %ASA-6-302013: Built outbound TCP connection 7",
        b"<189>2026-11-23T07:24:00Z sw-3 %SYS-5-CONFIG_I: Configured from console",
    ],
    "versioned-cef": [
        b"<5>1 2026-11-23T07:24:00Z VAULT-1 CEF:0|Cyber-Ark|Vault|12.6|7|Logon|5|act=Logon suser=anna",
        b"<13>1 2026-11-23T07:24:00.5+01:00 q-1 LEEF:1.0|Example|Product|1.0|4711|src=192.0.2.0\tsev=5",
    ],
    "facility-and-level": [
        b"<14>Nov 23 07:24:00 user.info nas-1 Connection: User [anna] logged in from [192.0.2.9]",
        b"<14>Nov 23 07:24:00 local0.err meeting-1 authp[7]: connection is up",
    ],
    "unifi": [
        b"<30>Nov 23 07:24:00 cabinet 788a20000001,UAP-nanoHD-6.6.55+15189: stahtd: [STA-TRACKER].x(): {}",
        b"<27>Nov 23 07:24:00 U7PG2,788a20000001,v4.0.66.10832: logread[5495]: Logread connected to 192.0.2.1:514",
        b"<14>Nov 23 07:24:00 02005e44000a,U6-Mesh-6.6.55+15189: : hostapd[41]: wifi0: associated",
    ],
    "host-and-address": [
        b"<30>Nov 23 07:24:00 grid-2 192.0.2.53 dhcpd[4711]: DHCPREQUEST for 192.0.2.91",
    ],
    "watchguard": [
        b'<140>Nov 23 07:24:00 Fb-West 80D40A7700112 (2026-11-23T07:24:00) http-proxy[91]: msg_id="1AFF-00"',
        b'<140>Nov 23 07:24:00 Fb-West (07:24:00) firewall: msg_id="3000-0150" Allow',
    ],
    "rfc5424-without-version": [
        b'<14>2026-11-23T07:24:00.003Z srx-1 RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636.1.1 a="b"] c',
        b"<13>2026-11-23T07:24:00.535Z esx-1 FIREWALL-PKTLOG - - - INET TERM PASS 5096 OUT TCP",
    ],
    "fortimail": [
        b"<190>date=2026-11-23 time=07:24:00.124 device_id=FEVM04 log_id=0300004711 type=spam subtype=default",
    ],
    "sophos-model": [
        b'<30>device_name="SFW" timestamp="2026-11-23T08:24:00+0100" device_model="XGS136" log_id="010101600001"',
    ],
    "hostless": [
        b"<134>Nov 23 07:24:00 filterlog[4711]: 69,,,1000000103,vmx1,match,block,in,4,0x0",
        b"<134>2026-11-23T07:24:00.250Z Cron[-]:   text",
    ],
    "f5": [
        b"<131>Nov 23 07:24:00 slot1/ltm-a err tmm1[7]: 01260013:3: SSL Handshake failed for TCP 192.0.2.7:443",
        b"<134>Nov 23 07:24:00 ltm-a info tmm[9]: Rule /Common/log-requests <HTTP_REQUEST>: client 192.0.2.7 GET /",
        b"<134>Nov 23 07:24:00 ltm-a notice mcpd: 01070638:5: Pool member up",
    ],
    "sophos": [
        b'<30>device="SFW" date=2026-11-23 time=08:24:00 timezone="CET" device_name="xgs-1" device_id=C0 log_id=1',
        b'<30>device="SFW" date=2026-11-23 time=08:24:00 timezone="+0100" device_name="xgs-1" log_type="Firewall"',
    ],
    "sonicwall": [
        b'<134>id=firewall sn=18B1690000AA time="2026-11-23 07:24:00 UTC" fw=198.51.100.2 pri=6 msg="Opened" n=5',
        b'<134>  id=firewall sn=18B1690000AA time="2026-11-23 07:24:00" fw="a b" pri=6 timestamp=1795418640 msg="x"',
    ],
    "stormshield": [
        b'<14>id=firewall time="2026-11-23 08:24:00" fw="sns-west" tz=+0100 startime="2026-11-23 08:23:59" pri=5',
        b'<14>id=firewall time="2026-11-23 08:24:00" fw=sns-west tz=+0100 timezone=CET time=1795418640',
    ],
    "cisco-xr": [
        b"<187>881: RP/0/RSP0/CPU0:Nov 23 08:24:00.417 CET: bgp[1052]: %ROUTING-BGP-5-ADJCHANGE : neighbor up",
        b"<187>LC/0/3/CPU0:2026 Nov 23 07:24:00.417 : ifmgr[214]: %PKT_INFRA-LINK-3-UPDOWN: Gi0/3/0/1 down",
        b"<187>881: RP/0/RSP0/CPU0:Nov 23 2026 08:24:00: bgp[1052]: %ROUTING-BGP-5-ADJCHANGE: neighbor 192.0.2.1 up",
    ],
    "cisco-xr-origin": [
        b"<187>881: core-2 RP/0/RSP0/CPU0:Nov 23 08:24:00.417 CET: bgp[1052]: %ROUTING-BGP-5-ADJCHANGE : neighbor up",
        b"<187>core-2: LC/0/3/CPU0:Nov 23 07:24:00.417 : ifmgr[214]: %PKT_INFRA-LINK-3-UPDOWN : down",
        b"<187>881: core-2 : RP/0/0/CPU0:2026 Nov 23 07:24:00.417 : ifmgr[214]: %PKT_INFRA-LINK-3-UPDOWN: down",
    ],
    "cisco-relayed": [
        b"<189>Nov 23 07:24:03 192.0.2.7 4711: *Nov 23 08:24:00.417 CET: %SYS-5-CONFIG_I: Configured from console",
        b"<189>Nov 23 07:24:03 dc-sw-9 : 2026 Nov 23 07:24:00 UTC: %ETHPORT-5-IF_UP: Interface Ethernet1/7 is up",
        b"<189>Nov 23 07:24:03 dc-sw-9 12: 000013: Nov 23 07:24:00: %LINK-3-UPDOWN: Interface Vlan20 is down",
    ],
    "comware": [
        b"<189>Nov 23 07:24:00 2026 acc-7 %%10SHELL/5/SHELL_LOGIN: anna logged in from 192.0.2.7",
        b"<189>Nov 23 07:24:00 acc-7 %%01IFNET/4/LINK_STATE(l)[7]:Interface GigabitEthernet0/0/7 is down",
    ],
    "procurve": [
        b"<14>Nov 23 07:24:00 192.0.2.9 00076 ports: port A7 is now on-line",
        b"<14>Nov 23 07:24:00 sw-9 00435 ports:port A7 is blocked by STP",
    ],
    "proxysg": [
        b"<111>1 2026-11-23T07:24:00PROXY9 bluecoat - access_log - 192.0.2.9 200 TCP_MISS GET http example.org",
    ],
    "meraki": [
        b"<134>1 1795418640.795119971 MX_lyon flows src=192.0.2.8 dst=198.51.100.5 protocol=udp sport=53 pattern: all",
        b"<134>1795418640.7 MX_lyon urls src=192.0.2.8:5 dst=198.51.100.5:443",
    ],
    "netscaler": [
        b"<134> 11/23/2026:07:24:00 CET  adc-1 0-PPE-0 : default SSLLOG SSL_HANDSHAKE_SUCCESS 1089 0 : x",
        b"<134> 11/23/2026:07:24:00 GMT adc-1 CEF:0|Citrix|NetScaler|NS13.1|APPFW|APPFW_STARTURL|6|src=192.0.2.3",
        b"<134> 11/23/2026:07:24:00 GMT adc-1 0-PPE-0 : default TCP CONN_TERMINATE 1087 0 :  Source 192.0.2.3:44010",
        b"<134>23/11/2026:07:24:00 adc-1 10-PPE-3 : default SSLLOG x 7 0 : y",
        b"<134> 2026/11/23:07:24:00 GMT  0-PPE-0 : default APPFW APPFW_STARTURL 1088 0 :  192.0.2.3",
    ],
    "fortinet": [
        b'<189>date=2026-11-23 time=02:24:00 devname="fgt-a" devid="FG0" eventtime=1795418640 tz="-0500" type="utm"',
        b'<189>date=2026-11-23 time=02:24:00 devname=fgt-a devid=FG0 logdesc="a b" tz="+0100" msg="a tz=b"',
    ],
}  # fmt: skip
COLUMNS = ("text", "auto", "content", "device")
PLAIN = [
    b"<30>Nov 23 07:24:00 gw sshd[7]: text",
    b"<30> 2026-11-23T07:24:00.250Z gw app:   text",
    b"<30>Nov 23 07:24:00 2026 gw rpd[7]: text",
    b"<30>Nov 23 2026 07:24:00.250+01:00 gw app: text",
    b'<134>Nov 23 07:24:00 ltm-b ASM:unit_hostname="ltm-b",management_ip_address="192.0.2.9"',
    b"<30>Nov 23 07:24:00 gw (squid-1): 1795418640.123 TCP_MISS/200",
    b"<134>Nov 23 07:24:00 ltm-b ASM:CEF:0|F5|ASM|16.1|Illegal URL|Illegal URL|5|dvchost=ltm-b",
    b"<13>Nov 23 07:24:00 gm-1 httpd: 2020-09-24 13:31:18.634Z [admin2]: Login_Allowed",
    b'<30>1 2026-11-23T07:24:00.250Z gw app 7 ID1 [a@1 b="c"] text',
    b"<30>1 2026-11-23T07:24:00+01:00 gw app - - - \xef\xbb\xbftext",
]
NEEDS = [frozenset(FIELDS), frozenset(), *PAYLOAD_NEEDS.values(), frozenset(("hostname", "priority", "text"))]


@pytest.mark.parametrize("kind", KINDS)
def test_fast_equals_reference(kind):
    intact = KINDS[kind]
    for seed in range(30):
        frames = [
            frame.replace(b"\n", b" ") for frame in mutated(seed, 100, [*intact, SHAPES["rfc5424-other-time"].example])
        ]
        frames = intact[seed % len(intact) :] + [frame for frame in frames if frame.strip(b" \t\r\0")]
        read = [parser.read(frame) for frame in frames]
        for needs in NEEDS if seed < 3 else NEEDS[:1]:
            columns = parse_rows(block_of(frames), needs | ALWAYS)
            assert columns.count == len(frames)
            assert stamps(columns) == [stamp_of(parts.second, parts.fraction, parts.offset) for parts in read]
            for name in needs - ALWAYS - {"raw", "text", "auto"}:
                assert list(columns[name]) == [getattr(parts, name) for parts in read], name
            if "text" in needs:
                assert list(columns["text"]) == [parts.msg.lstrip(b" \t") for parts in read]
            if "auto" in needs:
                assert list(columns["auto"]) == [
                    auto_text(parts.msgid, parts.structured_data, parts.msg.lstrip(b" \t")) for parts in read
                ]
            if "raw" in needs:
                assert list(columns["raw"]) == frames


@pytest.mark.parametrize("kind", KINDS)
def test_read_of_one_kind_never_uses_the_reference_parser(kind, monkeypatch):
    monkeypatch.setattr(parser, "read", None)
    for frame in KINDS[kind]:
        read = block_of([frame] * 3)
        layout, _ = layouts.layout_of(read, ALWAYS)
        assert layout and layout.name == kind
        assert parse_rows(read, frozenset(FIELDS) - layout.unknown).count == 3


@pytest.mark.parametrize("kind", [*KINDS, "rfc3164", "rfc5424"])
@pytest.mark.parametrize("column", COLUMNS)
def test_block_equals_reference(kind: str, column: str) -> None:
    intact = KINDS.get(kind) or PLAIN
    hits = HitRate()
    for seed in range(60):
        first = intact[seed % len(intact)]
        for frame in (first, *mutated(seed, 40, intact)):
            if frame.strip(b" \t\r\0") and b"\n" not in frame:
                found = read_as_block([first, frame], column)
                hits.note(frame == first and (found is not None or column == "content"))
                assert found is None or found == [reference(first, column), reference(frame, column)]
    assert hits.answered >= 60


@pytest.mark.parametrize(
    "frame",
    [
        b"<13>Nov 23 07:24:00 CET[filer-a:secd.ldap.noServers:alert]: a zone, not a tag",
        b'<189>date=2026-11-23 time=08:24:00 devname="fgt-a devid="FG0" tz="+0100" msg="an open quote"',
        b'<30>device="SFW" date=2026-11-23 time=08:24:00 timezone="CET" device_name="xgs-1" tz="+0000"',
    ],
)
def test_frames_that_only_resemble_a_layout(frame: bytes) -> None:
    columns = parse_rows(block_of([frame] * 2), frozenset(FIELDS))
    parts = parser.read(frame)
    assert stamps(columns)[1] == stamp_of(parts.second, parts.fraction, parts.offset)
    for name in ("hostname", "app_name", "msg"):
        assert columns[name][1] == getattr(parts, name)
    assert read_as_block([frame] * 2, "text") in (None, [reference(frame, "text")] * 2)


def read_as_block(frames: list[bytes], column: str) -> list[tuple[bytes, ...]] | None:
    """Returns the rows of a reader that has seen the second often enough, or None."""
    single_second = SingleSecond()
    for _ in range(_Moment.MIN_READS - 1):
        single_second.read(block_of(frames[:1]), column)
    found = single_second.read(block_of(frames), column)
    if found is None:
        return None
    columns = found.rows()
    assert found.count == columns.count == len(frames)
    return list(zip(*found.times(), columns[column], strict=True))


def reference(frame: bytes, column: str) -> tuple[bytes, ...]:
    parts = parser.read(frame)
    text = parts.msg.lstrip(b" \t")
    texts = {"text": text, "auto": auto_text(parts.msgid, parts.structured_data, text)}
    return parts.second, parts.fraction, parts.offset, texts.get(column) or getattr(parts, column)


def test_first_key_is_not_a_tag() -> None:
    """Tests FortiGate text after a header: the hour of `time=` must not end a tag."""
    text = b'time=15:51:59 devname="fw-edge" devid="FG0000000001" type="traffic"'
    message = parse(b"<189>Nov 23 07:24:00 fw " + text, received=datetime(2026, 11, 23, 8, tzinfo=UTC))
    assert (message.hostname, message.app_name, message.msg) == ("fw", None, text)


def test_reads_of_several_layouts_are_read_layout_by_layout(monkeypatch) -> None:
    frames = [frame for kind in (*KINDS.values(), PLAIN) for frame in kind] * 2
    needs = frozenset(FIELDS) - {"hostname"}
    odd = [b"no header", b"", b"  ", b"<30>1 2026-11-23T07:24:00Z gw app - - -", b"<30>Feb 30 07:24:00 gw app: x"]
    for seed in range(20):
        random.Random(seed).shuffle(frames)
        mixed = frames + odd if seed % 2 else [*odd, *frames]
        columns, read = parse_rows(block_of(mixed), needs), [parser.read(frame) for frame in mixed if frame.strip()]
        assert stamps(columns) == [stamp_of(parts.second, parts.fraction, parts.offset) for parts in read]
        for name in needs - ALWAYS - {"raw", "text", "auto"}:
            assert list(columns[name]) == [getattr(parts, name) for parts in read], name
        assert list(columns["raw"]) == [frame for frame in mixed if frame.strip()]
        assert [columns["raw"][row] for row in columns.blank] == [odd[3]]
    monkeypatch.setattr(parser, "read", None)
    assert parse_rows(block_of(frames), needs).count == len(frames)


def test_layouts_are_linear() -> None:
    for kind, frames in KINDS.items():
        for length in (1_000, 100_000):
            assert parse_rows(block_of([frames[0], frames[0] + b' a="b c' * length]), ALWAYS).count == 2, kind
