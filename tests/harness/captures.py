"""Builds pcap and pcapng files of syslog over UDP and TCP, packet by packet."""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address

ETHERNET, RAW, SLL, NULL, SLL2 = 1, 101, 113, 0, 276
TIME = 1_795_418_640
"2026-11-23T07:24:00Z"
SSH = b"<38>Nov 23 07:24:00 web-paris-7 sshd[4711]: Accepted publickey for jdupont from 203.0.113.9 port 51122 ssh2"
CONFIGURATION = """
timezone: UTC
collector: {url: "http://127.0.0.1:9"}
listeners: [{name: udp, udp: "127.0.0.1:5514"}, {name: tcp, tcp: "127.0.0.1:5514"}]
intakes: {all: {intake_key: {file: nowhere}}}
unrouted: {intake: all}
spool: {directory: unused}
"""


def datagram(payload: bytes, *, port: int = 514) -> bytes:
    """Returns a UDP datagram."""
    return struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload


def segment(payload: bytes, number: int, *, port: int = 514, source_port: int = 40000, flags: int = 0x18) -> bytes:
    """Returns a TCP segment. ``number``: the sequence number of its first byte."""
    return struct.pack("!HHIIBBHHH", source_port, port, number % (1 << 32), 0, 0x50, flags, 8192, 0, 0) + payload


def packet(data: bytes, source: str = "192.0.2.7", *, protocol: int = 17, fragment: int = 0) -> bytes:
    """Returns an IPv4 or IPv6 packet. ``fragment``: the field of flags and offset of an IPv4 packet."""
    address = ip_address(source)
    if isinstance(address, IPv4Address):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 1, fragment, 64, protocol, 0)
        return head + address.packed + IPv4Address("192.0.2.1").packed + data
    head = struct.pack("!IHBB", 6 << 28, len(data), protocol, 64)
    return head + address.packed + ip_address("2001:db8::1").packed + data


def linked(ip: bytes, link: int = ETHERNET, *, vlans: int = 0) -> bytes:
    """Returns an IP packet with the header of a link type."""
    kind = 0x86DD if ip[0] >> 4 == 6 else 0x0800
    tags = b"".join(struct.pack("!HH", 0x8100, 100 + number) for number in range(vlans))
    if link == ETHERNET:
        return bytes(12) + tags + struct.pack("!H", kind) + ip
    first, rest = (tags + struct.pack("!H", kind))[:2], (tags + struct.pack("!H", kind))[2:]
    if link == SLL:
        return struct.pack("!HHH8s", 0, 1, 6, b"") + first + rest + ip
    if link == SLL2:
        return first + struct.pack("!HiHBB8s", 0, 1, 1, 0, 6, b"") + rest + ip
    if link == NULL:
        return struct.pack("=I", 2 if kind == 0x0800 else 30) + ip
    return ip


def pcap(packets: Iterable[bytes], link: int = ETHERNET) -> bytes:
    """Returns a pcap file, with one packet a second from TIME on."""
    records = (
        struct.pack("<IIII", TIME + at, 0, len(data), len(data)) + data for at, data in enumerate(packets)
    )  # fmt: skip
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link) + b"".join(records)


def pcapng(packets: Iterable[bytes], link: int = ETHERNET) -> bytes:
    """Returns a pcapng file, with one packet a second from TIME on."""
    blocks = [
        _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        _block(1, struct.pack("<HHI", link, 0, 262144)),
    ]
    for at, data in enumerate(packets):
        micros = (TIME + at) * 1_000_000
        head = struct.pack("<IIIII", 0, micros >> 32, micros & 0xFFFFFFFF, len(data), len(data))
        blocks.append(_block(6, head + data + bytes(-len(data) % 4)))
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length
