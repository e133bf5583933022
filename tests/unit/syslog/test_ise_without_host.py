"""Tests the header of Cisco ISE without a host: its category is not one."""

import pytest

from bridge.syslog.frames import block_of
from bridge.syslog.parser import read
from bridge.syslog.reader import read_columns

TEXT = b"CISE_Failed_Attempts 0001027727 1 0 2026-11-23 07:24:00.301 +01:00 0015075255 5400 NOTICE x"
TIMES = [b"Nov 23 07:24:00 ", b"Nov  3 07:24:00.301 ", b"2026-11-23T07:24:00.301+01:00 "]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("host", [b"", b"ise-4 ", b"CISE_lab "])
def test_the_category_is_message_and_never_host(time: bytes, host: bytes) -> None:
    frame = b"<181>" + time + host + TEXT
    header = read(frame)
    assert (header.hostname, header.app_name, header.msg) == (host.rstrip(), b"", TEXT)
    columns = read_columns(block_of([frame, frame]), frozenset(("hostname", "text")))
    assert (list(columns["hostname"]), list(columns["text"])) == ([host.rstrip()] * 2, [TEXT] * 2)
