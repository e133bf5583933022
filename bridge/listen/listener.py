"""Defines the interface of all listeners. Each owns one socket that was bound, or inherited, before.

A listener is opened, kept over a reload or closed by itself; ``listener_set`` holds all listeners. Each kind is a
module: ``udp``, ``tcp``, ``tls``, ``relp``, ``https``, ``unix``. To add a kind, write the class and add it to
``listener_set.KINDS``.

Lifecycle: created with its socket (nothing is read yet) -> ``start`` -> ``stop_accepting`` (no new connections; the
open ones continue) -> ``close`` -> ``connected`` becomes False. A reload calls ``prepare_change`` at any time between
``start`` and ``close``.
"""

import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.config import Listener
from bridge.host.interfaces import Reactor
from bridge.ingest.coalescing import Coalescer
from bridge.ingest.peers import Peer, address_of
from bridge.ingest.pipeline import Pipeline


class PeerLookup(Protocol):
    """Declares the function that finds the peer of a sender."""

    def __call__(self, listener: str, host: str, client: tuple[str, ...] = ()) -> Peer:
        """Returns the peer of a listener, an address as the socket gives it, and the names in its certificate."""


@dataclass(frozen=True, slots=True)
class ListenerContext:
    """Everything that all listeners share."""

    reactor: Reactor
    pipeline: Pipeline
    peer: PeerLookup
    max_frame_size: int
    commit: Callable[[Callable[[OSError | None], None]], None] = lambda done: done(None)
    "Calls back with None once everything received so far is synced to disk, or with the error if that failed."
    coalescer: Coalescer | None = None
    "Coalesces small reads of connections; None if each read is passed on by itself."


class OpenListener(Protocol):
    """Declares what the listener set needs of a listener with a bound socket."""

    listener: Listener

    @property
    def refused(self) -> Counter[str]:
        """Returns the number of rejected connections and datagrams, by reason."""

    def last_rejection(self, hosts: Callable[[str], bool]) -> str | None:
        """Returns the reason of a sender's latest rejection, or None.

        ``hosts`` returns True for the sender's address. Only a limited number of senders is remembered.
        """

    @property
    def port(self) -> int:
        """Returns the bound port; 0 for a Unix socket."""

    @property
    def kernel_drops(self) -> int:
        """Returns the number of datagrams that the kernel dropped since the socket was opened."""

    @property
    def activity(self) -> int:
        """Returns a number that increases while data arrives."""

    @property
    def connected(self) -> bool:
        """True while connections are open."""

    @property
    def bound(self) -> socket.socket:
        """Returns the bound socket."""

    def start(self) -> None:
        """Starts to read or to accept connections."""

    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """Prepares a reload and returns the function that applies it; raises ListenError.

        The new listener has the same kind and address. The socket and the open connections are kept. Everything that
        can fail fails here. The returned functions of all listeners are called in one reactor turn.
        """

    def duplicate(self) -> socket.socket:
        """Returns a duplicate of the socket, for a listener of another kind at the same address."""

    def check_idle(self) -> None:
        """Completes frames that no further data will complete. Called several times per second."""

    async def stop_accepting(self) -> None:
        """Stops accepting connections."""

    def close(self, *, shared: bool) -> None:
        """Stops reading and closes the socket.

        ``shared`` is True if another listener or the service manager also holds the socket. What is queued in it is
        then left to them.
        """


def address_filter(listener: Listener) -> Callable[[str], bool]:
    """Returns a function that is True for addresses that the listener's ``allow`` accepts."""
    networks = listener.allow
    if networks is None:
        return lambda host: True

    def allowed(host: str) -> bool:
        address = address_of(host)
        return address is not None and any(address.version == n.version and address in n for n in networks)

    return allowed
