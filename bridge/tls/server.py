"""Serves TLS 1.2 and 1.3 to the clients of a listener, with renewable certificates and optional client certificates.

Twisted asks a ``ServerContext`` for the TLS state of each new connection. After ``replace_with``, later connections use
the new certificate, open connections keep the old one.

Session resumption is enabled, because all senders reconnect at once when a gateway reboots. After a reload, each client
makes a full handshake, so that no client resumes a session that was authenticated by another authority.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, TLSVersion, trustRootFromCertificates
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from bridge.tls.ciphers import acceptable, is_anonymous, legacy_suites
from bridge.tls.client_names import ClientNames
from bridge.tls.pem import Identity, fingerprint_of, names_of, read_certificates, read_identity
from bridge.tls.suites import TLS_1_3


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """Requirements for client certificates. A client must meet every requirement that is set.

    If none is set, no certificate is requested and any client may connect.
    """

    authority: Path | None = None
    "PEM file of the authorities, one of which must have issued the client's certificate."
    names: tuple[str, ...] = ()
    """Patterns (``client_names``), one of which must match a name of the certificate. They need an authority: anybody
    can sign any name."""
    fingerprints: frozenset[str] = frozenset()
    "SHA-256 fingerprints of accepted certificates. Without an authority, these may be self-signed."

    @property
    def requires_certificate(self) -> bool:
        """True if clients must send a certificate."""
        return self.authority is not None or bool(self.fingerprints)


@dataclass(frozen=True, slots=True)
class TlsTerms:
    """States which TLS versions and cipher suites a listener accepts."""

    min_version: Literal["1.2", "1.3"] = "1.2"
    cipher_suites: tuple[str, ...] = ()
    "Names in OpenSSL, the preferred ones first. A version of which none is given has its default suites."
    legacy_ciphers: bool = False
    "True if TLS 1.2 may use CBC and static RSA (``bridge.tls.ciphers``)."


class ClientRefused(Exception):
    """Raised when a client's certificate is not accepted. ``reason`` is a code for metrics.

    ``former_names`` are its names if an earlier version, in which ``*`` stood for several labels, accepted them.
    """

    def __init__(self, reason: str, text: str, former_names: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.reason = reason
        self.former_names = former_names


class ServerConnection(SSL.Connection):
    """Extends the OpenSSL connection: stores the verification error of the client's certificate."""

    fault: tuple[int, tuple[str, ...]] | None = None
    "OpenSSL's number of the error, and the names of the certificate."

    def __init__(self, server: "ServerContext", context: SSL.Context) -> None:
        super().__init__(context)
        self._server = server
        self.terms = server.terms

    def authorize(self) -> tuple[str, ...]:
        """Checks the client as ``ServerContext.authorize`` does. Raises ClientRefused."""
        return self._server.authorize(self)

    def note_fault(self, number: int, certificate: x509.Certificate) -> None:
        """Stores the first error, because OpenSSL itself only reports that verification failed."""
        self.fault = self.fault or (number, names_of(certificate))


@implementer(IOpenSSLServerConnectionCreator)
class ServerContext:
    """Holds the certificate, private key and client requirements of one listener.

    Raises PemError if a file cannot be used.
    """

    def __init__(
        self, certificate: Path, private_key: Path | None = None, clients: ClientTerms | None = None,
        terms: TlsTerms | None = None,
    ) -> None:  # fmt: skip
        self._clients = clients or ClientTerms()
        self._names = ClientNames(self._clients.names) if self._clients.names else None
        self.terms = terms or TlsTerms()
        identity = read_identity(certificate, private_key)
        authority = self._clients.authority
        authorities = read_certificates(authority) if authority is not None else ()
        self._context = _context(
            identity, authorities, requires_certificate=self._clients.requires_certificate,
            terms=self.terms,
        )  # fmt: skip
        self.expires = identity.expires
        "Time at which the first certificate of the chain expires, in seconds since the epoch."

    def replace_with(self, other: "ServerContext") -> None:
        """Takes over all settings of another context for later connections."""
        vars(self).update(vars(other))

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Returns the TLS state of a new connection. Called by Twisted."""
        return ServerConnection(self, self._context)

    def authorize(self, connection: SSL.Connection) -> tuple[str, ...]:
        """Checks a client after the handshake and returns the names of its certificate. Raises ClientRefused.

        Returns () if no certificate is required. OpenSSL's verification cannot make these checks, because OpenSSL does
        not repeat it for a resumed session.
        """
        terms = self._clients
        if not terms.requires_certificate:
            return ()
        sent = connection.get_peer_certificate()
        if sent is None:
            raise ClientRefused("client_certificate", "the client sent no certificate")
        certificate = sent.to_cryptography()
        names = names_of(certificate)
        if self._names is not None and not self._names.match(names):
            raise _refused_name(names, self._names)
        if terms.fingerprints and (fingerprint := fingerprint_of(certificate)) not in terms.fingerprints:
            text = (
                f"the client's certificate ({_join(names)}) has the fingerprint {fingerprint},"
                " which is not in client_fingerprints"
            )
            raise ClientRefused("client_fingerprint", text)
        return names


def _refused_name(names: tuple[str, ...], accepted: ClientNames) -> ClientRefused:
    text = f"no name of the client's certificate ({_join(names)}) is in client_names"
    if not accepted.matched_formerly(names):
        return ClientRefused("client_name", text)
    text += f'. A * stands for one label only. Add "{accepted.pattern_for(names)}" to accept it'
    return ClientRefused("client_name", text, names)


_VERSIONS = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}


def _context(
    identity: Identity, authorities: Sequence[x509.Certificate], *, requires_certificate: bool,
    terms: TlsTerms,
) -> SSL.Context:  # fmt: skip
    own, *chain = (crypto.X509.from_cryptography(each) for each in identity.chain)
    trusted = [crypto.X509.from_cryptography(each) for each in authorities]
    options = CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(identity.key),  # type: ignore[arg-type]  # OpenSSL rejects unusable keys
        certificate=own,
        extraCertChain=chain,
        insecurelyLowerMinimumTo=_VERSIONS[terms.min_version],  # not Twisted's default, which may change
        acceptableCiphers=acceptable(legacy=terms.legacy_ciphers, suites=terms.cipher_suites),
        enableSessions=True,
        enableSessionTickets=True,
        trustRoot=trustRootFromCertificates([Certificate(each) for each in trusted]) if trusted else None,
    )
    context = options.getContext()
    if of_1_3 := [name for name in terms.cipher_suites if name in TLS_1_3]:
        context.set_tls13_ciphersuites(":".join(of_1_3).encode())
    context.set_alpn_select_callback(_protocol)
    if requires_certificate:
        # Without authorities, ``authorize`` checks the fingerprint after the handshake.
        verify = _verify if trusted else lambda *_: True
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
    if trusted:
        # Accept an intermediate authority as trust anchor. Send the authorities' names, so that clients with several
        # certificates know which one to send.
        context.get_cert_store().set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # type: ignore[union-attr]
        for each in authorities:
            context.add_client_ca(each)
    return context


def _protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """Selects HTTP/1.1 from the client's ALPN protocols. Twisted's own callback fails the handshake if none matches."""
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _verify(connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int) -> bool:
    if not ok and isinstance(connection, ServerConnection):
        connection.note_fault(number, certificate.to_cryptography())
    return bool(ok)


def _join(names: Sequence[str]) -> str:
    return ", ".join(names) or "no names"


# X509_V_ERR_* of openssl/x509_vfy.h: reason code for metrics, and text for the operator.
_VERIFICATION = {
    9: ("client_expired", "is not valid yet; check the clocks of client and gateway"),
    10: ("client_expired", "has expired"),
    18: ("client_authority", "is self-signed; an authority in client_ca_file must issue it"),
    19: ("client_authority", "was issued by an authority that is not in client_ca_file"),
    20: ("client_authority", "was issued by an authority that is not in client_ca_file"),
    21: ("client_authority", "was issued by an authority that is not in client_ca_file, or an intermediate is missing"),
    26: ("client_certificate", "is not for TLS clients (extended key usage)"),
}


def handshake_fault(
    connection: SSL.Connection | None, error: BaseException | None, first_data: bytes = b""
) -> tuple[str, str]:
    """Returns the reason code for metrics and the text for the operator of a failed handshake.

    ``first_data`` is the client's first data, which tells what it offers.
    """
    if isinstance(connection, ServerConnection) and connection.fault is not None:
        number, names = connection.fault
        reason, problem = _VERIFICATION.get(number, ("client_certificate", f"is not accepted (OpenSSL error {number})"))
        return reason, f"the client's certificate ({_join(names)}) {problem}"
    terms = connection.terms if isinstance(connection, ServerConnection) else TlsTerms()
    if not isinstance(error, SSL.Error):
        return "handshake_broken", "the client closed the connection during the TLS handshake"
    reason = _reason(error)
    if "did not return a certificate" in reason:
        text = "the client sent no certificate, but client_ca_file or client_fingerprints requires one"
        return "client_certificate", text
    if "alert" in reason:
        alert = reason.partition("alert ")[2]
        if "certificate" in alert or "unknown ca" in alert:
            text = (
                f"the client does not accept the listener's certificate (alert: {alert});"
                " install its authority on the client, or renew the certificate"
            )
            return "server_certificate", text
        return "handshake", f"the client aborted the TLS handshake (alert: {alert})"
    if any(word in reason for word in ("unsupported protocol", "version too low", "no protocols available")):
        if terms.min_version == "1.3":
            return "tls_version", "the client does not speak TLS 1.3. Update it, or set tls_min_version: 1.2"
        return "tls_version", "the client speaks neither TLS 1.2 nor 1.3"
    if "no shared cipher" in reason and (fault := _fault_of_offer(terms, first_data)) is not None:
        return fault
    if "no shared cipher" in reason or "no suitable" in reason:
        return "tls_version", f"client and listener have no cipher or signature algorithm in common ({reason})"
    if any(word in reason for word in ("wrong version number", "http request", "packet length too long")):
        return "plain_text", "the client does not speak TLS"
    return "handshake", f"the TLS handshake failed ({reason or 'no reason given'})"


def _fault_of_offer(terms: TlsTerms, first_data: bytes) -> tuple[str, str] | None:
    """Returns reason code and text for a client that offers no cipher suite of the listener, or None if its offer
    does not explain why."""
    if is_anonymous(first_data):
        return "tls_anonymous", "the client offers only TLS without certificates (anonymous key exchange)"
    if terms.cipher_suites:
        text = (
            "the client offers none of the listener's cipher_suites. Add a suite that it offers, or update the client"
        )
        return "tls_version", text
    if not terms.legacy_ciphers and (offered := legacy_suites(first_data)):
        text = (
            f"the client offers only cipher suites of TLS 1.2 that are off by default, with CBC or static RSA"
            f" ({', '.join(offered)}). Update the client, or set legacy_ciphers: true for this listener"
        )
        return "tls_version", text
    return None


def _reason(error: SSL.Error) -> str:
    """Returns the last error text of OpenSSL in lower case."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(queue[-1][2]).lower() if queue else ""
