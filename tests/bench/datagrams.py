"""Sends loads over UDP with `sendmmsg` through ctypes, so that the sender needs less than one core."""

from __future__ import annotations

import ctypes
import socket
import time

from tests.bench.messages import Block, Lines
from tests.bench.streams import print_start

_LINES = 2000
_AT_ONCE = 25


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr: recvmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iov", ctypes.POINTER(_Iovec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """struct mmsghdr: recvmmsg(2). Nested structures, since `msghdr` is padded before `length`."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


def steady(port: int, events: int, lines: Lines, *, rate: int, addresses: int = 20) -> None:
    """Sends `rate` datagrams a second from 127.0.1.1 and up, in small bursts, each from the next address."""
    sockets = []
    for number in range(addresses):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((f"127.0.1.{number + 1}", 0))
        sender.connect(("127.0.0.1", port))
        sockets.append(sender)
    descriptors = [sender.fileno() for sender in sockets]
    send = ctypes.CDLL(None, use_errno=True).sendmmsg
    block = Block(lines, _LINES)
    vector = _Vector(block.now())
    print_start()
    start, sent, turn = time.monotonic(), 0, 0
    while sent < events:
        now = time.monotonic()
        due = min(events, int((now - start) * rate))
        if due - sent < _AT_ONCE and due < events:
            time.sleep(0.0003)
            continue
        if (data := block.now()) is not vector.block:
            vector = _Vector(data)
        while sent < due:
            count = min(_AT_ONCE, due - sent)
            first = sent % (_LINES - _AT_ONCE)
            done = send(descriptors[turn % addresses], ctypes.byref(vector.headers[first]), count, 0)
            if done <= 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += done
            turn += 1


class _Vector:
    """Prepares the messages of a block for `sendmmsg`."""

    def __init__(self, block: bytes) -> None:
        self.block = block
        messages = block.splitlines()
        self._iovecs = (_Iovec * len(messages))(*((message, len(message)) for message in messages))
        self.headers = (_Header * len(messages))()
        for header, iovec in zip(self.headers, self._iovecs, strict=True):
            header.message.iov = ctypes.pointer(iovec)
            header.message.iov_length = 1
