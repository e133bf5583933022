"""Tests frames found by fuzzing: each once raised an exception, lost text, or made the readers disagree."""

import pytest

from bridge.syslog.frames import list_of
from bridge.syslog.framing import StreamFramer
from tests.unit.syslog.accounting import assert_fast_equals_reference
from tests.unit.syslog.mutation import check

FINDINGS = {
    # Found by the seeded mutator and the hostile texts
    "Kiwi's prefix recursed": b"<190>" + b"Original Address=192.0.2.1 " * 5000,
    "Kiwi before key=value": b'<190>Original Address=192.0.2.77 time=8:24:00 timezone="CET" device_name="xgs-1"',
    "two counters, the second a host": b"0090: 2 000090: 2y10w: %FOO-6-BAR: the clock was never set",
    "a time within UniFi's tag": b"<14>Nov 23 07:24:00 02005e44000a,U6-6.6: :2026-11-23T08:24:00+01:00ostapd[41]: x",
    "a BOM before a host without PRI": b"\xef\xbb\xbfssg-5: NetScreen device_id=ssg-5",
    "a clock mark behind a relay": b"<140>Nov 23 07:24:00 fb-1 *Nov 23 2026 12:24:00.5 A0 (2026-11-23T07:24:00) fw: x",
    "an invalid day of a relay": b'<13>Feb 30 07:24:03 relay 1 2026-11-23T07:24:00Z srx RT_FLOW - A [j@2636 a="b"] c',
    "an invalid day of a relay before Cisco": b"<189>Nov 31 07:24:03 relay 7: Nov 23 07:24:00: %SYS-5-CONFIG_I: x",
    "a relay that looks like a level": b"<14>Nov 23 07:24:00 user.info 1 2026-11-23T07:24:00.5Z web-1 app 1 - - up",
    "brackets before a counter": b"<13>Nov 23 07:24:00 gw [Event]: 56670: Nov 23 07:24:00 MEZ: %PLATFORM-3-ELEMENT: x",
    "a zone after a packet engine": b"<134>11/23/2026:07:24:05 GMT ns1 0-PPE-0 :  MEZ: %PLATFORM-3-ELEMENT_WARNING: x",
    "an IPv6 zone after a packet engine": b"<134> 23/11/2026:07:24:00  0-PPE-0 ::44%eth1 radvd[9]: sending",
    "fields after an application's time": b"<13>Nov 23 07:24:05 app 2026-11-23 07:24:00 INFO sudo - - [timeQuality a="
    b'"1"] anna',
    "an address after an application's time": b"<13>Nov 23 07:24:05 gw 2026-11-23 07:24:00 488 192.0.2.9 as[1]: text",
    "CEF after Snare's word": b"<14>Nov 23 07:24:00 dc1 MSWinEventLog -: CEF:0|Vectra Networks|X Series|8.1|hsc|x|3|",
    "a zone and a mnemonic after Snare's word": b"<14>Nov 23 07:24:00 dc1 MSWinEventLog UTC: %ETHPORT-5-IF_UP: x",
    "PM and a fraction as a tag": b"<166>Nov 23 2026 07:24:00 PM.5[1]: 35 repeated 3 times",
    "a zone in lower case": b"<189>Nov 23 07:24:00 nst : %FTD-6-302013: Built",
    "a program named as its host": b"<29>2026-11-23T07:24:00Z openvpn openvpn 7 - - peer info: IV_VER=2.6.8",
    "a number, a zone and a mnemonic": b"<30>Nov 23 07:24:00 gw 19631 CET: %CDP-4-NATIVE_VLAN_MISMATCH: x",
    "a month before a node": b"<190>Nov 29RP/0/RSP0/CPU0:Nov 23 07:24:00.310 UTC: a[5]: %PKT_INFRA-LINK-3-UPDOWN : x",
    "seconds since 1970 before a node": b"<187>1795418640.79osx : LC/0/0/CPU0:Nov 23 07:24:00.5 : a[5]: %A-B-3-C : x",
    "three colons behind a relay": b"<189>Nov 23 07:24:05 sw : : : Nov 23 07:24:05: %SYS-5-CONFIG_I: x",
    "a dash for each field": b"<134>1 2026-11-23T07:24:05- - - - - link state change",
    # Found by atheris
    "a host that begins with a colon": b"<189>8103: Nov 23 2026 07:24:00 AM.535 UTC :U %C_AUDITLOG-6-AdminEvent: x",
    "an origin that looks like a tag": b"<189>Nov 23 07:24:03 gw time4712: Nov 23 07:24:00.272: %SEC-6-IPACCESSPACP: x",
}


@pytest.mark.parametrize("name", FINDINGS)
def test_finding_is_parsed_alike_by_all_readers_and_without_loss(name):
    frame = FINDINGS[name]
    check(frame)
    assert_fast_equals_reference(frame)


def test_digits_behind_a_frame_and_a_nul_are_no_part_of_it_however_the_stream_is_split():
    """Found by atheris: after a wrong count, they were joined to the frame if both were read at once."""
    first, second = b"<13>" + b"a" * 12, b"<14>" + b"b" * 26
    stream = b"9 " + first + b"30 " + second + b"\0" + b"7"
    frames = []
    for size in (1, 2, 5, len(stream)):
        framer = StreamFramer("octet-counted", 300)
        found = [f for at in range(0, len(stream), size) for f in list_of(framer.feed(stream[at : at + size]))]
        rest, unfinished = framer.close()
        frames.append(([*found, *list_of(rest)], unfinished))
    assert frames == [([first, second], b"7")] * 4
