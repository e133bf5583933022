"""Binds sockets as the configuration names them. Errors tell the operator which listener fails, why, and what to do."""

import errno
import os
import socket
import stat
import struct
from pathlib import Path
from typing import NamedTuple

from bridge.util.errors import BridgeError
from bridge.util.os_errors import SECURITY_MODULES, reason_of

SO_RCVBUFFORCE = 33
SO_MEMINFO = 55
# Indexes in the array of SO_MEMINFO (linux/sock_diag.h).
_RMEM_ALLOC, _RCVBUF, _DROPS = 0, 1, 8
_COUNTERS = struct.Struct("=9I")

_STOPS = {"rsyslogd": "systemctl disable --now rsyslog syslog.socket", "syslog-ng": "systemctl disable --now syslog-ng"}
"Commands that stop usual holders of port 514."

BACKLOG = 1024
"Connections that may wait to be accepted: after a restart, all devices of a switch stack reconnect at once."


class ListenError(BridgeError):
    """Raised when a listener cannot be opened; the text says which one and why."""


class Holder(NamedTuple):
    """A process that has a port open."""

    pid: int
    program: str

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})"


def bind(kind: str, host: str, port: int, *, name: str, v6only: bool, backlog: int = BACKLOG) -> socket.socket:
    """Returns a bound ``udp`` or ``tcp`` socket. Host ``*`` means every IPv4 and IPv6 address. Raises ListenError."""
    try:
        return open_port(kind, host, port, v6only=v6only, backlog=backlog)
    except OSError as error:
        text, hint = bind_error(error, kind, host, port)
        raise ListenError(f"listener {name}: {text}", hint) from None


def try_port(kind: str, host: str, port: int, *, v6only: bool) -> None:
    """Binds a ``udp`` or ``tcp`` port and releases it at once, without accepting anything. Raises OSError."""
    open_port(kind, host, port, v6only=v6only, backlog=None).close()


def open_port(kind: str, host: str, port: int, *, v6only: bool, backlog: int | None) -> socket.socket:
    """Returns a bound ``udp`` or ``tcp`` socket that does not block. Raises OSError.

    Host ``*`` means every IPv4 and IPv6 address. A ``tcp`` socket listens unless ``backlog`` is None.
    """
    family, host = family_of(host)
    type_ = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    bound = None
    try:
        bound = socket.socket(family, type_ | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        if type_ == socket.SOCK_STREAM:
            # A restart must not wait for old connections to time out. For UDP the option would share the port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        bound.bind((host, port))
        if type_ == socket.SOCK_STREAM and backlog is not None:
            bound.listen(backlog)
    except OSError:
        if bound is not None:
            bound.close()
        raise
    return bound


def family_of(host: str) -> tuple[socket.AddressFamily, str]:
    """Returns the address family and the address to bind for a configured host."""
    if host == "*":
        return (socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")
    return (socket.AF_INET if "." in host else socket.AF_INET6), host


def bind_unix(path: Path, type_: socket.SocketKind, *, name: str, mode: int, backlog: int) -> socket.socket:
    """Returns a bound Unix socket with this path and mode, replacing a stale one. Raises ListenError."""
    bound = socket.socket(socket.AF_UNIX, type_ | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    mask = os.umask(0o777 & ~mode)
    try:
        _remove_stale_socket(path, type_)
        bound.bind(str(path))
        if type_ == socket.SOCK_STREAM:
            bound.listen(backlog)
    except OSError as error:
        bound.close()
        what = "the path is too long, 107 bytes at most" if "too long" in str(error) else reason_of(error)
        raise ListenError(f"listener {name}: {path}: {what}") from None
    except ListenError as error:
        bound.close()
        raise ListenError(f"listener {name}: {error.text}", error.hint) from None
    finally:
        os.umask(mask)
    return bound


def _remove_stale_socket(path: Path, type_: socket.SocketKind) -> None:
    """Removes the socket file of a process that no longer listens. Raises ListenError if the path is in use."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(f"{path} exists and is not a socket", "Remove it, or choose another path.")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, type_ | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full, so a process still listens
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
    raise ListenError(f"{path} is in use", "Stop the process that listens there, or choose another path.")


def bind_error(error: OSError, kind: str, host: str, port: int) -> tuple[str, str]:
    """Returns why a socket cannot be bound, and what to do."""
    where = f"{kind} port {port}"
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(kind, port)
        return f"{where} is in use{f' by {holder}' if holder else ''}", _to_free(holder)
    if error.errno == errno.EACCES:
        if port < 1024 and os.geteuid() != 0:
            hint = "Grant CAP_NET_BIND_SERVICE, or use another port."
            return f"{where} needs the right to bind ports below 1024", hint
        hint = f"Permit it in {SECURITY_MODULES}. For SELinux: semanage port -a -t syslogd_port_t -p {kind} {port}"
        return f"this machine forbids binding {where} ({error.strerror})", hint
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {host}", "Listen on one of its addresses, or on *."
    return f"{where}: {error.strerror}", ""


def grow_receive_buffer(bound: socket.socket, size: int) -> int:
    """Requests a receive buffer size, and returns the size that the kernel grants, in bytes.

    A buffer that is large enough is not changed. A socket that was stored between two processes may have a larger
    buffer than this process may request, and a smaller limit would reject new datagrams until the queued ones are
    read.
    """
    granted = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if granted >= size:
        return granted
    try:
        bound.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except OSError:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    # The kernel doubles the requested size for its own bookkeeping, and reports the doubled size.
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def kernel_drops(bound: socket.socket) -> int:
    """Returns the number of datagrams that the kernel dropped because this socket's receive buffer was full."""
    counters = _memory_counters(bound)
    return counters[_DROPS] if counters else 0


def receive_buffer_used(bound: socket.socket) -> float | None:
    """Returns the share of a socket's receive buffer that is in use, or None if the system does not tell.

    The kernel counts its own structures too: 768 bytes and more for a datagram of 300.
    """
    counters = _memory_counters(bound)
    return counters[_RMEM_ALLOC] / counters[_RCVBUF] if counters and counters[_RCVBUF] else None


def _memory_counters(bound: socket.socket) -> tuple[int, ...]:
    """Returns the counters of ``SO_MEMINFO``, or an empty tuple if the system does not have them."""
    try:
        counters = bound.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _COUNTERS.size)
    except OSError:
        return ()
    return _COUNTERS.unpack(counters) if len(counters) == _COUNTERS.size else ()


def _to_free(holder: Holder | None) -> str:
    """Says how to free a port. Debian's rsyslog holds port 514 on many machines that become a gateway."""
    stop = _STOPS.get(holder.program) if holder is not None else None
    return f"Stop that process{f' ({stop})' if stop else ''}, or use another port."


def holder_of(kind: str, port: int) -> Holder | None:
    """Returns the process that has a port open, or None if this user cannot see it."""
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
                    return Holder(int(process.name), (process / "comm").read_text().strip())
        except OSError:
            continue
    return None
