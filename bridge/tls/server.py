"""A server's side of TLS, for whoever listens: certificates that can be renewed, clients that must show theirs.

``ServerContext`` is what Twisted asks for each new connection. ``reload`` reads the files again: connections made from
then on have the new certificate, those that are open go on with theirs. A reload that fails leaves all as it was.

TLS 1.2 and 1.3. Sessions are resumed (a gateway that reboots makes all its senders come back at once); after a reload
each client shakes hands anew, so that nobody comes in by a session that another authority let in.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, TLSVersion, trustRootFromCertificates
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from bridge.tls.pem import (
    Identity,
    fingerprint_of,
    names_of,
    read_certificates,
    read_identity,
)


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """Who may connect. All that is given must hold; without anything, everybody may and no certificate is asked for."""

    authority: Path | None = None
    "PEM: the client's certificate must come from one of these authorities."
    names: tuple[str, ...] = ()
    "Globs, of which one must match a name of the certificate; they need an authority, as anybody can write a name."
    fingerprints: frozenset[str] = frozenset()
    "SHA-256 of certificates that may come in; without an authority they may have signed themselves."

    @property
    def asks(self) -> bool:
        """Whether clients must show a certificate."""
        return self.authority is not None or bool(self.fingerprints)


class ClientRefused(Exception):
    """A client's certificate is not one of those that may come in; ``reason`` is a word for metrics."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class _Connection(SSL.Connection):
    """OpenSSL's, with room for what it found wrong with the client's certificate."""

    fault: tuple[int, tuple[str, ...]] | None = None
    "Its number and the certificate's names."


@implementer(IOpenSSLServerConnectionCreator)
class ServerContext:
    """The certificate, key and client terms of one listener. Raises PemError where a file cannot be used."""

    def __init__(self, certificate: Path, private_key: Path | None = None, clients: ClientTerms | None = None) -> None:
        self._certificate = certificate
        self._private_key = private_key
        self._clients = clients or ClientTerms()
        self._names = _globs(self._clients.names)
        self.reload()

    def reload(self) -> None:
        """Read the files again. Raises PemError: then what was read before stays."""
        identity = read_identity(self._certificate, self._private_key)
        authority = self._clients.authority
        authorities = read_certificates(authority) if authority is not None else ()
        self._context = _context(identity, authorities, asks=self._clients.asks)
        self.expires = identity.expires
        "When the served certificate, or one of its chain, expires: seconds since the epoch."

    def become(self, other: "ServerContext") -> None:
        """Serve connections from now on as another would."""
        vars(self).update(vars(other))

    @property
    def asks(self) -> bool:
        """Whether clients must show a certificate."""
        return self._clients.asks

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """For Twisted: a new connection's TLS."""
        return _Connection(self._context)

    def admit(self, connection: SSL.Connection) -> tuple[str, ...]:
        """The names of a client whose handshake is done, () where none are asked for. Raises ClientRefused.

        Not a part of OpenSSL's verification, which a resumed session does not repeat.
        """
        shown = connection.get_peer_certificate() if self._clients.asks else None
        if shown is None:
            if self._clients.asks:
                raise ClientRefused("client_certificate", "the client showed no certificate")
            return ()
        certificate = shown.to_cryptography()
        names = names_of(certificate)
        if self._names is not None and not any(self._names.fullmatch(name) for name in names):
            raise ClientRefused("client_name", f"none of its certificate's names ({_listed(names)}) is in client_names")
        if (
            self._clients.fingerprints
            and (fingerprint := fingerprint_of(certificate)) not in self._clients.fingerprints
        ):
            text = (
                f"the fingerprint of its certificate ({_listed(names)}), {fingerprint}, is not in client_fingerprints"
            )
            raise ClientRefused("client_fingerprint", text)
        return names


def _context(identity: Identity, authorities: Sequence[x509.Certificate], *, asks: bool) -> SSL.Context:
    own, *chain = (crypto.X509.from_cryptography(each) for each in identity.chain)
    trusted = [crypto.X509.from_cryptography(each) for each in authorities]
    options = CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(identity.key),  # type: ignore[arg-type]  # what OpenSSL cannot use, it refuses
        certificate=own,
        extraCertChain=chain,
        insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,  # Twisted's default today, said here so that it stays
        enableSessions=True,
        enableSessionTickets=True,
        trustRoot=trustRootFromCertificates([Certificate(each) for each in trusted]) if trusted else None,
    )
    context = options.getContext()
    context.set_alpn_select_callback(_protocol)
    if asks:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify if trusted else _accept)
    if trusted:
        # An authority below the root is enough; and clients with several certificates learn which one is wanted.
        context.get_cert_store().set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # type: ignore[union-attr]
        for each in authorities:
            context.add_client_ca(each)
    return context


def _protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """What is spoken, of what a client offers (ALPN). Twisted's own answer breaks the handshake where nothing fits."""
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _verify(connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int) -> bool:
    if not ok and isinstance(connection, _Connection) and connection.fault is None:
        # The first fault is the one to tell; OpenSSL itself would only say that verification failed.
        connection.fault = number, names_of(certificate.to_cryptography())
    return bool(ok)


def _accept(connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int) -> bool:
    return True  # its fingerprint decides, when the handshake is done


def _globs(patterns: Sequence[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    escaped = (re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns)
    return re.compile("|".join(escaped), re.IGNORECASE)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "it has none"


# X509_V_ERR_* of openssl/x509_vfy.h: a word for metrics, and the operator's.
_VERIFICATION = {
    9: ("client_expired", "is not valid yet: look at the clocks of both"),
    10: ("client_expired", "has expired"),
    18: ("client_authority", "signed itself; it must come from client_ca"),
    19: ("client_authority", "comes from an authority that is not in client_ca"),
    20: ("client_authority", "comes from an authority that is not in client_ca"),
    21: ("client_authority", "comes from an authority that is not in client_ca, or without the ones between"),
    26: ("client_certificate", "is not for TLS clients (extended key usage)"),
}


def handshake_fault(connection: SSL.Connection | None, error: BaseException | None) -> tuple[str, str]:
    """Why a handshake failed: a word for metrics, and the operator's text."""
    if isinstance(connection, _Connection) and connection.fault is not None:
        number, names = connection.fault
        word, what = _VERIFICATION.get(number, ("client_certificate", f"is not accepted (OpenSSL's error {number})"))
        return word, f"the client's certificate ({_listed(names)}) {what}"
    if not isinstance(error, SSL.Error):
        return "handshake_broken", "the client ended the connection before the TLS handshake was done"
    reason = _reason(error)
    if "did not return a certificate" in reason:
        return (
            "client_certificate",
            "the client showed no certificate, and client_ca or client_fingerprints asks for one",
        )
    if "alert" in reason:
        what = reason.partition("alert ")[2]
        if "certificate" in what or "unknown ca" in what:
            text = f"the client does not accept our certificate (it says: {what}): give it our authority, or renew ours"
            return "server_certificate", text
        return "handshake", f"the client ended the TLS handshake (it says: {what})"
    if any(word in reason for word in ("unsupported protocol", "version too low", "no protocols available")):
        return "tls_version", "the client speaks neither TLS 1.2 nor 1.3"
    if "no shared cipher" in reason or "no suitable" in reason:
        return "tls_version", f"client and listener have no cipher or signature in common ({reason})"
    if any(word in reason for word in ("wrong version number", "http request", "packet length too long")):
        return "plain_text", "the client does not speak TLS"
    return "handshake", f"the TLS handshake failed ({reason or 'no reason given'})"


def _reason(error: SSL.Error) -> str:
    """OpenSSL's last words."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(queue[-1][2]).lower() if queue else ""
