"""Makes filesystem calls of a bridge fail at random, and moves its wall clock, as a control file says.

`altered_bridge.py` calls `install` before it imports the bridge. It replaces functions of `os`, `open` and `time.time`.
A test changes the faults of the running process through `DiskFaults`.

A faulty call fails with an errno that the kernel can return for it. Two faults are no errors: `short` writes only a
part of the data, `delay` makes an fsync slow.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

SHORT, DELAY = "short", "delay"

FAULTS: dict[str, tuple[str, ...]] = {
    "create": ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS", "EMFILE", "ESTALE"),
    "open": ("EIO", "EACCES", "EMFILE", "ESTALE"),
    "write": ("ENOSPC", "EDQUOT", "EIO", "ESTALE", SHORT),
    "rename": ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS", "ESTALE"),
    "unlink": ("EIO", "EACCES", "EROFS", "ESTALE"),
    "fsync": ("ENOSPC", "EDQUOT", "EIO", DELAY),
    "mkdir": ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS", "ESTALE"),
    "allocate": ("ENOSPC", "EDQUOT", "EIO"),
    "statvfs": ("EIO", "ESTALE"),
}
"""The faults of each call. `create` opens a file for writing, `open` for reading."""
KINDS = tuple(sorted({kind for kinds in FAULTS.values() for kind in kinds}))

FULL = frozenset({"ENOSPC", "EDQUOT"})
"""The errors of a full disk."""

_UNTOUCHED = ("lock", "control.sock")
"""File names whose calls never fail: they belong to the start of the process."""


class DiskFaults:
    """Controls the faults of one bridge, through a file that the bridge reads at each call."""

    def __init__(self, directory: Path, spool: Path, *, seed: int, spare: Sequence[str] = ()) -> None:
        """Calls on paths below `spool` may fail, but not those on paths below its folders in `spare`."""
        directory.mkdir(parents=True, exist_ok=True)
        self.file = directory / "faults.json"
        self._log = directory / "faults.log"
        self._fixed = {"spool": str(spool), "seed": seed, "spare": list(spare), "log": str(self._log)}
        self.clock = 0.0
        "Seconds by which the bridge's wall clock is wrong."
        self._kinds: Set[str] = frozenset()
        self._last: dict[str, float] = {}
        self.heal()

    def fail(self, *kinds: str, rate: float = 0.2, delay: float = 0.3) -> None:
        """Makes this share of the calls fail, with one of these kinds."""
        assert set(kinds) <= set(KINDS), kinds
        self._write(kinds, rate, delay)

    def heal(self) -> None:
        """Ends the faults. The clock stays as it is."""
        self._write((), 0.0, 0.0)

    def move_clock(self, seconds: float) -> None:
        """Sets how much the wall clock is ahead, and ends the faults of the disk."""
        self.clock = seconds
        self.heal()

    def since(self, kinds: Set[str]) -> float:
        """Returns the seconds since one of these kinds was last possible; 0 if one is possible now."""
        if self._kinds & kinds:
            return 0.0
        return time.monotonic() - max((self._last.get(kind, 0.0) for kind in kinds), default=0.0)

    def counts(self) -> Counter[tuple[str, str]]:
        """Counts the faults so far by call and kind."""
        if not self._log.exists():
            return Counter()
        lines = self._log.read_text().splitlines()
        return Counter((call, kind) for call, kind, *_ in map(str.split, lines))

    def _write(self, kinds: Sequence[str], rate: float, delay: float) -> None:
        plan = {**self._fixed, "kinds": list(kinds), "rate": rate, "delay": delay, "clock": self.clock}
        partial = self.file.with_suffix(".new")
        partial.write_text(json.dumps(plan))
        partial.rename(self.file)
        self._last |= dict.fromkeys(self._kinds, time.monotonic())
        self._kinds = frozenset(kinds)


def install(control: Path) -> None:
    """Replaces the functions. Called once, before the bridge is imported."""
    shim = _Shim(control)
    for name in ("rename", "unlink", "mkdir", "statvfs", "fsync"):
        setattr(os, name, shim.faulty(name, getattr(os, name)))
    os.open = shim.faulty(_of_flags, os.open)
    os.write = shim.faulty("write", os.write, short=_half_of)
    os.posix_fallocate = shim.faulty("allocate", os.posix_fallocate)
    builtins.open = io.open = shim.faulty(_of_mode, builtins.open)
    time.time = shim.wall


def _of_flags(path: object, flags: int, *args: object, **named: object) -> str:
    return "create" if flags & (os.O_WRONLY | os.O_RDWR) else "open"


def _of_mode(path: object, mode: str = "r", *args: object, **named: object) -> str:
    return "open" if mode.startswith("r") and "+" not in mode else "create"


def _half_of(write: Callable[..., Any], descriptor: int, data: Any) -> Any:
    view = memoryview(data)
    return write(descriptor, view[: max(1, len(view) // 2)])


class _Shim:
    """Decides which calls of this process fail."""

    def __init__(self, control: Path) -> None:
        self._control = str(control)
        self._stat, self._read_file, self._real_time = os.stat, builtins.open, time.time
        self._read = (0, 0)
        self._plan: dict[str, Any] = {}
        self._refresh()
        self._spool = self._plan["spool"] + "/"
        self._spared = tuple(self._spool + folder for folder in self._plan["spare"])
        # A start that fails must not meet the same fault each time it is repeated.
        self._chance = random.Random(f"{self._plan['seed']} {os.getpid()}")
        self._log = os.open(self._plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._write_log = os.write

    def wall(self) -> float:
        self._refresh()
        return self._real_time() + float(self._plan["clock"])

    def faulty(
        self, call: str | Callable[..., str], original: Callable[..., Any], *, short: Callable[..., Any] | None = None
    ) -> Callable[..., Any]:
        """Returns a function that fails as the control file says, or calls the original."""

        def replaced(*args: Any, **named: Any) -> Any:
            kind = self._draw(call if isinstance(call, str) else call(*args, **named), args[0]) if args else None
            if kind is None:
                return original(*args, **named)
            if kind == DELAY:
                time.sleep(self._plan["delay"])
                return original(*args, **named)
            if kind == SHORT:
                assert short is not None
                return short(original, *args, **named)
            number = getattr(errno, kind)
            raise OSError(number, os.strerror(number), args[0] if isinstance(args[0], str | os.PathLike) else None)

        return replaced

    def _draw(self, call: str, target: object) -> str | None:
        self._refresh()
        plan = self._plan
        kinds = [kind for kind in FAULTS[call] if kind in plan["kinds"]]
        if not kinds or not self._concerns(target) or self._chance.random() >= plan["rate"]:
            return None
        kind = self._chance.choice(kinds)
        self._write_log(self._log, f"{call} {kind} {self._path(target)}\n".encode())
        return kind

    def _concerns(self, target: object) -> bool:
        path = self._path(target)
        name = path.rpartition("/")[2]
        return path.startswith(self._spool) and not path.startswith(self._spared) and name not in _UNTOUCHED

    def _path(self, target: object) -> str:
        if isinstance(target, int):
            try:
                return os.readlink(f"/proc/self/fd/{target}")  # noqa: PTH115  # on the path of each call
            except OSError:
                return ""
        return os.fsdecode(target) if isinstance(target, str | bytes | os.PathLike) else ""

    def _refresh(self) -> None:
        found = self._stat(self._control)
        version = (found.st_ino, found.st_mtime_ns)
        if version != self._read:
            with self._read_file(self._control) as file:
                self._plan = json.load(file)
            self._read = version
