"""Starts a bridge through `faulty_disk_bridge.py`, and sets the faults of its disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.harness import faulty_disk_bridge
from tests.harness.altered import SHORT_WAITS
from tests.harness.bridge import Bridge
from tests.harness.process import Process

# What fails on a filesystem that is mounted read-only.
READ_ONLY = {
    call: "EROFS" for call in ("write", "create", "open", "rename", "unlink", "truncate", "mkdir", "allocate")
}  # fmt: skip


class FaultyDisk:
    """The disk of one bridge's spool."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._control = bridge.directory / "faults.json"
        self.set()

    def set(self, **plan: Any) -> None:
        """Replaces all faults; without arguments the disk works again."""
        new = self._control.with_suffix(".new")
        new.write_text(json.dumps(plan))
        new.replace(self._control)

    def launch(self) -> Process:
        """Starts the bridge and returns at once."""
        spool = Path(self._bridge.configuration["spool"]["directory"])
        argv = [
            sys.executable, "-P", faulty_disk_bridge.__file__, str(self._bridge.write_configuration()),
            str(self._control), str(spool), json.dumps(SHORT_WAITS),
        ]  # fmt: skip
        env = {"PYTHONPATH": str(Path(faulty_disk_bridge.__file__).parents[2])}
        self._bridge.process = Process(argv, directory=self._bridge.directory, name="bridge", env=env)
        return self._bridge.process

    def start(self) -> None:
        """Starts the bridge and waits until it is ready."""
        self.launch().wait_until(lambda: self._bridge.get("/readyz")[0] == 200, "/readyz answers 200")
