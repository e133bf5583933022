"""Parses listen addresses, networks and URLs; raises ValueError with a text for the operator."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from bridge.config.faults import shown

Network = IPv4Network | IPv6Network

# SEKOIA.IO's regions and the base URL of each region's intake API. One of the vendor's pages gives SGP1 without the
# suffix; this table follows the rule of the newer regions, which another page gives.
REGIONS = {"FRA1": "https://intake.sekoia.io"} | {
    region: f"https://intake.{region.lower()}.sekoia.io/api/v1/intake-http"
    for region in ("FRA2", "MCO1", "UAE1", "USA1", "SGP1")
}
ENDPOINTS = ("/plain/batch", "/plain", "/jsons", "/batch", "/", "/array")
TIME_PER_EVENT = ("/array",)
"Endpoints that carry many events with a time each."


@dataclass(frozen=True)
class Address:
    """An address to listen on: `host` is an IP address, or `*` for both families; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def families(self) -> frozenset[int]:
        """Returns the IP versions served; `[::]` counts as IPv6 only, since it is IPv6 only beside an IPv4 listener."""
        return frozenset((4, 6)) if self.host == "*" else frozenset((6 if ":" in self.host else 4,))

    @property
    def is_loopback(self) -> bool:
        """Returns True if only this machine can reach the address."""
        return _is_loopback_host(self.host)

    def clashes(self, other: Address | UnixAddress) -> bool:
        """Returns True if the two addresses cannot be bound at the same time on the same transport."""
        if isinstance(other, UnixAddress):
            return False
        if self.port != other.port or self.port == 0 or not self.families & other.families:
            return False
        return self.host == other.host or any(host in ("*", "0.0.0.0", "::") for host in (self.host, other.host))


@dataclass(frozen=True)
class UnixAddress:
    """The path of a Unix socket to listen on."""

    path: Path
    host = ""
    port = 0

    def __str__(self) -> str:
        return str(self.path)

    def clashes(self, other: Address | UnixAddress) -> bool:
        """Returns True if the two addresses cannot be bound at the same time."""
        return self == other


@dataclass(frozen=True)
class MirrorTarget:
    """The address of another forwarder, which receives copies of frames."""

    transport: Literal["udp", "tcp"]
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"


def mirror_target(text: str) -> MirrorTarget:
    """Parses `udp://HOST:PORT` or `tcp://HOST:PORT`."""
    wrong = ValueError(f"invalid target {shown(text)}. Write udp://HOST:PORT or tcp://HOST:PORT.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    host = parts.hostname or ""
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or not port or not _is_host(host):
        raise wrong
    if parts.scheme == "udp":
        return MirrorTarget("udp", host, port)
    if parts.scheme == "tcp":
        return MirrorTarget("tcp", host, port)
    raise wrong


def address(text: str) -> Address:
    """Parses a listen address: `*:514`, `192.0.2.1:514`, `[::1]:514`; `514` and `:514` are all addresses."""
    if re.fullmatch("[0-9]+", text):
        return Address("*", _port(text))
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or _is_ipv6(text):
        example = f"[{text}]:514" if _is_ipv6(text) else f"{text}:514" if _is_ip(text) else "*:514"
        raise ValueError(f'{shown(text)} has no port. Write address and port, for example "{example}".')
    number = _port(port)
    if host in ("*", ""):
        return Address("*", number)
    if _is_ipv6(host):
        raise ValueError(f'an IPv6 address needs brackets. Write "[{host}]:{number}".')
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if bare != host and not _is_ipv6(bare):
        raise ValueError(f"{shown(host)} is not an IPv6 address. Remove the brackets.")
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        hint = "127.0.0.1" if bare == "localhost" else "*"
        raise ValueError(f'{shown(host)} is not an IP address. Write one, for example "{hint}:{number}".') from None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        raise ValueError(f'this is an IPv4-mapped IPv6 address. Write "{parsed.ipv4_mapped}:{number}".')
    return Address(str(parsed), number)


def network(text: str) -> Network:
    """Parses a network in CIDR form, or an address, which becomes a network of one address."""
    if "%" in text:
        raise ValueError(f"{shown(text)} has an IPv6 zone. Remove the % and the text after it.")
    base, slash, prefix = text.partition("/")
    try:
        host = ipaddress.ip_address(base)
    except ValueError:
        raise ValueError(_network_error(text)) from None
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        bits = f"/{int(prefix) - 96}" if re.fullmatch("[0-9]{2,3}", prefix) and 96 <= int(prefix) <= 128 else ""
        raise ValueError(f"IPv4-mapped IPv6 addresses are matched as IPv4. Write {host.ipv4_mapped}{bits}.")
    if not slash:
        return ipaddress.ip_network(host)
    if not re.fullmatch("0|[1-9][0-9]{0,2}", prefix) or int(prefix) > host.max_prefixlen:
        raise ValueError(_prefix_error(host, prefix))
    meant = ipaddress.ip_network(f"{host}/{prefix}", strict=False)
    if meant.network_address != host:
        forms = f"{meant} for the network or {host} for the single address"
        raise ValueError(f"{host}/{prefix} has host bits set. Write {forms}.")
    return meant


def base_url(text: str) -> str:
    """Parses a base URL and returns it without a trailing slash.

    The scheme is https, or http to loopback. The URL may contain a password, so no error quotes it.
    """
    parts, host = _url(text)
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("a base URL must not contain ? or #. Write https://HOST or https://HOST/PATH.")
    path = parts.path.rstrip("/")
    for endpoint in sorted(ENDPOINTS, key=len, reverse=True):
        if endpoint != "/" and path.endswith(endpoint):
            raise ValueError(f"the bridge appends the path of the endpoint. Remove {endpoint}.")
    if parts.scheme == "http" and not _is_loopback_host(host):
        raise ValueError("http:// sends keys and events unencrypted. Write https:// (http:// only to loopback).")
    return f"{parts.scheme}://{parts.netloc}{path}"


def amqp_url(text: str) -> str:
    """Parses the URL of a broker: amqps, or amqp to loopback. It may contain a password, so no error quotes it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("invalid broker URL. Write amqps://HOST, or amqps://HOST:PORT with port 1 to 65535.") from None
    host = parts.hostname or ""
    if "@" in parts.netloc:
        raise ValueError("a URL must not contain a user or password. Use the keys username and password.")
    if parts.scheme not in ("amqps", "amqp") or not _is_host(host) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError("invalid broker URL. Write amqps://HOST or amqps://HOST:PORT.")
    if parts.path.rstrip("/") or parts.query or parts.fragment:
        raise ValueError("a broker URL must end after the port. Use the key virtual_host for the virtual host.")
    if parts.scheme == "amqp" and not _is_loopback_host(host):
        raise ValueError("amqp:// sends password and events unencrypted. Write amqps:// (amqp:// only to loopback).")
    return f"{parts.scheme}://{parts.netloc}"


def proxy_url(text: str) -> str:
    """Parses the URL of a proxy, `http://HOST:PORT`. User and password have their own keys. No error quotes the URL."""
    parts, _ = _url(text)
    if parts.scheme != "http" or parts.path.rstrip("/") or parts.query or parts.fragment:
        raise ValueError("invalid proxy URL. Write http://HOST:PORT.")
    if parts.port is None:
        raise ValueError("the proxy's port is missing. Write http://HOST:PORT.")
    return f"http://{parts.netloc}"


def _url(text: str) -> tuple[SplitResult, str]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("invalid URL. Write https://HOST, or https://HOST:PORT with port 1 to 65535.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("invalid URL. Write https://HOST.")
    if "@" in parts.netloc:
        raise ValueError("a URL must not contain a user or password. Remove it; secrets have their own keys.")
    if port == 0 or parts.netloc.endswith(":") or not _is_host(parts.hostname):
        raise ValueError("the URL has an invalid host or port. Write https://HOST or https://HOST:PORT.")
    if not re.fullmatch(r"[!-~]*", text) or "\\" in text:
        raise ValueError("a URL must not contain spaces, backslashes or non-ASCII characters. Percent-encode them.")
    return parts, parts.hostname


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"invalid port {shown(text)}. Write a number from 0 to 65535.")
    number = int(text)
    if number > 65535:
        raise ValueError(f"invalid port {number}. Write a number from 0 to 65535.")
    if str(number) != text:
        raise ValueError(f"a port must not start with a zero. Write {number}.")
    return number


def _network_error(text: str) -> str:
    if re.fullmatch(r"[0-9.]+ *- *[0-9.]+", text):
        return f"{shown(text)} is a range. Write the networks that it consists of, for example 10.0.0.0/29."
    if re.fullmatch(r"\[.*\](:[0-9]+)?|[0-9.]+:[0-9]+", text):
        return f"{shown(text)} has brackets or a port. Write the address only."
    if re.fullmatch(r"[0-9.]+\*|[0-9]+(\.[0-9*x]+){0,3}\.?(/[0-9]+)?", text):
        return f"{shown(text)} is not a valid address. Write four numbers (192.0.2.7), or a network (10.1.0.0/16)."
    return f"{shown(text)} is not an address or network. Write 192.0.2.7 or 10.1.0.0/16. Host names belong in hostname."


def _prefix_error(host: IPv4Address | IPv6Address, prefix: str) -> str:
    if isinstance(host, IPv4Address) and prefix.count(".") == 3:
        with suppress(ValueError):
            return f"a netmask is not supported. Write {IPv4Network(f'{host}/{prefix}', strict=False)}."
    return f"invalid prefix length {shown(prefix)}. Write 0 to {host.max_prefixlen}."


def _is_host(text: str) -> bool:
    """Returns True for a lower-case host name or an IP address without brackets."""
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
