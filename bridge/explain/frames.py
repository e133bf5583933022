"""Splits the input of ``explain`` into frames: one datagram per line, or the stream of one TCP connection."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bridge.config import Listener
from bridge.syslog.frames import Frames, list_of
from bridge.syslog.framing import Oversize, StreamFramer, datagrams

LONGEST_DATAGRAM = 65_535


class Cut(NamedTuple):
    """A frame as cut from the input, with a description of its framing."""

    frame: bytes
    description: str
    quarantine_reason: str | None = None
    "Text for the operator if the frame is quarantined before routing, else None."


class Cutter:
    """Cuts frames as a listener does. ``truncate``: truncate oversize frames instead of quarantining them."""

    def __init__(self, listener: Listener, *, max_frame_size: int, truncate: bool) -> None:
        self._listener = listener
        self._limit = min(max_frame_size, LONGEST_DATAGRAM) if listener.takes_datagrams else max_frame_size
        self._truncate = truncate
        self.resyncs = 0
        "Number of octet counts that did not lead to the next frame."

    def lines(self, lines: Iterable[bytes]) -> Iterator[Cut]:
        """Yields one frame per line, as if each line were a datagram."""
        for line in lines:
            for frame in list_of(datagrams([line.removesuffix(b"\n")])):
                description = f"a line of {len(frame)} bytes, read as one message"
                if len(frame) > self._limit:
                    yield self._oversize(Oversize(frame[: self._limit], len(frame)))
                else:
                    yield Cut(frame, description)

    def stream(self, chunks: Iterable[bytes]) -> Iterator[Cut]:
        """Yields the frames of one connection that ends with the last chunk."""
        framer = StreamFramer(self._listener.framing, self._limit)
        for chunk in chunks:
            yield from self._stream_frames(framer, framer.feed(chunk))
        frames, unfinished = framer.close()
        yield from self._stream_frames(framer, frames)
        if unfinished:
            description = f"the stream ended {len(unfinished)} bytes into an octet-counted frame"
            yield Cut(unfinished, description, f"{description}: quarantined as damaged")
        self.resyncs = framer.resyncs

    def _stream_frames(self, framer: StreamFramer, frames: Frames) -> Iterator[Cut]:
        for frame in list_of(frames) if frames else ():
            yield Cut(frame, f"{len(frame)} bytes of a stream, framing: {self._listener.framing}")
        for oversize in framer.oversize:
            yield self._oversize(oversize)
        framer.oversize.clear()

    def _oversize(self, oversize: Oversize) -> Cut:
        description = f"a frame of {oversize.length} bytes, longer than {self._limit} (max_frame_size)"
        if self._truncate:
            return Cut(oversize.kept, f"{description}, truncated to that length")
        return Cut(oversize.kept, description, f"{description}: quarantined as oversize")
