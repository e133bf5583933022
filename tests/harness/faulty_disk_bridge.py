"""Runs `syslog-bridge run` on a disk whose faults a test sets while it runs.

Usage: python -P faulty_disk_bridge.py FILE CONTROL SPOOL CONSTANTS. CONSTANTS is a JSON object as in
`altered_bridge.py`. CONTROL is a JSON file, read again whenever it changes:
  `calls`  {"write": "ENOSPC", ...}: calls on files below SPOOL that fail, and their errors: write, create, open,
           rename, unlink, truncate, mkdir, fsync, allocate;
  `short`  an error: writes take a part of their data, and the write of the rest fails with it;
  `left`   only so many more calls fail; without it, all do until CONTROL changes;
  `free`   [bytes, inodes]: the free space that the filesystem reports, as with a quota that `statvfs` does not show;
  `kill`   true: writes take a part of their data, then the process kills itself (SIGKILL).

The product has no hooks for this: this script replaces functions of `os` before it runs.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.harness.altered_bridge import set_constants


class Faults:
    """Reads the control file and raises the errors that it sets."""

    def __init__(self, control: Path, spool: str) -> None:
        self._control = control
        self._spool = spool
        self._version = -1
        self._plan: dict[str, Any] = {}
        self._left: int | None = None
        self._shortened: set[int] = set()
        self._lock = threading.Lock()

    def plan(self) -> dict[str, Any]:
        version = real_stat(self._control).st_mtime_ns
        if version != self._version:
            with real_open_file(self._control) as file:
                self._plan = json.load(file)
            self._version, self._left = version, self._plan.get("left")
        return self._plan

    def check(self, call: str, path: object) -> None:
        with self._lock:
            name = self.plan().get("calls", {}).get(call)
            if name is None or not self.concerns(path) or self._left == 0:
                return
            if self._left is not None:
                self._left -= 1
        number = getattr(errno, name)
        raise OSError(number, os.strerror(number), None if isinstance(path, int) else str(path))

    def shortens(self, descriptor: int, size: int) -> bool:
        """Returns True if a write takes only a part of its data. Raises the error of the write of the rest."""
        with self._lock:
            name = self.plan().get("short")
            if name is None or self._left == 0 or not self.concerns(descriptor):
                return False
            if descriptor in self._shortened:
                self._shortened.remove(descriptor)
                if self._left is not None:
                    self._left -= 1
                raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))
            if size > 1:
                self._shortened.add(descriptor)
            return size > 1

    def concerns(self, path: object) -> bool:
        if isinstance(path, int):
            try:
                path = Path(f"/proc/self/fd/{path}").readlink()
            except OSError:
                return False
        return str(path).startswith(self._spool)


real_stat, real_open_file, real_write, real_statvfs = os.stat, builtins.open, os.write, os.statvfs
real_open, real_io_open = os.open, io.open


def inject(faults: Faults) -> None:
    """Replaces the functions of `os` that write."""

    def failing(name: str, call: str) -> None:
        original: Callable[..., Any] = getattr(os, name)

        def replaced(path: Any, *args: Any, **named: Any) -> Any:
            faults.check(call, path)
            return original(path, *args, **named)

        setattr(os, name, replaced)

    for name, call in (
        ("rename", "rename"), ("replace", "rename"), ("unlink", "unlink"), ("mkdir", "mkdir"), ("fsync", "fsync"),
        ("ftruncate", "truncate"), ("truncate", "truncate"), ("posix_fallocate", "allocate"),
    ):  # fmt: skip
        failing(name, call)

    def write(descriptor: int, data: Any) -> int:
        if faults.plan().get("kill") and len(data) > 1 and faults.concerns(descriptor):
            real_write(descriptor, bytes(data)[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        if faults.shortens(descriptor, len(data)):
            return real_write(descriptor, bytes(data)[: len(data) // 2 + 1])
        faults.check("write", descriptor)
        return real_write(descriptor, data)

    def open_(path: Any, flags: int, *args: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            faults.check("open", path)
            if flags & os.O_CREAT and not os.path.exists(path):
                faults.check("create", path)
        return real_open(path, flags, *args, **named)

    def io_open(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
        if mode[0] != "r":
            faults.check("open", file)
        return real_io_open(file, mode, *args, **named)

    def statvfs(path: Any) -> Any:
        found = real_statvfs(path)
        free = faults.plan().get("free")
        if free is None:
            return found
        return SimpleNamespace(
            f_blocks=max(found.f_blocks, free[0] // found.f_frsize), f_frsize=found.f_frsize,
            f_bavail=free[0] // found.f_frsize, f_files=2 * free[1], f_favail=free[1],
        )  # fmt: skip

    os.write, os.open, os.statvfs, io.open = write, open_, statvfs, io_open  # type: ignore[assignment]


if __name__ == "__main__":
    set_constants(json.loads(sys.argv[4]))
    inject(Faults(Path(sys.argv[2]), sys.argv[3]))
    from bridge.app.run import run

    sys.exit(run(Path(sys.argv[1])))
