"""Damages sample messages as transmission and buffers do. The same seed always gives the same messages."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bridge.syslog import parse
from bridge.syslog.shapes import SHAPES
from bridge.syslog.time_formats import FORMATS
from tests.unit.syslog.accounting import account
from tests.unit.syslog.samples import SAMPLES

SEEDS = [sample.frame for sample in SAMPLES] + [shape.example for shape in SHAPES.values()]
TOKENS = [
    *(row.example for row in FORMATS),
    b"<13>",
    b"<191>",
    b"<192>",
    b"<",
    b">",
    b"1 ",
    b"79 ",
    b": ",
    b" : ",
    b"[",
    b"]",
    b"[1]: ",
    b'[a b="c"]',
    b'="',
    b'"',
    b"\\",
    b"%ASA-6-302013: ",
    b"%",
    b"*",
    b".",
    b"-",
    b"CEF:0|",
    b"date=",
    b"time=",
    b"devname=",
    b"CET",
    b" UTC",
    b"Z",
    b"+01:00",
    b"AM",
    b"2026",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b"\t",
    b"\r",
    b"  ",
    b"/",
    b"\n",
    b"last message repeated 2 times",
    b"Message forwarded from x: ",
    b"Original Address=192.0.2.1 ",
    b"4711: ",
    b"a" * 70,
    b"[" * 40,
]
NOW = datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Paris")


def mutated(seed: int, count: int, seeds: Sequence[bytes] = SEEDS) -> Iterator[bytes]:
    """Yields ``count`` damaged frames, always the same for one seed."""
    rng = random.Random(seed)
    below, pick, byte = rng.randrange, rng.choice, rng.getrandbits
    for _ in range(count):
        frame = bytearray(pick(seeds))
        for _ in range(1 + below(3)):
            # Mostly within the header.
            at = below(min(len(frame), 70) + 1) if below(5) else below(len(frame) + 1)
            match below(8):
                case 0:
                    frame[at : at + 1] = bytes((byte(8),))
                case 1:
                    del frame[at : at + 1 + below(4)]
                case 2:
                    frame[at:at] = pick(TOKENS)
                case 3:
                    frame[at : at + below(12)] = pick(TOKENS)
                case 4:
                    frame[at:at] = frame[at : at + below(20)]
                case 5:
                    del frame[at:]
                case 6:
                    # The beginning of one frame and the end of another.
                    frame[at:] = pick(SEEDS)[at:]
                case _:
                    frame[:at] = b""
        yield bytes(frame)


def check(frame: bytes) -> None:
    """Asserts that parsing a frame raises nothing, loses nothing and changes nothing."""
    message = parse(frame, received=NOW, timezone=ZONE)
    kept = frame.rstrip(b"\r\n\0")
    assert account(kept).msg == message.msg
    assert message.timestamp is None or message.timestamp.tzinfo is not None


def run(job: tuple[int, int]) -> int:
    """Checks the frames of a (seed, count) and returns the count. A failure names its frame."""
    seed, count = job
    for frame in mutated(seed, count):
        try:
            check(frame)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {frame!r}: {error!r}") from None
    return count
