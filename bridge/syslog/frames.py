"""Represents the frames of one read as one block of bytes where possible, otherwise as a list."""

Frames = bytes | list[bytes]
"""The frames of one read. A block has an LF *before* each frame and nowhere else. If a frame contains an LF, the frames
are a list."""

BLANK = b" \t\r\n\0"
"Bytes that make no event alone."


def block_of(frames: list[bytes]) -> Frames:
    """Returns frames as a block, or the list unchanged if a frame contains an LF."""
    # Searching for one LF is much cheaper than counting them.
    return frames if b"\n" in b"".join(frames) else b"\n" + b"\n".join(frames)


def list_of(frames: Frames) -> list[bytes]:
    """Returns frames as a list."""
    return frames if isinstance(frames, list) else frames[1:].split(b"\n")
