"""Cuts frames from TCP streams (RFC 6587) and from datagrams (RFC 5426).

Framing modes of a stream:

- ``lf``: a frame ends at an LF (RFC 6587 section 3.4.2). CR and NUL before the LF belong to the transport. A NUL
  directly before ``<PRI>`` also ends a frame. After the first such NUL, every NUL ends a frame, because some devices
  terminate frames with NUL alone.
- ``octet-counted``: ``LENGTH SP FRAME`` (RFC 6587 section 3.4.1).
- ``auto``: octet-counted if the connection begins with ``1-999999 SP <``, otherwise ``lf``. Other leading digits are
  text: a line that begins with the year has no count. Senders mix both framings, so in an octet-counted connection
  each frame is either ``LENGTH SP <...`` or ``<...`` up to an LF.

Errors in the stream:

- If a count does not lead to the next frame, the bytes up to the next LF or ``<PRI>`` become a frame of their own, and
  ``resyncs`` is incremented.
- A frame longer than ``max_frame_size`` is truncated, and the rest is discarded without being buffered. The framer
  appends it to ``oversize`` with its full length and never returns it as an ordinary frame.

The result does not depend on how the stream was split into reads, with one exception: a NUL at the end of the received
data ends a frame only after ``idle`` has reported that nothing follows.
"""

import re

from bridge.syslog.frame_buffer import LF, EndPatterns, FrameBuffer, Oversize
from bridge.syslog.frames import Frames, block_of, list_of

__all__ = ["Oversize", "StreamFramer", "datagrams"]

_COUNT = re.compile(rb"([1-9][0-9]{0,5}) (?=<)")
_ANY_COUNT = re.compile(rb"([1-9][0-9]{0,5}) ")
_MAY_BECOME_COUNT = re.compile(rb"[1-9][0-9]{0,5} ?")
# The lookbehind starts a match only at the beginning of a run. Otherwise a frame of CRs alone takes quadratic time.
_TRAILER = re.compile(rb"(?<![\r\0])[\r\0]++(?=\n|\Z)")
_NUL_BEFORE_PRI = re.compile(rb"\0(?=<[0-9]{1,3}>)")
_MAY_BECOME_NUL_BEFORE_PRI = re.compile(rb"\0(?:<[0-9]{0,3})?\Z")
_RESYNC = re.compile(rb"\n|(?=<[0-9]{1,3}>)")
# The ends of a frame that is being discarded.
_LF_OR_NUL = EndPatterns(re.compile(rb"[\n\0]"), re.compile(rb"\Z"))
_LF_OR_NUL_BEFORE_PRI = EndPatterns(re.compile(rb"\n|\0(?=<[0-9]{1,3}>)"), re.compile(rb"(?:\0(?:<[0-9]{0,3})?)?\Z"))
_LF_OR_PRI = EndPatterns(_RESYNC, re.compile(rb"(?:<[0-9]{0,3})?\Z"))
_SEPARATORS = b"\n\r\0 "
_NO_FRAMES: Frames = []


def datagrams(frames: list[bytes]) -> Frames:
    """Returns one frame per datagram (RFC 5426 section 3.1), without the line ends and NULs that senders append."""
    joined = b"".join(frames)
    if b"\0" not in joined and b"\r" not in joined and b"\n" not in joined:
        return b"\n" + b"\n".join(frames)
    return block_of([frame.rstrip(b"\r\n\0") for frame in frames])


class StreamFramer:
    """Cuts the bytes of one connection into frames. ``mode`` is ``auto``, ``lf`` or ``octet-counted``."""

    __slots__ = ("_cutter", "_undecided", "oversize")

    def __init__(self, mode: str, max_frame_size: int) -> None:
        self.oversize: list[Oversize] = []
        "Frames that exceeded the limit. The owner of the framer removes them."
        self._undecided = mode == "auto"
        "True until the first bytes of a connection in mode ``auto`` show its framing. They are held as a line."
        self._cutter: _Lines | _Counted
        if mode == "octet-counted":
            self._cutter = _Counted(_ANY_COUNT, max_frame_size, self.oversize)
        else:
            self._cutter = _Lines(max_frame_size, self.oversize)

    @property
    def resyncs(self) -> int:
        """Number of times a count did not lead to the next frame."""
        return self._cutter.resyncs

    def feed(self, chunk: bytes) -> Frames:
        """Takes the bytes of one read and returns the frames that they complete."""
        if self._undecided:
            chunk = self._cutter.take_held() + chunk
            if _MAY_BECOME_COUNT.fullmatch(chunk):
                self._cutter.hold(chunk)
                return _NO_FRAMES
            self._undecided = False
            if _COUNT.match(chunk):
                self._cutter = _Counted(_COUNT, self._cutter.max_frame_size, self.oversize)
        return self._cutter.feed(chunk)

    def idle(self) -> Frames:
        """Returns a frame whose final NUL was the last byte received. The caller calls this when nothing follows."""
        return self._cutter.idle()

    def close(self) -> tuple[Frames, bytes]:
        """Returns the frame that the end of the connection completes, and the bytes of an incomplete counted frame."""
        return self._cutter.close()


class _Lines(FrameBuffer):
    """Cuts frames that end at an LF or a NUL."""

    def __init__(self, max_frame_size: int, oversize: list[Oversize]) -> None:
        super().__init__(max_frame_size, oversize)
        self._nul_ends = False
        self._nul_pending = False

    def feed(self, chunk: bytes) -> Frames:
        nul = self._nul_ends
        if self.discarded >= 0:
            rest = self.after_oversize(chunk)
            if rest is None:
                return _NO_FRAMES
            chunk = rest
        if nul:
            chunk = chunk.replace(b"\0", b"\n")
        elif not self._nul_ends and (self._nul_pending or b"\0" in chunk):
            chunk = self._end_at_nul(self.take_held() + chunk)
        end = chunk.rfind(b"\n")
        if end < 0:
            if chunk:
                self.hold_line(chunk)
            return _NO_FRAMES
        block = b"".join((b"\n", *self._parts, chunk[:end]))
        self.take_held()
        if end + 1 < len(chunk):
            self.hold_line(chunk[end + 1 :])
        return self._frames(block)

    def idle(self) -> Frames:
        if self.discarded >= 0:
            if self._carry != b"\0":
                return _NO_FRAMES
            self.hold(self.end_oversize())
        elif not self._nul_pending or not self._parts[-1].endswith(b"\0"):
            return _NO_FRAMES
        self._nul_ends, self._nul_pending = True, False
        return self._frames(b"\n" + self.take_held().rstrip(b"\n"))

    def close(self) -> tuple[Frames, bytes]:
        if self.discarded >= 0:
            self.hold(self.end_oversize().rstrip(b"\n"))
        return (self._frames(b"\n" + self.take_held()) if self.size else _NO_FRAMES), b""

    def after_end(self, end: bytes, data: bytes) -> bytes:
        if end == b"\0" and not self._nul_ends:
            self._nul_ends, self._nul_pending = True, False
            return data.replace(b"\0", b"\n")
        return data

    def end_patterns(self) -> EndPatterns:
        return _LF_OR_NUL if self._nul_ends else _LF_OR_NUL_BEFORE_PRI

    def _frames(self, block: bytes) -> Frames:
        if b"\r" in block or b"\0" in block:
            block = _TRAILER.sub(b"", block)
        # A read is shorter than the usual limit, so single frames are measured only after a long buffered beginning.
        if len(block) > self.max_frame_size and max(map(len, frames := list_of(block))) > self.max_frame_size:
            return block_of([frame for frame in frames if self.fits(frame)])
        return block

    def _end_at_nul(self, data: bytes) -> bytes:
        if match := _NUL_BEFORE_PRI.search(data):
            self._nul_ends = True
            # Earlier NULs stay: the result must not depend on whether they arrived in the same read.
            data = data[: match.start()] + b"\n" + data[match.end() :].replace(b"\0", b"\n")
        self._nul_pending = (
            not self._nul_ends and _MAY_BECOME_NUL_BEFORE_PRI.search(data, max(0, len(data) - 5)) is not None
        )
        return data


class _Counted(FrameBuffer):
    """Cuts octet-counted frames, and frames between them that end at an LF."""

    def __init__(self, count: re.Pattern[bytes], max_frame_size: int, oversize: list[Oversize]) -> None:
        super().__init__(max_frame_size, oversize)
        self._count = count
        self._end_bytes = b""
        "The buffered text can end only after one of these bytes has arrived."
        self._needed_size = 0
        "Number of bytes that must be buffered before the counted frame is complete."
        self._skip = 0
        "Number of bytes of an oversize counted frame that are still to be received."

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
            self.hold_line(chunk)
            return _NO_FRAMES
        data = self.take_held() + chunk
        frames, at = self._cut(data)
        if at < len(data):
            if self._end_bytes:
                self.hold_line(data[at:])
            else:
                self.hold(data[at:])
        return block_of(frames) if frames else _NO_FRAMES

    def _cut(self, data: bytes) -> tuple[list[bytes], int]:
        """Returns the frames of ``data`` and the position at which the unfinished one begins."""
        frames: list[bytes] = []
        at, size = 0, len(data)
        self._needed_size, self._end_bytes = 0, b""
        while at < size:
            if match := self._count.match(data, at):
                start, length = match.end(), int(match[1])
                end = start + length
                if length > self.max_frame_size and size >= start + self.max_frame_size:
                    self.oversize.append(Oversize(data[start : start + self.max_frame_size], length))
                    self._skip = max(0, end - size)
                elif end > size:
                    self._needed_size = min(end, start + self.max_frame_size) - at
                    break
                else:
                    frames.append(data[start:end].rstrip(b"\r\n\0"))
                at = min(end, size)
            elif data[at] in _SEPARATORS:
                at += 1
            elif data[at] == 0x3C:
                end = data.find(b"\n", at)
                if end < 0:
                    self._end_bytes = b"\n"
                    break
                self._line(frames, data[at:end])
                at = end + 1
            elif _MAY_BECOME_COUNT.fullmatch(data, at):
                break
            elif found := _RESYNC.search(data, at):
                self.resyncs += 1
                self._line(frames, data[at : found.start()])
                at = found.end()
            else:
                self._end_bytes = b"\n>"
                break
        return frames, at

    def _line(self, frames: list[bytes], frame: bytes) -> None:
        frame = frame.rstrip(b"\r\0")
        if self.fits(frame):
            frames.append(frame)

    def end_patterns(self) -> EndPatterns:
        return _LF_OR_PRI if b">" in self._end_bytes else LF

    def end_oversize(self) -> bytes:
        line = super().end_oversize()
        if not line and b">" in self._end_bytes:
            self.resyncs += 1
        self._end_bytes = b""
        return line

    def idle(self) -> Frames:
        return _NO_FRAMES

    def close(self) -> tuple[Frames, bytes]:
        tail = self.end_oversize() if self.discarded >= 0 else self.take_held()
        if self._count.match(tail) or _MAY_BECOME_COUNT.fullmatch(tail):
            return _NO_FRAMES, tail
        frame = tail.lstrip(_SEPARATORS).rstrip(b"\r\n\0")
        return (block_of([frame]) if frame else _NO_FRAMES), b""
