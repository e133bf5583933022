"""Network failures as the operator should read them, without addresses of objects and without our header values."""

import os

from OpenSSL import SSL
from service_identity.exceptions import VerificationError
from twisted.internet.error import ConnectError, DNSLookupError, TimeoutError
from twisted.python.failure import Failure
from twisted.web._newclient import ParseError


def in_words(failure: Failure) -> str:
    """A failed request, or connection."""
    error = failure.value
    reasons = getattr(error, "reasons", None)
    if reasons:
        return in_words(reasons[0])
    if isinstance(error, DNSLookupError):
        return f"the name cannot be resolved ({error})"
    if isinstance(error, TimeoutError):
        return "no connection within the time allowed"
    if isinstance(error, ConnectError) and isinstance(error.osError, int):
        return f"no connection: {os.strerror(error.osError)}"
    if isinstance(error, ParseError):
        return "what answers there speaks no HTTP; is the URL right, is a proxy in between?"
    if isinstance(error, SSL.Error | VerificationError):
        return of_tls(error)
    text = str(error) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "..."


def of_tls(error: BaseException | None) -> str:
    """A handshake that failed, as far as the error itself knows; ``tls.CachedPolicy`` knows more of a certificate."""
    if isinstance(error, VerificationError):
        return "the certificate is for another name: is the URL right, does a proxy open TLS?"
    if not isinstance(error, SSL.Error) or not error.args:
        return f"the connection ended in the handshake: is it TLS that is spoken there? ({error})"
    said = ", ".join(str(entry[-1]) for entry in error.args[0]) or "no reason given"
    if "certificate verify failed" in said:
        return "the certificate cannot be verified"
    if "wrong version number" in said or "packet length too long" in said or "http request" in said:
        return "no TLS is spoken on this port: is the URL right?"
    if "certificate required" in said or "bad certificate" in said:
        return f"the far side refuses us ({said}): it asks for another client_certificate"
    return f"the handshake failed: {said}"
