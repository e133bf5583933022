"""The header that a balancer puts before a connection's bytes (haproxy.org, proxy-protocol.txt): versions 1 and 2.

v1 is a line, ``PROXY TCP4 192.0.2.7 10.0.0.1 40000 514 CR LF``, of at most 107 bytes, or ``PROXY UNKNOWN``. v2 is
binary: a signature, version and command, family, the length of the rest, addresses, and additions that are not read.
Where the balancer speaks for itself (UNKNOWN, LOCAL: a health check) there is no source in it.
"""

import re
import socket
from typing import NamedTuple

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V1_LONGEST = 107
_V2_LONGEST = 4096
"Bytes of addresses and additions; usual ones are below 200."
_LINE = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP4|TCP6) (\S+) (\S+) ([0-9]{1,5}) ([0-9]{1,5}))\r\n")


class ProxyHeaderError(ValueError):
    """The bytes begin with no PROXY header, or one that is damaged; the text says which."""


class ProxyHeader(NamedTuple):
    """A whole header."""

    size: int
    "Bytes that it took."
    source: tuple[str, int] | None
    "Address and port for whom the balancer speaks; None: for itself."


def begins(data: bytes) -> bool:
    """Whether a connection's first bytes are the beginning of a header, and of nothing that syslog knows."""
    return data.startswith((b"PROXY TCP", b"PROXY UNKNOWN", _V2))


def read(data: bytes) -> ProxyHeader | None:
    """The header at the beginning of a connection; None: more bytes are needed. Raises ProxyHeaderError."""
    if data[: len(_V2)] == _V2[: len(data)]:
        return _read_v2(data)
    if data[: len(_V1)] != _V1[: len(data)]:
        raise ProxyHeaderError("it does not begin with a PROXY header")
    if b"\n" not in data[:_V1_LONGEST]:
        if len(data) >= _V1_LONGEST:
            raise ProxyHeaderError("its PROXY header has no end")
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
        raise ProxyHeaderError("its PROXY header is damaged: no address") from None
    port = int(line[4])
    if port > 65535:
        raise ProxyHeaderError("its PROXY header is damaged: no port")
    return ProxyHeader(line.end(), (host, port))


def _read_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    version, command, family = data[12] >> 4, data[12] & 15, data[13] >> 4
    length = int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1 or length > _V2_LONGEST:
        raise ProxyHeaderError("its PROXY header is damaged, or of a version after 2")
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
