"""Runs `syslog-bridge run` with changed constants, a counter of its appends, faults of the disk, or a kill at a named
point.

Usage: python -P altered_bridge.py FILE JSON, where JSON has, each optional:
  `set`      {"bridge.deliver.retry_state.PARKED_WAIT": 0.3, ...}: constants of modules;
  `counter`  a file of 8 bytes that is mapped: after each append to the spool it holds the number of events whose append
             has returned (little-endian uint64); it outlives the process;
  `kill`     ["after-seal", 3]: the process kills itself (SIGKILL) the third time it reaches a point of `POINTS`;
  `faults`   the control file of `disk_faults.py`: filesystem calls fail, and the wall clock moves.

The product has no hooks for this: this script replaces its functions before it runs.
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
    """A point before or after a call of a function, which is named `module:[class.]function`."""

    when: str
    function: str


POINTS = {
    "before-append": Point("before", "bridge.spool.store:Spool.append"),
    "after-append": Point("after", "bridge.spool.store:Spool.append"),
    "before-seal": Point("before", "bridge.spool.batch:OpenBatch.seal"),
    "after-seal": Point("after", "bridge.spool.batch:OpenBatch.seal"),
    "before-mark": Point("before", "bridge.spool.batch_reader:begin_sending"),
    "after-mark": Point("after", "bridge.spool.batch_reader:begin_sending"),
    "before-post": Point("before", "bridge.deliver.client:Client.post"),
    # The response is there and has not been handled.
    "after-post": Point("before", "bridge.deliver.response_handler:ResponseHandler.settle"),
    # Accepted, in the ledger, receipt written; the batch files still exist.
    "after-receipt": Point("before", "bridge.spool.store:Spool.remove"),
    "during-split": Point("after", "bridge.deliver.split_queue:halves"),
    "before-quarantine": Point("before", "bridge.spool.quarantine:Quarantine.add_once"),
    "after-quarantine": Point("after", "bridge.spool.quarantine:Quarantine.add_once"),
}


def _locate(function: str) -> tuple[Any, str]:
    module, _, names = function.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = names.split(".")
    for part in classes:
        owner = getattr(owner, part)
    return owner, name


def set_constants(constants: dict[str, object]) -> None:
    """Sets constants of modules, named by their full paths."""
    for path, value in constants.items():
        module, _, name = path.rpartition(".")
        owner = importlib.import_module(module)
        getattr(owner, name)  # raises if the constant no longer exists
        setattr(owner, name, value)


def _count_appends(file: str) -> None:
    from bridge.spool.store import Spool

    with open(file, "r+b") as opened:
        shared = mmap.mmap(opened.fileno(), 8)
    append, (total,) = Spool.append, struct.unpack_from("<Q", shared)

    def counted(self: Any, group: Any) -> Any:
        nonlocal total
        batch = append(self, group)
        total += group.count
        struct.pack_into("<Q", shared, 0, total)
        return batch

    Spool.append = counted  # type: ignore[method-assign]


def _kill_at(name: str, count: int) -> None:
    point = POINTS[name]
    owner, attribute = _locate(point.function)
    original = getattr(owner, attribute)
    lock, passed = threading.Lock(), 0

    def kill_when_due() -> None:
        nonlocal passed
        with lock:
            passed += 1
            if passed == count:
                os.kill(os.getpid(), signal.SIGKILL)

    def replaced(*args: Any, **named: Any) -> Any:
        if point.when == "before":
            kill_when_due()
            return original(*args, **named)
        result = original(*args, **named)
        kill_when_due()
        return result

    setattr(owner, attribute, replaced)


if __name__ == "__main__":
    changes = json.loads(sys.argv[2])
    if changes.get("faults"):
        from tests.harness import disk_faults

        disk_faults.install(Path(changes["faults"]))
    set_constants(changes.get("set", {}))
    if changes.get("counter"):
        _count_appends(changes["counter"])
    if changes.get("kill"):
        _kill_at(*changes["kill"])
    from bridge.app.run import run

    sys.exit(run(Path(sys.argv[1])))
