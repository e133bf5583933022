"""Tests that the vendor expressions and the reference parser give the same result."""

from datetime import UTC, datetime

import pytest

from bridge.routing.profile import PAYLOAD_NEEDS
from bridge.syslog import parse, parser
from bridge.syslog.columns import ALWAYS, FIELDS
from bridge.syslog.fast import vendor_patterns
from bridge.syslog.fast.fields import parse_all
from bridge.syslog.frames import block_of
from bridge.syslog.shapes import SHAPES
from bridge.syslog.structured_data import auto_text
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
    ],
    "cisco-counted": [
        b"<189>88: *Nov 23 07:24:00.103: %LINEPROTO-5-UPDOWN: Line protocol on Interface Vlan1 is up",
        b"<187>90: 000088: Nov 23 2026 07:24:00 UTC: %LINK-3-UPDOWN: Interface Vlan20, changed state to down",
        b"<187>: .Nov 23 07:24:00: %LINK-3-UPDOWN: x",
    ],
    "cisco-origin": [
        b"<180>91: edge-7: .Nov 23 08:24:00.631 CET: %CDP-4-NATIVE_VLAN_MISMATCH: Native VLAN mismatch",
        b"<180>91: 192.0.2.1: 000090: Nov 23 2026 08:24:00 UTC: %FOO-6-BAR: x",
        b"<180>edge-7: Nov 23 08:24:00: %FOO-6-BAR: x",
    ],
    "fortinet": [
        b'<189>date=2026-11-23 time=02:24:00 devname="fgt-a" devid="FG0" eventtime=1795418640 tz="-0500" type="utm"',
        b'<189>date=2026-11-23 time=02:24:00 devname=fgt-a devid=FG0 logdesc="a b" tz="+0100" msg="a tz=b"',
    ],
}  # fmt: skip
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
            columns = parse_all(block_of(frames), needs | ALWAYS)
            assert columns.count == len(frames)
            for name in (needs | ALWAYS) - {"raw", "text", "auto", "format"}:
                assert list(columns[name]) == [getattr(parts, name) for parts in read], name
            if "text" in needs:
                assert list(columns["text"]) == [parts.msg.lstrip(b" \t") for parts in read]
            if "auto" in needs:
                assert list(columns["auto"]) == [
                    auto_text(parts.msgid, parts.structured_data, parts.msg.lstrip(b" \t")) for parts in read
                ]
            if "format" in needs:
                assert list(columns["format"]) == [parts.format.encode() for parts in read]
            if "raw" in needs:
                assert list(columns["raw"]) == frames


@pytest.mark.parametrize("kind", KINDS)
def test_read_of_one_kind_never_uses_the_reference_parser(kind, monkeypatch):
    monkeypatch.setattr(parser, "read", None)
    for frame in KINDS[kind]:
        assert vendor_patterns.kind_of(frame) == kind
        assert parse_all(block_of([frame] * 3), frozenset(FIELDS)).count == 3


def test_first_key_is_not_a_tag() -> None:
    """Tests FortiGate text after a header: the hour of `time=` must not end a tag."""
    text = b'time=15:51:59 devname="fw-edge" devid="FG0000000001" type="traffic"'
    message = parse(b"<189>Nov 23 07:24:00 fw " + text, received=datetime(2026, 11, 23, 8, tzinfo=UTC))
    assert (message.hostname, message.app_name, message.msg) == ("fw", None, text)
