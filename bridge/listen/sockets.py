"""Sockets, bound as the configuration names them. Errors are the operator's: which listener, why, who has the port."""

import errno
import os
import socket
import stat
import struct
from pathlib import Path

from twisted.internet.interfaces import IListeningPort

SO_RCVBUFFORCE = 33
SO_MEMINFO = 55
_DROPS = 8  # index in SO_MEMINFO's array (linux/sock_diag.h)

BACKLOG = 1024
"Connections that may wait to be accepted: a switch stack that reboots comes back at once."


class ListenError(Exception):
    """A listener cannot be opened; the text says which, why and what to do."""


def bind(kind: str, host: str, port: int, *, name: str, v6only: bool, backlog: int = BACKLOG) -> socket.socket:
    """A bound socket, ``udp`` or ``tcp``; ``*`` is every address of both families. Raises ListenError."""
    family, host = family_of(host)
    type_ = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    bound = None
    try:
        bound = socket.socket(family, type_ | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        if type_ == socket.SOCK_STREAM:
            # A restart must not wait for the connections of before; UDP has none, and would share the port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        bound.bind((host, port))
        if type_ == socket.SOCK_STREAM:
            bound.listen(backlog)
    except OSError as error:
        if bound is not None:
            bound.close()
        raise ListenError(f"listener {name}: {_reason(error, kind, host, port)}") from None
    return bound


def family_of(host: str) -> tuple[socket.AddressFamily, str]:
    """The family and address that a configured host is bound as."""
    if host == "*":
        return (socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")
    return (socket.AF_INET if "." in host else socket.AF_INET6), host


def bind_unix(path: Path, type_: socket.SocketKind, *, name: str, mode: int, backlog: int) -> socket.socket:
    """A Unix socket of this path and mode. One that nobody listens on any more gives way. Raises ListenError."""
    bound = socket.socket(socket.AF_UNIX, type_ | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    mask = os.umask(0o777 & ~mode)
    try:
        _make_way(path, type_)
        bound.bind(str(path))
        if type_ == socket.SOCK_STREAM:
            bound.listen(backlog)
    except OSError as error:
        bound.close()
        what = "its name is too long, 107 bytes at most" if "too long" in str(error) else error.strerror
        raise ListenError(f"listener {name}: {path}: {what}") from None
    except ListenError as error:
        bound.close()
        raise ListenError(f"listener {name}: {error}") from None
    finally:
        os.umask(mask)
    return bound


def _make_way(path: Path, type_: socket.SocketKind) -> None:
    """Remove what a bridge that was killed has left."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(f"{path} exists and is no socket: remove it, or choose another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, type_ | socket.SOCK_NONBLOCK) as knocking:
        try:
            knocking.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: it lives
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
    raise ListenError(f"{path} is in use; stop who listens there, or choose another path")


def _reason(error: OSError, kind: str, host: str, port: int) -> str:
    where = f"{kind} port {port}"
    if error.errno == 98:
        holder = holder_of(kind, port)
        return f"{where} is taken{f' by {holder}' if holder else ''}; stop it, or listen on another port"
    if error.errno == 13:
        return f"{where} needs the right to bind ports below 1024 (CAP_NET_BIND_SERVICE, or root)"
    if error.errno == 99:
        return f"this machine has no address {host}"
    return f"{where}: {error.strerror}"


def grow_receive_buffer(bound: socket.socket, size: int) -> int:
    """Ask for a receive buffer; what the kernel grants, in bytes.

    One that is large enough is left alone: a socket that was held while nobody read it may have been given more than
    this process may ask for, and a smaller limit would refuse what comes until what waits has been read.
    """
    granted = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if granted >= size:
        return granted
    try:
        bound.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except OSError:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    # The kernel doubles what was asked for its own bookkeeping, and answers with the double.
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def port_of(port: IListeningPort) -> int:
    """The TCP port that a listening port has."""
    return int(getattr(port.getHost(), "port", 0))


def kernel_drops(bound: socket.socket) -> int:
    """Datagrams that the kernel threw away because this socket's buffer was full."""
    try:
        counters = bound.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (_DROPS + 1))
    except OSError:
        return 0
    if len(counters) < 4 * (_DROPS + 1):
        return 0
    return int(struct.unpack_from("=I", counters, 4 * _DROPS)[0])


def holder_of(kind: str, port: int) -> str | None:
    """Who has a port, as ``rsyslogd (process 123)``, as far as this user may see."""
    inodes = set()
    for table in (f"/proc/net/{kind}", f"/proc/net/{kind}6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and (kind == "udp" or fields[3] == "0A"):
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue
    return None
