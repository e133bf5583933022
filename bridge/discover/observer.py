"""Collects what is known of each sender while messages arrive, in bounded memory.

A sender has one host or, if it is a relay, several; each host has shapes (rules of the header parser). For each shape,
a random sample of its messages is kept. A forged address or host name takes no more memory than a real one, and the
number of both is limited.
"""

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isnan, nan
from random import Random
from sys import intern
from typing import NamedTuple

from bridge.syslog import parser
from bridge.syslog.grammar import Header
from bridge.syslog.intake_key import masked
from bridge.syslog.time_zones import zone_of
from bridge.syslog.timestamps import moment

MAX_SOURCES = 20_000
MAX_HOSTS = 2_000
"Hosts behind one relay."
MAX_SHAPES = 8
"Shapes of one host."
MAX_GROUPS = 50_000
"Shapes of all hosts together."
MAX_SAMPLE = 20
"Messages that are kept of a shape."
MAX_FRAME = 4096
"Bytes that are kept of a message."
MAX_SAMPLE_BYTES = 96 << 20
"Bytes of all kept messages. Beyond, messages are only counted."
MAX_TEXT_HOSTS = 64
"Host names in the text of one source that are kept."
MAX_OFFSETS = 40
"Clock offsets that are kept of a host."


class Received(NamedTuple):
    """A message as received."""

    frame: bytes
    source: str = ""
    "Address of the sender. Empty if it is not known."
    time: float | None = None
    "Seconds since the epoch. None if it is not known."
    transport: str = ""
    "Name of the listener or kind of the port. Empty if it is not known."


class SampleOrigin(NamedTuple):
    """The reception of a kept message; the fields are those of ``Received``."""

    time: float | None = None
    transport: str = ""


class ObservedPeriod:
    """Counts messages, and measures the period in which they arrived. Times are seconds since the epoch."""

    __slots__ = ("count", "first", "last", "longest_gap")

    def __init__(self) -> None:
        self.count = 0
        self.first: float | None = None
        self.last: float | None = None
        self.longest_gap = 0.0
        "Longest time between two messages, in seconds."

    def note(self, time: float | None) -> None:
        """Counts one message."""
        self.count += 1
        if time is None:
            return
        if self.first is None or self.last is None:
            self.first = self.last = time
        elif time > self.last:
            self.longest_gap = max(self.longest_gap, time - self.last)
            self.last = time

    @property
    def seconds(self) -> float:
        """Time from the first to the last message."""
        return 0.0 if self.first is None or self.last is None else self.last - self.first


class ObservedShape:
    """Counts the messages of one shape, and keeps a random sample of them."""

    __slots__ = ("_times", "_transports", "count", "samples")

    def __init__(self) -> None:
        self.count = 0
        self.samples: list[bytes] = []
        # An array takes a tenth of the memory of tuples. NaN stands for a time that is not known.
        self._times = array("d")
        self._transports: list[str] = []

    @property
    def origins(self) -> list[SampleOrigin]:
        """The reception of each sample."""
        return [
            SampleOrigin(None if isnan(time) else time, transport)
            for time, transport in zip(self._times, self._transports, strict=True)
        ]

    def keep(self, frame: bytes, origin: SampleOrigin, number: int | None = None) -> None:
        """Keeps a message, in the place of the sample with a number if it is given."""
        time = nan if origin.time is None else origin.time
        if number is None:
            self.samples.append(frame)
            self._times.append(time)
            self._transports.append(origin.transport)
        else:
            self.samples[number], self._times[number], self._transports[number] = frame, time, origin.transport


class ObservedHost(ObservedPeriod):
    """Holds what is known of one host of a source, named by the header. ``""`` stands for messages without a host."""

    __slots__ = ("offsets", "shapes", "untimed", "zoned")

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[str, ObservedShape] = {}
        self.offsets: list[float] = []
        "Time of a message without a zone, read as UTC, minus reception, in seconds."
        self.zoned: list[float] = []
        "The same of messages that name their zone."
        self.untimed = 0
        "Number of messages without a readable time."

    def note_clock(self, header: Header, time: float | None) -> None:
        """Compares the time in a message with that of its reception."""
        found = None
        if header.second:
            received = datetime.fromtimestamp(0.0 if time is None else time, UTC)
            found = moment(header.second, header.fraction, header.offset, zone=UTC, received=received)
        if found is None:
            self.untimed += 1
        elif time is not None:
            # A name of a zone that is not known is read as no zone.
            offsets = self.zoned if header.offset and zone_of(header.offset) else self.offsets
            offsets.append(found.timestamp() - time)
            if len(offsets) > MAX_OFFSETS:
                # The latest ones count: a clock may have been set.
                del offsets[0]

    @property
    def samples(self) -> list[bytes]:
        """The kept messages of all shapes."""
        return [frame for shape in self.shapes.values() for frame in shape.samples]


class ObservedSource(ObservedPeriod):
    """Holds what is known of one sender."""

    __slots__ = ("address", "hosts", "text_hosts", "transports", "unexamined")

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.hosts: dict[str, ObservedHost] = {}
        "By name in lower case, without its domain."
        self.text_hosts: dict[str, int] = {}
        "Names of devices that only the text of the messages gives, with their number of messages."
        self.transports: set[str] = set()
        self.unexamined = 0
        "Number of messages of further hosts and shapes, which are only counted."

    @property
    def samples(self) -> list[bytes]:
        """The kept messages of all hosts."""
        return [frame for host in self.hosts.values() for frame in host.samples]


class Observer(ObservedPeriod):
    """Collects the messages of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[str, ObservedSource] = {}
        self.beyond = 0
        "Number of messages of further sources, which are only counted."
        self._groups = 0
        self._bytes = 0
        # Chooses which messages are kept. The same messages give the same findings.
        self._random = Random(0)

    def add(self, received: Received) -> None:
        """Takes one message."""
        frame, address, time, transport = received
        frame = frame.rstrip(b"\r\n\0")
        self.note(time)
        source = self.sources.get(address)
        if source is None:
            if len(self.sources) >= MAX_SOURCES:
                self.beyond += 1
                return
            source = self.sources[address] = ObservedSource(address)
        source.note(time)
        if transport and transport not in source.transports:
            source.transports.add(intern(transport))
        header = parser.read(frame)
        named = is_header_host(header)
        name = short_name(header.hostname) if named else ""
        if header.hostname and not named:
            _count(source.text_hosts, short_name(header.hostname))
        host = source.hosts.get(name)
        if host is None:
            if len(source.hosts) >= MAX_HOSTS or self._groups >= MAX_GROUPS:
                source.unexamined += 1
                return
            host = source.hosts[name] = ObservedHost()
        host.note(time)
        shape = host.shapes.get(header.shape)
        if shape is None:
            if len(host.shapes) >= MAX_SHAPES or self._groups >= MAX_GROUPS:
                source.unexamined += 1
                return
            self._groups += 1
            shape = host.shapes[header.shape] = ObservedShape()
        shape.count += 1
        if self._keep(shape, frame, SampleOrigin(time, intern(transport))):
            host.note_clock(header, time)

    def _keep(self, shape: ObservedShape, frame: bytes, origin: SampleOrigin) -> bool:
        """Keeps a message, so that each message of a shape is kept with the same probability. Returns True if kept."""
        samples = shape.samples
        if len(samples) < MAX_SAMPLE:
            if self._bytes >= MAX_SAMPLE_BYTES:
                return False
            shape.keep(_kept(frame), origin)
            self._bytes += len(samples[-1])
            return True
        number = int(self._random.random() * shape.count)
        if number >= MAX_SAMPLE:
            return False
        self._bytes -= len(samples[number])
        shape.keep(_kept(frame), origin, number)
        self._bytes += len(samples[number])
        return True

    def ordered(self, *, release: bool = False) -> Iterator[ObservedSource]:
        """Yields the sources, those with the most messages first. ``release``: forgets their messages afterwards."""
        for source in sorted(self.sources.values(), key=lambda source: (-source.count, source.address)):
            yield source
            if release:
                source.hosts.clear()


def is_header_host(header: Header) -> bool:
    """Returns True if the host of a frame is written in its header, and not only in its text."""
    at = header.device.find(header.hostname) if header.hostname else -1
    return at >= 0 and at + len(header.hostname) <= len(header.device) - len(header.msg)


def short_name(hostname: bytes) -> str:
    """Returns a host name in lower case and without its domain; an address is kept."""
    name = hostname.decode("utf-8", "backslashreplace").lower()
    first = name.partition(".")[0]
    return name if first.isdigit() or ":" in name else first


def _count(counts: dict[str, int], name: str) -> None:
    if name in counts or len(counts) < MAX_TEXT_HOSTS:
        counts[name] = counts.get(name, 0) + 1


def _kept(frame: bytes) -> bytes:
    return masked(frame[:MAX_FRAME])
