"""How a site listens: addresses as users write them, certificates from PEM files, faults as one clear line."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import crypto
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, wrapServerTLS
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorCore, IStreamServerEndpoint
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.web.server import Site

_BACKLOG = 1024


class CollectorError(Exception):
    """The collector cannot start as it was told to; the text is for its operator."""


class Address(NamedTuple):
    """An IP address (``::`` for all, IPv4 included) and a port, 0 for any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``: HOST is an IPv4 address, an IPv6 address in brackets, ``localhost`` or ``*``.

    Raises CollectorError.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise CollectorError(f"'{text}' is no HOST:PORT, such as 127.0.0.1:8080, [::1]:8443 or *:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise CollectorError(f"'{text}': an IPv6 address needs brackets, such as [{host}]:{port}")
    host = {"localhost": "127.0.0.1", "*": "::"}.get(host, host)
    try:
        return Address(str(ip_address(host)), int(port))
    except ValueError:
        raise CollectorError(f"'{text}': HOST must be an IP address, localhost or *") from None


def listen(
    reactor: IReactorCore,
    address: Address,
    site: Site,
    certificate: Path | None = None,
    private_key: Path | None = None,
) -> Deferred[IListeningPort]:
    """Listen on ``address``, with TLS 1.2 or newer when a certificate is given.

    ``certificate``: PEM, the server's own first, then its chain. ``private_key``: PEM, unencrypted; None: it is in the
    certificate's file. The Deferred fails with CollectorError: port taken, unreadable PEM, key of another certificate.
    """
    return Deferred.fromCoroutine(_listen(reactor, address, site, certificate, private_key))


async def _listen(
    reactor: IReactorCore, address: Address, site: Site, certificate: Path | None, private_key: Path | None
) -> IListeningPort:
    kind = TCP6ServerEndpoint if ":" in address.host else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(reactor, address.port, backlog=_BACKLOG, interface=address.host)
    if certificate is not None:
        endpoint = wrapServerTLS(load_certificate(certificate, private_key), endpoint)
    try:
        return await endpoint.listen(site)
    except CannotListenError as error:
        reason = os.strerror(error.socketError.errno) if error.socketError.errno else str(error.socketError)
        raise CollectorError(f"cannot listen on {address}: {reason}") from None


def load_certificate(certificate: Path, private_key: Path | None = None) -> CertificateOptions:
    """Read a server's certificate, chain and key (see `listen`). Raises CollectorError, which never quotes a file."""
    key_file = private_key or certificate
    try:
        chain = x509.load_pem_x509_certificates(_read(certificate))
    except ValueError:
        raise CollectorError(f"{certificate}: holds no readable PEM certificate") from None
    key = _load_key(key_file)
    if key.public_key() != chain[0].public_key():
        raise CollectorError(f"{key_file}: this private key does not belong to the certificate in {certificate}")
    own, *others = (crypto.X509.from_cryptography(each) for each in chain)
    return CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(key),  # type: ignore[arg-type]  # what OpenSSL cannot use, it refuses
        certificate=own,
        extraCertChain=others,
        insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,  # Twisted's default today, said here so that it stays
        enableSessions=True,
        enableSessionTickets=True,
    )


def _load_key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(_read(path), password=None)
    except TypeError:
        raise CollectorError(f"{path}: the private key is encrypted, give one without a passphrase") from None
    except ValueError:
        raise CollectorError(f"{path}: holds no readable PEM private key") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CollectorError(f"cannot read {path}: {error.strerror}") from None
