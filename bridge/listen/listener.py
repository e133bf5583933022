"""What every way in has in common: one *door* a listener, over a socket that somebody else bound or inherited.

A door is opened, kept over a reload or closed for itself; ``listener_set`` holds them all. Each kind is a module:
``udp_door``, ``stream_door`` (TCP), ``tls_door``, ``unix_door``. To add one, write the class and its row in
``listener_set.KINDS``.

Life: made with its socket (nothing is read yet) -> ``start`` -> ``shut`` (nobody new; who is in goes on) -> ``hang_up``
-> ``connected`` turns false. In between, ``changed`` under each new configuration.
"""

import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.config import Listener
from bridge.ingest.coalescing import Coalescer
from bridge.ingest.peers import Peer, address_of
from bridge.ingest.pipeline import Pipeline


class Lookup(Protocol):
    """Finds a sender."""

    def __call__(self, listener: str, host: str, client: tuple[str, ...] = ()) -> Peer:
        """Of a listener, an address as the socket gives it, and the names of its certificate."""


@dataclass(frozen=True, slots=True)
class ListenerContext:
    """What lies behind all doors."""

    reactor: Any
    pipeline: Pipeline
    peer: Lookup
    max_frame_size: int
    commit: Callable[[Callable[[OSError | None], None]], None] = lambda done: done(None)
    "Calls back once all that was received until now is on the disk, or with why it is not."
    coalescer: Coalescer | None = None
    "Where small reads of connections are put together; None: each goes its own way."


class OpenListener(Protocol):
    """One listener's way in."""

    listener: Listener

    @property
    def refused(self) -> Counter[str]:
        """Connections and datagrams that were not let in, by reason."""

    def rejected(self, hosts: Callable[[str], bool]) -> str | None:
        """Why a sender was not let in lately, None: it was, or never came. ``hosts`` knows its address."""

    @property
    def port(self) -> int:
        """The port that is bound; 0 where there is none."""

    @property
    def kernel_drops(self) -> int:
        """Datagrams that its socket lost since it was opened."""

    @property
    def activity(self) -> int:
        """A figure that grows while senders talk."""

    @property
    def connected(self) -> bool:
        """Whether somebody is still in."""

    @property
    def bound(self) -> socket.socket:
        """Its socket."""

    def start(self) -> None:
        """Read, or accept."""

    def changed(self, listener: Listener, listener_context: ListenerContext) -> Callable[[], None]:
        """What makes it this listener's, of the same kind at the same address, with its socket and all who are in; to
        be called in one reactor turn with all that changes. What may fail fails before. Raises ListenError."""

    def duplicate(self) -> socket.socket:
        """Its socket once more, for a door of another kind at the same address."""

    def check_idle(self) -> None:
        """Called several times a second."""

    async def shut(self) -> None:
        """Let nobody new in."""

    def hang_up(self, *, kept: bool) -> None:
        """Read no more, let go of the socket. ``kept``: somebody else holds it too, and what it holds is for him."""


def allowing(listener: Listener) -> Callable[[str], bool]:
    """Whether ``allow`` lets an address in."""
    networks = listener.allow
    if networks is None:
        return lambda host: True

    def allowed(host: str) -> bool:
        address = address_of(host)
        return address is not None and any(address.version == n.version and address in n for n in networks)

    return allowed
