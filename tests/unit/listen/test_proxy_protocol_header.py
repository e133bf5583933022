"""Tests PROXY headers: whole, byte by byte, and with following data."""

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.listen import proxy_protocol_header
from bridge.listen.proxy_protocol_header import ProxyHeader, ProxyHeaderError


def v2(command, family, addresses):
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, family]) + len(addresses).to_bytes(2, "big") + addresses


IPV4_ADDRESSES = socket.inet_aton("192.0.2.7") + socket.inet_aton("10.0.0.1") + (40000).to_bytes(2, "big") + b"\x02\x02"
IPV6_ADDRESSES = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + (40000).to_bytes(2, "big") + b"\x02\x02"
VALID_HEADERS = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 514\r\n", ("192.0.2.7", 40000)),
    (b"PROXY TCP6 2001:DB8::7 ::1 40000 514\r\n", ("2001:db8::7", 40000)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    (v2(1, 0x11, IPV4_ADDRESSES), ("192.0.2.7", 40000)),
    (v2(1, 0x11, IPV4_ADDRESSES + b"\x04\0\x02xx"), ("192.0.2.7", 40000)),
    (v2(1, 0x21, IPV6_ADDRESSES), ("2001:db8::7", 40000)),
    (v2(0, 0x00, b""), None),
    (v2(1, 0x31, b"x" * 216), None),
]


@pytest.mark.parametrize(("data", "source"), VALID_HEADERS)
def test_header_is_read_once_complete_and_without_its_tail(data, source):
    assert proxy_protocol_header.read(data) == ProxyHeader(len(data), source)
    assert proxy_protocol_header.read(data + b"<13>x\n") == ProxyHeader(len(data), source)
    for end in range(len(data)):
        assert proxy_protocol_header.read(data[:end]) is None
    assert proxy_protocol_header.begins(data)


@pytest.mark.parametrize(
    "data",
    [
        b"<13>PROXY TCP4", b"PROXI", b"\x16\x03\x01", b"PROXY TCP4 192.0.2.777 10.0.0.1 1 2\r\n", b"PROXY TCP4 1 2\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n", b"PROXY TCP4 192.0.2.7 10.0.0.1 99999 2\r\n", b"PROXY TCP4 x\n",
        b"PROXY " + b"x" * 102, v2(2, 0x11, IPV4_ADDRESSES), v2(1, 0x11, IPV4_ADDRESSES[:8]),
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ],
)  # fmt: skip
def test_invalid_header_is_an_error(data):
    with pytest.raises(ProxyHeaderError):
        proxy_protocol_header.read(data)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_header_or_none_or_a_proxy_header_error(data):
    for start in (b"", b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n\x21"):
        try:
            header = proxy_protocol_header.read(start + data)
        except ProxyHeaderError:
            continue
        assert header is None or 0 < header.size <= len(start + data)


def test_syslog_is_not_a_header():
    for frame in (b"<13>x", b"PROXYD: up", b"PROXY is down", b"13 <13>x", b"\r\n\r\n"):
        assert not proxy_protocol_header.begins(frame)
