"""Names the causes why an intake does not deliver. Each is determined where the error is made."""

from enum import Enum
from typing import ClassVar

from bridge.util.errors import BridgeError


class Cause(Enum):
    """Causes of failed requests and suspended deliveries."""

    KEY = "key"
    "The collector does not accept the intake key (401, 403)."
    URL = "url"
    "The server has no such endpoint, or redirects (404 and other statuses)."
    NAME = "name"
    "The host name cannot be resolved."
    CONNECTION = "connection"
    "There is no connection, no response, or no progress."
    CERTIFICATE = "certificate"
    "The server certificate was rejected."
    CLIENT_CERTIFICATE = "client_certificate"
    "The server rejected the client certificate, or requires one."
    CIPHERS = "ciphers"
    "Both sides have no TLS version or cipher in common."
    TLS = "tls"
    "The TLS handshake failed for another reason."
    PROXY = "proxy"
    "The HTTP proxy cannot be reached, or opens no tunnel."
    FOREIGN = "foreign"
    "The response is not from the collector."
    TOO_LARGE = "too_large"
    "The body is larger than the server accepts (413)."
    RATE = "rate"
    "The collector asks for fewer requests (429 and similar statuses)."
    SERVER = "server"
    "The collector, or a gateway in front of it, has a fault (5xx)."
    REFUSED = "refused"
    "The collector refuses events (400, 422)."
    SHORTFALL = "shortfall"
    "The collector has confirmed fewer events than it was sent."
    FILES = "files"
    "Files of the spool cannot be read."
    BROKER = "broker"
    "The broker of the shared backlog accepts no batches."
    RETIRED = "retired"
    "The intake is not in the configuration."
    DEFECT = "defect"
    "This program has a defect."

    @property
    def unreachable(self) -> bool:
        """True if requests do not reach the collector: the cause concerns its URL, not one intake."""
        return self in _UNREACHABLE


_UNREACHABLE = frozenset(
    (
        Cause.NAME, Cause.CONNECTION, Cause.CERTIFICATE, Cause.CLIENT_CERTIFICATE, Cause.CIPHERS, Cause.TLS,
        Cause.PROXY, Cause.FOREIGN,
    )
)  # fmt: skip


class DeliveryError(BridgeError):
    """Base of this package's errors of one request."""

    cause: ClassVar[Cause] = Cause.CONNECTION
