"""Provides hypothesis strategies: messages as devices send them, built from parts and then damaged."""

import pytest
from hypothesis import strategies as st

PRI = st.sampled_from(
    [b"<13>"] * 6
    + [b"<0>", b"<165>", b"<191>", b"<192>", b"<02>", b"<>", b"<abc>", b"<13", b"", b"<14> ", b" <14>", b"79 <14>",
    b"<999>"]
)  # fmt: skip
BSD = st.sampled_from(
    [b"Nov 23 07:24:00"] * 4
    + [b"Nov  3 07:24:00", b"Nov 03 07:24:00", b"Nov 3 07:24:00", b"nov 23 07:24:00", b"NOV 23 07:24:00",
    b"Feb 29 23:59:59",
       b"Feb 30 07:24:00", b"Nov 31 07:24:00", b"Nov 23 24:00:00", b"Nov 23 07:24:60", b"Nov  0 07:24:00",
       b"Nov 00 07:24:00",
       b"Xyz 23 07:24:00", b"Nov 23  07:24:00", b"Nov 23 7:24:00"]
)  # fmt: skip
ISO = st.sampled_from(
    [b"2026-11-23T07:24:00"] * 4
    + [b"2024-02-29T00:00:00", b"2023-02-29T00:00:00", b"2026-11-23T07:24:60", b"2026-13-01T00:00:00",
    b"0000-01-01T00:00:00",
       b"0001-01-01T00:00:00", b"9999-12-31T23:59:59", b"2026-11-23 07:24:00", b"2026-11-23T24:00:00"]
)  # fmt: skip
FRACTION = st.sampled_from([b"", b"", b"", b".25", b".003", b".123456789", b",5", b".", b".1234567890"])
OFFSET = st.sampled_from(
    [b"Z", b"Z", b"+01:00", b"-05:30", b"", b"+23:59", b"+24:00", b"+99:00", b"-00:60", b"+0100", b"z"]
)
HOST = st.sampled_from(
    [b"gw", b"gw", b"db-01.example.org", b"192.0.2.7", b"2001:db8::1", b"CET", b"PA-220", b"2024", b"host:",
    b"app[1]:",
     b"app[1]", b"-", b"h\xc3\xb6st", b"_x", b"h\0", b"[x]", b"<13>"]
)  # fmt: skip
TAG = st.sampled_from(
    [b"sshd[123]: ", b"sshd[123]: ", b"unbound: ", b"app[]: ", b"app:", b"app[1] ", b"app[1]", b"kernel:  ",
    b"CEF:0|", b"CEF: ",
     b"LEEF:1|", b"%ASA-6-302013: ", b"a/b.c(d)[x:1]: ", b"", b"two words ", b"word", b"app[1 2]: ", b"a[b[c]: ",
     b"1,2: ",
     b"app[1]x: ", b"app: \t"]
)  # fmt: skip
SD = st.sampled_from(
    [b"-", b"-", b'[x@1 y="z"]', b"[x]", b'[a b="1"][c d="2" e=""]', rb'[a b="\"\\\]\n"]', b'[a b="]"]', b'[a b="x',
    b"[a b=x]",
     b"[a b]", b"[]", b"[a b=\"1\"]x", b"--", b"[ a]", b'[a  b="c"]', b"[a b=\"\xff\0\"]", b"[a b=\"c\\", b"text"]
)  # fmt: skip
MSG = st.sampled_from(
    [b"text", b"[764008:0] info: x", b"", b" ", b"\t ", b"  two", b"\xef\xbb\xbfbom", b"\xef\xbb\xbf",
    b"\xef\xbb\xbf  ", b"a\0b",
     b"\xff\xfe", b"a\rb", b"\x0bx", b"- -", b"CEF:0|a|b", b"k=v <13> 5 <1>"]
)  # fmt: skip
WORD = HOST | st.sampled_from([b"-", b"-", b"ID47", b"su", b"8710"])
SP = st.sampled_from([b" "] * 12 + [b"", b"  ", b"\t"])


def joined(*parts):
    return st.tuples(*(part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts)).map(b"".join)


RFC3164 = joined(PRI, BSD | BSD | ISO, FRACTION, OFFSET | st.just(b"") | st.just(b""), SP, HOST, SP, TAG, MSG)
TIME_5424 = joined(ISO, FRACTION, OFFSET) | st.just(b"-")
RFC5424 = joined(PRI, b"1", SP, TIME_5424, SP, WORD, SP, WORD, SP, WORD, SP, WORD, SP, SD, SP, MSG)
PLAIN_3164 = joined(b"<30>", b"Nov 23 07:24:0", st.sampled_from([b"0", b"1", b"2"]), b" gw ", TAG, MSG)
PLAIN_5424 = joined(b"<30>1 2026-11-23T07:24:00Z gw ", WORD, b" ", WORD, b" ", WORD, b" ", SD, b" ", MSG)
GARBAGE = st.binary(max_size=20) | st.lists(PRI | BSD | ISO | HOST | TAG | SD | MSG, max_size=6).map(b"".join)


@st.composite
def damaged(draw, frames):
    """Draws a frame with some bytes changed, removed, inserted or duplicated."""
    frame = bytearray(draw(frames))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(frame)))
        byte = draw(st.sampled_from(b'<>[]"\\=: -10TZ\t\0\rA') | st.integers(0, 255))
        match draw(st.sampled_from(["change", "take", "put", "double"])):
            case "change":
                frame[at : at + 1] = bytes([byte])
            case "take":
                del frame[at : at + 1]
            case "put":
                frame.insert(at, byte)
            case "double":
                frame[at:at] = frame[at : at + 4]
    return bytes(frame)


FRAME = RFC3164 | RFC5424 | damaged(RFC3164) | damaged(RFC5424) | GARBAGE


class Strategies:
    """Groups the strategies that the tests of this directory use."""

    frame = FRAME
    reads = (
        st.lists(PLAIN_3164, min_size=1, max_size=6)
        | st.lists(PLAIN_5424, min_size=1, max_size=6)
        | st.lists(FRAME, max_size=6)
        | st.lists(damaged(PLAIN_3164) | damaged(PLAIN_5424), max_size=6)
        | st.lists(PLAIN_3164 | PLAIN_5424 | FRAME, max_size=8)
    )


@pytest.fixture(scope="session")
def messages():
    return Strategies
