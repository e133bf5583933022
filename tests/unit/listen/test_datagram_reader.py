"""Tests the two ways to read datagrams: both give the same, within the same bounds."""

import errno
import socket

import pytest

from bridge.listen import datagram_reader
from bridge.listen.datagram_reader import (
    MOST_BYTES,
    MOST_DATAGRAMS,
    SLOTS,
    RecvfromReader,
    RecvmmsgReader,
    find_recvmmsg,
    open_reader,
)  # fmt: skip
from bridge.listen.sockets import grow_receive_buffer

LONGEST = 65_535


def recvmmsg_reader(bound, longest):
    receive = find_recvmmsg()
    if receive is None:
        pytest.skip("the C library has no recvmmsg")
    return RecvmmsgReader(bound, longest, receive)


@pytest.fixture(params=[RecvfromReader, recvmmsg_reader])
def make_reader(request):
    return request.param


@pytest.fixture
def make_socket():
    made = []

    def make(host="127.0.0.1", family=socket.AF_INET):
        bound = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        made.append(bound)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        grow_receive_buffer(bound, 8_000_000)
        bound.bind((host, 0))
        return bound

    yield make
    for bound in made:
        bound.close()


def by_host(reader, datagrams):
    return {reader.host(sender): frames for sender, frames in datagrams.by_sender.items()}


def test_datagrams_are_grouped_by_sender_in_order(make_reader, make_socket):
    bound, senders = make_socket(), [make_socket(f"127.0.0.{number}") for number in (2, 3)]
    expected = {"127.0.0.2": [], "127.0.0.3": []}
    for number in range(3 * SLOTS):
        text = b"%d" % number * (number % 5)
        senders[number % 2].sendto(text, bound.getsockname())
        expected[f"127.0.0.{2 + number % 2}"].append(text)
    reader = make_reader(bound, LONGEST)
    datagrams = reader.drain()
    assert by_host(reader, datagrams) == expected
    assert datagrams.count == 3 * SLOTS and not datagrams.full
    assert datagrams.size == sum(len(frame) for frames in expected.values() for frame in frames)
    assert all(type(frame) is bytes for frames in datagrams.by_sender.values() for frame in frames)
    empty = reader.drain()
    assert (empty.by_sender, empty.count, empty.size) == ({}, 0, 0)


def test_ipv6_and_mapped_senders_have_the_text_of_the_socket(make_reader, make_socket):
    try:
        bound = make_socket("::", socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = bound.getsockname()[1]
    make_socket("127.0.0.2").sendto(b"four", ("127.0.0.1", port))
    expected = {"::ffff:127.0.0.2": [b"four"]}
    try:
        make_socket("::1", socket.AF_INET6).sendto(b"six", ("::1", port))
        expected["::1"] = [b"six"]
    except OSError:
        pass  # the loopback interface has no IPv6 address
    reader = make_reader(bound, LONGEST)
    assert by_host(reader, reader.drain()) == expected


def test_long_datagrams_are_truncated_to_one_byte_more(make_reader, make_socket):
    bound, sender = make_socket(), make_socket("127.0.0.2")
    for length in (99, 100, 101, 500, 3):
        sender.sendto(b"x" * length, bound.getsockname())
    (frames,) = make_reader(bound, 100).drain().by_sender.values()
    assert [len(frame) for frame in frames] == [99, 100, 101, 101, 3]


def test_longest_datagram_is_whole(make_reader, make_socket):
    bound, sender = make_socket(), make_socket("127.0.0.2")
    longest = bytes(range(256)) * 255 + b"x" * 227
    for text in (b"a", longest, b"b"):
        sender.sendto(text, bound.getsockname())
    (frames,) = make_reader(bound, LONGEST).drain().by_sender.values()
    assert frames == [b"a", longest, b"b"]


@pytest.mark.parametrize(
    ("length", "count"), [(0, MOST_DATAGRAMS), (1, MOST_DATAGRAMS), (60_000, MOST_BYTES // 60_000 + 1)]
)
def test_drain_is_bounded(make_reader, make_socket, length, count):
    bound, sender = make_socket(), make_socket("127.0.0.2")
    if bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < 8_000_000:
        pytest.skip("net.core.rmem_max is too small, and this user may not pass it")
    for _ in range(count + 6):
        sender.sendto(b"x" * length, bound.getsockname())
    reader = make_reader(bound, LONGEST)
    datagrams = reader.drain()
    assert datagrams.full
    assert datagrams.count == count
    assert datagrams.size < MOST_BYTES + LONGEST
    rest = reader.drain()
    assert rest.count == 6 and not rest.full


def test_recvfrom_is_used_without_recvmmsg(make_socket, monkeypatch):
    bound = make_socket()
    assert isinstance(open_reader(bound, LONGEST, "host"), RecvfromReader)
    with monkeypatch.context() as patch:
        patch.setattr(datagram_reader.ctypes, "PyDLL", lambda *args, **options: object())
        assert find_recvmmsg() is None
        assert isinstance(open_reader(bound, LONGEST), RecvfromReader)


@pytest.mark.parametrize(("error", "reader"), [(errno.EPERM, RecvfromReader), (errno.ECONNREFUSED, RecvmmsgReader)])
def test_recvfrom_is_used_if_recvmmsg_is_refused(make_socket, monkeypatch, error, reader):
    if find_recvmmsg() is None:
        pytest.skip("the C library has no recvmmsg")

    def refuse(*arguments):
        datagram_reader.ctypes.set_errno(error)
        return -1

    monkeypatch.setattr(datagram_reader, "find_recvmmsg", lambda: refuse)
    assert type(open_reader(make_socket(), LONGEST)) is reader


def test_local_datagrams_have_the_given_source(make_socket):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(b"text")
        reader = open_reader(ours, LONGEST, "host")
        assert by_host(reader, reader.drain()) == {"host": [b"text"]}
