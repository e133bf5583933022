"""Sends the messages of a mix: as datagrams with the address of each device, or over one connection per device."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import random
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.datagrams import _Header, _Iovec
from tests.bench.mix import SITE, Device, Message, Mix, Pool, read_mix
from tests.bench.streams import _connected, print_start

RELAY = "127.0.4.1"
"Address of the relay that sends the messages of all devices."
_MESSAGES = 12_000
_AT_ONCE = 32
_TICK = 0.01


@dataclass(frozen=True)
class Site:
    """How the messages of a mix are sent and routed."""

    transport: str = "udp"
    devices: int = 0
    "Number of devices; 0: as in the mix."
    long: float = 0.0
    "Share of messages of 2,000 bytes."
    spread: int = 0
    "Each message has a random second of so many past ones; 0: the current second."
    shuffled: bool = False
    "True if each message has the address of a random device, so that each source sends all layouts."
    relay: bool = False
    "True if one relay sends the messages of all devices; routes then examine the host name."
    intake_each: bool = False
    "True if each device has an intake; otherwise each product has one."
    write_each: bool = False
    "True if each message is one write and, over TLS, one record."

    def mix(self, file: Path = SITE) -> Mix:
        """Reads the mix and gives it the number of devices."""
        mix = read_mix(file)
        return mix.scaled(self.devices) if self.devices else mix

    def messages(self, file: Path, count: int = _MESSAGES) -> list[Message]:
        """Builds the messages, which are sent repeatedly."""
        moment = datetime.now(UTC).replace(microsecond=0)
        return self.mix(file).render(max(count, 4 * self.devices), moment, long=self.long, spread=self.spread)


def send(site: Site, port: int, events: int, *, rate: int, file: Path = SITE, authority: str | None = None) -> None:
    """Sends `events` messages at `rate` per second."""
    messages = site.messages(file)
    if site.transport == "udp":
        _datagrams(port, events, rate, messages, _addresses(site, messages))
    else:
        if site.relay:
            relay = Device(messages[0].device.product, 0, 0)
            messages = [replace(message, device=relay) for message in messages]
        _streams(port, events, rate, messages, site, authority if site.transport == "tls" else None)


def _addresses(site: Site, messages: list[Message]) -> list[str]:
    if site.relay:
        return [RELAY] * len(messages)
    addresses = [message.device.address for message in messages]
    if site.shuffled:
        random.Random(1).shuffle(addresses)
    return addresses


class _Control(ctypes.Structure):
    """struct cmsghdr with an in_pktinfo, which sets the source address of a datagram: ip(7)."""

    _fields_ = (
        ("length", ctypes.c_size_t),
        ("level", ctypes.c_int),
        ("type", ctypes.c_int),
        ("interface", ctypes.c_int),
        ("source", ctypes.c_uint32),
        ("destination", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


_CONTROL_LENGTH = 28
_IP_PKTINFO = 8


def _datagrams(port: int, events: int, rate: int, messages: list[Message], addresses: list[str]) -> None:
    pool = Pool(messages)
    count = len(messages)
    start_of_buffer = ctypes.addressof(ctypes.c_char.from_buffer(pool.buffer))
    iovecs, controls, headers = (_Iovec * count)(), (_Control * count)(), (_Header * count)()
    for number, (header, iovec, control) in enumerate(zip(headers, iovecs, controls, strict=True)):
        begin, end = pool.offsets[number : number + 2]
        ctypes.c_void_p.from_buffer(iovec).value = start_of_buffer + begin
        iovec.length = end - begin
        control.length, control.level, control.type = _CONTROL_LENGTH, socket.IPPROTO_IP, _IP_PKTINFO
        control.source = struct.unpack("=I", socket.inet_aton(addresses[number]))[0]
        header.message.iov = ctypes.pointer(iovec)
        header.message.iov_length = 1
        header.message.control = ctypes.addressof(control)
        header.message.control_length = ctypes.sizeof(control)
    starts = [ctypes.byref(headers, number * ctypes.sizeof(_Header)) for number in range(count)]
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        descriptor = sender.fileno()
        for begun, due in _due(events, rate, pool):
            sent = begun
            while sent < due:
                first = sent % count
                done = sendmmsg(descriptor, starts[first], min(_AT_ONCE, due - sent, count - first), 0)
                if done <= 0:
                    raise OSError(ctypes.get_errno(), "sendmmsg")
                sent += done


def _due(events: int, rate: int, pool: Pool, tick: float = 0.0003) -> Iterator[tuple[int, int]]:
    """Yields (sent, due): how many messages to send now."""
    pool.update()
    print_start()
    start, sent = time.monotonic(), 0
    while sent < events:
        due = min(events, int((time.monotonic() - start) * rate)) if rate else min(events, sent + 1000)
        if due - sent < _AT_ONCE and due < events:
            time.sleep(tick)
            continue
        pool.update()
        yield sent, due
        sent = due
        if tick > 0.001:
            time.sleep(tick)


def _streams(port: int, events: int, rate: int, messages: list[Message], site: Site, authority: str | None) -> None:
    """Sends over one connection per device, or over one of the relay. Each has the same share of messages as in UDP."""
    order = [message.device for message in messages]
    ordered = sorted(messages, key=lambda message: (message.device.network, message.device.number))
    pool = Pool(ordered, end=b"\n")
    view = memoryview(pool.buffer)
    own: dict[Device, tuple[int, int]] = {}
    for number, message in enumerate(ordered):
        own[message.device] = (own.get(message.device, (number, 0))[0], number + 1)
    after = {device: first for device, (first, _) in own.items()}
    with contextlib.ExitStack() as stack:
        connections: dict[Device, socket.socket] = {
            device: stack.enter_context(
                _connected(port, authority=authority, source=RELAY if site.relay else device.address)
            )
            for device in own
        }
        for sent, due in _due(events, rate, pool, 0.0003 if site.write_each else _TICK):
            devices = itertools.islice(itertools.cycle(order), sent % len(order), sent % len(order) + due - sent)
            counts = ((device, 1) for device in devices) if site.write_each else Counter(devices).items()
            for device, count in counts:
                first, end = own[device]
                left = count
                while left:
                    at = after[device]
                    upto = min(end, at + left)
                    connections[device].sendall(view[pool.offsets[at] : pool.offsets[upto]])
                    left -= upto - at
                    after[device] = upto if upto < end else first
        for connection in connections.values():
            connection.unwrap() if isinstance(connection, ssl.SSLSocket) else connection.shutdown(socket.SHUT_WR)
