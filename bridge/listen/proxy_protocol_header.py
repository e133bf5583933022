"""Parses the PROXY protocol header, versions 1 and 2 (haproxy.org, proxy-protocol.txt).

Version 1 is a line of at most 107 bytes, ``PROXY TCP4 192.0.2.7 10.0.0.1 40000 514 CR LF`` or ``PROXY UNKNOWN``.
Version 2 is binary: signature, version and command, family, length of the rest, addresses, and extensions that are
ignored. A header of the balancer's own connection (UNKNOWN, LOCAL: a health check) carries no source.
"""

import re
import socket
from typing import NamedTuple

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V1_LONGEST = 107
_V2_LONGEST = 4096
"Bytes of addresses and extensions, at most; usual headers have less than 200."
_LINE = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP4|TCP6) (\S+) (\S+) ([0-9]{1,5}) ([0-9]{1,5}))\r\n")

UNEXPECTED = (
    "proxy_header_from_stranger",
    "it begins with a PROXY header, and its sender is not in the listener's trusted_proxies",
)
"Reason code and text of a connection that begins with a header although its sender is no configured balancer."


class ProxyHeaderError(ValueError):
    """Raised when the bytes begin with no PROXY header or with a damaged one; the text says which."""


class ProxyHeader(NamedTuple):
    """Holds a complete header."""

    size: int
    "Length of the header in bytes."
    source: tuple[str, int] | None
    "Address and port of the real client; None if the balancer itself is the client."


def begins(data: bytes) -> bool:
    """Returns True if a connection's first bytes begin a PROXY header, and cannot begin a syslog message."""
    return data.startswith((b"PROXY TCP", b"PROXY UNKNOWN", _V2))


def read(data: bytes) -> ProxyHeader | None:
    """Returns the header at the start of a connection, or None if more bytes are needed. Raises ProxyHeaderError."""
    if data[: len(_V2)] == _V2[: len(data)]:
        return _read_v2(data)
    if data[: len(_V1)] != _V1[: len(data)]:
        raise ProxyHeaderError("it does not begin with a PROXY header")
    if b"\n" not in data[:_V1_LONGEST]:
        if len(data) >= _V1_LONGEST:
            raise ProxyHeaderError(f"its PROXY header has no line end within {_V1_LONGEST} bytes")
        return None
    line = _LINE.match(data)
    if line is None:
        raise ProxyHeaderError("its PROXY header is damaged")
    if line[1] is None:
        return ProxyHeader(line.end(), None)
    family = socket.AF_INET if line[1] == b"TCP4" else socket.AF_INET6
    try:
        host = socket.inet_ntop(family, socket.inet_pton(family, line[2].decode()))
    except (OSError, ValueError):
        raise ProxyHeaderError("its PROXY header is damaged: an address is not valid") from None
    port = int(line[4])
    if port > 65535:
        raise ProxyHeaderError("its PROXY header is damaged: the port is above 65535")
    return ProxyHeader(line.end(), (host, port))


def _read_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    version, command, family = data[12] >> 4, data[12] & 15, data[13] >> 4
    length = int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1 or length > _V2_LONGEST:
        raise ProxyHeaderError("its PROXY header is damaged, or its version is not supported (1 and 2 are)")
    if len(data) < 16 + length:
        return None
    sizes = {1: (socket.AF_INET, 4), 2: (socket.AF_INET6, 16)}
    if command == 0 or family not in sizes:
        return ProxyHeader(16 + length, None)
    kind, size = sizes[family]
    if length < 2 * size + 4:
        raise ProxyHeaderError("its PROXY header is damaged: addresses are missing")
    host = socket.inet_ntop(kind, data[16 : 16 + size])
    return ProxyHeader(16 + length, (host, int.from_bytes(data[16 + 2 * size : 18 + 2 * size], "big")))
