"""Defines the interface of all listeners. Each owns one socket that was bound, or inherited, before.

A listener is opened, kept over a reload or closed by itself; ``listener_set`` holds all listeners. Each kind is a
module: ``udp``, ``tcp``, ``tls``, ``relp``, ``https``, ``unix``. To add a kind, write the class and add it to
``listener_set.KINDS``.

Lifecycle: created with its socket (nothing is read yet) -> ``start`` -> ``stop_accepting`` (no new connections; the
open ones continue) -> ``close``. A reload calls ``prepare_change`` at any time between ``start`` and ``close``.
"""

import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from twisted.internet.defer import Deferred

from bridge.config import Listener
from bridge.host.interfaces import Reactor
from bridge.ingest.addresses import address_of
from bridge.ingest.coalescing import Coalescer
from bridge.ingest.peers import Peer
from bridge.ingest.pipeline import Pipeline
from bridge.listen.descriptors import DescriptorReserve
from bridge.listen.rejected_sources import RejectedSources
from bridge.listen.stream_turns import StreamTurns
from bridge.spool.batch import OpenBatch
from bridge.tls.seen_clients import SeenClients


class PeerLookup(Protocol):
    """Declares the function that finds the peer of a sender."""

    def __call__(self, listener: str, host: str, client: tuple[str, ...] = ()) -> Peer:
        """Returns the peer of a listener, an address as the socket gives it, and the names in its certificate."""


Commit = Callable[[Sequence[OpenBatch], Callable[[OSError | None], None]], None]
"Syncs files, then calls back with None, or with the error if that failed."


@dataclass(frozen=True, slots=True)
class ListenerContext:
    """Everything that all listeners share."""

    reactor: Reactor
    pipeline: Pipeline
    peer: PeerLookup
    max_frame_size: int
    commit: Commit = lambda files, done: done(None)
    "Calls back with None once everything in the files is synced to disk, or with the error if that failed."
    coalescer: Coalescer | None = None
    "Coalesces small reads of connections; None if each read is passed on by itself."
    drops_before: Callable[[socket.socket], int] = lambda bound: 0
    "Returns the datagrams that the kernel dropped while an earlier process of the gateway had the socket."
    descriptors: DescriptorReserve = field(default_factory=DescriptorReserve)
    seen_clients: SeenClients = field(default_factory=SeenClients)
    turns: StreamTurns = field(default_factory=StreamTurns)
    rejected: RejectedSources | None = None
    "Remembers rejected senders, also those of a listener that a reload replaces; None: each listener has its own."


class OpenListener(ABC):
    """Represents a listener with a bound socket, for the listener set."""

    port: int
    "The bound port; 0 for a Unix socket or once the socket is closed."
    kernel_drops: int = 0
    "Number of datagrams that the kernel dropped since the socket was opened."
    certificate_expires: float | None = None
    "Time at which the certificate expires, in seconds since the epoch; None without a certificate."

    def __init__(self, listener: Listener, bound: socket.socket) -> None:
        self.listener = listener
        self.bound = bound

    @property
    def open_connections(self) -> int | None:
        """Returns the number of open connections; None for datagrams."""
        return None

    @property
    @abstractmethod
    def refused(self) -> Counter[str]:
        """Returns the number of rejected connections and datagrams, by reason."""

    @property
    def health_checks(self) -> int:
        """Returns the number of connections without data, and of requests for health. They are not rejections."""
        return 0

    @abstractmethod
    def start(self) -> None:
        """Starts to read or to accept connections."""

    @abstractmethod
    def prepare_change(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """Prepares a reload and returns the function that applies it; raises ListenError.

        The new listener has the same kind and address. The socket and the open connections are kept. Everything that
        can fail fails here. The returned functions of all listeners are called in one reactor turn.
        """

    def check_idle(self) -> None:  # noqa: B027  # datagrams are always complete
        """Completes frames that no further data will complete. Called several times per second."""

    async def stop_accepting(self) -> None:  # noqa: B027  # datagrams are read until the socket is closed
        """Stops accepting connections."""

    @abstractmethod
    def watch(self, on_read: Callable[[], None]) -> None:
        """Calls ``on_read`` after each read from now on: the listener is being drained."""

    @abstractmethod
    def close(self, *, shared: bool) -> Deferred[None]:
        """Stops reading and closes the socket. The result fires when all connections have ended.

        ``shared`` is True if another listener or the service manager also holds the socket. What is queued in it is
        then left to them.
        """


def address_filter(listener: Listener) -> Callable[[str], bool]:
    """Returns a function that is True for addresses that the listener's ``allow`` accepts."""
    networks = listener.allow
    return (lambda host: True) if networks is None else lambda host: is_within(host, networks)


def is_within(host: str, networks: Collection[IPv4Network | IPv6Network]) -> bool:
    """Returns True if an address, as a socket gives it, is in one of the networks."""
    address = address_of(host)
    return address is not None and any(address.version == each.version and address in each for each in networks)
