"""Runs `syslog-bridge run` on a disk whose faults a test sets while it runs.

Usage: python -P faulty_disk_bridge.py FILE CONTROL SPOOL CONSTANTS. CONSTANTS is a JSON object as in
`altered_bridge.py`. CONTROL is a JSON file, read again whenever it changes:
  `calls`  {"write": "ENOSPC", ...}: calls on files below SPOOL that fail, and their errors: write, create, open (for
           writing, also if it creates the file), read, rename, unlink, truncate, mkdir, fsync, allocate;
  `short`  an error: writes take a part of their data, and the write of the rest fails with it;
  `left`   only so many more calls fail; without it, all do until CONTROL changes;
  `free`   [bytes, inodes]: the free space that the filesystem reports, as with a quota that `statvfs` does not show;
  `kill`   true: writes take a part of their data, then the process kills itself (SIGKILL).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.harness.altered_bridge import set_constants
from tests.harness.disk_calls import KILL, SHORT, ControlFile, install, path_of

_LISTED_AS = {"create": ("open", "create"), "replace": ("rename",)}
"The names in `calls` that concern a call, if it is not its own name."


class Faults:
    """Decides which calls fail, as the control file says."""

    def __init__(self, control: Path, spool: str) -> None:
        self._control = ControlFile(control)
        self._spool = spool
        self._plan: dict[str, Any] = {}
        self._left: int | None = None
        self._shortened: set[str] = set()
        self._lock = threading.Lock()

    def plan(self) -> dict[str, Any]:
        plan = self._control.content()
        if plan is not self._plan:
            self._plan, self._left = plan, plan.get("left")
        return plan

    def decide(self, call: str, target: object, size: int) -> str | None:
        with self._lock:
            plan = self.plan()
            calls: dict[str, str] = plan.get("calls", {})
            error = next((calls[name] for name in _LISTED_AS.get(call, (call,)) if name in calls), None)
            partial = call == "write" and ("short" in plan or plan.get("kill"))
            if not error and not partial:
                return None
            path = path_of(target)
            if not path.startswith(self._spool):
                return None
            if partial and size > 1 and plan.get("kill"):
                return KILL
            if self._left == 0:
                return None
            if partial and "short" in plan:
                if path in self._shortened:
                    self._shortened.remove(path)
                    error = plan["short"]
                elif size > 1:
                    self._shortened.add(path)
                    return SHORT
            if error and self._left is not None:
                self._left -= 1
            return error


def report_free_space(faults: Faults) -> None:
    """Replaces `os.statvfs`."""
    original = os.statvfs

    def statvfs(path: Any) -> Any:
        found = original(path)
        free = faults.plan().get("free")
        if free is None:
            return found
        return SimpleNamespace(
            f_blocks=max(found.f_blocks, free[0] // found.f_frsize), f_frsize=found.f_frsize,
            f_bavail=free[0] // found.f_frsize, f_files=2 * free[1], f_favail=free[1],
        )  # fmt: skip

    os.statvfs = statvfs


if __name__ == "__main__":
    set_constants(json.loads(sys.argv[4]))
    disk = Faults(Path(sys.argv[2]), sys.argv[3])
    install(disk.decide)
    report_free_space(disk)
    from bridge.app.run import run

    sys.exit(run(Path(sys.argv[1])))
