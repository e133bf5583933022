"""Cuts the frames of an octet-counted stream (RFC 6587 section 3.4.1), also after wrong counts."""

import re

from bridge.syslog.frame_buffer import LF, EndPatterns, FrameBuffer, Oversize
from bridge.syslog.frames import Frames, block_of
from bridge.syslog.resync import (
    BOM,
    CANDIDATE,
    MAY_BECOME_CANDIDATE,
    PRI,
    UNSENT,
    Lead,
    begins_frame,
    lead_between,
    next_frame,
)

COUNT = re.compile(BOM + rb"([1-9][0-9]{0,5}) (?=" + BOM + PRI + rb")")
ANY_COUNT = re.compile(BOM + rb"([1-9][0-9]{0,5}) ")
MAY_BECOME_COUNT = re.compile(
    rb"(?:\xef|\xef\xbb|\xef\xbb\xbf)?(?:[1-9][0-9]{0,5}(?: (?:\xef|\xef\xbb|\xef\xbb\xbf)?(?:<[0-9]{0,3})?)?)?"
)
_CANDIDATE_ENDS = EndPatterns(CANDIDATE, MAY_BECOME_CANDIDATE)
_LINE = re.compile(BOM + b"<")
_SEPARATORS = b"\n\r\0 "
_FRAME_ENDS = b"\n\0"
_NO_FRAMES: Frames = []
_DIGITS = b"0123456789"
_LOOKAHEAD = 256
"Bytes beyond three frames that are buffered at most while the frame after a wrong count is searched."


class Counted(FrameBuffer):
    """Cuts octet-counted frames, and frames between them that end at an LF.

    A frame is returned when what follows it shows that its count was right, or when nothing follows (``idle``,
    ``close``). After a wrong count, the bytes up to the next frame belong to the cut frame.
    """

    def __init__(self, count: re.Pattern[bytes], max_frame_size: int, oversize: list[Oversize]) -> None:
        super().__init__(max_frame_size, oversize)
        self._count = count
        self._end_bytes = b""
        "The buffered text can end only after one of these bytes has arrived."
        self._needed_size = 0
        "Number of bytes that must be buffered before the buffered frames can be cut."
        self._skip = 0
        "Number of bytes of an oversize counted frame that are still to be received."
        self._in_line = False
        "True while an oversize frame is discarded that ends at an LF."

    def feed(self, chunk: bytes) -> Frames:
        if self._skip:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            chunk = chunk[skipped:]
        if self.discarded >= 0:
            rest = self.after_oversize(chunk)
            if rest is None:
                return _NO_FRAMES
            chunk = rest
        if not chunk:
            return _NO_FRAMES
        if self.size + len(chunk) < self._needed_size:
            self.hold(chunk)
            return _NO_FRAMES
        if self._end_bytes and not any(byte in chunk for byte in self._end_bytes):
            self._hold_rest(chunk)
            return _NO_FRAMES
        return self._cut_and_hold(self.take_held() + chunk, closed=False, idle=False)

    def idle(self) -> Frames:
        """Returns the frames after which nothing has followed."""
        if self.discarded >= 0 or not self.size:
            return _NO_FRAMES
        return self._cut_and_hold(self.take_held(), closed=False, idle=True)

    def close(self) -> tuple[Frames, bytes]:
        """Returns the last frames, and the bytes of a counted frame that is not complete."""
        data = self.end_oversize() if self.discarded >= 0 else self.take_held()
        frames, at = self._cut(data, closed=True, idle=True)
        return (block_of(frames) if frames else _NO_FRAMES), data[at:]

    def _cut_and_hold(self, data: bytes, *, closed: bool, idle: bool) -> Frames:
        frames, at = self._cut(data, closed=closed, idle=idle)
        if at < len(data):
            self._hold_rest(data[at:])
        return block_of(frames) if frames else _NO_FRAMES

    def _hold_rest(self, piece: bytes) -> None:
        if self._in_line:
            self.hold_line(piece)
        else:
            self.hold(piece)

    def _cut(self, data: bytes, *, closed: bool, idle: bool) -> tuple[list[bytes], int]:
        """Returns the frames of ``data`` and the position at which the unfinished one begins."""
        frames: list[bytes] = []
        size = len(data)
        self._needed_size, self._end_bytes, self._in_line = 0, b"", False
        at: int | None = 0
        reached = 0
        ended: int | None = None
        count, limit = self._count.match, self.max_frame_size
        following = None
        while at is not None and at < size:
            reached = at
            match = following or count(data, at)
            following = None
            if match:
                start, end = match.end(), match.end() + int(match[1])
                # Most frames are followed by a count that is right as well, or that cannot be the end of another one.
                if end < size and end - start <= limit and (following := count(data, end)):
                    if data[end - 1] not in _DIGITS or count(data, following.end() + int(following[1])):
                        frames.append(data[start:end].rstrip(b"\r\n\0"))
                        at = end
                        continue
                    following = None
                ended = at = self._counted(frames, data, at, start, end, closed=closed, idle=idle)
            elif data[at] in _SEPARATORS:
                at += 1
            elif _LINE.match(data, at):
                at = self._line(frames, data, at, closed=closed)
            elif closed and frames and self.resyncs and at == ended and data[at:].isdigit():
                # The last count is wrong as well: these digits are the rest of its frame.
                frames[-1] += data[at:]
                at = size
            elif MAY_BECOME_COUNT.fullmatch(data, at):
                at = None
            else:
                at = self._resync(frames, data, at, at, closed=closed)
        return frames, reached if at is None else at

    def _counted(
        self, frames: list[bytes], data: bytes, at: int, start: int, end: int, *, closed: bool, idle: bool
    ) -> int | None:
        """Takes the counted frame from ``start`` to ``end``. Returns the position after it, or None to wait."""
        size, limit = len(data), self.max_frame_size
        if end - start > limit and size >= start + limit:
            self.oversize.append(Oversize(data[start : start + limit], end - start))
            self._skip = max(0, end - size)
            return min(end, size)
        if end <= size:
            lead = self._lead(data, end, closed=closed, idle=idle)
            if lead is Lead.TO_START:
                frames.append(data[start:end].rstrip(b"\r\n\0"))
                return end
            if lead is Lead.UNKNOWN:
                self._wait(size - at)
                return None
        elif not closed:
            self._needed_size = min(end, start + limit) - at
            return None
        elif next_frame(data, start, limit, closed=True) == size and end - size > (UNSENT if self.resyncs else 0):
            # The connection has ended within a frame.
            return None
        return self._resync(frames, data, at, start, closed=closed)

    def _lead(self, data: bytes, end: int, *, closed: bool, idle: bool) -> Lead:
        """Returns whether the count of a frame that ends at ``end`` is right: TO_START, NOWHERE or UNKNOWN."""
        at, size = end, len(data)
        while at < size and data[at] in b"\r ":
            at += 1
        if at == size:
            return Lead.TO_START if idle else Lead.UNKNOWN
        if data[at] in _FRAME_ENDS:
            return Lead.TO_START
        lead = begins_frame(data, at)
        if lead is Lead.TO_START and data[end - 1] in _DIGITS and (at > end or data[end] in _DIGITS):
            # The digits of the next count may have been cut off by this frame's count.
            # After a wrong count, silence does not prove that a count is right.
            lead = lead_between(data, end, closed=closed or (idle and self.resyncs > 0))
        elif lead is Lead.NOWHERE and self._count is ANY_COUNT and ANY_COUNT.match(data, at):
            return Lead.TO_START
        return Lead.TO_START if lead is Lead.NEAR or (idle and lead is Lead.UNKNOWN) else lead

    def _line(self, frames: list[bytes], data: bytes, at: int, *, closed: bool) -> int | None:
        """Takes a frame without count, which ends at an LF."""
        end = data.find(b"\n", at)
        if end < 0:
            if not closed:
                self._end_bytes, self._in_line = b"\n", True
                return None
            end = len(data)
        self._append(frames, data[at:end])
        return end

    def _resync(self, frames: list[bytes], data: bytes, at: int, start: int, *, closed: bool) -> int | None:
        """Takes the frame at ``start``, whose count is wrong or missing, up to the next frame."""
        found = next_frame(data, start, self.max_frame_size, closed=closed)
        if found is not None:
            self.resyncs += 1
            self._append(frames, data[start:found])
            return found
        if len(data) - start <= 3 * self.max_frame_size + _LOOKAHEAD:
            self._wait(len(data) - at)
            return None
        self.resyncs += 1
        self.begin_oversize(data[start:])
        return len(data)

    def _wait(self, held: int) -> None:
        """Waits for more than a few bytes. Looking at the buffer again for each of them would take quadratic time."""
        self._needed_size = held + 1 + held // 16

    def _append(self, frames: list[bytes], frame: bytes) -> None:
        frame = frame.rstrip(b"\r\n\0")
        if self.fits(frame):
            frames.append(frame)

    def end_patterns(self) -> EndPatterns:
        return LF if self._in_line else _CANDIDATE_ENDS

    def after_end(self, end: bytes, data: bytes) -> bytes:
        return end + data

    def end_oversize(self) -> bytes:
        line = super().end_oversize()
        self._needed_size, self._end_bytes, self._in_line = 0, b"", False
        return line
