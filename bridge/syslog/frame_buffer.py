"""Buffers the beginning of a frame of a stream, and discards the rest of a frame that is too long."""

import re
from typing import NamedTuple


class Oversize(NamedTuple):
    """A frame that exceeded ``max_frame_size``: its first bytes and its full length in bytes."""

    kept: bytes
    length: int


class EndPatterns(NamedTuple):
    """Expressions for a frame that is being discarded."""

    end: re.Pattern[bytes]
    "Matches the end of the frame."
    may_become: re.Pattern[bytes]
    "Matches the bytes at the end of a read that may turn out to be the first part of such an end."


_LONGEST_END = 48
"Bytes at the end of a read that may belong to the end of a frame."

LF = EndPatterns(re.compile(rb"\n"), re.compile(rb"\Z"))


class FrameBuffer:
    """Buffers the beginning of a frame and discards the rest of an oversize frame, for both framings.

    The buffer is a list of the received pieces. Joining them at every read would take quadratic time for a sender of
    single bytes.
    """

    def __init__(self, max_frame_size: int, oversize: list[Oversize]) -> None:
        self.max_frame_size = max_frame_size
        self.oversize = oversize
        self.resyncs = 0
        self.size = 0
        self.discarded = -1
        "Length so far, in bytes, of the oversize frame that is being discarded. -1 if no frame is being discarded."
        self._trailing = 0
        "Number of CRs and NULs at the end of the discarded bytes. If the frame ends there, they are the transport's."
        self._carry = b""
        "Last received bytes, if they may be the first part of the oversize frame's end."
        self._parts: list[bytes] = []

    def hold(self, piece: bytes) -> None:
        """Buffers the next piece of an unfinished frame."""
        self._parts.append(piece)
        self.size += len(piece)

    def take_held(self) -> bytes:
        """Returns the buffered bytes and empties the buffer."""
        tail = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return tail

    def hold_line(self, piece: bytes) -> None:
        """Buffers the beginning of a frame without a count. Beyond the limit only the first bytes are kept."""
        self.hold(piece)
        if self.size > self.max_frame_size:
            tail = self.take_held()
            self.hold(tail[: self.max_frame_size])
            self.discarded = self._trailing = 0
            self.after_oversize(tail)

    def begin_oversize(self, data: bytes) -> None:
        """Keeps the first bytes of a frame that exceeds the limit, and discards the rest. It contains no end."""
        self.hold(data[: self.max_frame_size])
        self.discarded = self._trailing = 0
        self._discard(data[: self.max_frame_size])
        self.after_oversize(data[self.max_frame_size :])

    def end_patterns(self) -> EndPatterns:
        """Returns how the discarded frame ends."""
        return LF

    def after_end(self, end: bytes, data: bytes) -> bytes:
        """Returns the data after the discarded frame, which the bytes ``end`` terminated."""
        return data

    def after_oversize(self, chunk: bytes) -> bytes | None:
        """Discards the oversize frame up to its end. Returns the data after it, or None if the frame continues.

        A frame that exceeded the limit only because of its trailing CRs and NULs is returned as a line.
        """
        data, self._carry = self._carry + chunk, b""
        end, may_become = self.end_patterns()
        # Every end contains one of these bytes. A peer that never ends a line must cost little.
        if (b"\n" in data or b"\0" in data or b"<" in data) and (found := end.search(data)):
            self._discard(data[: found.start()])
            return self.end_oversize() + self.after_end(found[0], data[found.end() :])
        possible_end = may_become.search(data, max(0, len(data) - _LONGEST_END))
        kept = possible_end.start() if possible_end else len(data)
        self._discard(data[:kept])
        self._carry = data[kept:]
        return None

    def _discard(self, piece: bytes) -> None:
        """Counts a discarded piece of the oversize frame."""
        trailing = len(piece) - len(piece.rstrip(b"\r\0"))
        self._trailing = trailing + (self._trailing if trailing == len(piece) else 0)
        self.discarded += len(piece)

    def end_oversize(self) -> bytes:
        """Ends the oversize frame. Returns it as a line if it fits without its trailer, otherwise ``b""``."""
        self._discard(self._carry)
        length, frame = self.discarded - self._trailing, self.take_held()
        self.discarded, self._carry = -1, b""
        if length <= self.max_frame_size:
            return frame[:length] + b"\n"
        self.oversize.append(Oversize(frame, length))
        return b""

    def fits(self, frame: bytes) -> bool:
        """Returns True if the frame is within the limit. Otherwise appends it to ``oversize``."""
        if len(frame) <= self.max_frame_size:
            return True
        self.oversize.append(Oversize(frame[: self.max_frame_size], len(frame)))
        return False
