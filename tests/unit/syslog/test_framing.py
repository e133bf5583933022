"""Tests framing: a stream in one read, byte by byte, in random reads, and with an incomplete frame after it."""

import base64
import json
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.syslog.frames import list_of
from bridge.syslog.framing import IDLE_REPORTS, Oversize, StreamFramer, datagrams
from tests.harness.examples import examples

CORPUS = Path(__file__).parents[4] / "shared" / "corpora" / "framing.jsonl"
LIMIT = 1000
BLANK = b" \t\r\n\0"


class FramerOutput:
    """Everything that one framer has returned."""

    def __init__(self, mode, limit=LIMIT):
        self.framer = StreamFramer(mode, limit)
        self.limit = limit
        self.frames = []
        self.oversize = []
        self.unfinished = b""

    def feed(self, chunk):
        self._take(self.framer.feed(chunk))
        assert self.framer._cutter.size <= 4 * self.limit + 300

    def idle(self, reports=IDLE_REPORTS):
        for _ in range(reports):
            self._take(self.framer.idle())

    def close(self):
        frames, self.unfinished = self.framer.close()
        self._take(frames)

    def _take(self, frames):
        # Blank frames are ignored: a reader makes no row of them.
        self.frames += [frame for frame in list_of(frames) if frame.strip(BLANK)] if frames else []
        self.oversize += self.framer.oversize
        self.framer.oversize.clear()

    @property
    def result(self):
        return self.frames, self.oversize, self.unfinished, self.framer.resyncs


def read(mode, chunks, limit=LIMIT):
    output = FramerOutput(mode, limit)
    for chunk in chunks:
        output.feed(chunk)
    output.close()
    return output.result


def cut(stream, seed):
    at = 0
    rng = random.Random(seed)
    while at < len(stream):
        size = rng.choice((1, 2, 3, 7, 30, 400))
        yield stream[at : at + size]
        at += size


def singles(stream):
    return [stream[i : i + 1] for i in range(len(stream))]


def check(mode, stream, frames, *, tail=b"", oversize=(), unfinished=b"", resyncs=0, limit=LIMIT):
    """Asserts that the stream yields these frames, however it is split, also with an incomplete ``tail`` after it."""
    expected = (list(frames), list(oversize), unfinished, resyncs)
    for chunks in ([stream], singles(stream), *(list(cut(stream, seed)) for seed in range(5))):
        assert read(mode, chunks, limit) == expected
    if tail:
        for chunks in ([stream + tail], singles(stream + tail), *(list(cut(stream + tail, seed)) for seed in range(5))):
            output = FramerOutput(mode, limit)
            for chunk in chunks:
                output.feed(chunk)
            # A counted frame is complete when nothing follows it, or the next frame.
            output.idle(1)
            assert (output.frames, output.oversize, output.framer.resyncs) == (list(frames), list(oversize), resyncs)
            assert output.framer._cutter.size > 0


LF_CASES = {
    "one": (b"<13>a b\n", [b"<13>a b"]),
    "many": (b"<13>a\n<14>b\n<15>c\n", [b"<13>a", b"<14>b", b"<15>c"]),
    "crlf": (b"<13>a\r\n<14>b\r\n", [b"<13>a", b"<14>b"]),
    "nul before lf": (b"<13>a\0\n<14>b\0\n", [b"<13>a", b"<14>b"]),
    "crlf and nul": (b"<13>a\r\0\n<14>b\0\r\n", [b"<13>a", b"<14>b"]),
    "empty lines": (b"\n\n<13>a\n\r\n\n<14>b\n", [b"<13>a", b"<14>b"]),
    "cr inside": (b"<13>a\rb\n", [b"<13>a\rb"]),
    "nul inside": (b"<13>a\0b\n<14>c\n", [b"<13>a\0b", b"<14>c"]),
    "nul alone ends frames": (b"<13>a\0<14>b\0<15>c\n", [b"<13>a", b"<14>b", b"<15>c"]),
    "after a nul has ended a frame, every nul does": (b"<13>a\0<14>b\0text\0\n", [b"<13>a", b"<14>b", b"text"]),
    "nul before lf, before the first nul that ends a frame": (b"x\0y\n<13>a\0<14>b\n", [b"x\0y", b"<13>a", b"<14>b"]),
    "no pri": (b"plain text\n", [b"plain text"]),
    "year is no count": (b"2024 Aug 27 21:40:50 host app: x\n<13>b\n", [b"2024 Aug 27 21:40:50 host app: x", b"<13>b"]),
    "blanks stay": (b"  <13>a  \n", [b"  <13>a  "]),
    "bytes": (b"<13>\xff\xfe\x01\n", [b"<13>\xff\xfe\x01"]),
}


@pytest.mark.parametrize("mode", ["lf", "auto"])
@pytest.mark.parametrize("name", LF_CASES)
def test_lines_are_cut_into_frames(mode, name):
    stream, frames = LF_CASES[name]
    check(mode, stream, frames, tail=b"<13>to come")


@pytest.mark.parametrize("mode", ["lf", "auto"])
def test_line_without_lf_is_a_frame_when_the_connection_ends(mode):
    check(mode, b"<13>a\n<14>last", [b"<13>a", b"<14>last"])
    check(mode, b"<14>last\r", [b"<14>last"])


def test_lf_mode_ignores_counts():
    check("lf", b"5 <13>a\n", [b"5 <13>a"])


def test_nul_at_the_end_of_a_read_ends_a_frame_only_when_idle():
    output = FramerOutput("lf")
    output.feed(b"<13>a\0")
    output.idle(IDLE_REPORTS - 1)
    assert output.frames == []
    output.idle(1)
    assert output.frames == [b"<13>a"]
    output.feed(b"text without pri\0")
    assert output.frames == [b"<13>a", b"text without pri"]


def test_idle_keeps_an_incomplete_line():
    output = FramerOutput("lf")
    output.feed(b"<13>a\0b")
    output.idle()
    assert output.frames == []
    output.feed(b"c\n")
    assert output.frames == [b"<13>a\0bc"]


@pytest.mark.parametrize("before", [b"<13>a\n", b"text "])
def test_nul_without_nul_framing_ends_no_frame(before):
    """A message may contain a NUL, and a read may end there."""
    output = FramerOutput("lf")
    output.feed(before + b"<14>error=\0")
    output.idle()
    output.feed(b"code=691\n")
    assert b"\n".join(output.frames) == before + b"<14>error=\0code=691"


def test_silence_is_counted_from_the_last_byte():
    output = FramerOutput("lf")
    for piece in (b"<13>a\0", b"b\0"):
        output.feed(piece)
        output.idle(IDLE_REPORTS - 1)
    assert output.frames == []


COUNTED_CASES = {
    "one": (b"5 <13>a", [b"<13>a"]),
    "many": (b"5 <13>a6 <14>bc", [b"<13>a", b"<14>bc"]),
    "lf inside": (b"9 <13>a\nb\nc5 <14>d", [b"<13>a\nb\nc", b"<14>d"]),
    "lf counted": (b"6 <13>a\n6 <14>b\n", [b"<13>a", b"<14>b"]),
    "crlf counted": (b"7 <13>a\r\n7 <14>b\r\n", [b"<13>a", b"<14>b"]),
    "nul counted": (b"6 <13>a\x006 <14>b\0", [b"<13>a", b"<14>b"]),
    "lf between": (b"5 <13>a\n5 <14>b\r\n", [b"<13>a", b"<14>b"]),
    "nul between": (b"5 <13>a\x005 <14>b\0", [b"<13>a", b"<14>b"]),
    "digits after lf are not a frame": (b"5 <13>a\n", [b"<13>a"]),
    "mixed with lines": (b"5 <13>a<14>line\n6 <15>bc<16>line\n", [b"<13>a", b"<14>line", b"<15>bc", b"<16>line"]),
    "a line in front of a counted frame": (b"5 <13>a<14>line\r\n5 <15>b", [b"<13>a", b"<14>line", b"<15>b"]),
    "blank before a line": (b"5 <13>a\n <14>line \n5 <15>b", [b"<13>a", b"<14>line ", b"<15>b"]),
}


@pytest.mark.parametrize("mode", ["octet-counted", "auto"])
@pytest.mark.parametrize("name", COUNTED_CASES)
def test_octet_counted_stream_is_cut_into_frames(mode, name):
    stream, frames = COUNTED_CASES[name]
    check(mode, stream, frames, tail=b"77 <13>to come")
    check(mode, stream, frames, tail=b"7")


def test_counted_frame_may_contain_counts():
    check("auto", b"12 <13>a 5 <14>5 <15>y", [b"<13>a 5 <14>", b"<15>y"])


def test_octet_counted_mode_needs_no_pri():
    check("octet-counted", b"10 I am test.13 I am test 22.", [b"I am test.", b"I am test 22."], tail=b"4 abc")


@pytest.mark.parametrize("mode", ["octet-counted", "auto"])
def test_counted_frame_cut_by_the_end_of_the_connection_is_unfinished(mode):
    check(mode, b"5 <13>a9 <14>abc", [b"<13>a"], unfinished=b"9 <14>abc")
    check(mode, b"5 <13>a12", [b"<13>a"], unfinished=b"12")


def test_line_at_the_end_of_a_counted_connection_is_a_frame():
    check("auto", b"5 <13>a<14>tail ", [b"<13>a", b"<14>tail "])


def test_auto_mode_decides_by_the_first_bytes():
    check("auto", b"2024 Aug 27 5 <13>a\n5 <13>b\n", [b"2024 Aug 27 5 <13>a", b"5 <13>b"])
    check("auto", b"1234567 <13>a\n", [b"1234567 <13>a"])
    check("auto", b"0 <13>a\n", [b"0 <13>a"])
    check("auto", b"05 <13>a\n", [b"05 <13>a"])
    check("auto", b"12", [b"12"])
    check("auto", b"12 ", [b"12 "])


WRONG_COUNTS = {
    "too small": (b"5 <13>abcd5 <15>e", [b"<13>abcd", b"<15>e"], 1),
    "too small, line ends": (b"5 <13>abcd\r\n5 <15>e", [b"<13>abcd", b"<15>e"], 1),
    "too small, a line follows": (b"5 <13>abcd\n<14>line\n5 <15>e", [b"<13>abcd", b"<14>line", b"<15>e"], 1),
    "too small, a PRI in the text": (b"5 <13>abcd <14>x\n5 <15>e", [b"<13>abcd <14>x", b"<15>e"], 1),
    "too small, digits in the text": (b"5 <13>a2024 Aug 27 x\n5 <15>e", [b"<13>a2024 Aug 27 x", b"<15>e"], 1),
    "too small, text ends in digits": (b"5 <13>abc 225 <15>e", [b"<13>abc 22", b"<15>e"], 1),
    "too small, last": (b"5 <13>a5 <14>bcd", [b"<13>a", b"<14>bcd"], 1),
    "twice": (b"5 <13>ax5 <13>by5 <13>c", [b"<13>ax", b"<13>by", b"<13>c"], 2),
    "characters": (
        "10 <13>caf\u00e9 au10 <13>\u00e9t\u00e9 \u00e0 9 <13>plain".encode(),
        ["<13>caf\u00e9 au".encode(), "<13>\u00e9t\u00e9 \u00e0 ".encode(), b"<13>plain"], 2,
    ),
    "too large": (
        b"25 <13>ab8 <14>next9 <15>third9 <16>fouro", [b"<13>ab", b"<14>next", b"<15>third", b"<16>fouro"], 1,
    ),
    "too large, last": (b"5 <13>a50 <14>b5 <15>c", [b"<13>a", b"<14>b", b"<15>c"], 1),
    "all include a blank": (
        b"12 <13>first a12 <13>first b12 <13>first c", [b"<13>first a", b"<13>first b", b"<13>first c"], 3,
    ),
    "right after wrong": (
        b"12 <13>first a12 <13>first b11 <13>first c", [b"<13>first a", b"<13>first b", b"<13>first c"], 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_COUNTS)
def test_wrong_count_makes_no_second_event(name):
    stream, frames, resyncs = WRONG_COUNTS[name]
    check("auto", stream, frames, resyncs=resyncs)
    if name == "too large, last":
        # Only the end of the connection shows that the count is wrong.
        return
    # The connection stays octet-counted.
    output = FramerOutput("auto")
    for chunk in cut(stream + b"8 <17>x\ny!5 <18>z", 1):
        output.feed(chunk)
    output.idle(1)
    assert output.frames[-2:] == [b"<17>x\ny!", b"<18>z"]


def test_count_of_one_digit_more_is_not_cut_off():
    """A frame that ends in digits is not taken for a wrong count."""
    frames = [b"<13>port 4%d" % i for i in range(12)]
    check("auto", b"".join(b"%d %b" % (len(frame), frame) for frame in frames), frames, tail=b"77 <13>to come")


@pytest.mark.parametrize(
    "text", [b"200 <img src=x> blocked", b"45 <192>", b"12 <013>a", b"7 <a", b"100 <script>alert(1)"]
)
def test_number_before_a_text_in_angle_brackets_is_no_count(text):
    check("auto", text + b"\n2026 second\n", [text, b"2026 second"], tail=b"third")


@pytest.mark.parametrize("mode", ["auto", "octet-counted"])
def test_bom_before_count_or_pri_is_ignored(mode):
    check(mode, b"\xef\xbb\xbf5 <13>a5 <14>b", [b"<13>a", b"<14>b"])
    check(mode, b"5 <13>a\xef\xbb\xbf8 \xef\xbb\xbf<14>b5 <15>c", [b"<13>a", b"\xef\xbb\xbf<14>b", b"<15>c"])
    check("auto", b"\xef\xbb\xbf<13>a\n<14>b\n", [b"\xef\xbb\xbf<13>a", b"<14>b"])


# --- oversize frames ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["lf", "auto"])
@pytest.mark.parametrize("trailer", [b"", b"\r", b"\0", b"\r\0\r"])
@pytest.mark.parametrize("more", [1, 2, 5, 3000])
def test_line_over_the_limit_is_oversize(mode, trailer, more):
    long = b"<13>" + b"x" * (LIMIT - 4 + more)
    stream = b"<13>a\n" + long + trailer + b"\n<14>b\n"
    check(mode, stream, [b"<13>a", b"<14>b"], oversize=[Oversize(long[:LIMIT], len(long))], tail=b"<15>c")


@pytest.mark.parametrize("mode", ["lf", "auto"])
@pytest.mark.parametrize("trailer", [b"\n", b"\r\n", b"\r\0\n"])
def test_line_of_maximum_length_is_a_frame(mode, trailer):
    long = b"<13>" + b"x" * (LIMIT - 4)
    check(mode, long + trailer + b"<14>b\n", [long, b"<14>b"])


@pytest.mark.parametrize("mode", ["lf", "auto"])
@pytest.mark.parametrize("trailer", [b"", b"\r\0"])
def test_last_line_over_the_limit_is_oversize(mode, trailer):
    long = b"<13>" + b"x" * LIMIT
    check(mode, b"<13>a\n" + long + trailer, [b"<13>a"], oversize=[Oversize(long[:LIMIT], len(long))])
    check(mode, long[:LIMIT] + trailer, [long[:LIMIT]])


@pytest.mark.parametrize("more", [-4, 1, 3000])
def test_nul_ends_an_oversize_frame(more):
    long = b"<13>" + b"x" * (LIMIT + more)
    for before in (b"", b"<12>z\0<12>y\0"):
        frames = [b"<12>z", b"<12>y"] if before else []
        oversize = [Oversize(long[:LIMIT], len(long))] if len(long) > LIMIT else []
        kept = [] if oversize else [long]
        stream = before + long + b"\0<14>b\0<15>c\n"
        check("lf", stream, [*frames, *kept, b"<14>b", b"<15>c"], oversize=oversize)


def test_nul_ends_an_oversize_frame_when_idle():
    long = b"<13>" + b"x" * LIMIT
    for chunks in ([long + b"\0"], singles(long + b"\0")):
        output = FramerOutput("lf")
        for chunk in chunks:
            output.feed(chunk)
        output.idle()
        output.feed(b"text\0")
        assert (output.frames, output.oversize) == ([b"text"], [Oversize(long[:LIMIT], len(long))])


@pytest.mark.parametrize("mode", ["octet-counted", "auto"])
@pytest.mark.parametrize("more", [1, 3000])
def test_counted_frame_over_the_limit_is_oversize(mode, more):
    long = b"<13>" + b"x\n" * ((LIMIT + more - 4) // 2) + b"<" * ((LIMIT + more) % 2)
    stream = b"5 <13>a%d %b5 <14>b" % (len(long), long)
    check(mode, stream, [b"<13>a", b"<14>b"], oversize=[Oversize(long[:LIMIT], len(long))], tail=b"88 <15>c")


def test_counted_frame_of_maximum_length_is_a_frame():
    long = b"<13>" + b"x" * (LIMIT - 4)
    check("auto", b"%d %b5 <14>b" % (LIMIT, long), [long, b"<14>b"])


def test_line_over_the_limit_between_counted_frames_is_oversize():
    long = b"<13>" + b"x" * LIMIT
    for trailer in (b"\n", b"\r\n"):
        stream = b"5 <13>a" + long + trailer + b"5 <14>b"
        check("auto", stream, [b"<13>a", b"<14>b"], oversize=[Oversize(long[:LIMIT], len(long))])
    check("auto", b"5 <13>a" + long[:LIMIT] + b"\r\n5 <14>b", [b"<13>a", long[:LIMIT], b"<14>b"])


@pytest.mark.parametrize("end", [b"5 <14>b", b"\n<14>b\n"])
@pytest.mark.parametrize("more", [700, 3 * LIMIT, 7 * LIMIT])
def test_text_over_the_limit_after_a_bad_count_is_oversize(end, more):
    long = b"<13>a" + b"x" * (LIMIT + more)
    check("auto", b"5 " + long + end, [b"<14>b"], oversize=[Oversize(long[:LIMIT], len(long))], resyncs=1)


def test_counted_frame_after_an_oversize_line_needs_no_lf():
    """Asserts that the end bytes awaited before the end of the oversize line do not delay the frame after it."""
    output = FramerOutput("auto")
    for chunk in (b"5 <13>a<14>" + b"x" * LIMIT, b"yyy", b"\n9 <15>", b"bcdef"):
        output.feed(chunk)
    output.idle(1)
    assert output.frames == [b"<13>a", b"<15>bcdef"]


@pytest.mark.parametrize("mode", ["lf", "auto", "octet-counted"])
def test_endless_frame_is_not_buffered(mode):
    framer = StreamFramer(mode, LIMIT)
    for start in (b"<13>", b"999999 <13>"):
        framer.feed(start)
        for _ in range(500):
            framer.feed(b"x" * 1000)
            assert framer._cutter.size <= 4 * LIMIT + 300


# --- any bytes ------------------------------------------------------------------------------------------------------

# Edge cases of the grammar: counts, PRIs, frame ends, limits.
PIECES = st.sampled_from(
    [b"<13>", b"<191>", b"<", b">", b"5 ", b"12 ", b"5 <13>a", b"9 <13>ab", b"2024 Aug ", b"\n", b"\r\n", b"\0",
    b"\r",
     b" ", b"a", b"bc: d", b"\xff\xfe", b"[x y=\"z\"]", b"999999 <1>", b"1", b"0", b"x" * 17, b"<7"]
)  # fmt: skip
STREAMS = st.lists(PIECES | st.binary(max_size=6), max_size=25).map(b"".join)
MODES = st.sampled_from(["auto", "lf", "octet-counted"])
TEXTS = st.lists(st.binary(max_size=8) | PIECES, min_size=1, max_size=4).map(b"".join)


def reads(stream, cuts):
    places = sorted({min(c, len(stream)) for c in cuts} | {0, len(stream)})
    return [stream[a:b] for a, b in pairwise(places)]


CUTS = st.lists(st.integers(0, 200), max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=12), CUTS, st.sampled_from(["lf", "auto"]))
def test_any_frames_without_lf_are_read_as_lines(texts, cuts, mode):
    frames = [b"<13>" + text.replace(b"\n", b"").replace(b"\0", b"").rstrip(b"\r") for text in texts]
    stream = b"".join(frame + b"\n" for frame in frames)
    assert read(mode, reads(stream, cuts)) == (frames, [], b"", 0)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=12), CUTS, st.sampled_from(["octet-counted", "auto"]))
def test_any_frames_are_read_octet_counted(texts, cuts, mode):
    frames = [b"<13>" + text.rstrip(b"\r\n\0") for text in texts]
    stream = b"".join(b"%d %b" % (len(frame), frame) for frame in frames)
    assert read(mode, reads(stream, cuts)) == (frames, [], b"", 0)


@settings(max_examples=examples(400, long=1500), deadline=None)
@given(STREAMS, CUTS, MODES, st.sampled_from([12, 20, 1000]))
@example(b"<13>aaaaaaaaaaaaaa\0<14>b\n", [15], "lf", 12)
def test_result_is_independent_of_reads(stream, cuts, mode, limit):
    expected = read(mode, [stream], limit)
    assert read(mode, reads(stream, cuts), limit) == expected
    assert read(mode, singles(stream), limit) == expected


def without(stream, removable):
    return bytes(byte for byte in stream if byte not in removable)


@settings(max_examples=examples(300, long=800), deadline=None)
@given(STREAMS, CUTS, MODES, st.sampled_from([12, 1000]))
def test_no_byte_is_lost(stream, cuts, mode, limit):
    """Asserts that each byte is in a frame, an oversize frame (by length) or the unfinished rest, or is a delimiter."""
    frames, oversize, unfinished, _ = read(mode, reads(stream, cuts), limit)
    # Only delimiters and the digits of counts may be missing.
    removable = b"\n\r\0 \t" if mode == "lf" else b"\n\r\0 \t0123456789"
    shown = b"".join(frames) + b"".join(frame.kept for frame in oversize) + unfinished
    missing = sum(frame.length - len(frame.kept) for frame in oversize)
    given_, got = sorted(without(stream, removable)), sorted(without(shown, removable))
    if not missing:
        assert got == given_
    else:
        # An oversize counted frame has its announced length, however much of it was received.
        assert 0 <= len(given_) - len(got) <= missing
        rest = list(given_)
        for byte in got:
            rest.remove(byte)
    assert all(len(frame) <= limit for frame in frames)
    assert all(len(frame.kept) <= limit < frame.length for frame in oversize)


# --- datagrams ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datagram", "frame"),
    [
        (b"<13>a", b"<13>a"), (b"<13>a\n", b"<13>a"), (b"<13>a\r\n", b"<13>a"), (b"<13>a\0", b"<13>a"),
        (b"<13>a\n\0", b"<13>a"), (b"<13>a\nb\n", b"<13>a\nb"), (b"<13>a\0b", b"<13>a\0b"), (b" <13>a ", b" <13>a "),
    ],
)  # fmt: skip
def test_datagram_is_one_frame(datagram, frame):
    assert list_of(datagrams([datagram])) == [frame]
    assert list_of(datagrams([b"<1>x", datagram, b"<2>y"])) == [b"<1>x", frame, b"<2>y"]


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_datagrams_keep_their_number_and_order(frames):
    assert list_of(datagrams(frames)) == [frame.rstrip(b"\r\n\0") for frame in frames]


# --- cases of other test suites -------------------------------------------------------------------------------------

# Cases in which the framing rules differ from the expectation by design, with the reason.
DIFFERENT_BY_DESIGN = {
    "framing-001": ("in mode auto a count is a count only before `<`", [b"10 I am test."]),
    "framing-002": ("in mode auto a count is a count only before `<`", [b"10 I am test.12 I am test 2.9 hahahahah"]),
    "framing-003": ("a PRI does not end a line", [b"<1> I am a test.<2> I am a test 2.<3> hahahah"]),
    "framing-009": ("the text after a bad count belongs to its frame", [b"<1>1 - - - - - -xaaa"]),
    "framing-014": ("the connection's end ends a line", [b"<3>1 - - - - - -"]),
    "framing-017": ("a line end always ends a line: no multi-line mode", None),
    "framing-018": ("a line end always ends a line: no multi-line mode", [b"<133>Msg 1", b"Line 2", b"<133>Msg 2"]),
    "framing-023": (
        "in mode auto a count is a count only before `<`",
        [b"46 my custom syslog message without any timestamp"],
    ),
    "framing-026": ("in mode auto a count is a count only before `<`", [b"5 aaaaa"]),
    "framing-029": ("the framer does not read the PROXY protocol: its line is a frame", None),
}


def external_cases():
    if not CORPUS.is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason="../shared/corpora/framing.jsonl is not here"))]
    cases = [json.loads(line) for line in CORPUS.read_text().splitlines()]
    return [pytest.param(case, id=case["id"]) for case in cases if isinstance(case["expect_frames"], list)]


@pytest.mark.parametrize("case", external_cases())
def test_cases_of_other_test_suites(case):
    stream = base64.b64decode(case["stream_b64"]) if "stream_b64" in case else case["stream"].encode()
    expected = [frame.encode() for frame in case["expect_frames"]]
    frames = read("auto", [stream], 250 * 1024)[0]
    assert read("auto", singles(stream), 250 * 1024)[0] == frames
    if case["id"] in DIFFERENT_BY_DESIGN:
        _, own_frames = DIFFERENT_BY_DESIGN[case["id"]]
        assert frames != expected
        if own_frames is not None:
            assert frames == own_frames
    else:
        assert frames == expected
