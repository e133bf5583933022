"""Reads many datagrams of a socket at once, grouped by sender.

``recvmmsg`` of the C library reads up to 64 datagrams per call, which takes half the time of a call for each. Python
has no function for it, so ``ctypes`` calls it. ``recvfrom`` is used where that is not possible, and for Unix sockets.
"""

import ctypes
import errno
import mmap
import socket
import struct
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MOST_DATAGRAMS = 2048
MOST_BYTES = 2 * 1024 * 1024
SLOTS = 64
"Datagrams that one call of ``recvmmsg`` reads."
FEW_SLOTS = 16
"Datagrams that the first call of a drain reads: their size is unknown, and of any size they take 1 MiB at most."
_APART = 576
"Bytes between two slots. Without them, all slots begin at multiples of 64 KiB and share the same cache lines."

Sender = bytes | str
"Address of a sender: packed from ``recvmmsg``, text from ``recvfrom``."


@dataclass(frozen=True, slots=True)
class Datagrams:
    """The datagrams of one drain."""

    by_sender: Mapping[Sender, list[bytes]]
    count: int
    size: int

    @property
    def full(self) -> bool:
        """True if the socket may have more datagrams."""
        return self.count >= MOST_DATAGRAMS or self.size >= MOST_BYTES


class DatagramReader(ABC):
    """Reads a socket until it is empty, or until ``MOST_DATAGRAMS`` or ``MOST_BYTES`` were read.

    A datagram longer than ``longest`` bytes is truncated to ``longest + 1``.
    """

    def __init__(self, bound: socket.socket, longest: int) -> None:
        self._bound = bound
        self._limit = longest + 1

    @abstractmethod
    def drain(self) -> Datagrams:
        """Returns what was read. An ICMP error of an earlier datagram ends it early; the socket can still be read."""

    def host(self, sender: Sender) -> str:
        """Returns the address of a sender as ``recvfrom`` gives it."""
        return sender if isinstance(sender, str) else socket.inet_ntop(self._bound.family, sender)


class RecvfromReader(DatagramReader):
    """Reads one datagram per call. ``local`` is the source name of datagrams without a peer address."""

    def __init__(self, bound: socket.socket, longest: int, local: str | None = None) -> None:
        super().__init__(bound, longest)
        self._local = local

    def drain(self) -> Datagrams:
        """Returns what was read."""
        by_sender: defaultdict[Sender, list[bytes]] = defaultdict(list)
        count, size, limit, local = 0, 0, self._limit, self._local
        receive = self._bound.recvfrom
        try:
            while count < MOST_DATAGRAMS and size < MOST_BYTES:
                data, address = receive(limit)
                by_sender[address[0] if local is None else local].append(data)
                size += len(data)
                count += 1
        except OSError:
            pass
        return Datagrams(by_sender, count, size)


class _Iovec(ctypes.Structure):
    """struct iovec: readv(2)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr: recvmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """struct mmsghdr: recvmmsg(2). Nested structures, because ``msghdr`` is padded before ``length``."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint32))


# Length of the address structure, and offset and length of the address in it: ip(7), ipv6(7).
_ADDRESSES = {socket.AF_INET: (16, 4, 4), socket.AF_INET6: (28, 8, 16)}


class RecvmmsgReader(DatagramReader):
    """Reads up to ``SLOTS`` datagrams per call, each into its slot of one buffer.

    Pages of the buffer take memory once a datagram was that long.
    """

    def __init__(self, bound: socket.socket, longest: int, receive: Callable[[int, int, int, int, None], int]) -> None:
        super().__init__(bound, longest)
        self._receive = receive
        apart = self._limit + _APART
        self._starts = range(0, SLOTS * apart, apart)
        # Pages of an anonymous map that are not written to take no memory, and its slices are ``bytes``.
        self._slots = mmap.mmap(-1, SLOTS * apart, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        name_length, offset, length = _ADDRESSES[bound.family]
        self._names = ctypes.create_string_buffer(SLOTS * name_length)
        self._addresses = struct.Struct(f"{offset}x{length}s{name_length - offset - length}x" * SLOTS)
        first_slot = ctypes.addressof(ctypes.c_char.from_buffer(self._slots))
        self._iovecs = (_Iovec * SLOTS)()
        self._headers = (_Header * SLOTS)()
        for number, start in enumerate(self._starts):
            self._iovecs[number] = _Iovec(first_slot + start, self._limit)
            name = ctypes.addressof(self._names) + number * name_length
            iovec = ctypes.addressof(self._iovecs) + number * ctypes.sizeof(_Iovec)
            self._headers[number] = _Header(_Message(name, name_length, iovec, 1))
        self._header = ctypes.addressof(self._headers)
        # The lengths are every sixteenth word on a machine of 64 bits.
        words = memoryview(self._headers).cast("B").cast("I")
        self._lengths = words[_Header.length.offset // 4 :: ctypes.sizeof(_Header) // 4]

    def works(self) -> bool:
        """Returns False if the system refuses the call, as a filter of system calls may do."""
        return self._receive(self._bound.fileno(), self._header, 0, socket.MSG_DONTWAIT, None) >= 0 or (
            ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM, errno.EACCES)
        )

    def drain(self) -> Datagrams:
        """Returns what was read."""
        by_sender: defaultdict[Sender, list[bytes]] = defaultdict(list)
        count = size = 0
        slots, descriptor = self._slots, self._bound.fileno()
        while count < MOST_DATAGRAMS and size < MOST_BYTES:
            # Their mean size tells how many more fit.
            fitting = 1 + (MOST_BYTES - size) * count // size if size else FEW_SLOTS
            wanted = min(SLOTS, MOST_DATAGRAMS - count, fitting)
            received = self._receive(descriptor, self._header, wanted, socket.MSG_DONTWAIT, None)
            if received <= 0:
                break
            lengths = self._lengths[:received].tolist()
            senders = self._addresses.unpack(self._names)
            for sender, start, length in zip(senders, self._starts, lengths, strict=False):
                by_sender[sender].append(slots[start : start + length])
            count += received
            size += sum(lengths)
            if received < wanted:
                break
        return Datagrams(by_sender, count, size)


def open_reader(bound: socket.socket, longest: int, local: str | None = None) -> DatagramReader:
    """Returns the fastest reader that the system has for a socket."""
    if local is None and bound.family in _ADDRESSES and (receive := find_recvmmsg()) is not None:
        reader = RecvmmsgReader(bound, longest, receive)
        if reader.works():
            return reader
    return RecvfromReader(bound, longest, local)


def find_recvmmsg() -> Callable[[int, int, int, int, None], int] | None:
    """Returns ``recvmmsg`` of the C library, or None if it cannot be called."""
    try:
        # The call does not block, so the interpreter's lock is kept: another thread might hold it for milliseconds.
        function = ctypes.PyDLL(None, use_errno=True).recvmmsg
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    found: Callable[[int, int, int, int, None], int] = function
    return found
