"""Tests octet counts that are wrong by one where the digits of text and count touch (parsing decision 23)."""

import pytest

from bridge.syslog.frames import list_of
from bridge.syslog.framing import StreamFramer

FRAMES = [b"<13>Nov 23 07:24:00 gw-5 app: session 41", b"<13>Nov 23 07:24:00 gw-5 app: closed"]


def stream(wrong_by):
    return b"".join(b"%d %b" % (len(frame) + wrong_by, frame) for frame in (*FRAMES, *FRAMES, FRAMES[0]))


def cut(chunks, *, idle):
    framer = StreamFramer("auto", 1000)
    frames = [frame for chunk in chunks for frame in list_of(framer.feed(chunk))]
    if idle:
        frames += list_of(framer.idle())
    rest, unfinished = framer.close()
    return frames + list_of(rest), unfinished


@pytest.mark.parametrize("wrong_by", [-1, 1])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_digits_between_frames_belong_to_the_right_one(wrong_by, size):
    data = stream(wrong_by)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert cut(chunks, idle=False) == ([*FRAMES, *FRAMES, FRAMES[0]], b"")


def test_idle_connection_does_not_take_the_next_count_for_text():
    frames, _ = cut([stream(1)], idle=True)
    assert frames == [*FRAMES, *FRAMES, FRAMES[0]]


def test_digits_after_a_right_count_are_an_unfinished_frame():
    data = b"%d %b" % (len(FRAMES[0]), FRAMES[0])
    assert cut([data + data + b"4"], idle=False) == ([FRAMES[0]] * 2, b"4")
