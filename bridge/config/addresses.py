"""Addresses to listen on, networks to match, and the collector's URLs: text in, values or ValueError out."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from bridge.config.faults import shown

Network = IPv4Network | IPv6Network

# SEKOIA.IO's regions and the base address of each one's intake. SGP1 is written without the suffix on one of the
# vendor's pages; the rule of the newer regions, which another page gives, is used.
REGIONS = {"FRA1": "https://intake.sekoia.io"} | {
    region: f"https://intake.{region.lower()}.sekoia.io/api/v1/intake-http"
    for region in ("FRA2", "MCO1", "UAE1", "USA1", "SGP1")
}
ENDPOINTS = ("/plain/batch", "/plain", "/jsons", "/batch", "/", "/array")


@dataclass(frozen=True)
class Address:
    """Where to listen: `host` is an IP address or `*` for both families, `port` 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def families(self) -> frozenset[int]:
        """The IP versions it serves: `[::]` beside an IPv4 listener is IPv6 only, so it counts as that."""
        return frozenset((4, 6)) if self.host == "*" else frozenset((6 if ":" in self.host else 4,))

    @property
    def is_wildcard(self) -> bool:
        """Whether it takes what is sent to any address of the machine."""
        return self.host in ("*", "0.0.0.0", "::")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host != "*" and ipaddress.ip_address(self.host).is_loopback

    def clashes(self, other: Address | UnixAddress) -> bool:
        """Whether both cannot be bound at once, on the same transport."""
        if isinstance(other, UnixAddress):
            return False
        if self.port != other.port or self.port == 0 or not self.families & other.families:
            return False
        return self.is_wildcard or other.is_wildcard or self.host == other.host


@dataclass(frozen=True)
class UnixAddress:
    """Where to listen on this machine alone."""

    path: Path
    host = ""
    port = 0

    def __str__(self) -> str:
        return str(self.path)

    def clashes(self, other: Address | UnixAddress) -> bool:
        """Whether both cannot be bound at once."""
        return self == other


@dataclass(frozen=True)
class CopyTarget:
    """Another forwarder that gets copies."""

    transport: Literal["udp", "tcp"]
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"


def copy_target(text: str) -> CopyTarget:
    """`udp://HOST:PORT`, `tcp://HOST:PORT`."""
    wrong = ValueError(f"{shown(text)} is no target: write udp://HOST:PORT or tcp://HOST:PORT")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    host = parts.hostname or ""
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or not port:
        raise wrong
    if not (_is_ip(host) or re.fullmatch(r"(?!-)[a-z0-9_-]+(\.(?!-)[a-z0-9_-]+)*\.?", host, re.ASCII)):
        raise wrong
    if parts.scheme == "udp":
        return CopyTarget("udp", host, port)
    if parts.scheme == "tcp":
        return CopyTarget("tcp", host, port)
    raise wrong


def address(text: str) -> Address:
    """`*:514`, `192.0.2.1:514`, `[::1]:514`."""
    if re.fullmatch("[0-9]+", text):
        raise ValueError(
            f'an address and a port are needed: write "*:{int(text[:9])}" for every address of the machine'
        )
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or _is_ipv6(text):
        example = f"[{text}]:514" if _is_ipv6(text) else f"{text}:514" if _is_ip(text) else "*:514"
        raise ValueError(f'{shown(text)} has no port: write address and port, such as "{example}"')
    number = _port(port)
    if host == "":
        raise ValueError(f'an address is missing before the port: write "*:{number}" for every address of the machine')
    if host == "*":
        return Address(host, number)
    if _is_ipv6(host):
        raise ValueError(f'an IPv6 address stands in brackets: write "[{host}]:{number}"')
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if bare != host and not _is_ipv6(bare):
        raise ValueError(f"{shown(host)}: only an IPv6 address stands in brackets")
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        hint = "127.0.0.1" if bare == "localhost" else "*"
        raise ValueError(f'{shown(host)} is no IP address: write an address, such as "{hint}:{number}"') from None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        raise ValueError(f'an IPv4 address in IPv6 clothes: write "{parsed.ipv4_mapped}:{number}"')
    return Address(str(parsed), number)


def network(text: str) -> Network:
    """An address (a network of one) or a network in CIDR form."""
    if "%" in text:
        raise ValueError(f"{shown(text)}: a source has no zone; remove the % and what follows")
    base, slash, prefix = text.partition("/")
    try:
        host = ipaddress.ip_address(base)
    except ValueError:
        raise ValueError(_no_network(text)) from None
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        bits = f"/{int(prefix) - 96}" if re.fullmatch("[0-9]{2,3}", prefix) and 96 <= int(prefix) <= 128 else ""
        raise ValueError(f"mapped peers are matched as IPv4: write {host.ipv4_mapped}{bits}")
    if not slash:
        return ipaddress.ip_network(host)
    if not re.fullmatch("0|[1-9][0-9]{0,2}", prefix) or int(prefix) > host.max_prefixlen:
        raise ValueError(_no_prefix(host, prefix))
    meant = ipaddress.ip_network(f"{host}/{prefix}", strict=False)
    if meant.network_address != host:
        raise ValueError(
            f"{host}/{prefix} has host bits set: write {meant} for the network or {host} for the one address"
        )
    return meant


def base_url(text: str) -> str:
    """A base URL without its trailing slash: https, or http to loopback; no fault quotes it, it may hold a password."""
    parts, host = _url(text)
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("a base address has no ? or #: write https://HOST or https://HOST/PATH")
    path = parts.path.rstrip("/")
    for endpoint in sorted(ENDPOINTS, key=len, reverse=True):
        if endpoint != "/" and path.endswith(endpoint):
            raise ValueError(f"the endpoint's path is appended to it: leave {endpoint} off")
    if parts.scheme == "http" and not _is_loopback_host(host):
        raise ValueError("http:// would carry keys and events in the clear: write https:// (http:// only to loopback)")
    return f"{parts.scheme}://{parts.netloc}{path}"


def amqp_url(text: str) -> str:
    """A broker: amqps, or amqp to loopback; no fault quotes it, it may hold a password."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("no broker's address: write amqps://HOST, with a port from 1 to 65535 if any") from None
    host = parts.hostname or ""
    if "@" in parts.netloc:
        raise ValueError("a user or password in a URL would be shown: remove it; username and password are keys")
    if parts.scheme not in ("amqps", "amqp") or not _is_host(host) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError("no broker's address: write amqps://HOST or amqps://HOST:PORT")
    if parts.path.rstrip("/") or parts.query or parts.fragment:
        raise ValueError("a broker's address ends with its port: virtual_host is a key of its own")
    if parts.scheme == "amqp" and not _is_loopback_host(host):
        raise ValueError("amqp:// would carry password and events in the clear: write amqps:// (amqp:// to loopback)")
    return f"{parts.scheme}://{parts.netloc}"


def proxy_url(text: str) -> str:
    """`http://HOST:PORT`, the user in keys of their own. Never quoted in a fault."""
    parts, _ = _url(text)
    if parts.scheme != "http" or parts.path.rstrip("/") or parts.query or parts.fragment:
        raise ValueError("a proxy is written http://HOST:PORT")
    if parts.port is None:
        raise ValueError("the proxy's port is missing: write http://HOST:PORT")
    return f"http://{parts.netloc}"


def _url(text: str) -> tuple[SplitResult, str]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("this is no URL: write https://HOST, with a port from 1 to 65535 if any") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("this is no URL: write https://HOST")
    if "@" in parts.netloc:
        raise ValueError("a user or password in a URL would be shown: remove it; secrets have keys of their own")
    if port == 0 or parts.netloc.endswith(":") or not _is_host(parts.hostname):
        raise ValueError("the URL's host or port cannot be: write https://HOST or https://HOST:PORT")
    if not re.fullmatch(r"[!-~]*", text) or "\\" in text:
        raise ValueError("a URL holds no blanks, backslashes or letters outside ASCII")
    return parts, parts.hostname


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"{shown(text)} is no port: write a number from 0 to 65535")
    number = int(text)
    if number > 65535:
        raise ValueError(f"{number} is no port: the highest is 65535")
    if str(number) != text:
        raise ValueError(f"a port has no leading zero: write {number}")
    return number


def _no_network(text: str) -> str:
    if re.fullmatch(r"[0-9.]+ *- *[0-9.]+", text):
        return f"{shown(text)} is a range: write its networks, such as 10.0.0.0/29"
    if re.fullmatch(r"\[.*\](:[0-9]+)?|[0-9.]+:[0-9]+", text):
        return f"{shown(text)}: a source is an address alone, without brackets and port"
    if re.fullmatch(r"[0-9.]+\*|[0-9]+(\.[0-9*x]+){0,3}\.?(/[0-9]+)?", text):
        return f"{shown(text)} is no whole address: write all four numbers, as a network 10.1.0.0/16"
    return f"{shown(text)} is no address or network: write 192.0.2.7 or 10.1.0.0/16 (names go into hostname:)"


def _no_prefix(host: IPv4Address | IPv6Address, prefix: str) -> str:
    if isinstance(host, IPv4Address) and prefix.count(".") == 3:
        try:
            bits = IPv4Network(f"0.0.0.0/{prefix}").prefixlen
        except ValueError:
            bits = None
        if bits is not None:
            return f"a netmask is not read: write {IPv4Network(f'{host}/{bits}', strict=False)}"
    return f"{shown(prefix)} is no prefix length: write 0 to {host.max_prefixlen}"


def _is_host(text: str) -> bool:
    """Whether it is a name or an address, as they stand in a URL."""
    return re.fullmatch(r"(?!-)[a-z0-9_-]+(\.(?!-)[a-z0-9_-]+)*\.?", text, re.ASCII) is not None or _is_ipv6(text)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    return ":" in text and _is_ip(text)


def _is_loopback_host(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)
