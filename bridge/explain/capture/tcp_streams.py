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
    """Holds the state of one direction of a connection."""

    __slots__ = ("framer", "ignored", "next", "pending", "time", "whole")

    def __init__(self, number: int, *, whole: bool) -> None:
        self.next = number
        "Sequence number of the next byte."
        self.whole = whole
        "True if a message begins there."
        self.framer: StreamFramer | None = None
        self.ignored = ""
        "Why the stream is not read."
        self.pending: dict[int, bytes] = {}
        self.time = 0.0


class TcpStreams:
    """Collects segments. ``ports``: those of syslog; other streams are read if they begin with a PRI."""

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._flows: dict[tuple[Address, int, Address, int], _Flow] = {}

    def take(self, segment: Segment) -> Iterator[CapturedFrame | str]:
        """Yields the frames that a segment completes, or why it has none. A segment without data has nothing."""
        key = (segment.source, segment.source_port, segment.target, segment.port)
        if segment.flags & SYN:
            if not segment.flags & ACK:
                self._add(key, _Flow((segment.number + 1) % _ALL, whole=True))
            return
        flow = self._flows.get(key)
        if segment.data:
            flow = flow or self._add(key, _Flow(segment.number, whole=False))
            yield from self._ordered(flow, segment)
        if segment.flags & FIN_OR_RST and flow is not None:
            del self._flows[key]
            if flow.framer is not None:
                yield from _frames(flow.framer, flow.framer.close()[0], segment)

    def end(self) -> Iterator[CapturedFrame | str]:
        """Yields the frames that end with the capture. A line that is not complete is none."""
        for (source, source_port, target, port), flow in self._flows.items():
            if flow.framer is not None:
                last = Segment(flow.time, source, source_port, target, port, 0, 0, b"")
                yield from _idle(flow.framer, last)

    def _add(self, key: tuple[Address, int, Address, int], flow: _Flow) -> _Flow:
        if len(self._flows) >= MAX_FLOWS:
            del self._flows[next(iter(self._flows))]
        self._flows[key] = flow
        return flow

    def _ordered(self, flow: _Flow, segment: Segment) -> Iterator[CapturedFrame | str]:
        ahead = (segment.number - flow.next + _HALF) % _ALL - _HALF
        if ahead > 0:
            flow.pending[segment.number] = segment.data
            if len(flow.pending) <= MAX_PENDING:
                return
            yield LOST
            flow.next = min(flow.pending, key=lambda number: (number - flow.next) % _ALL)
            flow.framer, flow.whole = None, False
        else:
            # A segment that is sent again may have more data than before.
            yield from self._read(flow, segment.data[-ahead:], segment)
        while (data := flow.pending.pop(flow.next, None)) is not None:
            yield from self._read(flow, data, segment)

    def _read(self, flow: _Flow, data: bytes, segment: Segment) -> Iterator[CapturedFrame | str]:
        """Reads the next bytes of a stream."""
        flow.next = (flow.next + len(data)) % _ALL
        if not data:
            return
        if flow.framer is None and not flow.ignored:
            data = self._begin(flow, data, segment.port)
        if flow.ignored or flow.framer is None:
            yield flow.ignored or WITHOUT_BEGINNING
            return
        if segment.time - flow.time > IDLE_SECONDS:
            yield from _idle(flow.framer, segment)
        flow.time = segment.time
        yield from _frames(flow.framer, flow.framer.feed(data), segment)

    def _begin(self, flow: _Flow, data: bytes, port: int) -> bytes:
        """Decides whether and from where a stream is read; returns the data from there on."""
        known = port in self._ports
        at = 0
        if _TLS.match(data):
            flow.ignored = OF_TLS
        elif not _START.match(data) and not (known and flow.whole):
            found = (_NEXT_LINE.search(data) or _NEXT_COUNT.search(data)) if known else None
            if found is None:
                flow.ignored = "" if known else OF_OTHERS
                return data
            at = found.end()
        flow.framer = StreamFramer("auto", MAX_FRAME)
        return data[at:]


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
