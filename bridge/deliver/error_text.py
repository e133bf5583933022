"""Describes network errors for the operator, without memory addresses of objects and without values of our headers."""

import os
from collections.abc import Iterable

from OpenSSL import SSL
from service_identity.exceptions import VerificationError
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError, TimeoutError
from twisted.python.failure import Failure
from twisted.web._newclient import ParseError, RequestTransmissionFailed

from bridge.deliver.cause import Cause, DeliveryError
from bridge.util.os_errors import forbidden_connection


class ConnectForbiddenError(ConnectError):
    """Raised when this machine forbids a connection. It is retried like any other failed connection."""

    def __init__(self, number: int, address: str) -> None:
        self.text = forbidden_connection(number, address)
        super().__init__(number, self.text)  # type: ignore[no-untyped-call]


def one_line(text: str, most: int) -> str:
    """Returns the beginning of a text on one line, with ``?`` for characters that cannot be printed."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:most]


def describe_failure(failure: Failure, secrets: Iterable[str] = ()) -> str:
    """Describes a failed request or connection, on one line. An error may quote what the server sent, and that the
    request. ``secrets`` are masked before the text is cut, so that no part of one stays."""
    text = _describe(failure)
    for secret in secrets:
        text = text.replace(secret, "****")
    return one_line(text if len(text) <= 300 else text[:300] + "...", 400)


def cause_of(failure: Failure) -> Cause:
    """Returns the cause of a failed request or connection."""
    error = failure.value
    reasons = getattr(error, "reasons", None)
    if reasons and not isinstance(error, RequestTransmissionFailed):
        return cause_of(reasons[0])
    if isinstance(error, DeliveryError):
        return error.cause
    if isinstance(error, DNSLookupError):
        return Cause.NAME
    if isinstance(error, ParseError):
        return Cause.FOREIGN
    if isinstance(error, SSL.Error | VerificationError):
        return _classify_tls_error(error)[0]
    return Cause.CONNECTION


def _describe(failure: Failure) -> str:
    error = failure.value
    reasons = getattr(error, "reasons", None)
    if isinstance(error, RequestTransmissionFailed) and reasons and reasons[0].check(ConnectionClosed):
        return "the connection ended before the whole body was sent"
    if reasons:
        return _describe(reasons[0])
    if isinstance(error, DNSLookupError):
        return f"the name cannot be resolved ({error})"
    if isinstance(error, TimeoutError):
        return "no connection within the timeout"
    if isinstance(error, ConnectForbiddenError):
        return error.text
    if isinstance(error, ConnectError) and isinstance(error.osError, int):
        return f"no connection: {os.strerror(error.osError)}"
    if isinstance(error, ParseError):
        return "the server does not speak HTTP; check the URL and any proxy in between"
    if isinstance(error, SSL.Error | VerificationError):
        return describe_tls_error(error)
    return str(error) or type(error).__name__


def describe_tls_error(error: BaseException | None, *, legacy_ciphers: bool = True) -> str:
    """Describes a failed TLS handshake from its error alone. ``tls.CachedPolicy`` knows more about a rejected
    certificate. ``legacy_ciphers`` is False if the connection does not have this option."""
    return _classify_tls_error(error, legacy_ciphers=legacy_ciphers)[1]


def _classify_tls_error(error: BaseException | None, *, legacy_ciphers: bool = True) -> tuple[Cause, str]:
    if isinstance(error, VerificationError):
        text = "the server certificate is for another name; check the URL and whether a proxy inspects TLS"
        return Cause.CERTIFICATE, text
    if not isinstance(error, SSL.Error) or not error.args:
        return Cause.TLS, f"the connection ended during the TLS handshake ({error}); check that the server speaks TLS"
    reason = ", ".join(str(entry[-1]) for entry in error.args[0]) or "no reason given"
    if "certificate verify failed" in reason:
        return Cause.CERTIFICATE, "the server certificate cannot be verified"
    if "wrong version number" in reason or "packet length too long" in reason or "http request" in reason:
        return Cause.TLS, "the server does not speak TLS on this port; check the URL"
    if legacy_ciphers and ("handshake failure" in reason or "insufficient security" in reason):
        return Cause.CIPHERS, (
            f"the TLS handshake failed: {reason}. If the server or a proxy in between offers only CBC or static RSA for"
            " TLS 1.2, set legacy_ciphers: true"
        )
    if "certificate required" in reason or "bad certificate" in reason:
        text = f"the server rejected the client certificate ({reason}); set client_cert_file to one that it accepts"
        return Cause.CLIENT_CERTIFICATE, text
    return Cause.TLS, f"the TLS handshake failed: {reason}"
