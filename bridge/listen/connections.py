"""Limits and holds the open connections of one stream listener.

A connection counts from its first byte, so a client that never finishes its TLS handshake takes up a slot. When
``max_connections`` is reached, the oldest unfinished handshake is closed for a new client.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed

from bridge.config import Listener
from bridge.ingest.peers import address_of
from bridge.listen.listener import address_filter
from bridge.listen.rejections import Rejections


class Closable(Protocol):
    """Declares what the limits need of a connection."""

    def end(self) -> None:
        """Closes the connection from the gateway's side."""


class Unfinished(Protocol):
    """Declares what the limits need of a TLS handshake that is not complete."""

    def close_for_new_client(self) -> None:
        """Closes the connection, because a new client needs the slot."""


C = TypeVar("C", bound=Closable)
W = TypeVar("W", bound=Closable)


class Connections(Generic[C]):
    """Accepts or rejects the clients of one listener. ``clock`` returns monotonic seconds."""

    def __init__(self, listener: Listener, clock: Callable[[], float]) -> None:
        self.rejections = Rejections(listener.name, clock)
        self.closing = False
        "True while the gateway, not the senders, ends the connections."
        self._open: dict[C, str] = {}
        "Connection -> address of its sender."
        self._per_sender: Counter[str] = Counter()
        self._handshaking: dict[Unfinished, None] = {}
        "Unfinished handshakes, the oldest first."
        self._awaiting_header: dict[Closable, None] = {}
        "Connections of load balancers whose PROXY header has not arrived."
        self._when_empty: list[Deferred[None]] = []
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
        sender = str(address_of(host) or host)
        if not self._allowed(host):
            self.rejections.note("not_in_allow", host, "not in allow")
        elif self._per_sender[sender] >= most_per_peer:
            text = f"max_connections_per_peer ({most_per_peer}) reached"
            self.rejections.note("max_connections_per_peer", host, text)
        elif len(self._open) >= most and not self._handshaking:
            self.rejections.note("max_connections", host, f"max_connections ({most}) reached")
        else:
            if len(self._open) >= most:
                next(iter(self._handshaking)).close_for_new_client()
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
        if not self._open:
            waiting, self._when_empty = self._when_empty, []
            for deferred in waiting:
                deferred.callback(None)

    def handshake_began(self, handshake: Unfinished) -> None:
        """Adds an unfinished TLS handshake."""
        self._handshaking[handshake] = None

    def handshake_ended(self, handshake: Unfinished) -> None:
        """Removes a handshake that is complete or has failed."""
        self._handshaking.pop(handshake, None)

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
        if not self._open:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._when_empty.append(ended)
        return ended
