"""Tests that parsing time is linear in the frame length for any content (parsing decision 14).

One run compares the time per byte at 31 KiB and at 250 KiB. It uses the minimum of several measurements of process
time, because other processes may use the CPU. Quadratic work would have a ratio of 8 and take minutes.
"""

import time

import pytest

from bridge.syslog.columns import FIELDS
from bridge.syslog.fast.mixed_formats import read_mixed
from bridge.syslog.frames import block_of
from bridge.syslog.message import structured_data_of
from bridge.syslog.parser import read
from bridge.syslog.reader import read_columns
from bridge.syslog.shapes import SHAPES
from tests.harness.cost import stays_under

BIG = 250 * 1024
SMALL = BIG // 8
MAX_RATIO = 4.0
"Limit of the ratio of the times per byte."
FLOOR = 5e-3
"Seconds. Shorter times are copying and noise, not quadratic work over 250 KiB."

_HEADS = {
    "": b"",
    "pri": b"<13>",
    "3164": b"<13>Nov 23 07:24:00 gw ",
    "5424": b"<13>1 2026-11-23T07:24:00Z gw app 7 ID ",
    "counted": b"<13>7: ",
    "time": b"<13>Nov 23 07:24:00 ",
    "version": b"<13>1 2026-11-23 07:24:00 ",
    "tag": b"<13>Nov 23 07:24:00 gw app[",
    "key": b"<13>date=",
    "mnemonic": b"<13>%",
    "json": b"<13>{",
    "kiwi": b"<190>Original Address=192.0.2.1 ",
    "origin": b"<190>7: sw",
    "host": b"<13>Nov 23 07:24:00 gw gw ",
    "colon": b"<13>Nov 23 07:24:00: ",
    "node": b"<190>7: RP/0/RP0/CPU0:",
    "bom": b"\xef\xbb\xbf<13>Nov 23 07:24:00 ",
}
_UNITS = {
    "example": b"[example]",
    "[": b"[",
    "blanks": b" ",
    "<": b"<",
    "digits": b"7",
    "a:": b"a:",
    "a: ": b"a: ",
    "7: ": b"7: ",
    ":": b":",
    ": ": b": ",
    "%": b"%",
    "%A-": b"%A-",
    "A-": b"A-",
    "-1-": b"-1-",
    "letters": b"a",
    "words": b"Ab ",
    "host": b"a.",
    "\\": b"\\",
    '"': b'"',
    'a="b" ': b'a="b" ',
    "a=b ": b"a=b ",
    '[a b="c"]': b'[a b="c"]',
    ' b="c"': b' b="c"',
    "time": b"Nov 23 07:24:00 ",
    "iso": b"2026-11-23T07:24:00Z ",
    ",": b",",
    "{": b"{",
    '{"a":': b'{"hostname" : ',
    "tab": b"\t",
    "/": b"A/",
    "*": b"*a: ",
    "1d": b"1d",
    "kiwi": b"Original Address=192.0.2.1 ",
    "count": b"1 ",
    "slot": b"slot1/",
    "CEF:": b"CEF:",
    "NUL": b"\0",
    "\xff": b"\xff",
    "-PPE-": b"0-PPE-",
    "date=": b"date=2026-11-23 ",
    "notice ": b"notice ",
    "INFO ": b"INFO ",
    "hex": b"ab:",
    "::": b"::",
    "v6": b"2001:db8::1 ",
    "(time)": b"(2026-11-23T07:24:00) ",
    "a[1]": b"a[1]",
    "[1]: ": b"[1]: ",
    "gw": b"gw ",
    "@": b"a@",
    "-": b"ab-",
    "ab.": b"0200.",
    "millis": b"2026-11-23 07:24:00,116 ",
    "<a.b> ": b"<local0.info> ",
    "mac,": b"02005e000001,",
    '{"timestamp":': b'{"timestamp":"x",',
    "offset": b"PST -8:00 ",
    "forwarded": b"Message forwarded from a: ",
}
HOSTILE = {f"{head} {unit}": (start, piece) for head, start in _HEADS.items() for unit, piece in _UNITS.items()}


def of_size(start: bytes, piece: bytes, size: int) -> bytes:
    return start + piece * (size // len(piece))


def cost(frame: bytes, reading=read, *, tries: int = 3) -> float:
    """Returns the minimum of several measurements, in seconds of process time."""
    times = []
    for _ in range(tries):
        begin = time.process_time()
        reading(frame)
        times.append(time.process_time() - begin)
    return min(times)


def read_mixed_frame(frame: bytes) -> None:
    read_mixed(b"\n" + frame)


@pytest.mark.parametrize("reading", [read, read_mixed_frame])
def test_hostile_text_takes_linear_time(reading):
    slow = {}
    for name, (start, piece) in HOSTILE.items():
        # Most texts finish below the floor at the first try and need no ratio.
        if (seconds := cost(of_size(start, piece, BIG), reading, tries=1)) > FLOOR:
            # Repeat only slow measurements: another process may have disturbed them.
            for _ in range(5):
                seconds = cost(of_size(start, piece, BIG), reading)
                ratio = seconds / max(8 * cost(of_size(start, piece, SMALL), reading), 1e-7)
                if ratio < MAX_RATIO:
                    break
            else:
                slow[name] = ratio
        assert seconds < 1, f"{name}: {seconds:.1f} s for 250 KiB"
    assert not slow


def _columns(block: bytes) -> None:
    read_columns(block, frozenset(FIELDS))


@pytest.mark.parametrize("reading", [_columns, read_mixed])
@pytest.mark.parametrize("unit", _UNITS)
def test_hostile_read_of_many_lines_takes_linear_time(unit, reading):
    """Applies the fast readers to frames that end at any point of a header."""
    piece = _UNITS[unit]

    def seconds(size):
        lines = [of_size(_HEADS[head], piece, size // len(_HEADS)) for head in _HEADS]
        block = block_of(lines)
        assert isinstance(block, bytes)
        begin = time.process_time()
        reading(block)
        return time.process_time() - begin

    for _ in range(5):
        big, small = seconds(BIG), seconds(SMALL)
        if big < 2e-2 or big / (8 * small) < MAX_RATIO:
            break
    else:
        pytest.fail(f"{big:.3f} s for 250 KiB, {small:.3f} s for an eighth")


def test_thirty_structured_data_elements_are_read_in_bounded_time():
    def work():
        for head in _HEADS.values():
            read(head + b"[example]" * 30 + b"[")
            structured_data_of(b"[example]" * 30)

    assert stays_under(0.5, work)


@pytest.mark.parametrize("name", SHAPES)
def test_long_text_after_a_shape_takes_linear_time(name):
    frame = SHAPES[name].example

    def per_byte(size):
        return cost(frame + b'x[ :="' * (size // 6)) / size

    for _ in range(5):
        if cost(frame + b'x[ :="' * (BIG // 6)) < FLOOR or per_byte(BIG) / per_byte(SMALL) < MAX_RATIO:
            return
    pytest.fail("time per byte grows")
