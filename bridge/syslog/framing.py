"""Cuts frames from TCP streams (RFC 6587) and from datagrams (RFC 5426).

Framing modes of a stream:

- ``lf``: a frame ends at an LF (RFC 6587 section 3.4.2). CR and NUL before the LF belong to the transport. A NUL
  directly before ``<PRI>`` also ends a frame. After the first such NUL, every NUL ends a frame, because some devices
  terminate frames with NUL alone.
- ``octet-counted``: ``LENGTH SP FRAME`` (RFC 6587 section 3.4.1).
- ``auto``: octet-counted if the connection begins with ``1-999999 SP <PRI>``, otherwise ``lf``. Other leading digits
  are text: a line that begins with the year or with ``200 <img`` has no count. Senders mix both framings, so in an
  octet-counted connection each frame is either ``LENGTH SP <PRI>...`` or ``<...`` up to an LF. A BOM may precede count
  and PRI.

Errors in the stream:

- If a count does not lead to the next frame, the frame extends to the next one (``resync``), and ``resyncs`` is
  incremented. The connection stays octet-counted.
- A frame longer than ``max_frame_size`` is truncated, and the rest is discarded without being buffered. The framer
  appends it to ``oversize`` with its full length and never returns it as an ordinary frame.

The result does not depend on how the stream was split into reads, with two exceptions, after ``idle`` has reported that
nothing follows: a counted frame is then taken to be complete, and a NUL at the end of the received data ends a frame if
no LF has ended one before.
"""

import re

from bridge.syslog.frame_buffer import EndPatterns, FrameBuffer, Oversize
from bridge.syslog.frames import Frames, block_of, list_of
from bridge.syslog.octet_counting import ANY_COUNT, COUNT, MAY_BECOME_COUNT, Counted

__all__ = ["Oversize", "StreamFramer", "datagrams"]

# The lookbehind starts a match only at the beginning of a run. Otherwise a frame of CRs alone takes quadratic time.
_TRAILER = re.compile(rb"(?<![\r\0])[\r\0]++(?=\n|\Z)")
_NUL_BEFORE_PRI = re.compile(rb"\0(?=<[0-9]{1,3}>)")
_MAY_BECOME_NUL_BEFORE_PRI = re.compile(rb"\0(?:<[0-9]{0,3})?\Z")
# The ends of a frame that is being discarded.
_LF_OR_NUL = EndPatterns(re.compile(rb"[\n\0]"), re.compile(rb"\Z"))
_LF_OR_NUL_BEFORE_PRI = EndPatterns(re.compile(rb"\n|\0(?=<[0-9]{1,3}>)"), re.compile(rb"(?:\0(?:<[0-9]{0,3})?)?\Z"))
_PRI = re.compile(rb"<[0-9]{1,3}>")
_NO_FRAMES: Frames = []

IDLE_REPORTS = 40
"Number of reports that nothing follows, after which a NUL ends a frame. There are several reports per second."


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
        self._cutter: _Lines | Counted
        if mode == "octet-counted":
            self._cutter = Counted(ANY_COUNT, max_frame_size, self.oversize)
        else:
            self._cutter = _Lines(max_frame_size, self.oversize)

    @property
    def resyncs(self) -> int:
        """Number of times a count did not lead to the next frame."""
        return self._cutter.resyncs

    @property
    def held(self) -> int:
        """Number of buffered bytes of unfinished frames."""
        return self._cutter.size

    def feed(self, chunk: bytes) -> Frames:
        """Takes the bytes of one read and returns the frames that they complete."""
        if self._undecided:
            chunk = self._cutter.take_held() + chunk
            if MAY_BECOME_COUNT.fullmatch(chunk):
                self._cutter.hold(chunk)
                return _NO_FRAMES
            self._undecided = False
            if COUNT.match(chunk):
                self._cutter = Counted(COUNT, self._cutter.max_frame_size, self.oversize)
        return self._cutter.feed(chunk)

    def idle(self) -> Frames:
        """Returns a frame after which nothing has been received. The caller reports this several times per second."""
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
        self._idle_reports = 0
        self._has_lf = False
        "True after an LF has ended a frame."

    def feed(self, chunk: bytes) -> Frames:
        nul = self._nul_ends
        self._idle_reports = 0
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
        self._has_lf = self._has_lf or not self._nul_ends
        block = b"".join((b"\n", *self._parts, chunk[:end]))
        self.take_held()
        if end + 1 < len(chunk):
            self.hold_line(chunk[end + 1 :])
        return self._frames(block)

    def idle(self) -> Frames:
        self._idle_reports += 1
        if self._has_lf or self._idle_reports < IDLE_REPORTS:
            return _NO_FRAMES
        if self.discarded >= 0:
            if self._carry != b"\0":
                return _NO_FRAMES
            self.hold(self.end_oversize())
        elif not self._nul_pending or not self._parts[-1].endswith(b"\0") or not _PRI.match(self._parts[0]):
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
