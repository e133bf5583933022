"""Opens the collector's port: parses the address, loads the certificate and reports faults in one line."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, wrapServerTLS
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorCore, IStreamServerEndpoint
from twisted.web.server import Site

from bridge.tls.pem import PemError
from bridge.tls.server import ServerContext
from bridge.util.errors import BridgeError

_BACKLOG = 1024


class CollectorError(BridgeError):
    """Raised when the collector cannot start."""


class ListenAddress(NamedTuple):
    """An IP address (``::`` for all, including IPv4) and a port (0 for any free port)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> ListenAddress:
    """Parses ``HOST:PORT``: HOST is an IPv4 address, an IPv6 address in brackets, ``localhost`` or ``*``.

    Raises CollectorError.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise CollectorError(f"'{text}' is not HOST:PORT, such as 127.0.0.1:8080, [::1]:8443 or *:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise CollectorError(f"'{text}': an IPv6 address needs brackets, such as [{host}]:{port}")
    host = {"localhost": "127.0.0.1", "*": "::"}.get(host, host)
    try:
        return ListenAddress(str(ip_address(host)), int(port))
    except ValueError:
        raise CollectorError(f"'{text}': HOST must be an IP address, localhost or *") from None


async def listen(
    reactor: IReactorCore, address: ListenAddress, site: Site,
    certificate: Path | None = None, private_key: Path | None = None,
) -> IListeningPort:  # fmt: skip
    """Listens on ``address``, with TLS 1.2 or newer if a certificate is given.

    ``certificate``: PEM file, the server certificate first, then its chain. ``private_key``: PEM file, unencrypted;
    None if the key is in the certificate's file. Raises CollectorError if the port is in use, a PEM file cannot be
    read or the key belongs to another certificate.
    """
    kind = TCP6ServerEndpoint if ":" in address.host else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(reactor, address.port, backlog=_BACKLOG, interface=address.host)
    if certificate is not None:
        try:
            endpoint = wrapServerTLS(ServerContext(certificate, private_key), endpoint)
        except PemError as error:
            raise CollectorError(error.text, error.hint) from None
    try:
        return await endpoint.listen(site)
    except CannotListenError as error:
        reason = os.strerror(error.socketError.errno) if error.socketError.errno else str(error.socketError)
        raise CollectorError(f"cannot listen on {address}: {reason}") from None
