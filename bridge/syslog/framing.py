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

from bridge.syslog.frames import Frames, block_of, list_of

_COUNT = re.compile(rb"([1-9][0-9]{0,5}) (?=<)")
_ANY_COUNT = re.compile(rb"([1-9][0-9]{0,5}) ")
_MAY_BECOME_COUNT = re.compile(rb"[1-9][0-9]{0,5} ?")
# Looked at from the beginning of a run only, or a frame of nothing but CRs would take quadratic time.
_TRAILER = re.compile(rb"(?<![\r\0])[\r\0]++(?=\n|\Z)")
_NUL_BEFORE_PRI = re.compile(rb"\0(?=<[0-9]{1,3}>)")
_MAY_BECOME_NUL_BEFORE_PRI = re.compile(rb"\0(?:<[0-9]{0,3})?\Z")
_RESYNC = re.compile(rb"\n|(?=<[0-9]{1,3}>)")
# Where a frame that is passed over ends, and what at the end of a read may become such a place.
_LF = (re.compile(rb"\n"), re.compile(rb"\Z"))
_LF_OR_NUL = (re.compile(rb"[\n\0]"), re.compile(rb"\Z"))
_LF_OR_NUL_BEFORE_PRI = (re.compile(rb"\n|\0(?=<[0-9]{1,3}>)"), re.compile(rb"(?:\0(?:<[0-9]{0,3})?)?\Z"))
_LF_OR_PRI = (_RESYNC, re.compile(rb"(?:<[0-9]{0,3})?\Z"))
_BETWEEN = b"\n\r\0 "
_NONE: Frames = []


class Oversize(NamedTuple):
    """A frame that was longer than allowed: its first bytes, and the length that it had."""

    kept: bytes
    length: int


def datagrams(frames: list[bytes]) -> Frames:
    """The frames of datagrams, one each (RFC 5426 section 3.1), less the line ends and NULs that senders add."""
    together = b"".join(frames)
    if b"\0" not in together and b"\r" not in together and b"\n" not in together:
        return b"\n" + b"\n".join(frames)
    return block_of([frame.rstrip(b"\r\n\0") for frame in frames])


class StreamFramer:
    """Cuts one connection's bytes into frames. ``mode`` is ``auto``, ``lf`` or ``octet-counted``."""

    __slots__ = ("_cutter", "oversize")

    def __init__(self, mode: str, max_frame_size: int) -> None:
        self.oversize: list[Oversize] = []
        "Frames that were too long, until the owner has taken them away."
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
        "Length so far of the frame that is being passed over up to its end; -1: none is."
        self._trailing = 0
        "Of these, the CRs and NULs at the end, which are the transport's where the frame ends there."
        self._carry = b""
        "The end of what has come, where it may be the beginning of that frame's end."
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
        """Hold the beginning of a frame without a count; one beyond the limit keeps only its first bytes."""
        self.hold(piece)
        if self.size > self.max_frame_size:
            tail = self.tail()
            self.hold(tail[: self.max_frame_size])
            self.passed = self._trailing = 0
            self.after_oversize(tail)

    def ends(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        """Where the frame that is being passed over ends, and what may become such a place."""
        return _LF

    def following(self, end: bytes, data: bytes) -> bytes:
        """What follows the frame that was being passed over, which the byte ``end`` has ended."""
        return data

    def after_oversize(self, chunk: bytes) -> bytes | None:
        """What follows the frame that is being passed over, or None while it goes on. A frame that was too long only
        with its trailer comes back as a line."""
        data, self._carry = self._carry + chunk, b""
        if not (b"\n" in data or b"\0" in data or b"<" in data):
            # With none of these no end begins; a peer that never ends a line should cost as little as it may.
            self._pass_over(data)
            return None
        end, may_become = self.ends()
        if found := end.search(data):
            self._pass_over(data[: found.start()])
            return self.end_oversize() + self.following(found[0], data[found.end() :])
        waits = may_become.search(data, max(0, len(data) - 5))
        kept = waits.start() if waits else len(data)
        self._pass_over(data[:kept])
        self._carry = data[kept:]
        return None

    def _pass_over(self, piece: bytes) -> None:
        trailing = len(piece) - len(piece.rstrip(b"\r\0"))
        self._trailing = trailing + (self._trailing if trailing == len(piece) else 0)
        self.passed += len(piece)

    def end_oversize(self) -> bytes:
        """The frame that was being passed over is at its end; as a line, if it fits after all."""
        self._pass_over(self._carry)
        length, frame = self.passed - self._trailing, self.tail()
        self.passed, self._carry = -1, b""
        if length <= self.max_frame_size:
            return frame[:length] + b"\n"
        self.oversize.append(Oversize(frame, length))
        return b""

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
        nul = self._nul
        if self.passed >= 0:
            rest = self.after_oversize(chunk)
            if rest is None:
                return _NONE
            chunk = rest
        if nul:
            chunk = chunk.replace(b"\0", b"\n")
        elif not self._nul and (self._nul_waits or b"\0" in chunk):
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
        if self.passed >= 0:
            if self._carry != b"\0":
                return _NONE
            self.hold(self.end_oversize())
        elif not self._nul_waits or not self._parts[-1].endswith(b"\0"):
            return _NONE
        self._nul, self._nul_waits = True, False
        return self._frames(b"\n" + self.tail().rstrip(b"\n"))

    def close(self) -> tuple[Frames, bytes]:
        if self.passed >= 0:
            self.hold(self.end_oversize().rstrip(b"\n"))
        return (self._frames(b"\n" + self.tail()) if self.size else _NONE), b""

    def following(self, end: bytes, data: bytes) -> bytes:
        if end == b"\0" and not self._nul:
            self._nul, self._nul_waits = True, False
            return data.replace(b"\0", b"\n")
        return data

    def ends(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        return _LF_OR_NUL if self._nul else _LF_OR_NUL_BEFORE_PRI

    def _frames(self, block: bytes) -> Frames:
        if b"\r" in block or b"\0" in block:
            block = _TRAILER.sub(b"", block)
        # A read is shorter than the usual limit, so this looks at single frames only behind a long tail.
        if len(block) > self.max_frame_size and max(map(len, frames := list_of(block))) > self.max_frame_size:
            return block_of([frame for frame in frames if self.fits(frame)])
        return block

    def _end_at_nul(self, data: bytes) -> bytes:
        if match := _NUL_BEFORE_PRI.search(data):
            self._nul = True
            # Not the NULs before it: whether they came in the same read must not matter.
            data = data[: match.start()] + b"\n" + data[match.end() :].replace(b"\0", b"\n")
        self._nul_waits = not self._nul and _MAY_BECOME_NUL_BEFORE_PRI.search(data, max(0, len(data) - 5)) is not None
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
        frame = frame.rstrip(b"\r\0")
        if self.fits(frame):
            frames.append(frame)

    def ends(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
        return _LF_OR_PRI if b">" in self._needs else _LF

    def end_oversize(self) -> bytes:
        line = super().end_oversize()
        if not line and b">" in self._needs:
            self.resyncs += 1
        self._needs = b""
        return line

    def idle(self) -> Frames:
        return _NONE

    def close(self) -> tuple[Frames, bytes]:
        tail = self.end_oversize() if self.passed >= 0 else self.tail()
        if self._count.match(tail) or _MAY_BECOME_COUNT.fullmatch(tail):
            return _NONE, tail
        frame = tail.lstrip(_BETWEEN).rstrip(b"\r\n\0")
        return (block_of([frame]) if frame else _NONE), b""
