"""Whom we trust on the way out, and who we are: the system's authorities, others beside them, or others alone; and a
certificate of ours where the far side asks for one.

One context for each trust, kept: Twisted's default policy would build one for every request. Certificates and names
are verified by Twisted; it is only overheard, so that a refusal can be told in words.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet._sslverify import ClientTLSOptions, IOpenSSLTrustRoot, OpenSSLDefaultPaths
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from bridge.tls.pem import read_identity

# X509_V_ERR_* of openssl/x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_AUTHORITY = frozenset((2, 18, 19, 20, 21))


@dataclass(frozen=True, slots=True)
class Trust:
    """PEM files. ``ca_file`` is instead of the system's authorities, ``extra_ca_file`` beside them."""

    ca_file: Path | None = None
    extra_ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that are given."""
        every = (self.ca_file, self.extra_ca_file, self.client_certificate, self.client_key)
        return tuple(path for path in every if path is not None)


@implementer(IOpenSSLTrustRoot)
class Authorities:
    """The authorities of PEM files, with or without the system's."""

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
    """A connection whose verification is Twisted's own, name included; ``saw`` is told what it was asked about."""

    def __init__(self, context: SSL.Context, saw: Callable[[crypto.X509, int, bool], None]) -> None:
        super().__init__(context, None)
        self._saw = saw

    def set_verify(self, mode: int, callback: Callback | None = None) -> None:
        """Called by Twisted."""

        def watched(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
            self._saw(certificate, error, bool(ok))
            return bool(ok) if callback is None else callback(connection, certificate, error, depth, ok)

        super().set_verify(mode, watched)


class _Creator:
    """A host's connections; remembers why its certificate was refused."""

    def __init__(self, options: CertificateOptions, hostname: str) -> None:
        self.refused: str | None = None
        self.creator = ClientTLSOptions(lambda protocol: _Watched(options.getContext(), self._saw), hostname)

    def _saw(self, certificate: crypto.X509, error: int, ok: bool) -> None:
        self.refused = None if ok else _in_words(certificate, error)


def _in_words(certificate: crypto.X509, error: int) -> str:
    found = certificate.to_cryptography()
    try:
        issuer = ", ".join(str(name.value) for name in list(found.issuer)[-2:])
    except ValueError:
        issuer = ""
    issuer = "".join(c if c.isprintable() else "?" for c in issuer)[:100] or "nobody"
    if error == _EXPIRED:
        return f"the certificate (of {issuer}) expired on {found.not_valid_after_utc:%Y-%m-%d}: or is our clock wrong?"
    if error == _NOT_YET_VALID:
        return f"the certificate (of {issuer}) is valid from {found.not_valid_before_utc:%Y-%m-%d}: is our clock wrong?"
    if error in _UNKNOWN_AUTHORITY:
        return (
            f"the certificate is of {issuer}, whom we do not trust: does a proxy open TLS? Then give its authority as"
            " extra_ca_file"
        )
    return f"the certificate (of {issuer}) cannot be verified (X.509 error {error})"


@implementer(IPolicyForHTTPS)
class CachedPolicy:
    """Certificates and host names are verified; TLS 1.2 or newer. Raises PemError where our own cannot be read."""

    def __init__(self, trust: Trust) -> None:
        own: dict[str, Any] = {}
        if trust.client_certificate is not None:
            identity = read_identity(trust.client_certificate, trust.client_key)
            first, *chain = (crypto.X509.from_cryptography(each) for each in identity.chain)
            own = {
                "privateKey": crypto.PKey.from_cryptography_key(identity.key),  # type: ignore[arg-type]
                "certificate": first,
                "extraCertChain": chain,
            }
        self._options = CertificateOptions(
            trustRoot=Authorities(trust), raiseMinimumTo=TLSVersion.TLSv1_2, acceptableProtocols=None, **own
        )
        self._creators: dict[bytes, _Creator] = {}

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """The one connection creator of a host."""
        found = self._creators.get(hostname)
        if found is None:
            found = self._creators[hostname] = _Creator(self._options, hostname.decode("ascii"))
        return found.creator

    def refused(self, hostname: str) -> str | None:
        """Why the last certificate of a host was refused; None: it was not."""
        creator = self._creators.get(hostname.encode())
        return None if creator is None else creator.refused
