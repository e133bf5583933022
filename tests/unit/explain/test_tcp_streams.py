"""Tests that the frames of TCP connections are read from a capture, whatever it has of them."""

from collections import Counter
from collections.abc import Iterable
from io import BytesIO

import pytest

from bridge.explain.capture.packets import read_packets
from bridge.explain.capture.tcp_streams import (
    LOST,
    MAX_FLOWS,
    MAX_PENDING,
    OF_OTHERS,
    OF_TLS,
    OVERSIZE,
    WITHOUT_BEGINNING,
    TcpStreams,
)
from tests.harness.captures import TIME, linked, packet, pcap, segment

SYN, ACK, FIN, RST = 0x02, 0x10, 0x11, 0x04
ONE, TWO, THREE = b"<13>one", b"<13>two", b"<13>three"
LINES = ONE + b"\n" + TWO + b"\n" + THREE + b"\n"
COUNTED = b"".join(b"%d %b" % (len(frame), frame) for frame in (ONE, TWO, THREE))


def read(segments: Iterable[bytes], *, ports: frozenset[int] = frozenset({514})) -> tuple[list[bytes], Counter[str]]:
    """Returns the frames of a capture of segments from one sender, and what was skipped."""
    data = BytesIO(pcap([linked(packet(each, protocol=6)) for each in segments]))
    magic = data.read(4)
    data.seek(0)
    frames, skipped = [], Counter[str]()
    for each in read_packets(data, magic, ports):
        if isinstance(each, str):
            skipped[each] += 1
        else:
            assert (str(each.source), each.kind) == ("192.0.2.7", "tcp")
            frames.append(each.frame)
    return frames, skipped


@pytest.mark.parametrize("stream", [LINES, COUNTED], ids=["lines", "counted"])
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("first", [7, (1 << 32) - 5], ids=["", "numbers begin again"])
def test_a_connection_is_cut_into_its_frames(stream: bytes, size: int, first: int) -> None:
    parts = [segment(stream[at : at + size], first + 1 + at) for at in range(0, len(stream), size)]
    begin, end = segment(b"", first, flags=SYN), segment(b"", first + 1 + len(stream), flags=FIN)
    assert read([begin, *parts, end]) == ([ONE, TWO, THREE], Counter())
    swapped = [begin, *(part for pair in zip(parts[1::2], parts[::2], strict=False) for part in pair)]
    swapped += parts[len(parts) - len(parts) % 2 :]
    assert read([*swapped, end]) == ([ONE, TWO, THREE], Counter())
    assert read([begin, *(part for part in parts for _ in range(2)), end]) == ([ONE, TWO, THREE], Counter())


def test_a_segment_that_is_sent_again_with_more_data_gives_only_what_is_new() -> None:
    assert read([segment(LINES[:10], 1), segment(LINES, 1)])[0] == [ONE, TWO, THREE]


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        (b"rest of a line\n" + LINES, [ONE, TWO, THREE]),
        (b"rest of a counted frame" + COUNTED, [ONE, TWO, THREE]),
        (LINES, [ONE, TWO, THREE]),
        (COUNTED, [ONE, TWO, THREE]),
    ],
)
def test_a_connection_that_began_earlier_is_read_from_the_next_message_on(stream: bytes, frames: list[bytes]) -> None:
    assert read([segment(stream, 5)]) == (frames, Counter())


def test_a_part_without_a_beginning_is_skipped() -> None:
    assert read([segment(b"rest ", 1), segment(b"of it\n" + LINES, 6)]) == (
        [ONE, TWO, THREE], Counter({WITHOUT_BEGINNING: 1})
    )  # fmt: skip


def test_without_a_pri_a_connection_from_its_beginning_is_read_on_a_port_of_syslog_only() -> None:
    words = [segment(b"", 0, flags=SYN), segment(b"no header\n", 1)]
    assert read(words) == ([b"no header"], Counter())
    assert read(words, ports=frozenset()) == ([], Counter({OF_OTHERS: 1}))
    assert read([segment(LINES, 1)], ports=frozenset()) == ([ONE, TWO, THREE], Counter())


def test_a_gap_loses_only_what_is_in_it() -> None:
    line = b"<13>%05d\n"
    parts = [segment(line % number, 1 + 10 * number) for number in range(MAX_PENDING + 5)]
    frames, skipped = read([parts[0], *parts[2:]])
    assert frames == [(line % number).rstrip() for number in (0, *range(2, MAX_PENDING + 5))]
    assert skipped == Counter({LOST: 1})


def test_tls_and_frames_that_are_too_long_are_skipped() -> None:
    assert read([segment(b"\x16\x03\x01\x00\x05hello", 1)]) == ([], Counter({OF_TLS: 1}))
    longest = b"<13>" + b"x" * 1400
    parts = [segment(b"y" * 1400, 1405 + 1400 * number) for number in range(200)]
    frames, skipped = read([segment(longest, 1), *parts, segment(b"\n" + LINES, 1405 + 1400 * 200)])
    assert frames == [ONE, TWO, THREE]
    assert skipped[OVERSIZE] == 1


@pytest.mark.parametrize("flags", [FIN, RST])
def test_the_end_of_a_connection_ends_its_last_line(flags: int) -> None:
    assert read([segment(ONE, 1), segment(b"", 8, flags=flags)]) == ([ONE], Counter())


def test_the_end_of_the_capture_ends_a_message_with_a_nul_but_no_incomplete_line() -> None:
    assert read([segment(ONE + b"\0", 1), segment(b"", 9, flags=ACK)]) == ([ONE], Counter())
    assert read([segment(LINES + b"<13>incompl", 1)]) == ([ONE, TWO, THREE], Counter())


def test_the_time_of_a_frame_is_that_of_its_last_segment() -> None:
    data = BytesIO(pcap([linked(packet(each, protocol=6)) for each in (segment(ONE, 1), segment(b"\n", 8))]))
    (frame,) = [each for each in read_packets(data, b"", frozenset({514})) if not isinstance(each, str)]
    assert frame.received is not None
    assert frame.received.timestamp() == TIME + 1


def test_the_number_of_connections_is_limited() -> None:
    parts = [segment(b"<13>", 1, source_port=number % 65536, port=514 + number // 65536) for number in range(MAX_FLOWS)]
    more = segment(LINES, 1, source_port=60000)
    assert read([*parts, more])[0][-3:] == [ONE, TWO, THREE]
    assert len(TcpStreams(frozenset())._flows) == 0
