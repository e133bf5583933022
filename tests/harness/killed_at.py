"""`syslog-bridge run` that ends itself by SIGKILL at a passage of its work on packs, the N-th time that it comes there.
Usage: python -P killed_at.py FILE PASSAGE N
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Passage -> module or class, function, whether the end comes before it is called.
PACKING = {
    "a pack is half written": ("os", "fsync", True),
    "a pack is written, not named": ("os", "fsync", False),
    "a pack is named": ("bridge.spool.pack_writer", "sync", True),
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
PASSAGES = {**PACKING, **SENDING}

# What everybody calls, and whose call of it is meant: a start syncs the ledger's history too.
CALLERS = {"os": "bridge.spool.pack_writer", "pathlib.Path": "bridge.spool.batch_reader"}


def arm(passage: str, count: int) -> None:
    """End this process at that passage."""
    where, name, before = PASSAGES[passage]
    owner = _find(where)
    really: Callable[..., Any] = getattr(owner, name)
    left = count

    def passed(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        if where in CALLERS and sys._getframe(1).f_globals["__name__"] != CALLERS[where]:
            return really(*arguments, **named)
        left -= 1
        if before and left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = really(*arguments, **named)
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, passed)


def _find(where: str) -> Any:
    import importlib

    try:
        return importlib.import_module(where)
    except ModuleNotFoundError:
        module, _, name = where.rpartition(".")
        return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    from bridge.app.run import run

    arm(sys.argv[2], int(sys.argv[3]))
    sys.exit(run(Path(sys.argv[1])))
