"""Tests RELP commands: in one read, byte by byte, and in any reads."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog.framing import Oversize
from bridge.syslog.relp import RelpCommand, RelpError, RelpFramer, answer, offers

OPEN = b"1 open 41 relp_version=0\nrelp_software=x\ncommands=syslog"
CASES = [
    (b"2 syslog 5 a\nb c\n", [RelpCommand(2, b"syslog", b"a\nb c")]),
    (b"2 syslog 0\n3 syslog 0 \n", [RelpCommand(2, b"syslog", b""), RelpCommand(3, b"syslog", b"")]),
    (b"9 close 0\n", [RelpCommand(9, b"close", b"")]),
    (b"999999999 syslog 1 x\n0 x 2 \n\n\n", [RelpCommand(999_999_999, b"syslog", b"x"), RelpCommand(0, b"x", b"\n\n")]),
    (b"4 syslog 12 abcdefghijkl\n5 syslog 1 y\n",
     [RelpCommand(4, b"syslog", b"", Oversize(b"abcdefgh", 12)), RelpCommand(5, b"syslog", b"y")]),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "commands"), CASES)
def test_commands_are_independent_of_reads_and_of_an_incomplete_tail(stream, commands):
    framer = RelpFramer(8)
    assert framer.feed(stream) == commands
    assert not framer.unfinished
    framer = RelpFramer(8)
    assert [command for byte in stream for command in framer.feed(bytes([byte]))] == commands
    framer = RelpFramer(8)
    assert framer.feed(stream + b"7 sys") == commands
    assert framer.unfinished


@pytest.mark.parametrize(
    "stream",
    [
        b"<13>a message\n", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02", b"1  syslog 1 x\n", b"1 syslog x\n",
        b"1 syslog 5\n", b"1 syslog 1 xy\n", b"1234567890 ", b"1 " + b"a" * 33, b"-1 syslog 1 x\n", b" ", b"\n",
        b"1 syslog 9999999999", b"4 syslog 12 abcdefghijklm\n",
    ],
)  # fmt: skip
def test_invalid_relp_raises_relp_error(stream):
    with pytest.raises(RelpError):
        RelpFramer(8).feed(stream)
    framer = RelpFramer(8)
    with pytest.raises(RelpError):
        for byte in stream:
            framer.feed(bytes([byte]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=6), st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_any_messages_are_read_in_any_pieces(messages, sizes):
    stream = b"".join(
        b"%d syslog %d%b\n" % (i, len(text), b" " + text if text else b"") for i, text in enumerate(messages)
    )
    framer, at, found = RelpFramer(10), 0, []
    while at < len(stream):
        size = sizes[at % len(sizes)]
        found += framer.feed(stream[at : at + size])
        at += size
    assert [command.number for command in found] == list(range(len(messages)))
    for command, text in zip(found, messages, strict=True):
        assert (command.data if command.oversize is None else command.oversize) == (
            text if len(text) <= 10 else Oversize(text[:10], len(text))
        )


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=5))
def test_any_bytes_give_commands_or_a_relp_error(chunks):
    framer = RelpFramer(10)
    try:
        for chunk in chunks:
            framer.feed(chunk)
    except RelpError:
        pass


def test_memory_is_bounded_for_any_announced_length():
    framer = RelpFramer(100)
    framer.feed(b"1 syslog 999999999 ")
    for _ in range(1000):
        framer.feed(b"x" * 1000)
    assert len(framer._kept) == 100 and len(framer._buffer) == 0


def test_answer_is_encoded_and_offers_are_parsed():
    assert answer(7) == b"7 rsp 6 200 OK\n"
    assert answer(8, b"") == b"8 rsp 0\n"
    assert offers(b"relp_version=0\ncommands=syslog,x\n") == {b"relp_version": b"0", b"commands": b"syslog,x"}
