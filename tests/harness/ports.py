"""Finds free loopback ports for tests that run in parallel."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below Linux's ephemeral range (32768-60999): no outgoing connection takes a port that was found free, so a restarted
# bridge can bind its old port again.
_FIRST, _LAST = 20_000, 32_000


# A port given to one test process is not given to another while that process lives, bound or not: byte N of this file
# is locked for port N. The kernel drops the locks when the process ends.
_TAKEN = Path(tempfile.gettempdir()) / f"syslog-bridge-tests-ports-{os.getuid()}"
_given: set[int] = set()
_locks: list[int] = []


def free_port() -> int:
    """Returns a port that is free for UDP and TCP on 127.0.0.1 and ::1, and reserves it for this process."""
    while True:
        port = random.randint(_FIRST, _LAST)
        if _reserve(port) and all(_is_free(family, kind, port) for family in _families() for kind in _KINDS):
            return port


def _reserve(port: int) -> bool:
    if len(_given) > (_LAST - _FIRST) // 2:
        _given.clear()  # the first ports of such a long process are no longer in use
    if port in _given:
        return False
    if not _locks:
        # One descriptor for the lifetime of the process: closing any descriptor of the file would drop all its locks.
        _locks.append(os.open(_TAKEN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
    try:
        fcntl.lockf(_locks[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _given.add(port)
    return True


def has_ipv6() -> bool:
    """Returns True if ::1 can be bound (containers often lack it)."""
    return _is_free(socket.AF_INET6, socket.SOCK_STREAM, 0)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Returns True if a TCP listener accepts connections on the port."""
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
