"""Runs `syslog-bridge run` and kills it (SIGKILL) the N-th time that it reaches a point of its work on packs.

Usage: python -P killed_at.py FILE POINT N
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Point -> module or class, function, whether the kill comes before the call.
PACKING = {
    "a pack is half written": ("os", "fsync", True),
    "a pack is written, not named": ("os", "fsync", False),
    "a pack is named": ("bridge.spool.pack_writer", "fsync_path", True),
    "a pack is on disk, its files still there": ("bridge.spool.batch_reader", "remove", True),
    "some of its files are gone": ("pathlib.Path", "unlink", False),
    "packs are put together": ("bridge.spool.pack_writer", "merge", True),
    "packs have been put together": ("bridge.spool.pack_writer", "merge", False),
}
SENDING = {
    "a block was read": ("bridge.spool.pack.Pack", "read", False),
    "a request is about to be begun": ("bridge.spool.pack.Pack", "begin", True),
    "a request was begun": ("bridge.spool.pack.Pack", "begin", False),
    "an answer is about to be noted": ("bridge.spool.pack.Pack", "settle", True),
    "an answer was noted": ("bridge.spool.pack.Pack", "settle", False),
}
POINTS = {**PACKING, **SENDING}

# Functions with many callers, and the caller that counts, with its distance: a start also syncs the journal.
CALLERS = {"os": ("bridge.spool.pack_writer", 2), "pathlib.Path": ("bridge.spool.batch_reader", 1)}


def arm_kill(point: str, count: int) -> None:
    """Replaces the function of a point so that its `count`-th call kills this process."""
    owner_path, name, before = POINTS[point]
    owner = _find(owner_path)
    original: Callable[..., Any] = getattr(owner, name)
    left = count

    def replacement(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        if owner_path in CALLERS:
            caller, distance = CALLERS[owner_path]
            if sys._getframe(distance).f_globals["__name__"] != caller:
                return original(*arguments, **named)
        left -= 1
        if before and left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, replacement)


def _find(owner_path: str) -> Any:
    import importlib

    try:
        return importlib.import_module(owner_path)
    except ModuleNotFoundError:
        module, _, name = owner_path.rpartition(".")
        return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    from bridge.app.run import run

    arm_kill(sys.argv[2], int(sys.argv[3]))
    sys.exit(run(Path(sys.argv[1])))
