"""Tests that ManySeconds gives the result of ``fields``, or None."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog.columns import TEXT
from bridge.syslog.fast.many_seconds import ManySeconds
from bridge.syslog.reader import parse_rows
from bridge.syslog.timestamps import milliseconds
from tests.unit.syslog.fast.generated import MANY_SECONDS, NEARLY, block, check_reads_that_fit, rows
from tests.unit.syslog.fast.test_single_second import NOT_PLAIN

NOON = milliseconds(datetime(2026, 11, 23, 12, tzinfo=UTC))


def strip(read: bytes) -> list[tuple[bytes, ...]] | None:
    found = ManySeconds().read(read)
    return None if found is None else rows(found.rows())


def test_each_frame_has_its_second() -> None:
    frames = [b"<30>Nov 23 07:24:0%d gw unbound[7640]: [1:0] %d" % (i, i) for i in range(3)]
    expected = [(b"Nov 23 07:24:0%d\t\t" % i, b"[1:0] %d" % i) for i in range(3)]
    assert strip(block(*frames)) == expected


@pytest.mark.parametrize(
    "frame",
    [
        *NOT_PLAIN,
        b"<30>Nov 31 07:24:00 gw app: no day",
        b"<30>Nov 23 24:24:00 gw app: no hour",
        b"<30>something like it gw app: no time",
        b"<30>1 2026-11-23T07:24:00Z gw app - - - of the other kind",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_unmatched_frame_rejects_the_read(frame: bytes, place: int) -> None:
    frames = [b"<30>Nov 23 07:24:00 gw app: one", b"<31>Nov 23 07:24:09 gw app: two"]
    frames.insert(place, frame)
    assert strip(block(*frames)) is None


def test_failures_pause_the_reader() -> None:
    reading = ManySeconds()
    for _ in range(50):
        assert reading.read(block(b"<30>Nov 23 07:24:00 gw app: text", b"something else")) is None
    plain = block(b"<30>Nov 23 07:24:00 gw app: text")
    assert reading.read(plain) is None
    # The reader tries again after the pause.
    assert any(reading.read(plain) is not None for _ in range(2 * 64))
    assert reading.read(plain) is not None


def test_reads_that_fit_equal_fields() -> None:
    check_reads_that_fit(MANY_SECONDS, strip)


@settings(max_examples=400, deadline=None)
@given(NEARLY, st.booleans())
def test_result_equals_fields(frames: list[bytes], same: bool) -> None:
    read = block(*(frames[:1] * len(frames) if same else frames))
    result = strip(read)
    assert result is None or result == rows(parse_rows(read, TEXT))
