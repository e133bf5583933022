"""Takes sockets that the service manager passes at start (socket activation), and stores sockets with it.

Ports are written in the configuration only: a listener takes an inherited socket only if it would bind the same
address, whatever the socket's name. All other inherited sockets are closed.
"""

import json
import os
import socket
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import quote

from twisted.logger import Logger

from bridge.config import Listener
from bridge.host.systemd import ServiceManager
from bridge.listen.sockets import family_of, kernel_drops
from bridge.util.files import write_replacing

log = Logger(namespace="listen")


def fd_name(listener: str) -> str:
    """Returns a descriptor name for a listener: at most 255 printable ASCII characters without colon (sd_notify(3))."""
    return quote(listener, safe=" !#$&'()*+,/;=?@[]<>|^`{}")[:255]


class InheritedSockets:
    """Manages the sockets that one process inherits, and the sockets that it stores for the next one."""

    def __init__(self, store: ServiceManager | None, drops_file: Path) -> None:
        self._store = store
        self._drops_file = drops_file
        "File that passes the kernel's drop counters to the next process: a stored socket counts from its creation."
        self._drops = self._load_drops() if store is not None and store.listens else {}
        self._inherited = store.inherited() if store is not None else []
        self._stored: dict[str, int] = {}
        "Descriptor name -> inode of the socket."

    @property
    def stores_sockets(self) -> bool:
        """True if sockets are stored with the manager and outlive this process, as far as can be known."""
        return bool(self._stored)

    def take(self, listener: Listener, *, v6only: bool) -> socket.socket | None:
        """Returns an inherited socket at the address that the listener would bind, or None.

        A socket with the listener's own name is preferred.
        """
        matching = [(name, sock) for name, sock in self._inherited if _matches(sock, name, listener, v6only=v6only)]
        if not matching:
            return None
        name, sock = next((each for each in matching if each[0] == fd_name(listener.name)), matching[0])
        self._inherited = [each for each in self._inherited if each[1] is not sock]
        if not listener.takes_datagrams:
            sock.listen(listener.backlog)
        self._stored[name] = _inode(sock)
        log.info("listener {name}: reuses the socket that the service manager passed", name=listener.name)
        return sock

    def drops_before(self, sock: socket.socket) -> int:
        """Returns the datagrams that the kernel dropped on a socket and that the previous process has counted.

        Datagrams dropped while no process ran count for this process. After a crash they cannot be told apart, so
        none count.
        """
        inode = _inode(sock)
        return self._drops.get(inode, kernel_drops(sock)) if inode in self._stored.values() else 0

    def save_drops(self, sockets: Collection[socket.socket]) -> None:
        """Saves the drop counters of the sockets at shutdown, if the manager stores them."""
        if not self.stores_sockets:
            return
        drops = {_inode(sock): kernel_drops(sock) for sock in sockets}
        try:
            write_replacing(self._drops_file, json.dumps(drops).encode())
        except OSError as error:
            log.warn("cannot write {path}: {why}", path=self._drops_file, why=error.strerror)

    def _load_drops(self) -> dict[int, int]:
        try:
            saved = json.loads(self._drops_file.read_text())
            found = {int(inode): int(drops) for inode, drops in saved.items()}
            self._drops_file.unlink()  # it would be out of date after a crash
        except (OSError, ValueError, AttributeError, TypeError):
            return {}
        return found

    def close_unused(self) -> None:
        """Closes the inherited sockets that no listener has taken: their ports were removed from the configuration."""
        for name, sock in self._inherited:
            if _inode(sock) in self._stored.values():
                sock.close()  # a duplicate: both a socket unit and the store passed this socket
                continue
            log.warn(
                "the socket {name} ({where}) was inherited, but no listener has that address: it is closed",
                name=name, where=_describe(sock),
            )  # fmt: skip
            if self._store is not None:
                self._store.forget(name)
            sock.close()
        self._inherited = []

    def store_sockets(self, sockets: Mapping[str, socket.socket]) -> None:
        """Stores exactly these sockets, by listener name, with the manager."""
        if self._store is None or not self._store.listens:
            return
        wanted = {fd_name(name): bound for name, bound in sockets.items()}
        # Remove first: the manager does not store a socket twice, so a renamed one must lose its old name before.
        for name, inode in list(self._stored.items()):
            if name not in wanted or _inode(wanted[name]) != inode:
                self._store.forget(name)
                del self._stored[name]
        for name, bound in wanted.items():
            if name not in self._stored:
                self._store.keep(name, bound)
                self._stored[name] = _inode(bound)


def _inode(sock: socket.socket) -> int:
    """Returns the socket's inode: it is equal for two descriptors of one socket, and differs between two sockets."""
    return os.fstat(sock.fileno()).st_ino


def _matches(sock: socket.socket, name: str, listener: Listener, *, v6only: bool) -> bool:
    """Returns True if the socket is the one that ``sockets`` would bind for the listener."""
    if sock.type != (socket.SOCK_DGRAM if listener.takes_datagrams else socket.SOCK_STREAM):
        return False
    if not listener.takes_datagrams and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return False
    if listener.unix_path is not None:
        # No sender can reach a socket whose path was removed.
        return sock.family == socket.AF_UNIX and sock.getsockname() == str(listener.unix_path) and _path_is_socket(sock)
    family, host = family_of(listener.address.host)
    if sock.family != family:
        return False
    if family == socket.AF_INET6 and sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) != int(v6only):
        return False
    host_bound, port = sock.getsockname()[:2]
    wanted = listener.address.port
    return host_bound == host and (port == wanted or (wanted == 0 and name == fd_name(listener.name)))


def _path_is_socket(sock: socket.socket) -> bool:
    try:
        return stat.S_ISSOCK(Path(sock.getsockname()).stat().st_mode)
    except OSError:
        return False


def _describe(sock: socket.socket) -> str:
    name = sock.getsockname()
    kind = "datagrams" if sock.type == socket.SOCK_DGRAM else "stream"
    return f"{kind}, {name!r}" if isinstance(name, str | bytes) else f"{kind}, {name[0]} port {name[1]}"
