"""Builds the messages of the loads: as real senders write them, no two alike, all of one second.

A `Block` is many messages, each with an LF, built before the first byte is sent. When it is sent repeatedly, its
timestamps are updated to the current second.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bridge.syslog import parse
from bridge.syslog.shapes import SHAPES
from tests.unit.syslog.samples import LOAD_SAMPLES

Lines = Callable[[int], list[bytes]]
"""Returns a number of messages with the time `WRITTEN`, without LF."""

# The time in all generated messages, and in the examples of bridge.syslog.shapes.
WRITTEN = datetime(2026, 11, 23, 7, 24, tzinfo=UTC)
_ALL = [*(sample.frame for sample in LOAD_SAMPLES), *(shape.example for shape in SHAPES.values())]


# The zones of the times in the examples, in hours east.
_ZONES = (0, 1, -5, -7)


def unbound(count: int) -> list[bytes]:
    """Builds RFC 3164 messages of a DNS resolver, about 215 bytes each."""
    chance = random.Random(3164)
    return [
        (
            f"<30>Nov 23 07:24:00 resolver-{chance.randrange(40):02} unbound[{chance.randrange(1000, 9999)}]: "
            f"{_query(chance)}"
        ).encode()
        for _ in range(count)
    ]


def structured(count: int) -> list[bytes]:
    """Builds RFC 5424 messages with structured data, about 230 bytes each."""
    chance = random.Random(5424)
    return [
        (
            f"<30>1 2026-11-23T07:24:00.{chance.randrange(1000):03}Z resolver-{chance.randrange(40):02} unbound "
            f"{chance.randrange(1000, 9999)} ID{chance.randrange(100)} "
            f'[origin@32473 ip="192.0.2.{chance.randrange(256)}" seq="{chance.randrange(10**6)}"] '
            f"{_query(chance, octets=22)}"
        ).encode()
        for _ in range(count)
    ]


def vendors(count: int) -> list[bytes]:
    """Builds messages of every product in the samples and of every known shape, in random order; each ends with a
    number."""
    chance = random.Random(32473)
    return [chance.choice(EXAMPLES) + b" #%06d" % chance.randrange(10**6) for _ in range(count)]


def devices() -> list[Lines]:
    """Returns one builder per device, whose messages have one shape. Omits the shape that begins like an octet count,
    since at the start of a connection it would be read as one."""

    def of(example: bytes) -> Lines:
        def lines(count: int) -> list[bytes]:
            chance = random.Random(example)
            return [example + b" #%06d" % chance.randrange(10**6) for _ in range(count)]

        return lines

    return [of(example) for example in EXAMPLES if not example[:1].isdigit() or b" <" not in example[:5]]


def scattered(count: int) -> list[bytes]:
    """As `unbound`, but each message has a random second of the last thousand."""
    chance, now = random.Random(1000), datetime.now(UTC)
    return [
        line.replace(b"Nov 23 07:24:00", f"{now - timedelta(seconds=chance.randrange(1000)):%b %d %H:%M:%S}".encode())
        for line in unbound(count)
    ]


def spread(count: int, seconds: int) -> list[bytes]:
    """As `unbound`, but each message has a random second of the last `seconds`."""
    chance, now = random.Random(seconds), datetime.now(UTC)
    bodies = [line.split(b"Nov 23 07:24:00") for line in unbound(min(count, 5000))]
    return [
        f"{now - timedelta(seconds=chance.randrange(seconds)):%b %d %H:%M:%S}".encode().join(bodies[i % len(bodies)])
        for i in range(count)
    ]


def timed(count: int) -> list[bytes]:
    """As `unbound`, with ` at=SECONDS`: the monotonic time at which each was sent."""
    return [line + AT % 0.0 for line in unbound(count)]


AT = b" at=%017.6f"


def _query(chance: random.Random, *, octets: int = 40) -> str:
    return (
        f"[{chance.randrange(10**6):06}:0] info: 198.51.100.{chance.randrange(256)} "
        f"{chance.randbytes(octets).hex()}.{chance.randbytes(10).hex()}.example.org. A IN NOERROR "
        f"0.{chance.randrange(10**6):06} 0 {chance.randrange(40, 200)}"
    )


class Block:
    """Holds `count` messages whose time is the current second plus `offset_seconds`."""

    def __init__(self, lines: Lines, count: int, *, offset_seconds: int = 0) -> None:
        self._offset = timedelta(seconds=offset_seconds)
        self._moment = WRITTEN
        self._data = b"\n".join((*lines(count), b""))

    def now(self) -> bytes:
        """Returns the block with current timestamps."""
        moment = datetime.now(UTC).replace(microsecond=0) + self._offset
        if moment != self._moment:
            self._data, self._moment = _move(self._data, self._moment, moment), moment
        return self._data


def first_lines(block: bytes, count: int) -> bytes:
    """Returns the first messages of a block."""
    return b"".join(block.splitlines(keepends=True)[:count])


def _notations(moment: datetime) -> list[bytes]:
    """Returns date, time and epoch of a moment in every notation that a message uses."""
    dates = [f"{moment:{form}}" for form in ("%b %d", "%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y")]
    clocks = [f"{moment + timedelta(hours=zone):%H:%M:%S}" for zone in _ZONES]
    return [text.encode() for text in (*dates, *clocks, str(int(moment.timestamp())))]


def _move(data: bytes, written: datetime, moment: datetime) -> bytes:
    """Replaces the time ``written`` by ``moment``."""
    for old, new in zip(_notations(written), _notations(moment), strict=True):
        if old != new:
            data = data.replace(old, new)
    return data


def _follows_clock(frame: bytes) -> bool:
    """Returns True if an example can be sent with the current time.

    Events of another second are in batches of their own, which wait for their full age, a setting. ``15:35:46 AM`` is
    no time, so a clock of twelve hours would be read in another way in the afternoon.
    """
    moment = datetime(2026, 12, 14, 15, 35, 46, tzinfo=UTC)
    time = parse(_move(frame, WRITTEN, moment), received=moment).timestamp
    if time is None:
        return parse(frame, received=WRITTEN).timestamp is None
    return abs(time - moment) < timedelta(seconds=5)


EXAMPLES = [frame for frame in _ALL if _follows_clock(frame)]
