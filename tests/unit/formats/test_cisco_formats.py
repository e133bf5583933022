"""Tests that Cisco's formats deliver what the parsers of the intakes read, and count the rest as mismatches."""

from datetime import UTC, datetime

import pytest

from bridge.batching import GroupLimits, group
from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import find
from bridge.routing import Disposition
from bridge.routing.profile import needs_of
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader, milliseconds

CONTEXT = FrameContext(received=datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC))
BSD = b"Nov 23 07:24:00"

# Frame and event. The parser reads `[HOST: ]Mmm d [year] h:m:s[.ms] [ZONE]: %FACILITY-n-MNEMONIC: text`.
IOS = [
    # The host behind the time.
    (BSD + b" 192.0.2.44 %ILPOWER-5-DETECT: Gi1/0/4: PD", b"192.0.2.44: " + BSD + b": %ILPOWER-5-DETECT: Gi1/0/4: PD"),
    (BSD + b" sw-4 %SYS-5-RESTART: x", b"sw-4: " + BSD + b": %SYS-5-RESTART: x"),
    (BSD + b" sw-4: %SYS-5-RESTART: x", b"sw-4: " + BSD + b": %SYS-5-RESTART: x"),
    (BSD + b" sw-4 : %SYS-5-RESTART: x", b"sw-4: " + BSD + b": %SYS-5-RESTART: x"),
    (BSD + b": sw-4: %SYS-5-RESTART: x", b"sw-4: " + BSD + b": %SYS-5-RESTART: x"),
    (b"Nov 23 07:24:00.631: 192.0.2.44: %SEC-5-A: x", b"192.0.2.44: Nov 23 07:24:00.631: %SEC-5-A: x"),
    (BSD + b" core: %SYS-5-RESTART: x", b"core: " + BSD + b": %SYS-5-RESTART: x"),
    (b"Nov  3 2026 07:24:00.417 sw_4.example.org : %SYS-5-A: x",
     b"sw_4.example.org: Nov  3 2026 07:24:00.417: %SYS-5-A: x"),
    (b"Nov 23 2026 07:24:00 CET sw-4 : %SYS-5-A: x", b"sw-4: Nov 23 2026 07:24:00 CET: %SYS-5-A: x"),
    (BSD + b" relay-4 Nov 23 07:23:59 sw-4 %SYS-5-A: x", b"sw-4: Nov 23 07:23:59: %SYS-5-A: x"),
    (BSD + b" sw-4 %SYS-5-A: quotes Nov 23 07:23:00 sw-9 %SYS-5-B: y",
     b"sw-4: " + BSD + b": %SYS-5-A: quotes Nov 23 07:23:00 sw-9 %SYS-5-B: y"),
    # The host of a relay's header, unless the device names itself.
    (BSD + b" 192.0.2.44 4711: Nov 23 07:23:59.272: %SEC-6-A: x", b"192.0.2.44: Nov 23 07:23:59.272: %SEC-6-A: x"),
    (BSD + b" sw-4 71: 000045: *Nov 23 07:23:59.272 CET: %SEC-6-A: x", b"sw-4: Nov 23 07:23:59.272 CET: %SEC-6-A: x"),
    (BSD + b" relay-4 45: sw-4: *Nov 23 07:23:59: %SEC-6-A: x", b"sw-4: Nov 23 07:23:59: %SEC-6-A: x"),
    # A word in capital letters, or a known zone, before the colon is the zone.
    (BSD + b" BRT: %SYS-5-A: x", BSD + b" BRT: %SYS-5-A: x"),
    (BSD + b" gmt: %SYS-5-A: x", BSD + b" gmt: %SYS-5-A: x"),
    (b"71: sw-4: " + BSD + b" lyon: %SYS-5-A: x", b"sw-4: " + BSD + b" lyon: %SYS-5-A: x"),
    # Hosts that are not a host name for the parser.
    (BSD + b" 2001:db8:4::7 %SYS-5-A: x", BSD + b": %SYS-5-A: x"),
    (BSD + b" 2001:db8:4:: : %SYS-5-A: x", BSD + b": %SYS-5-A: x"),
    (b"71: Hall 4: 000045: " + BSD + b": %SYS-5-A: x", BSD + b": %SYS-5-A: x"),
    # The mark of the clock before the mnemonic.
    (b"71: Nov 23 07:24:00.417 CET: *%LWAPP-3-A: 1 wcm: x", b"Nov 23 07:24:00.417 CET: %LWAPP-3-A: 1 wcm: x"),
]  # fmt: skip

# Frame and event. The parser reads none of these events.
IOS_MISMATCHES = [
    (b"71: Nov 23 07:24:00.417 UTC+1: %SYS-5-A: x", b"Nov 23 07:24:00.417 UTC+1: %SYS-5-A: x"),
    (b"71: Nov 23 07:24:00.417 CET : %SYS-5-A: x", b"Nov 23 07:24:00.417 CET : %SYS-5-A: x"),
    (b"71: Nov 23 07:24:00.417 gmt : %SYS-5-A: x", b"Nov 23 07:24:00.417 gmt : %SYS-5-A: x"),
    (b"71: sw-4: 9: Nov 23 07:24:00 +01:00: %SYS-5-A: x", b"sw-4: Nov 23 07:24:00 +01:00: %SYS-5-A: x"),
    (b"71: 2y10w: %SYS-5-A: x", b"2y10w: %SYS-5-A: x"),
    (BSD + b" sw-4 %SYS-SW1-5-A: x", BSD + b" sw-4 %SYS-SW1-5-A: x"),
    (b"2026-11-23T07:24:00Z sw-4 %SYS-5-A: x", b"2026-11-23T07:24:00Z sw-4 %SYS-5-A: x"),
]

SERIAL = b"0001027727 1 0 2026-11-23 07:24:00.301 +01:00 0015075255 5400 NOTICE Failed-Attempt: refused, Step=11001"

ISE = [
    (BSD + b" ise-4 CISE_Failed_Attempts " + SERIAL, b"CISE_Failed_Attempts " + SERIAL),
    (BSD + b" ise-4 CISE_Failed_Attempts: " + SERIAL, b"CISE_Failed_Attempts " + SERIAL),
    (BSD + b" ise-4 app[7]: CISE_Failed_Attempts " + SERIAL, b"CISE_Failed_Attempts " + SERIAL),
    (BSD + b" CISE_Failed_Attempts " + SERIAL, b"CISE_Failed_Attempts " + SERIAL),
    (b"2026-11-23T07:24:00.301+01:00 CISE_Failed_Attempts " + SERIAL, b"CISE_Failed_Attempts " + SERIAL),
    (BSD + b" ise-4 " + SERIAL, SERIAL),
    (BSD + b" ise-4 app: " + SERIAL, SERIAL),
    (b"1 2026-11-23T07:24:00Z ise-4 CISE_Failed_Attempts - - - " + SERIAL, b"CISE_Failed_Attempts " + SERIAL),
    (b"1 2026-11-23T07:24:00Z ise-4 CISE_Failed_Attempts 77 - - " + SERIAL, b"CISE_Failed_Attempts " + SERIAL),
    (b"1 2026-11-23T07:24:00Z ise-4 - - - - CISE_Failed_Attempts " + SERIAL, b"CISE_Failed_Attempts " + SERIAL),
    (BSD + b" ise-4 CISE_Alarm WARN: Inactivity : Server=ise-4", b"CISE_Alarm WARN: Inactivity : Server=ise-4"),
    (BSD + b" ise-4 CISE_Alarm: INFO: Backup done : Server=ise-4", b"CISE_Alarm INFO: Backup done : Server=ise-4"),
    (BSD + b" ise-4 CISE_Alarm CRITICAL: Disk full : Server=ise-4", b"CISE_Alarm CRITICAL: Disk full : Server=ise-4"),
    (BSD + b" ise-4 WARN: Inactivity : Server=ise-4", b"WARN: Inactivity : Server=ise-4"),
]

DENY = b"%ASA-4-106023: Deny tcp src outside:198.51.100.4/5 dst inside:192.0.2.4/22"

ASA = [
    (b": " + DENY, DENY),
    (BSD + b" fw-4 : " + DENY, DENY),
    (b"1 2026-11-23T07:24:00Z fw-4 - - - - " + DENY, DENY),
]


@pytest.mark.parametrize(
    ("name", "frame", "event"),
    [(name, *row) for name, table in (("ios", IOS), ("ise", ISE), ("asa", ASA)) for row in table],
)
def test_event_is_what_the_parser_reads(name: str, frame: bytes, event: bytes) -> None:
    one = find(name)
    assert event_for(one, b"<189>" + frame, CONTEXT) == event
    assert one.fits(event)


@pytest.mark.parametrize(("frame", "event"), IOS_MISMATCHES)
def test_event_that_the_parser_refuses_is_a_mismatch(frame: bytes, event: bytes) -> None:
    one = find("ios")
    assert event_for(one, b"<189>" + frame, CONTEXT) == event
    assert not one.fits(event)
    disposition = Disposition("deliver", "r", "i", one.payload, zone=UTC, format=one.name, refined=True)
    grouped = group(
        read_columns(block_of([b"<189>" + frame]), needs_of(disposition)), disposition, reader=TimeReader(),
        received_ms=milliseconds(CONTEXT.received), peer=b"-", limits=GroupLimits(),
    )  # fmt: skip
    assert (grouped.sampled, grouped.mismatched) == (1, 1)


@pytest.mark.parametrize(("name", "table"), [("ios", [*IOS, *IOS_MISMATCHES]), ("ise", ISE), ("asa", ASA)])
def test_read_of_many_frames_equals_single_frames(name: str, table: list[tuple[bytes, bytes]]) -> None:
    one = find(name)
    frames = [b"<189>" + frame for frame, _ in table]
    disposition = Disposition("deliver", "r", "i", one.payload, zone=UTC, format=one.name, refined=True)
    grouped = group(
        read_columns(block_of(frames), needs_of(disposition)), disposition, reader=TimeReader(),
        received_ms=milliseconds(CONTEXT.received), peer=b"-", limits=GroupLimits(resolution_ms=10**12),
    )  # fmt: skip
    lines = [line for made in grouped.groups for line in made.data.split(b"\n")[:-1]]
    assert sorted(lines) == sorted(event for _, event in table)


# Frame and event of formats whose first word was read as a tag, or whose own time as the header's.
WORDS = [
    ("sepm", BSD + b" sep-4 Site: HQ,Server Name: sep-4,x", b"Site: HQ,Server Name: sep-4,x"),
    ("openvpn", BSD + b" vpn-4 anna/198.51.100.4:5934 MULTI: Learn: x", b"anna/198.51.100.4:5934 MULTI: Learn: x"),
    ("pingfederate", b'2026-11-23 07:24:00,417 trackingid="t"', b'2026-11-23 07:24:00,417 trackingid="t"'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "frame", "event"), WORDS)
def test_first_word_of_the_text_is_kept(name: str, frame: bytes, event: bytes) -> None:
    assert event_for(find(name), b"<134>" + frame, CONTEXT) == event
    assert find(name).fits(event)
