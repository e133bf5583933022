"""Parses the addresses of senders as sockets give them."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from bridge.routing.conditions import Address


@lru_cache(maxsize=10_000)
def address_of(host: str) -> Address | None:
    """Parses a socket's peer address; returns None if it is not an IP address.

    An IPv4-mapped IPv6 address, as a dual-stack socket gives it, is returned as IPv4.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def share_of(host: str) -> str:
    """Returns the client among which turns and buffers are shared: the IPv4 address, or a network of 64 bits for IPv6,
    because a client has many of those addresses."""
    address = address_of(host)
    if address is not None and address.version == 6:
        return f"{int(address) >> 64:x}"
    return str(address or host)
