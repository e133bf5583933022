"""Configures TLS for outgoing connections: the trusted authorities, and a client certificate if the server requires
one. Trusted are the system's authorities, additional ones, or others instead.

One TLS context per trust setting is reused, because Twisted's default policy would build one for every request.
Twisted verifies certificates and host names. This module only records the result, so that a rejected certificate can
be described.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.x509 import Name
from OpenSSL import SSL, crypto
from twisted.internet._sslverify import ClientTLSOptions, IOpenSSLTrustRoot, OpenSSLDefaultPaths
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from bridge.tls.ciphers import acceptable
from bridge.tls.pem import read_identity

# X509_V_ERR_* of openssl/x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_AUTHORITY = frozenset((2, 18, 19, 20, 21))


@dataclass(frozen=True, slots=True)
class Trust:
    """PEM files for outgoing TLS. ``ca_file`` replaces the system's authorities, ``extra_ca_file`` adds to them."""

    ca_file: Path | None = None
    extra_ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    legacy_ciphers: bool = False
    "True if TLS 1.2 may use CBC and static RSA (``bridge.tls.ciphers``)."

    @property
    def files(self) -> tuple[Path, ...]:
        """Returns the configured files."""
        paths = (self.ca_file, self.extra_ca_file, self.client_cert_file, self.client_key_file)
        return tuple(path for path in paths if path is not None)


@implementer(IOpenSSLTrustRoot)
class Authorities:
    """Trusts the authorities of PEM files, with or without those of the system."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        if self._trust.ca_file is None:
            OpenSSLDefaultPaths()._addCACertsToContext(context)
        for path in (self._trust.ca_file, self._trust.extra_ca_file):
            if path is not None:
                context.load_verify_locations(str(path))


Callback = Callable[[SSL.Connection, crypto.X509, int, int, int], bool]


class _Watched(SSL.Connection):
    """A connection that reports each verification to ``on_verified``. Twisted still verifies, including the host
    name."""

    def __init__(self, context: SSL.Context, on_verified: Callable[[crypto.X509, int, int, bool], None]) -> None:
        super().__init__(context, None)
        self._on_verified = on_verified

    def set_verify(self, mode: int, callback: Callback | None = None) -> None:
        """Wraps the callback. Called by Twisted."""

        def verified(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
            self._on_verified(certificate, error, depth, bool(ok))
            return bool(ok) if callback is None else callback(connection, certificate, error, depth, ok)

        super().set_verify(mode, verified)


def _shown(name: Callable[[], Name]) -> str:
    try:
        text = ", ".join(str(part.value) for part in list(name())[-2:])
    except ValueError:
        text = ""
    return "".join(c if c.isprintable() else "?" for c in text)[:100] or "unknown"


def _describe_refusal(certificate: crypto.X509, error: int, depth: int) -> str:
    """Describes why verification failed at a certificate. ``depth`` is 0 for the server's own certificate."""
    found = certificate.to_cryptography()
    issuer = _shown(lambda: found.issuer)
    name, remedy = f"the server certificate (issuer {issuer})", "check the gateway's clock"
    if depth:
        name = f"the authority certificate {_shown(lambda: found.subject)} of the server's chain (issuer {issuer})"
        remedy += ", and update the trusted authorities"
    if error == _EXPIRED:
        return f"{name} expired on {found.not_valid_after_utc:%Y-%m-%d}; {remedy}"
    if error == _NOT_YET_VALID:
        return f"{name} is valid from {found.not_valid_before_utc:%Y-%m-%d}; {remedy}"
    if error in _UNKNOWN_AUTHORITY:
        return (
            f"the server certificate has the untrusted issuer {issuer}. If a proxy inspects TLS, add its CA as"
            " extra_ca_file"
        )
    return f"{name} cannot be verified (X.509 error {error})"


@implementer(IPolicyForHTTPS)
class CachedPolicy:
    """Verifies certificates and host names, with TLS 1.2 or newer. Raises PemError if the client certificate cannot
    be read."""

    def __init__(self, trust: Trust) -> None:
        client_options: dict[str, Any] = {}
        if trust.client_cert_file is not None:
            identity = read_identity(trust.client_cert_file, trust.client_key_file)
            first, *chain = (crypto.X509.from_cryptography(each) for each in identity.chain)
            client_options = {
                "privateKey": crypto.PKey.from_cryptography_key(identity.key),  # type: ignore[arg-type]
                "certificate": first,
                "extraCertChain": chain,
            }
        self._options = CertificateOptions(
            trustRoot=Authorities(trust),
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableProtocols=None,
            acceptableCiphers=acceptable(legacy=trust.legacy_ciphers),
            **client_options,
        )
        self._creators: dict[bytes, IOpenSSLClientConnectionCreator] = {}
        self._refused: dict[bytes, str | None] = {}

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """Returns the connection creator of a host. It is created once per host."""
        if hostname not in self._creators:

            def on_verified(certificate: crypto.X509, error: int, depth: int, ok: bool) -> None:
                self._refused[hostname] = None if ok else _describe_refusal(certificate, error, depth)

            self._creators[hostname] = ClientTLSOptions(
                lambda protocol: _Watched(self._options.getContext(), on_verified), hostname.decode("ascii")
            )
        return self._creators[hostname]

    def refused(self, hostname: str) -> str | None:
        """Returns why the latest certificate of a host was rejected; None if it was accepted."""
        return self._refused.get(hostname.encode())
