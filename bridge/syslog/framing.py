"""Frames out of a TCP stream (RFC 6587) and out of datagrams (RFC 5426).

Rules of a stream:

- ``lf``: a frame ends at an LF (RFC 6587 section 3.4.2). CR and NUL before it are the transport's. A NUL that stands
  before ``<PRI>`` ends a frame too, and once one has, every NUL does: some devices end frames with NUL alone.
- ``octet-counted``: ``LENGTH SP FRAME`` (section 3.4.1).
- ``auto``: octet-counted if the connection begins ``1-999999 SP <``, else ``lf``. Other digits are text: a line that
  begins with the year is no count. In an octet-counted connection each frame decides between count + ``<`` and ``<``
  (up to LF), as senders mix them.
- Where a count does not lead to the next frame, what stands there is kept as a frame of its own, up to the next LF or
  ``<PRI>``, and counted in ``resyncs``.
- A frame longer than ``max_frame_size`` is cut there; the rest of it is passed over without being held. It comes out
  of ``oversize`` with the length it had, never as an ordinary frame.

What a framer returns does not depend on how the stream was cut into reads, but for one thing: a NUL at the end of what
has come is a frame's end only when ``idle`` says that nothing follows.
"""

import re
from typing import NamedTuple

from bridge.syslog.columns import Frames, block_of, list_of

_COUNT = re.compile(rb"([1-9][0-9]{0,5}) (?=<)")
_ANY_COUNT = re.compile(rb"([1-9][0-9]{0,5}) ")
_MAY_BECOME_COUNT = re.compile(rb"[1-9][0-9]{0,5} ?")
_TRAILER = re.compile(rb"[\r\0]+(?=\n|\Z)")
_NUL_BEFORE_PRI = re.compile(rb"\0(?=<[0-9]{1,3}>)")
_RESYNC = re.compile(rb"\n|(?=<[0-9]{1,3}>)")
_BETWEEN = b"\n\r\0 "
_NONE: Frames = []


class Oversize(NamedTuple):
    """A frame that was longer than allowed: its first bytes, and the length that it had."""

    kept: bytes
    length: int


def datagrams(frames: list[bytes]) -> Frames:
    """The frames of datagrams, one each (RFC 5426 section 3.1), less the line ends and NULs that senders add."""
    block = b"\n" + b"\n".join(frames)
    if b"\0" not in block and b"\r" not in block and block.count(b"\n") == len(frames):
        return block
    return block_of([frame.rstrip(b"\r\n\0") for frame in frames])


class StreamFramer:
    """Cuts one connection's bytes into frames. ``mode`` is ``auto``, ``lf`` or ``octet-counted``."""

    __slots__ = ("_cutter", "_first", "oversize")

    def __init__(self, mode: str, max_frame_size: int) -> None:
        self.oversize: list[Oversize] = []
        "Frames that were too long, until the owner has taken them away."
        self._first = b""
        self._cutter: _Lines | _Counted
        if mode == "octet-counted":
            self._cutter = _Counted(_ANY_COUNT, max_frame_size, self.oversize)
        else:
            self._cutter = _Undecided(max_frame_size, self.oversize) if mode == "auto" else _Lines(
                max_frame_size, self.oversize
            )  # fmt: skip

    @property
    def resyncs(self) -> int:
        """Places where a count did not lead to a frame."""
        return self._cutter.resyncs

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame that are held."""
        return self._cutter.size

    def feed(self, chunk: bytes) -> Frames:
        """The frames that ``chunk`` completes."""
        if isinstance(self._cutter, _Undecided):
            data = self._cutter.tail() + chunk
            if _MAY_BECOME_COUNT.fullmatch(data):
                self._cutter.hold(data)
                return _NONE
            self._cutter, chunk = self._cutter.decide(data), data
        return self._cutter.feed(chunk)

    def idle(self) -> Frames:
        """The connection has been silent for a while: a frame whose NUL has come is whole."""
        return self._cutter.idle()

    def close(self) -> tuple[Frames, bytes]:
        """The connection has ended: the frame that ended with it, and what came of a counted frame that did not."""
        return self._cutter.close()


class _Cutter:
    """What both framings share: the beginning of a frame, held as the pieces that came (joining at every read would be
    quadratic for a sender of single bytes), and the passing over of a frame that is too long."""

    def __init__(self, max_frame_size: int, oversize: list[Oversize]) -> None:
        self.max_frame_size = max_frame_size
        self.oversize = oversize
        self.resyncs = 0
        self.size = 0
        self.passed = -1
        "Length so far of the frame that is being passed over up to its LF; -1: none is."
        self._parts: list[bytes] = []

    def hold(self, piece: bytes) -> None:
        self._parts.append(piece)
        self.size += len(piece)

    def tail(self) -> bytes:
        """What is held, which then is held no longer."""
        tail = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return tail

    def hold_line(self, piece: bytes) -> None:
        """Hold the beginning of a frame that ends at an LF; one beyond the limit keeps only its first bytes."""
        self.hold(piece)
        if self.size > self.max_frame_size:
            tail = self.tail()
            self.passed = len(tail)
            self.hold(tail[: self.max_frame_size])

    def after_oversize(self, chunk: bytes) -> bytes | None:
        """What follows the frame that is being passed over, or None while it goes on."""
        end = chunk.find(b"\n")
        if end < 0:
            self.passed += len(chunk)
            return None
        self.end_oversize(end)
        return chunk[end + 1 :]

    def end_oversize(self, more: int = 0) -> None:
        self.oversize.append(Oversize(self.tail(), self.passed + more))
        self.passed = -1

    def fits(self, frame: bytes) -> bool:
        if len(frame) <= self.max_frame_size:
            return True
        self.oversize.append(Oversize(frame[: self.max_frame_size], len(frame)))
        return False


class _Lines(_Cutter):
    """Frames that end at an LF, or at a NUL."""

    def __init__(self, max_frame_size: int, oversize: list[Oversize]) -> None:
        super().__init__(max_frame_size, oversize)
        self._nul = False
        self._nul_waits = False

    def feed(self, chunk: bytes) -> Frames:
        if self.passed >= 0:
            rest = self.after_oversize(chunk)
            if rest is None:
                return _NONE
            chunk = rest
        if self._nul or self._nul_waits or b"\0" in chunk:
            chunk = self._end_at_nul(self.tail() + chunk)
        end = chunk.rfind(b"\n")
        if end < 0:
            if chunk:
                self.hold_line(chunk)
            return _NONE
        block = b"".join((b"\n", *self._parts, chunk[:end]))
        self.tail()
        if end + 1 < len(chunk):
            self.hold_line(chunk[end + 1 :])
        return self._frames(block)

    def idle(self) -> Frames:
        if self.passed >= 0 or not self._nul_waits or not self._parts[-1].endswith(b"\0"):
            return _NONE
        self._nul, self._nul_waits = True, False
        return self._frames(b"\n" + self.tail())

    def close(self) -> tuple[Frames, bytes]:
        if self.passed >= 0:
            self.end_oversize()
        return (self._frames(b"\n" + self.tail()) if self.size else _NONE), b""

    def _frames(self, block: bytes) -> Frames:
        if b"\r" in block or b"\0" in block:
            block = _TRAILER.sub(b"", block)
        # A read is shorter than the usual limit, so this looks at single frames only behind a long tail.
        if len(block) > self.max_frame_size and max(map(len, frames := list_of(block))) > self.max_frame_size:
            return block_of([frame for frame in frames if self.fits(frame)])
        return block

    def _end_at_nul(self, data: bytes) -> bytes:
        if not self._nul and (match := _NUL_BEFORE_PRI.search(data)):
            self._nul = True
            data = data[: match.start()] + b"\n" + data[match.end() :]
        if self._nul:
            data = data.replace(b"\0", b"\n")
        self._nul_waits = not self._nul and data.rfind(b"\0") > data.rfind(b"\n")
        return data


class _Undecided(_Lines):
    """The first bytes of a connection in ``auto``: text, unless a count comes."""

    def decide(self, data: bytes) -> "_Lines | _Counted":
        if _COUNT.match(data):
            return _Counted(_COUNT, self.max_frame_size, self.oversize)
        return _Lines(self.max_frame_size, self.oversize)


class _Counted(_Cutter):
    """Octet-counted frames, and frames that end at an LF between them."""

    def __init__(self, count: re.Pattern[bytes], max_frame_size: int, oversize: list[Oversize]) -> None:
        super().__init__(max_frame_size, oversize)
        self._count = count
        self._needs = b""
        "One of these bytes must come before the text that is held can end."
        self._wanted = 0
        "Bytes that must be held before the counted frame is whole."
        self._skip = 0
        "Bytes of a counted frame that is too long, still to come."

    def feed(self, chunk: bytes) -> Frames:
        if self._skip:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            chunk = chunk[skipped:]
        if self.passed >= 0:
            rest = self.after_oversize(chunk)
            if rest is None:
                return _NONE
            chunk = rest
        if not chunk:
            return _NONE
        if self.size + len(chunk) < self._wanted:
            self.hold(chunk)
            return _NONE
        if self._needs and not any(byte in chunk for byte in self._needs):
            self.hold_line(chunk)
            return _NONE
        data = self.tail() + chunk
        frames, at = self._cut(data)
        if at < len(data):
            if self._needs:
                self.hold_line(data[at:])
            else:
                self.hold(data[at:])
        return block_of(frames) if frames else _NONE

    def _cut(self, data: bytes) -> tuple[list[bytes], int]:
        """The frames of ``data``, and where the unfinished one begins."""
        frames: list[bytes] = []
        at, size = 0, len(data)
        self._wanted, self._needs = 0, b""
        while at < size:
            if match := self._count.match(data, at):
                start, length = match.end(), int(match[1])
                end = start + length
                if length > self.max_frame_size and size >= start + self.max_frame_size:
                    self.oversize.append(Oversize(data[start : start + self.max_frame_size], length))
                    self._skip = max(0, end - size)
                elif end > size:
                    self._wanted = min(end, start + self.max_frame_size) - at
                    break
                else:
                    frames.append(data[start:end].rstrip(b"\r\n\0"))
                at = min(end, size)
            elif data[at] in _BETWEEN:
                at += 1
            elif data[at] == 0x3C:
                end = data.find(b"\n", at)
                if end < 0:
                    self._needs = b"\n"
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
                self._needs = b"\n>"
                break
        return frames, at

    def _line(self, frames: list[bytes], frame: bytes) -> None:
        if self.fits(frame):
            frames.append(frame.rstrip(b"\r\0"))

    def idle(self) -> Frames:
        return _NONE

    def close(self) -> tuple[Frames, bytes]:
        if self.passed >= 0:
            self.end_oversize()
            return _NONE, b""
        tail = self.tail()
        if self._count.match(tail) or _MAY_BECOME_COUNT.fullmatch(tail):
            return _NONE, tail
        frame = tail.strip(_BETWEEN)
        return (block_of([frame]) if frame else _NONE), b""
