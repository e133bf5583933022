"""`syslog-bridge run` with other constants, with a counter of its appends, and with an end at a named point.

Usage: python -P altered_bridge.py FILE JSON, where JSON has, each optional:
  `set`      {"bridge.deliver.retry_state.PARKED_WAIT": 0.3, ...}: constants of modules;
  `counter`  a file of 8 bytes that is mapped: after each append to the spool it holds the number of events whose append
             has returned (little-endian uint64), and outlives us;
  `kill`     ["after-seal", 3]: the process kills itself (SIGKILL) at the third passage of a point of `POINTS`.

The product has no hooks for this: its functions are replaced from outside, before it runs.
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import signal
import struct
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A passage: before or after a call of a function, which is named `module:[class.]function`."""

    when: str
    function: str


POINTS = {
    "before-append": Point("before", "bridge.spool.store:Spool.append"),
    "after-append": Point("after", "bridge.spool.store:Spool.append"),
    "before-seal": Point("before", "bridge.spool.store:Spool._sealed"),
    "after-seal": Point("after", "bridge.spool.store:Spool._sealed"),
    "before-mark": Point("before", "bridge.spool.batch_reader:begin_sending"),
    "after-mark": Point("after", "bridge.spool.batch_reader:begin_sending"),
    "before-post": Point("before", "bridge.deliver.client:Client.post"),
    # The answer is there, nothing of it is acted upon.
    "after-post": Point("before", "bridge.deliver.response_handler:ResponseHandler.settle"),
    # Accepted, in the ledger, and the receipt written; the files are still there.
    "after-receipt": Point("before", "bridge.spool.store:Spool.remove"),
    "during-split": Point("after", "bridge.deliver.split_pieces:halves"),
    "before-quarantine": Point("before", "bridge.spool.quarantine:Quarantine.add_once"),
    "after-quarantine": Point("after", "bridge.spool.quarantine:Quarantine.add_once"),
}


def _place(function: str) -> tuple[Any, str]:
    module, _, names = function.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = names.split(".")
    for part in classes:
        owner = getattr(owner, part)
    return owner, name


def _set_constants(constants: dict[str, object]) -> None:
    for path, value in constants.items():
        module, _, name = path.rpartition(".")
        owner = importlib.import_module(module)
        getattr(owner, name)  # a constant that is gone must not be set in vain
        setattr(owner, name, value)


def _count_appends(file: str) -> None:
    from bridge.spool.store import Spool

    with open(file, "r+b") as opened:
        shared = mmap.mmap(opened.fileno(), 8)
    append, (total,) = Spool.append, struct.unpack_from("<Q", shared)

    def counted(self: Any, group: Any) -> None:
        nonlocal total
        append(self, group)
        total += group.count
        struct.pack_into("<Q", shared, 0, total)

    Spool.append = counted  # type: ignore[method-assign]


def _die_at(name: str, passage: int) -> None:
    point = POINTS[name]
    owner, attribute = _place(point.function)
    original = getattr(owner, attribute)
    lock, passed = threading.Lock(), 0

    def die_when_due() -> None:
        nonlocal passed
        with lock:
            passed += 1
            if passed == passage:
                os.kill(os.getpid(), signal.SIGKILL)

    def replaced(*args: Any, **named: Any) -> Any:
        if point.when == "before":
            die_when_due()
            return original(*args, **named)
        result = original(*args, **named)
        die_when_due()
        return result

    setattr(owner, attribute, replaced)


if __name__ == "__main__":
    changes = json.loads(sys.argv[2])
    _set_constants(changes.get("set", {}))
    if changes.get("counter"):
        _count_appends(changes["counter"])
    if changes.get("kill"):
        _die_at(*changes["kill"])
    from bridge.app.run import run

    sys.exit(run(Path(sys.argv[1])))
