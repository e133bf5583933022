"""Holds the frames of one read: as one block of bytes where possible, else as a list."""

Frames = bytes | list[bytes]
"""The frames of one read: a block, in which an LF stands *before* each frame and nowhere else, or a list, where a frame
holds an LF itself."""


def block_of(frames: list[bytes]) -> Frames:
    """Frames as a block where none holds an LF, else the list as it is."""
    # To look for one LF is much cheaper than to count them.
    return frames if b"\n" in b"".join(frames) else b"\n" + b"\n".join(frames)


def list_of(frames: Frames) -> list[bytes]:
    """Frames one by one."""
    return frames if isinstance(frames, list) else frames[1:].split(b"\n")
