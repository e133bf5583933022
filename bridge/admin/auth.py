"""Who may read the admin site.

With a token: who shows it, as ``Authorization: Bearer TOKEN``, or as the password of Basic authentication with any
user name, which is what browsers ask for. ``/healthz`` and ``/readyz`` answer a balancer without it, in one word.

Without a token, which is on loopback only, names other than localhost are refused: a page of some other site could
otherwise make its own name mean 127.0.0.1, and read what is here in the browser of an operator (DNS rebinding).
"""

import base64
import hmac
from collections.abc import Callable
from ipaddress import ip_address

from twisted.logger import Logger
from twisted.web.server import Request

log = Logger(namespace="admin")

OPEN = (b"/healthz", b"/readyz")
"Paths that need no token."


class Authentication:
    """``token`` gives the secret in use, None: there is none."""

    def __init__(self, token: Callable[[], str | None]) -> None:
        self._token = token

    def knows(self, request: Request) -> bool:
        """Whether the request shows the token, or there is none."""
        token = self._token()
        if token is None:
            return True
        given = _shown(request.getHeader(b"authorization") or b"")
        return given is not None and hmac.compare_digest(given, token.encode())

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """A status and why, where the request may not have its answer; None: it may."""
        if request.path in OPEN:
            return None
        if self._token() is None:
            host = (request.getHeader(b"host") or b"").decode("latin-1")
            if not host or _is_local(host):
                return None
            return 403, "ask by address or as localhost, or set admin.token"
        if self.knows(request):
            return None
        if request.getHeader(b"authorization"):
            log.warn("admin.listen: a wrong token from {host}", host=request.getClientAddress().host)
        request.setHeader(b"www-authenticate", b'Basic realm="syslog-bridge: any name, the token as password"')
        return 401, "the token is needed: Authorization: Bearer TOKEN, or any name and the token as password"


def _shown(header: bytes) -> bytes | None:
    """The token of an Authorization header (RFC 6750 section 2.1, RFC 7617)."""
    scheme, _, rest = header.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return None
    return None


def _is_local(host: str) -> bool:
    """Whether a Host header (RFC 9110 section 7.2) is an address, or localhost."""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
