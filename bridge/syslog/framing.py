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
from typing import NamedTuple

from bridge.syslog.frames import Frames, block_of, list_of

_COUNT = re.compile(rb"([1-9][0-9]{0,5}) (?=<)")
_ANY_COUNT = re.compile(rb"([1-9][0-9]{0,5}) ")
_MAY_BECOME_COUNT = re.compile(rb"[1-9][0-9]{0,5} ?")
# The lookbehind starts a match only at the beginning of a run. Otherwise a frame of CRs alone takes quadratic time.
_TRAILER = re.compile(rb"(?<![\r\0])[\r\0]++(?=\n|\Z)")
_NUL_BEFORE_PRI = re.compile(rb"\0(?=<[0-9]{1,3}>)")
_MAY_BECOME_NUL_BEFORE_PRI = re.compile(rb"\0(?:<[0-9]{0,3})?\Z")
_RESYNC = re.compile(rb"\n|(?=<[0-9]{1,3}>)")
# Pairs of expressions for a frame that is being discarded: the end of the frame, and the bytes at the end of a read
# that may turn out to be the first part of such an end.
_LF = (re.compile(rb"\n"), re.compile(rb"\Z"))
_LF_OR_NUL = (re.compile(rb"[\n\0]"), re.compile(rb"\Z"))
_LF_OR_NUL_BEFORE_PRI = (re.compile(rb"\n|\0(?=<[0-9]{1,3}>)"), re.compile(rb"(?:\0(?:<[0-9]{0,3})?)?\Z"))
_LF_OR_PRI = (_RESYNC, re.compile(rb"(?:<[0-9]{0,3})?\Z"))
_SEPARATORS = b"\n\r\0 "
_NO_FRAMES: Frames = []


class Oversize(NamedTuple):
    """A frame that exceeded ``max_frame_size``: its first bytes and its full length in bytes."""

    kept: bytes
    length: int


def datagrams(frames: list[bytes]) -> Frames:
    """Returns one frame per datagram (RFC 5426 section 3.1), without the line ends and NULs that senders append."""
    joined = b"".join(frames)
    if b"\0" not in joined and b"\r" not in joined and b"\n" not in joined:
        return b"\n" + b"\n".join(frames)
    return block_of([frame.rstrip(b"\r\n\0") for frame in frames])


class StreamFramer:
    """Cuts the bytes of one connection into frames. ``mode`` is ``auto``, ``lf`` or ``octet-counted``."""

    __slots__ = ("_cutter", "oversize")

    def __init__(self, mode: str, max_frame_size: int) -> None:
        self.oversize: list[Oversize] = []
        "Frames that exceeded the limit. The owner of the framer removes them."
        self._cutter: _Lines | _Counted
        if mode == "octet-counted":
            self._cutter = _Counted(_ANY_COUNT, max_frame_size, self.oversize)
        else:
            self._cutter = _Undecided(max_frame_size, self.oversize) if mode == "auto" else _Lines(
                max_frame_size, self.oversize
            )  # fmt: skip

    @property
    def resyncs(self) -> int:
        """Number of times a count did not lead to the next frame."""
        return self._cutter.resyncs

    @property
    def pending(self) -> int:
        """Number of buffered bytes of an unfinished frame."""
        return self._cutter.size

    def feed(self, chunk: bytes) -> Frames:
        """Takes the bytes of one read and returns the frames that they complete."""
        if isinstance(self._cutter, _Undecided):
            data = self._cutter.take_held() + chunk
            if _MAY_BECOME_COUNT.fullmatch(data):
                self._cutter.hold(data)
                return _NO_FRAMES
            self._cutter, chunk = self._cutter.decide(data), data
        return self._cutter.feed(chunk)

    def idle(self) -> Frames:
        """Returns a frame whose final NUL was the last byte received. The caller calls this when nothing follows."""
        return self._cutter.idle()

    def close(self) -> tuple[Frames, bytes]:
        """Returns the frame that the end of the connection completes, and the bytes of an incomplete counted frame."""
        return self._cutter.close()


class _Cutter:
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

    def end_patterns(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        """Returns the expression for the end of the discarded frame, and one for bytes that may become such an end."""
        return _LF

    def after_end(self, end: bytes, data: bytes) -> bytes:
        """Returns the data after the discarded frame, which the bytes ``end`` terminated."""
        return data

    def after_oversize(self, chunk: bytes) -> bytes | None:
        """Discards the oversize frame up to its end. Returns the data after it, or None if the frame continues.

        A frame that exceeded the limit only because of its trailing CRs and NULs is returned as a line.
        """
        data, self._carry = self._carry + chunk, b""
        if not (b"\n" in data or b"\0" in data or b"<" in data):
            # Every end begins with one of these bytes. A peer that never ends a line must cost little.
            self._discard(data)
            return None
        end, may_become = self.end_patterns()
        if found := end.search(data):
            self._discard(data[: found.start()])
            return self.end_oversize() + self.after_end(found[0], data[found.end() :])
        possible_end = may_become.search(data, max(0, len(data) - 5))
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


class _Lines(_Cutter):
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

    def end_patterns(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
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


class _Undecided(_Lines):
    """Holds the first bytes of a connection in mode ``auto`` until the framing is known."""

    def decide(self, data: bytes) -> "_Lines | _Counted":
        """Returns the cutter for a connection that begins with ``data``."""
        if _COUNT.match(data):
            return _Counted(_COUNT, self.max_frame_size, self.oversize)
        return _Lines(self.max_frame_size, self.oversize)


class _Counted(_Cutter):
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

    def end_patterns(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        return _LF_OR_PRI if b">" in self._end_bytes else _LF

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
