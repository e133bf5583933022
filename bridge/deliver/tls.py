"""Whom we trust on the way out: the system's authorities, others beside them, or others alone.

One context per host and trust, kept: Twisted's default policy would build one for every request.
"""

from pathlib import Path

from OpenSSL import SSL
from twisted.internet._sslverify import IOpenSSLTrustRoot, OpenSSLDefaultPaths
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import TLSVersion, optionsForClientTLS
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer


@implementer(IOpenSSLTrustRoot)
class Authorities:
    """The authorities of PEM files, with or without the system's."""

    def __init__(self, *, ca_file: Path | None, extra_ca_file: Path | None) -> None:
        self._ca_file = ca_file
        self._extra_ca_file = extra_ca_file

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        if self._ca_file is None:
            OpenSSLDefaultPaths()._addCACertsToContext(context)
        for path in (self._ca_file, self._extra_ca_file):
            if path is not None:
                context.load_verify_locations(str(path))


@implementer(IPolicyForHTTPS)
class CachedPolicy:
    """Certificates and host names are verified; TLS 1.2 or newer."""

    def __init__(self, trust: Authorities) -> None:
        self._trust = trust
        self._creators: dict[bytes, IOpenSSLClientConnectionCreator] = {}

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """The one connection creator of a host."""
        creator = self._creators.get(hostname)
        if creator is None:
            creator = self._creators[hostname] = optionsForClientTLS(
                hostname.decode("ascii"),
                trustRoot=self._trust,
                extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2},
            )
        return creator
