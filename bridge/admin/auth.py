"""Authenticates requests to the admin server.

With a token: a client sends it as ``Authorization: Bearer TOKEN``, or as the password of Basic authentication with any
user name, which browsers support. ``/healthz`` and ``/readyz`` answer without the token, in one word, for load
balancers.

Without a token, which is possible on loopback only, host names other than localhost are rejected. Otherwise another
web site could point its own name to 127.0.0.1 and read this server through the operator's browser (DNS rebinding).
"""

import base64
import hmac
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address

from twisted.web.server import Request

OPEN = (b"/healthz", b"/readyz")
"Paths that need no token."


class Authentication:
    """Decides whether a request may be answered.

    ``token`` returns the current token, None if none is configured. ``note_refused`` receives client, reason code and
    text of each request with a wrong token.
    """

    def __init__(
        self, token: Callable[[], str | None],
        note_refused: Callable[[str, str, str], None] = lambda client, reason, text: None,
    ) -> None:  # fmt: skip
        self._token = token
        self._note_refused = note_refused

    def knows(self, request: Request) -> bool:
        """Returns True if the request has the token, or if no token is configured."""
        token = self._token()
        if token is None:
            return True
        given = _sent_token(request.getHeader(b"authorization") or b"")
        return given is not None and hmac.compare_digest(given, token.encode())

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """Returns HTTP status and text if the request is rejected, None if it is accepted."""
        if request.path in OPEN:
            return None
        if self._token() is None:
            host = (request.getHeader(b"host") or b"").decode("latin-1")
            if not host or _is_local(host):
                return None
            return 403, "host name rejected: use an IP address or localhost in the URL, or set admin.token"
        if self.knows(request):
            return None
        if request.getHeader(b"authorization"):
            self._note_refused(request.getClientAddress().host, "admin_token", "401, wrong token")
        request.setHeader(b"www-authenticate", b'Basic realm="syslog-bridge: any user name, the token as password"')
        return 401, "token required: send Authorization: Bearer TOKEN, or any user name and the token as password"


def _sent_token(header: bytes) -> bytes | None:
    """Returns the token of an Authorization header (RFC 6750 section 2.1, RFC 7617)."""
    scheme, _, rest = header.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic":
        with suppress(ValueError):
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
    return None


def _is_local(host: str) -> bool:
    """Returns True if a Host header (RFC 9110 section 7.2) is an IP address or localhost."""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
