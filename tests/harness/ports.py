"""Free loopback ports, for tests that run beside each other."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below Linux's ephemeral range (32768-60999): a port that was free stays free, since no outgoing connection of this or
# another test is ever given it. A restart of the bridge can so take its old port again.
_FIRST, _LAST = 20_000, 32_000


# A port that one test process was given is no other's while that process lives, bound or not: byte N of this file is
# locked for port N. The kernel drops the locks of a process that ends, however it ends.
_TAKEN = Path(tempfile.gettempdir()) / f"syslog-bridge-tests-ports-{os.getuid()}"
_given: set[int] = set()
_locks: list[int] = []


def free_port() -> int:
    """A port that nobody holds, for UDP and TCP, on 127.0.0.1 and ::1, and that is given to nobody else."""
    while True:
        port = random.randint(_FIRST, _LAST)
        if _reserve(port) and all(_is_free(family, kind, port) for family in _families() for kind in _KINDS):
            return port


def _reserve(port: int) -> bool:
    if len(_given) > (_LAST - _FIRST) // 2:
        _given.clear()  # a process that lives so long has given up the first ones
    if port in _given:
        return False
    if not _locks:
        # One descriptor for the life of the process: closing any of a file's would drop all of its locks.
        _locks.append(os.open(_TAKEN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
    try:
        fcntl.lockf(_locks[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _given.add(port)
    return True


def has_ipv6() -> bool:
    """Whether ::1 can be bound here (containers often come without it)."""
    return _is_free(socket.AF_INET6, socket.SOCK_STREAM, 0)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a TCP listener is there."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


_KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


def _families() -> tuple[socket.AddressFamily, ...]:
    return (socket.AF_INET, socket.AF_INET6) if has_ipv6() else (socket.AF_INET,)


def _is_free(family: socket.AddressFamily, kind: socket.SocketKind, port: int) -> bool:
    try:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
    except OSError:
        return False
    return True
