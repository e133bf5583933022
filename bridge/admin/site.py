"""Limits the connections and requests of the admin site.

Pages take no body, so a request with one is refused before anything of it is buffered. Only commands on the control
socket take one, of limited length. When the limit of connections is reached, the one that has been idle longest is
closed for a new one.
"""
# mypy: disallow-untyped-calls=False

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from bridge.host.limited_http import LimitedChannel, LimitedRequest
from bridge.listen.connections import Rejections

MAX_CONNECTIONS = 64
"Open connections of the admin port, and of the control socket."


_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": _POLICY,
}


class AdminLimits:
    """Holds the limits of one socket of the admin server, and counts what is refused."""

    def __init__(self, name: str, clock: IReactorTime, *, body_limit: int = 0) -> None:
        self.clock = clock
        self.body_limit = body_limit
        self.rejections = Rejections(name, clock.seconds, "admin socket")
        self._open: dict[AdminChannel, None] = {}
        "Connections; the one that has been idle longest is first."

    def note_refused(self, client: str, reason: str, text: str) -> None:
        """Counts and logs a refused request."""
        self.rejections.note_request(reason, client, text)

    def opened(self, connection: "AdminChannel") -> None:
        """Adds a connection. Closes one if there are too many."""
        self._open[connection] = None
        if len(self._open) > MAX_CONNECTIONS:
            closed = next((each for each in self._open if each.is_idle), connection)
            text = f"more than {MAX_CONNECTIONS} open connections: the one idle longest is closed"
            self.rejections.note("max_connections", closed.client, text)
            self.closed(closed)
            closed.abort()

    def used(self, connection: "AdminChannel") -> None:
        """Notes that a connection has sent a request."""
        if connection in self._open:
            self._open[connection] = self._open.pop(connection)

    def closed(self, connection: "AdminChannel") -> None:
        """Removes a connection."""
        self._open.pop(connection, None)


class AdminRequest(LimitedRequest):
    """A request whose body is refused, or short."""

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        limits = self._limits()
        most = 0 if limits is None else limits.body_limit
        if length is None or length > most:
            text = "the request has a body; pages of the admin endpoint take none"
            if most:
                text = f"the body is longer than {most} bytes, or of unknown length"
            if limits is not None:
                limits.note_refused(getattr(self.getClientAddress(), "host", ""), "request_too_large", f"413, {text}")
            self.answer_now(413, text, headers=SECURITY_HEADERS)

    def _limits(self) -> AdminLimits | None:
        return self.channel.limits  # type: ignore[attr-defined,no-any-return]  # an AdminChannel


class AdminChannel(LimitedChannel):
    """Reads the requests of one connection."""

    transport: ITCPTransport

    @property
    def limits(self) -> AdminLimits | None:
        return self.site.limits  # type: ignore[attr-defined,no-any-return]  # set by Site.buildProtocol

    @property
    def is_idle(self) -> bool:
        """Returns True if no request is being answered."""
        return not self._handlingRequest

    @property
    def client(self) -> str:
        """Returns the address of the client; empty on a Unix socket."""
        return str(getattr(self.getPeer(), "host", ""))

    def connectionMade(self) -> None:
        super().connectionMade()
        if self.limits is not None:
            self.limits.opened(self)

    def allContentReceived(self) -> None:
        if self.limits is not None:
            self.limits.used(self)
        super().allContentReceived()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.limits is not None:
            self.limits.closed(self)
        super().connectionLost(reason)

    def abort(self) -> None:
        """Ends the connection at once."""
        self.transport.abortConnection()
