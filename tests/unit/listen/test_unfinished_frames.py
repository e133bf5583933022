"""Tests the limit of the memory that unfinished frames of all connections take."""

from __future__ import annotations

import pytest

from bridge.listen import unfinished_frames
from bridge.listen.unfinished_frames import UnfinishedFrames
from bridge.syslog.framing import StreamFramer
from bridge.syslog.relp import RelpFramer

KIB = 1024


class Holder:
    def __init__(self) -> None:
        self.closed = 0

    def close_unfinished(self) -> None:
        self.closed += 1


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> UnfinishedFrames:
    monkeypatch.setattr(unfinished_frames, "MAX_BYTES", 1000)
    return UnfinishedFrames()


def test_largest_frame_of_the_address_with_the_most_bytes_is_closed(frames: UnfinishedFrames) -> None:
    honest, small, large = Holder(), Holder(), Holder()
    frames.note("192.0.2.1", honest, 500)
    frames.note("192.0.2.2", small, 200)
    frames.note("192.0.2.2", large, 300)
    assert not large.closed, "the limit is reached, not exceeded"
    frames.note("192.0.2.2", small, 250)
    assert (honest.closed, small.closed, large.closed) == (0, 0, 1)
    assert frames.size == 750


def test_finished_frames_count_no_more(frames: UnfinishedFrames) -> None:
    first, second = Holder(), Holder()
    frames.note("192.0.2.1", first, 900)
    frames.note("192.0.2.1", first, 0)
    frames.note("192.0.2.1", second, 900)
    assert frames.size == 900
    assert not first.closed and not second.closed


def test_framers_tell_what_they_hold() -> None:
    lines, counted, relp = StreamFramer("lf", 100), StreamFramer("octet-counted", 100), RelpFramer(100)
    lines.feed(b"first\nsecond")
    counted.feed(b"90 <13>" + b"a" * 50)
    relp.feed(b"1 syslog 90 " + b"a" * 50)
    assert (lines.held, counted.held, relp.held) == (6, 57, 62)
    lines.feed(b"a" * 1000)
    relp = RelpFramer(100)
    relp.feed(b"1 syslog 5000 " + b"a" * 1000)
    assert (lines.held, relp.held) == (100, 100), "the first bytes of an oversize frame"
