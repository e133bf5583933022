"""Tests the sequence numbers of senders and the counting of gaps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.syslog.sequence_numbers import Gaps, number_of


@pytest.mark.parametrize(
    ("frame", "number"),
    [
        (b"<189>123: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured", 123),
        (b"<189>000456: Nov 23 07:24:00: %LINK-3-UPDOWN: x", 456),
        (b"<189>sw-1: 77: Nov 23 07:24:00: %LINK-3-UPDOWN: x", 77),
        (b'<30>1 2026-11-23T07:24:00Z gw app - - [meta sequenceId="29"] text', 29),
        (b'<30>1 2026-11-23T07:24:00Z gw app - - [x@1 a="b"][meta sysUpTime="1" sequenceId="5" language="en"] t', 5),
        (b"<30>Nov 23 07:24:00 gw app: 12: no counter", None),
        (b'<30>Nov 23 07:24:00 gw app: [meta sequenceId="x"]', None),
        (b"", None),
        (b"\xff\x00<", None),
    ],
)
def test_sequence_number_is_read_from_the_frame(frame, number):
    assert number_of(frame) == number


def gaps_of(*numbers):
    gaps = Gaps()
    gaps.note(b"<189>%d: Nov 23 07:24:00: %%A-1-B: c" % number for number in numbers)
    return gaps.missing, gaps.restarts


def test_gaps_and_restarts_are_counted():
    assert gaps_of(1, 2, 3) == (0, 0)
    assert gaps_of(5, 6, 9, 10) == (2, 0)
    assert gaps_of(5, 9, 7, 10) == (2, 0), "7 was late"
    assert gaps_of(5, 6, 6, 7) == (0, 0), "one came twice"
    assert gaps_of(500, 501, 1, 2) == (0, 1), "the device has restarted"
    assert gaps_of(2147483646, 2147483647, 1, 2) == (0, 1), "RFC 5424's wrap"
    assert gaps_of(1, 10_000_000) == (0, 1)


@given(st.sets(st.integers(0, 60)), st.randoms())
def test_dropped_numbers_are_missing_in_any_order(dropped, random):
    kept = [number for number in range(1000, 1061) if number - 1000 not in dropped]
    for i in range(len(kept) - 1):
        if random.random() < 0.3:
            kept[i], kept[i + 1] = kept[i + 1], kept[i]
    if kept:
        first, last = kept[0], max(kept)
        between = set(range(first, last + 1)) - set(kept)
        late_before_the_first = [number for number in kept if number < first]
        assert gaps_of(*kept) == (len(between), 0) or late_before_the_first
