"""Tests that the reader of mixed formats matches Cisco's headers behind origins of several words and clock marks."""

import pytest

from bridge.syslog import parser
from bridge.syslog.fast import mixed_formats
from bridge.util import pcre2
from tests.unit.syslog.accounting import assert_fast_equals_reference

FRAMES = [
    b"<189>882: Hall 4/1: 000417: Nov 23 07:24:00: %SYS-5-RESTART: System restarted",
    b"<189>883: Lille Nord: Nov 23 07:24:00.417 UTC: %LINK-3-UPDOWN: Interface Vlan9 is up",
    b"<187>Nov 23 07:24:03 *2026 Nov 23 00:24:00 MST -7:00 %PIX-4-106023: Deny udp",
    b"<187>Nov 23 07:24:03 *Nov 23 07:24:00 %SYS-5-RESTART: System restarted",
]


@pytest.mark.skipif(pcre2.load() is None, reason="this machine has no libpcre2-8: the reference parser reads all")
@pytest.mark.parametrize("frame", FRAMES)
def test_header_needs_no_reference_parser(frame, monkeypatch):
    assert_fast_equals_reference(frame)

    def fail(frame):
        raise AssertionError(f"read by the reference parser: {frame!r}")

    monkeypatch.setattr(parser, "read", fail)
    columns = mixed_formats.read_mixed(b"\n" + frame)
    assert columns.fields["text"] == [frame[frame.index(b"%") :]]
