"""Reads the UDP datagrams and TCP streams of a pcap or pcapng file. Needs dpkt, the extra ``pcap``.

The file is read packet by packet. Everything that is not syslog is returned as a reason.
"""

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import BinaryIO

import dpkt

from bridge.explain.capture.captured import CapturedFrame
from bridge.explain.capture.tcp_streams import Segment, TcpStreams
from bridge.routing.conditions import Address

MAGIC_NG = b"\n\r\r\n"

_MAX_BLOCK = 16 << 20
"Longest block of a file that is not damaged."
_NULL, _ETHERNET, _RAW, _SLL, _LOOP, _SLL2 = 0, 1, {12, 14, 101, 228, 229}, 113, 108, 276
_PRI = re.compile(rb"<\d{1,3}>")
_UNREADABLE = (dpkt.Error, ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error)
"Errors that dpkt raises for bytes that are not what they seem."


class DamagedFileError(ValueError):
    """Raised at the place where a file stops being readable."""


class _Limited:
    """Passes reads to a file and raises DamagedFileError where the file is damaged or cut."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.name = "capture"

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_BLOCK:
            raise DamagedFileError
        data = self._stream.read(size)
        if 0 < len(data) < size:
            raise DamagedFileError
        return data


def read_packets(stream: BinaryIO, magic: bytes, ports: frozenset[int]) -> Iterator[CapturedFrame | str]:
    """Yields the syslog frames of a file, and a reason for each packet that is not one.

    Datagrams and streams to ``ports`` are syslog, and so are all that begin with a PRI. Raises DamagedFileError.
    """
    limited, streams = _Limited(stream), TcpStreams(ports)
    try:
        reader = dpkt.pcapng.Reader(limited) if magic == MAGIC_NG else dpkt.pcap.Reader(limited)
        link = reader.datalink()
        for time, data in reader:
            found = _content(link, float(time), bytes(data), ports)
            if isinstance(found, Segment):
                yield from streams.take(found)
            else:
                yield found
    except _UNREADABLE:
        yield from streams.end()
        raise DamagedFileError from None
    yield from streams.end()


def _content(link: int, time: float, data: bytes, ports: frozenset[int]) -> CapturedFrame | Segment | str:
    """Returns the syslog frame or the TCP segment of one packet, or why it has none."""
    try:
        packet = _network_layer(link, data)
        if packet is None:
            return "no IP packets"
        if isinstance(packet, str):
            return packet
        if _is_fragment(packet):
            return "IP fragments, which are not reassembled"
        if packet.p == dpkt.ip.IP_PROTO_TCP:
            return _segment(packet, time)
        return _datagram(packet, time, ports) if packet.p == dpkt.ip.IP_PROTO_UDP else "neither UDP nor TCP"
    except _UNREADABLE:
        return "packets that are damaged or cut short"
    except OverflowError:
        return "packets with an impossible time"


def _network_layer(link: int, data: bytes) -> dpkt.ip.IP | dpkt.ip6.IP6 | str | None:
    if link in _RAW:
        return dpkt.ip6.IP6(data) if data[0] >> 4 == 6 else dpkt.ip.IP(data)
    if link == _ETHERNET:
        layer = dpkt.ethernet.Ethernet(data)
    elif link == _SLL:
        layer = dpkt.sll.SLL(data)
    elif link == _SLL2:
        layer = dpkt.sll2.SLL2(data)
    elif link in (_NULL, _LOOP):
        layer = dpkt.loopback.Loopback(data)
    else:
        return f"packets of link type {link}, which is not known"
    packet = layer.data
    if isinstance(packet, bytes) and (inner := _behind_tags(layer, packet)) is not None:
        packet = inner
    return packet if isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6) else None


def _behind_tags(layer: dpkt.Packet, data: bytes) -> dpkt.ip.IP | dpkt.ip6.IP6 | None:
    """Returns the IP packet behind VLAN tags of a Linux cooked packet, which dpkt does not read."""
    kind = getattr(layer, "ethtype", None) or getattr(layer, "type", 0)
    while kind in (0x8100, 0x88A8, 0x9100) and len(data) > 4:
        kind, data = int.from_bytes(data[2:4], "big"), data[4:]
    if kind == 0x0800:
        return dpkt.ip.IP(data)
    return dpkt.ip6.IP6(data) if kind == 0x86DD else None


def _is_fragment(packet: dpkt.ip.IP | dpkt.ip6.IP6) -> bool:
    if isinstance(packet, dpkt.ip.IP):
        return bool(packet.mf or packet.offset)
    fragments = [each for each in packet.all_extension_headers if isinstance(each, dpkt.ip6.IP6FragmentHeader)]
    return any(each.frag_off or each.m_flag for each in fragments)


def _datagram(packet: dpkt.ip.IP | dpkt.ip6.IP6, time: float, ports: frozenset[int]) -> CapturedFrame | str:
    datagram = packet.data
    if not isinstance(datagram, dpkt.udp.UDP):
        return "packets that are damaged or cut short"
    data = bytes(datagram.data)
    if datagram.dport not in ports and not _PRI.match(data):
        return "UDP datagrams to other ports that do not begin with a PRI"
    if datagram.ulen and len(data) < datagram.ulen - 8:
        return "packets that are damaged or cut short"
    if not data.strip(b"\r\n\0"):
        return "empty datagrams"
    return CapturedFrame(data, _address(packet.src), datetime.fromtimestamp(time, UTC), datagram.dport)


def _segment(packet: dpkt.ip.IP | dpkt.ip6.IP6, time: float) -> Segment | str:
    segment = packet.data
    if not isinstance(segment, dpkt.tcp.TCP):
        return "packets that are damaged or cut short"
    data = bytes(segment.data)
    if isinstance(packet, dpkt.ip.IP):
        # A frame of Ethernet is padded to its least length.
        data = data[: max(0, packet.len - 4 * packet.hl - 4 * segment.off)] if packet.len else data
    datetime.fromtimestamp(time, UTC)
    return Segment(
        time, _address(packet.src), segment.sport, _address(packet.dst), segment.dport, segment.seq, segment.flags, data
    )  # fmt: skip


def _address(data: bytes) -> Address:
    address = ip_address(bytes(data))
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
