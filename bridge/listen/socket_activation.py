"""Sockets that outlive the process: what a service manager hands over at the start, and what it is given to hold.

The configuration stays the only place where ports are written: a socket is taken only by a listener that would have
bound the same one, whatever the name it came with; the others are closed.
"""

import json
import os
import socket
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from twisted.logger import Logger

from bridge.config import Listener
from bridge.listen.sockets import family_of, kernel_drops

log = Logger(namespace="listen")


class DescriptorStore(Protocol):
    """Who holds sockets while no process of ours runs."""

    @property
    def listens(self) -> bool:
        """Whether there is anybody."""

    def inherited(self) -> list[tuple[str, socket.socket]]:
        """What it hands over, with names."""

    def keep(self, name: str, held: socket.socket) -> None:
        """Hold a socket."""

    def forget(self, name: str) -> None:
        """Hold it no more."""


def fd_name(listener: str) -> str:
    """A listener's name as a descriptor's: printable ASCII without a colon, 255 at most (sd_notify(3), FDNAME)."""
    return quote(listener, safe=" !#$&'()*+,/;=?@[]<>|^`{}")[:255]


class InheritedSockets:
    """The sockets of one process's life."""

    def __init__(self, store: DescriptorStore | None, memory: Path) -> None:
        self._store = store
        self._memory = memory
        "Where one life tells the next what the kernel had dropped by its end: a socket counts from its first day."
        self._drops = self._recall() if store is not None and store.listens else {}
        self._handed = store.inherited() if store is not None else []
        self._kept: dict[str, int] = {}
        "Descriptor's name -> the socket's inode."

    @property
    def holds(self) -> bool:
        """Whether what was given to hold outlives us, as far as we can know."""
        return bool(self._kept)

    def take(self, listener: Listener, *, v6only: bool) -> socket.socket | None:
        """A socket that was handed over and is the one this listener would bind; its own by preference."""
        body_limit = [(name, held) for name, held in self._handed if _fits(held, name, listener, v6only=v6only)]
        if not body_limit:
            return None
        name, held = next((each for each in body_limit if each[0] == fd_name(listener.name)), body_limit[0])
        self._handed = [each for each in self._handed if each[1] is not held]
        if not listener.takes_datagrams:
            held.listen(listener.backlog)
        self._kept[name] = _inode(held)
        log.info("listener {name}: goes on with the socket that was held for it", name=listener.name)
        return held

    def drops_before(self, held: socket.socket) -> int:
        """Datagrams that a socket lost before this process had it, and that another has counted. Those lost while
        nobody ran count now, but for those after a crash, which left no word."""
        inode = _inode(held)
        if inode not in self._kept.values():
            return 0
        return self._drops.get(inode, kernel_drops(held))

    def remember(self, sockets: Collection[socket.socket]) -> None:
        """The end: what each of them has lost."""
        if not self.holds:
            return
        drops = {_inode(held): kernel_drops(held) for held in sockets}
        try:
            self._memory.write_text(json.dumps(drops))
        except OSError as error:
            log.warn("cannot write {path}: {why}", path=self._memory, why=error.strerror)

    def _recall(self) -> dict[int, int]:
        try:
            told = json.loads(self._memory.read_text())
            found = {int(inode): int(drops) for inode, drops in told.items()}
            self._memory.unlink()  # after a crash it would be old
        except (OSError, ValueError, AttributeError, TypeError):
            return {}
        return found

    def close_rest(self) -> None:
        """What no listener has taken: ports that are not in the configuration any more."""
        for name, held in self._handed:
            if _inode(held) in self._kept.values():
                held.close()  # once more what a listener has: a socket unit and the store both gave it
                continue
            log.warn(
                "the socket {name} ({where}) was handed over, but no listener has that address: it is closed",
                name=name, where=_where(held),
            )  # fmt: skip
            if self._store is not None:
                self._store.forget(name)
            held.close()
        self._handed = []

    def hold(self, sockets: Mapping[str, socket.socket]) -> None:
        """These, by listener, are to outlive us from now on, and no others."""
        if self._store is None or not self._store.listens:
            return
        wanted = {fd_name(name): bound for name, bound in sockets.items()}
        # First what goes: the manager takes no socket twice, so one with a new name must have lost its old one.
        for name, inode in list(self._kept.items()):
            if name not in wanted or _inode(wanted[name]) != inode:
                self._store.forget(name)
                del self._kept[name]
        for name, bound in wanted.items():
            if name not in self._kept:
                self._store.keep(name, bound)
                self._kept[name] = _inode(bound)


def _inode(held: socket.socket) -> int:
    """What tells two descriptors of one socket from two sockets."""
    return os.fstat(held.fileno()).st_ino


def _fits(held: socket.socket, name: str, listener: Listener, *, v6only: bool) -> bool:
    """Whether it is what ``sockets`` would bind."""
    if held.type != (socket.SOCK_DGRAM if listener.takes_datagrams else socket.SOCK_STREAM):
        return False
    if not listener.takes_datagrams and not held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return False
    if listener.unix_path is not None:
        # A socket whose name was removed reaches nobody.
        return held.family == socket.AF_UNIX and held.getsockname() == str(listener.unix_path) and _there(held)
    family, host = family_of(listener.address.host)
    if held.family != family:
        return False
    if family == socket.AF_INET6 and held.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) != int(v6only):
        return False
    at, port = held.getsockname()[:2]
    wanted = listener.address.port
    return at == host and (port == wanted or (wanted == 0 and name == fd_name(listener.name)))


def _there(held: socket.socket) -> bool:
    try:
        return stat.S_ISSOCK(Path(held.getsockname()).stat().st_mode)
    except OSError:
        return False


def _where(held: socket.socket) -> str:
    name = held.getsockname()
    kind = "datagrams" if held.type == socket.SOCK_DGRAM else "stream"
    return f"{kind}, {name!r}" if isinstance(name, str | bytes) else f"{kind}, {name[0]} port {name[1]}"
