"""Replaces the functions of `os` and `open` through which a bridge uses its disk, so that calls fail as a test decides.

A function decides for each call: it returns None, the name of the errno that the call fails with, or, for writes,
`SHORT` or `KILL`. `disk_faults.py` decides at random, `faulty_disk_bridge.py` fails the calls that a test names.

The product has no hooks for this: the functions are replaced before the bridge is imported.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHORT = "short"
"The write takes only the first half of its data."
KILL = "kill"
"The write takes only the first half of its data, then the process kills itself (SIGKILL)."

Decide = Callable[[str, object, int], str | None]
"""Gets the name of the call, its path or descriptor, and the size of the data. The calls: `create` and `open` open a
file for writing that does not exist or exists, `read` opens a file for reading. `truncate` and `allocate` are those of
a descriptor too. All others are named as in `os`."""

_NAMED = ("rename", "replace", "unlink", "mkdir", "statvfs", "fsync", "truncate")


class ControlFile:
    """A JSON object in a file that is read again whenever the file changes. Made before the functions are replaced."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._stat, self._open = os.stat, builtins.open
        self._version = (0, 0)
        self._content: dict[str, Any] = {}

    def content(self) -> dict[str, Any]:
        found = self._stat(self._path)
        version = (found.st_ino, found.st_mtime_ns)
        if version != self._version:
            with self._open(self._path) as file:
                self._content = json.load(file)
            self._version = version
        return self._content


def path_of(target: object) -> str:
    """Returns the path of a path or a descriptor; an empty text if it has none."""
    if isinstance(target, int):
        try:
            return os.readlink(f"/proc/self/fd/{target}")  # noqa: PTH115  # on the path of each call
        except OSError:
            return ""
    return os.fsdecode(target) if isinstance(target, str | bytes | os.PathLike) else ""


def install(decide: Decide) -> None:
    """Replaces the functions. Called once, before the bridge is imported."""
    for name in _NAMED:
        setattr(os, name, _faulty(decide, name, getattr(os, name)))
    os.ftruncate = _faulty(decide, "truncate", os.ftruncate)
    os.posix_fallocate = _faulty(decide, "allocate", os.posix_fallocate)
    os.open = _faulty(decide, _call_of_flags, os.open)
    os.write = _faulty_write(decide, os.write)
    builtins.open = io.open = _faulty(decide, _call_of_mode, builtins.open)


def _faulty(decide: Decide, call: str | Callable[..., str], original: Callable[..., Any]) -> Callable[..., Any]:
    def replaced(*args: Any, **named: Any) -> Any:
        if args:
            _raise(decide(call if isinstance(call, str) else call(*args, **named), args[0], 0), args[0])
        return original(*args, **named)

    return replaced


def _faulty_write(decide: Decide, original: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    def replaced(descriptor: int, data: Any) -> int:
        view = memoryview(data)
        kind = decide("write", descriptor, len(view))
        if kind not in (SHORT, KILL):
            _raise(kind, descriptor)
            return original(descriptor, data)
        written = original(descriptor, view[: max(1, len(view) // 2)])
        if kind == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    return replaced


def _raise(kind: str | None, target: object) -> None:
    if kind is not None:
        number = getattr(errno, kind)
        raise OSError(number, os.strerror(number), target if isinstance(target, str | os.PathLike) else None)


def _call_of_flags(path: object, flags: int, *args: object, **named: object) -> str:
    if not flags & (os.O_WRONLY | os.O_RDWR):
        return "read"
    return "create" if flags & os.O_CREAT and not os.path.exists(path_of(path)) else "open"


def _call_of_mode(path: object, mode: str = "r", *args: object, **named: object) -> str:
    if mode.startswith("r") and "+" not in mode:
        return "read"
    return "open" if mode.startswith("r") or os.path.exists(path_of(path)) else "create"
