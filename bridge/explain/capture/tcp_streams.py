"""Puts the TCP segments of a capture together, and cuts the streams into frames as a listener does.

A capture often begins within a connection, and may have lost packets: a stream is then read from the next beginning of
a message on. Only the direction to the syslog server is read.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from bridge.explain.capture.captured import CapturedFrame
from bridge.routing.conditions import Address
from bridge.syslog.frames import Frames, list_of
from bridge.syslog.framing import IDLE_REPORTS, StreamFramer

SYN, FIN_OR_RST, ACK = 0x02, 0x01 | 0x04, 0x10
MAX_FLOWS = 5_000
MAX_PENDING = 64
"Segments of a stream that wait for one before them, which then counts as lost."
MAX_FRAME = 256 * 1024
IDLE_SECONDS = 10.0
"Time after which a message that ends with a NUL is complete, as for a listener."
_HALF, _ALL = 1 << 31, 1 << 32
_TLS = re.compile(rb"\x16\x03[\0-\4]")
_START = re.compile(rb"(?:[1-9]\d{0,5} )?<\d{1,3}>")
_NEXT_LINE = re.compile(rb"\n(?=(?:[1-9]\d{0,5} )?<\d{1,3}>)")
_NEXT_COUNT = re.compile(rb"(?<!\d)(?=[1-9]\d{0,5} <\d{1,3}>)")
OF_TLS = "TCP segments of TLS, which cannot be read"
OF_OTHERS = "TCP segments to other ports that do not begin with a PRI"
WITHOUT_BEGINNING = "TCP segments before the first beginning of a message"
LOST = "gaps in TCP connections, because the capture does not have all packets"
OVERSIZE = "messages over TCP that are too long"


class Segment(NamedTuple):
    """A TCP segment of a capture. ``time``: in seconds since the epoch."""

    time: float
    source: Address
    source_port: int
    target: Address
    port: int
    number: int
    "Sequence number of its first byte."
    flags: int
    data: bytes


class _Flow:
    """Reads one direction of a connection. ``known``: its port is one of syslog, so its text needs no PRI."""

    __slots__ = ("_framer", "_ignored", "_known", "_next", "_pending", "_time", "_whole")

    def __init__(self, number: int, *, known: bool, whole: bool) -> None:
        self._next = number
        "Sequence number of the next byte."
        self._known = known
        self._whole = whole
        "True if a message begins there."
        self._framer: StreamFramer | None = None
        self._ignored = ""
        "Why the stream is not read."
        self._pending: dict[int, bytes] = {}
        self._time = 0.0

    def take(self, segment: Segment) -> Iterator[CapturedFrame | str]:
        """Yields the frames that a segment completes, or why it has none."""
        ahead = (segment.number - self._next + _HALF) % _ALL - _HALF
        if ahead > 0:
            self._pending[segment.number] = segment.data
            if len(self._pending) <= MAX_PENDING:
                return
            yield LOST
            self._next = min(self._pending, key=lambda number: (number - self._next) % _ALL)
            self._framer, self._whole = None, False
        else:
            # A segment that is sent again may have more data than before.
            yield from self._read(segment.data[-ahead:], segment)
        while (data := self._pending.pop(self._next, None)) is not None:
            yield from self._read(data, segment)

    def close(self, segment: Segment) -> Iterator[CapturedFrame | str]:
        """Yields the frames that the end of the connection completes."""
        if self._framer is not None:
            yield from _frames(self._framer, self._framer.close()[0], segment)

    def end(self, source: Address, port: int) -> Iterator[CapturedFrame | str]:
        """Yields the frames that end with the capture. An incomplete line is left out."""
        if self._framer is not None:
            yield from _idle(self._framer, Segment(self._time, source, 0, source, port, 0, 0, b""))

    def _read(self, data: bytes, segment: Segment) -> Iterator[CapturedFrame | str]:
        """Reads the next bytes of a stream."""
        self._next = (self._next + len(data)) % _ALL
        if not data:
            return
        if self._framer is None and not self._ignored:
            data = self._begin(data)
        if self._ignored or self._framer is None:
            yield self._ignored or WITHOUT_BEGINNING
            return
        if segment.time - self._time > IDLE_SECONDS:
            yield from _idle(self._framer, segment)
        self._time = segment.time
        yield from _frames(self._framer, self._framer.feed(data), segment)

    def _begin(self, data: bytes) -> bytes:
        """Decides whether and from where a stream is read; returns the data from there on."""
        at = 0
        if _TLS.match(data):
            self._ignored = OF_TLS
        elif not _START.match(data) and not (self._known and self._whole):
            found = (_NEXT_LINE.search(data) or _NEXT_COUNT.search(data)) if self._known else None
            if found is None:
                self._ignored = "" if self._known else OF_OTHERS
                return data
            at = found.end()
        self._framer = StreamFramer("auto", MAX_FRAME)
        return data[at:]


class TcpStreams:
    """Collects segments. ``ports``: those of syslog; other streams are read if they begin with a PRI."""

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._flows: dict[tuple[Address, int, Address, int], _Flow] = {}

    def take(self, segment: Segment) -> Iterator[CapturedFrame | str]:
        """Yields the frames that a segment completes, or why it has none. A segment without data has nothing."""
        key = (segment.source, segment.source_port, segment.target, segment.port)
        known = segment.port in self._ports
        if segment.flags & SYN:
            if not segment.flags & ACK:
                self._add(key, _Flow((segment.number + 1) % _ALL, known=known, whole=True))
            return
        flow = self._flows.get(key)
        if segment.data:
            flow = flow or self._add(key, _Flow(segment.number, known=known, whole=False))
            yield from flow.take(segment)
        if segment.flags & FIN_OR_RST and flow is not None:
            del self._flows[key]
            yield from flow.close(segment)

    def end(self) -> Iterator[CapturedFrame | str]:
        """Yields the frames that end with the capture. An incomplete line is left out."""
        for (source, _, _, port), flow in self._flows.items():
            yield from flow.end(source, port)

    def _add(self, key: tuple[Address, int, Address, int], flow: _Flow) -> _Flow:
        if len(self._flows) >= MAX_FLOWS:
            del self._flows[next(iter(self._flows))]
        self._flows[key] = flow
        return flow


def _idle(framer: StreamFramer, segment: Segment) -> Iterator[CapturedFrame | str]:
    for _ in range(IDLE_REPORTS):
        yield from _frames(framer, framer.idle(), segment)


def _frames(framer: StreamFramer, frames: Frames, segment: Segment) -> Iterator[CapturedFrame | str]:
    received = datetime.fromtimestamp(segment.time, UTC)
    for frame in list_of(frames) if frames else ():
        yield CapturedFrame(frame, segment.source, received, segment.port, "tcp")
    for _ in framer.oversize:
        yield OVERSIZE
    framer.oversize.clear()
