"""How stdin becomes frames: as datagrams, a line each, or as the stream of one TCP connection."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bridge.config import Listener
from bridge.syslog.frames import Frames, list_of
from bridge.syslog.framing import Oversize, StreamFramer, datagrams

LONGEST_DATAGRAM = 65_535


class Cut(NamedTuple):
    """One frame, and how it came to be."""

    frame: bytes
    how: str
    trouble: str | None = None
    """Why it goes to quarantine as it is, before any route is asked."""


class Cutter:
    """Cuts frames as a listener does. ``truncate``: longer ones are cut short, else they go to quarantine."""

    def __init__(self, listener: Listener, *, max_frame_size: int, truncate: bool) -> None:
        self._listener = listener
        self._limit = min(max_frame_size, LONGEST_DATAGRAM) if listener.takes_datagrams else max_frame_size
        self._truncate = truncate
        self.resyncs = 0
        "Places of the stream where an octet count did not lead to the next frame."

    def lines(self, lines: Iterable[bytes]) -> Iterator[Cut]:
        """A frame a line, as if each came alone."""
        for line in lines:
            for frame in list_of(datagrams([line.removesuffix(b"\n")])):
                how = f"a line of {len(frame)} bytes, taken as one message"
                if len(frame) > self._limit:
                    yield self._oversize(Oversize(frame[: self._limit], len(frame)))
                else:
                    yield Cut(frame, how)

    def stream(self, chunks: Iterable[bytes]) -> Iterator[Cut]:
        """The frames of one connection that ends with the last chunk."""
        framer = StreamFramer(self._listener.framing, self._limit)
        for chunk in chunks:
            yield from self._of_stream(framer, framer.feed(chunk))
        frames, unfinished = framer.close()
        yield from self._of_stream(framer, frames)
        if unfinished:
            how = f"the stream ended {len(unfinished)} bytes into an octet-counted frame"
            yield Cut(unfinished, how, f"{how}: quarantined as damaged")
        self.resyncs = framer.resyncs

    def _of_stream(self, framer: StreamFramer, frames: Frames) -> Iterator[Cut]:
        for frame in list_of(frames) if frames else ():
            yield Cut(frame, f"{len(frame)} bytes of a stream, framing: {self._listener.framing}")
        for long in framer.oversize:
            yield self._oversize(long)
        framer.oversize.clear()

    def _oversize(self, long: Oversize) -> Cut:
        how = f"a frame of {long.length} bytes, longer than {self._limit} (max_frame_size)"
        if self._truncate:
            return Cut(long.kept, f"{how}, cut there")
        return Cut(long.kept, how, f"{how}: quarantined as oversize")
