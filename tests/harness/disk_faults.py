"""Makes filesystem calls of a bridge fail at random, and moves its wall clock, as a control file says.

`altered_bridge.py` calls `install` before it imports the bridge. It replaces `time.time`, and through `disk_calls.py`
functions of `os` and `open`. A test changes the faults of the running process through `DiskFaults`.

A faulty call fails with an errno that the kernel can return for it. Two faults are no errors: `short` writes only a
part of the data, `delay` makes an fsync slow.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Sequence, Set
from pathlib import Path

from tests.harness import disk_calls
from tests.harness.disk_calls import SHORT, ControlFile, path_of

DELAY = "delay"
_OPENING = ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS", "EMFILE", "ESTALE")

FAULTS: dict[str, tuple[str, ...]] = {
    "create": _OPENING,
    "open": _OPENING,
    "read": ("EIO", "EACCES", "EMFILE", "ESTALE"),
    "write": ("ENOSPC", "EDQUOT", "EIO", "ESTALE", SHORT),
    "rename": ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS", "ESTALE"),
    "unlink": ("EIO", "EACCES", "EROFS", "ESTALE"),
    "fsync": ("ENOSPC", "EDQUOT", "EIO", DELAY),
    "mkdir": ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS", "ESTALE"),
    "allocate": ("ENOSPC", "EDQUOT", "EIO"),
    "statvfs": ("EIO", "ESTALE"),
}
"""The faults of each call, named as in `disk_calls.py`."""
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
    chance = _Chance(control)
    disk_calls.install(chance.decide)
    time.time = chance.wall


class _Chance:
    """Decides which calls of this process fail."""

    def __init__(self, control: Path) -> None:
        self._control = ControlFile(control)
        self._real_time = time.time
        plan = self._control.content()
        self._spool = plan["spool"] + "/"
        self._spared = tuple(self._spool + folder for folder in plan["spare"])
        # A start that fails must not meet the same fault each time it is repeated.
        self._random = random.Random(f"{plan['seed']} {os.getpid()}")
        self._log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._write_log = os.write

    def wall(self) -> float:
        return self._real_time() + float(self._control.content()["clock"])

    def decide(self, call: str, target: object, size: int) -> str | None:
        plan = self._control.content()
        kinds = [kind for kind in FAULTS.get(call, ()) if kind in plan["kinds"]]
        if not kinds:
            return None
        path = path_of(target)
        if not self._concerns(path) or self._random.random() >= plan["rate"]:
            return None
        kind = self._random.choice(kinds)
        self._write_log(self._log, f"{call} {kind} {path}\n".encode())
        if kind == DELAY:
            time.sleep(plan["delay"])
            return None
        return kind

    def _concerns(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        return path.startswith(self._spool) and not path.startswith(self._spared) and name not in _UNTOUCHED
