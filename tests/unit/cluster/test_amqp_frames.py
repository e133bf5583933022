"""Tests that frames and messages of a broker are limited before they are complete."""

import struct

import pytest

from bridge.cluster.amqp_frames import MAX_FRAME, MAX_MESSAGE, FrameLimit

HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"


def frame(kind, payload):
    return struct.pack(">BHL", kind, 1, len(payload)) + payload + b"\xce"


def content(size):
    return frame(2, struct.pack(">HHQ", 60, 0, size) + b"\0\0")


def added(data, step):
    limit = FrameLimit()
    return next((found for at in range(0, len(data), step) if (found := limit.add(data[at : at + step]))), None)


@pytest.mark.parametrize("step", [1, 3, 7, 8, 19, 1 << 16])
def test_frames_within_the_limits_pass_however_they_are_cut(step):
    message = content(MAX_MESSAGE) + frame(3, b"\x02" * 100) + frame(3, bytes(MAX_FRAME // 50)) + frame(2, b"\0" * 5)
    data = (HEARTBEAT + frame(1, b"\x00\x0a\x00\x0a" + b"\xff" * 50) + message) * 3
    assert added(data, step) is None


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_huge_frame_is_refused_by_its_header(step):
    assert f"{2**32 - 1:,} bytes" in added(HEARTBEAT + b"\x01\x00\x00\xff\xff\xff\xff", step)


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_huge_message_is_refused_by_its_header(step):
    assert f"{MAX_MESSAGE + 1:,} bytes" in added(HEARTBEAT + content(MAX_MESSAGE + 1), step)


def test_protocol_header_of_another_version_passes():
    assert added(b"AMQP\x00\x00\x09\x01" + HEARTBEAT, 1) is None
