"""Tests that ManySecondsReader gives the result of ``columns``, or None."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog.fast import many_seconds
from bridge.syslog.fast.columns import parse_all
from bridge.syslog.fast.many_seconds import ManySecondsReader
from tests.unit.syslog.fast.test_single_second import FRAMES, FRAMES_5424, NEEDS, NOT_PLAIN, block, rows


def strip(read: bytes) -> list[tuple[bytes, ...]] | None:
    columns = ManySecondsReader().strip(read)
    return None if columns is None else rows(columns)


def test_each_frame_has_its_second() -> None:
    frames = [b"<30>Nov 23 07:24:0%d gw unbound[7640]: [1:0] %d" % (i, i) for i in range(3)]
    expected = [(b"Nov 23 07:24:0%d" % i, b"", b"", b"[1:0] %d" % i) for i in range(3)]
    assert strip(block(*frames)) == expected


def test_read_of_structured_data_with_fractions_and_zones_is_stripped() -> None:
    read = block(
        b'<30>1 2026-11-23T07:24:00.250Z gw app 7 ID1 [a@1 b="c\\"" d="e"][f] \xef\xbb\xbf  text',
        b"<191>1 2025-01-31T00:00:59+01:00 - - - - - x",
    )
    second, other = b"2026-11-23T07:24:00", b"2025-01-31T00:00:59"
    assert strip(read) == [(second, b".250", b"Z", b"text"), (other, b"", b"+01:00", b"x")]


@pytest.mark.parametrize(
    "frame",
    [
        *NOT_PLAIN,
        b"<30>Nov 31 07:24:00 gw app: no day",
        b"<30>Nov 23 24:24:00 gw app: no hour",
        b"<30>something like it gw app: no time",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_unmatched_frame_rejects_the_read(frame: bytes, place: int) -> None:
    frames = [b"<30>Nov 23 07:24:00 gw app: one", b"<31>Nov 23 07:24:09 gw app: two"]
    frames.insert(place, frame)
    assert strip(block(*frames)) is None


def test_failures_pause_the_reader() -> None:
    reading = ManySecondsReader()
    for _ in range(50):
        assert reading.strip(block(b"<30>Nov 23 07:24:00 gw app: text", b"something else")) is None
    plain = block(b"<30>Nov 23 07:24:00 gw app: text")
    assert reading.strip(plain) is None
    # The reader tries again after the pause.
    assert any(reading.strip(plain) is not None for _ in range(2 * ManySecondsReader.LONGEST_PAUSE))
    assert reading.strip(plain) is not None


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_seconds, "MAX_KNOWN", 20)
    for minute in range(60):
        read = block(*(b"<30>1 2026-11-23T07:%02d:0%dZ gw app - - - text" % (minute, i) for i in range(9)))
        assert len(strip(read) or ()) == 9
        assert len(many_seconds._known) <= 20


@settings(max_examples=600, deadline=None)
@given(st.lists(FRAMES, min_size=1, max_size=4) | st.lists(FRAMES_5424, min_size=1, max_size=4), st.booleans())
def test_result_equals_columns(frames: list[bytes], same: bool) -> None:
    read = block(*(frames[:1] * len(frames) if same else frames))
    result = strip(read)
    if result is not None:
        assert result == rows(parse_all(read, NEEDS))
