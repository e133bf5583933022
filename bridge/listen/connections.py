"""Limits and holds the open connections of one stream listener.

A connection counts from its first byte, so a client that never finishes its TLS handshake takes up a slot. When
``max_connections`` is reached, the oldest unfinished handshake is closed for a new client.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from bridge.config import Listener
from bridge.host.waiting import Waiters
from bridge.listen.listener import address_filter, is_within
from bridge.listen.rejected_sources import RejectedSources, sender_of

log = Logger(namespace="listen")

WINDOW = 10.0
"Seconds in which the same (reason, sender) is logged at most once."
MAX_LOGGED = 20
"Log lines per window, at most."


class Closable(Protocol):
    """Declares what the limits need of a connection."""

    def end(self) -> None:
        """Closes the connection from the gateway's side."""


class Rejections:
    """Counts the rejections of one listener, and logs them at a limited rate.

    ``kind``: what the name in log lines is the name of. ``sources`` remembers the senders; by default only those of
    this listener.
    """

    def __init__(
        self, listener: str, clock: Callable[[], float], kind: str = "listener", sources: RejectedSources | None = None
    ) -> None:
        self.counts: Counter[str] = Counter()
        "Rejections by reason code."
        self.health_checks = 0
        "Connections that ended without data and requests for health, as a load balancer makes them. Not rejections."
        self._listener = listener
        self._kind = kind
        self._clock = clock
        self.sources = sources or RejectedSources(clock)
        self._since = float("-inf")
        self._logged: set[tuple[str, str]] = set()

    def rename(self, listener: str) -> None:
        """Uses another name of the listener."""
        self.sources.rename(self._listener, listener)
        self._listener = listener

    def note(self, reason: str, host: str, text: str) -> None:
        """Records a rejected connection. ``reason`` is the code for metrics, ``text`` explains it to the operator."""
        self._note(reason, host, text, "connection from {host} closed")

    def note_request(self, reason: str, host: str, text: str) -> None:
        """Records a refused request of a connection that may stay open."""
        self._note(reason, host, text, "request from {host} refused")

    def note_datagrams(self, reason: str, host: str, text: str, count: int) -> None:
        """Records rejected datagrams of one read. Logs only the first ones of a sender."""
        self.counts[reason] += count
        if self.sources.note(self._listener, host, reason, text, count).count == count:
            self._log(reason, host, text, "datagrams from {host} rejected")

    def note_accepted(self, host: str) -> None:
        """Records that data of a sender was accepted, so that it counts as fixed if it was rejected before."""
        self.sources.note_accepted(self._listener, host)

    def note_health_check(self) -> None:
        """Counts a connection without data or a request for health."""
        self.health_checks += 1

    def _note(self, reason: str, host: str, text: str, what: str) -> None:
        self.counts[reason] += 1
        self.sources.note(self._listener, host, reason, text)
        self._log(reason, host, text, what)

    def _log(self, reason: str, host: str, text: str, what: str) -> None:
        now = self._clock()
        if now - self._since > WINDOW:
            self._since, self._logged = now, set()
        if (reason, host) in self._logged or len(self._logged) >= MAX_LOGGED:
            return
        self._logged.add((reason, host))
        log.warn(
            f"{{kind}} {{name}}: {what}: {{why}}",
            kind=self._kind, name=self._listener, host=host or "this machine", why=text,
        )  # fmt: skip


C = TypeVar("C", bound=Closable)
W = TypeVar("W", bound=Closable)


class Connections(Generic[C]):
    """Accepts or rejects the clients of one listener. ``clock`` returns monotonic seconds."""

    def __init__(self, listener: Listener, clock: Callable[[], float], rejected: RejectedSources | None = None) -> None:
        self.rejections = Rejections(listener.name, clock, sources=rejected)
        self.closing = False
        "True while the gateway, not the senders, ends the connections."
        self._open: dict[C, str] = {}
        "Connection -> address of its sender."
        self._per_sender: Counter[str] = Counter()
        self._handshaking: dict[Callable[[], None], None] = {}
        "Functions that close unfinished TLS handshakes for a new client, the oldest first."
        self._awaiting_header: dict[Closable, None] = {}
        "Connections of load balancers whose PROXY header has not arrived."
        self._when_empty = Waiters(lambda: not self._open)
        self._on_read: Callable[[], None] | None = None
        self.change(listener)

    def change(self, listener: Listener) -> None:
        """Applies another configuration. Its limits apply to new connections."""
        self.listener = listener
        self.rejections.rename(listener.name)
        self._allowed = address_filter(listener)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._open))

    def build(self, host: str, make: Callable[[], C]) -> C | None:
        """Returns the connection that ``make`` creates for a new client, or None if the client is rejected."""
        most, most_per_peer = self.listener.max_connections, self.listener.max_connections_per_peer
        sender = sender_of(host)
        if not self._allowed(host):
            self.rejections.note("not_in_allow", host, "not in allow")
        elif self._per_sender[sender] >= most_per_peer:
            text = f"max_connections_per_peer ({most_per_peer}) reached"
            self.rejections.note("max_connections_per_peer", host, text)
        elif len(self._open) >= most and not self._handshaking:
            self.rejections.note("max_connections", host, f"max_connections ({most}) reached")
        else:
            if len(self._open) >= most:
                next(iter(self._handshaking))()
            connection = make()
            self._open[connection] = sender
            self._per_sender[sender] += 1
            return connection
        return None

    def refused(self, connection: C, reason: str, text: str) -> None:
        """Counts an open connection that is closed at once, and frees its slot: it ends in a later reactor turn."""
        if (sender := self._open.get(connection)) is not None:
            self.rejections.note(reason, sender, text)
            self.closed(connection)

    def closed(self, connection: C) -> None:
        """Removes a connection that has ended."""
        sender = self._open.pop(connection, None)
        if sender is None:
            return
        self._per_sender[sender] -= 1
        if not self._per_sender[sender]:
            del self._per_sender[sender]
        self._when_empty.check()

    def handshake_began(self, close: Callable[[], None]) -> None:
        """Adds an unfinished TLS handshake, which ``close`` closes for a new client."""
        self._handshaking[close] = None

    def handshake_ended(self, close: Callable[[], None]) -> None:
        """Removes a handshake that is complete or has failed."""
        self._handshaking.pop(close, None)

    def build_awaiting_header(self, host: str, make: Callable[[], W]) -> W | None:
        """Returns the connection that ``make`` creates for a load balancer, or None if too many await their header."""
        if len(self._awaiting_header) >= self.listener.max_connections:
            self.rejections.note("max_connections", host, "max_connections reached while PROXY headers are awaited")
            return None
        connection = make()
        self._awaiting_header[connection] = None
        return connection

    def header_ended(self, connection: Closable) -> None:
        """Removes a connection whose PROXY header has arrived or is no longer awaited."""
        self._awaiting_header.pop(connection, None)

    def ended_without_data(self) -> None:
        """Counts a connection that its client ended without sending anything, as a load balancer does."""
        if not self.closing:
            self.rejections.note_health_check()

    def is_balancer(self, host: str) -> bool:
        """Returns True for a load balancer that sends PROXY headers.

        A connection whose sender is the load balancer itself belongs to it, not to a client.
        """
        return is_within(host, self.listener.trusted_proxies or ())

    def allows(self, host: str) -> bool:
        """Returns True for an address that ``allow`` accepts."""
        return self._allowed(host)

    def note_read(self) -> None:
        """Called for each read of a connection."""
        if self._on_read is not None:
            self._on_read()

    def watch(self, on_read: Callable[[], None]) -> None:
        """Calls ``on_read`` for each read from now on."""
        self._on_read = on_read

    def end(self) -> Deferred[None]:
        """Closes all connections. The result fires when the last one has ended."""
        self.closing = True
        for waiting in list(self._awaiting_header):
            waiting.end()
        for connection in self:
            connection.end()
        return self._when_empty.wait()
