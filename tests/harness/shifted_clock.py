"""Runs `syslog-bridge run` with a wall clock that is as many seconds ahead of the real one as a file says.

Usage: python -P shifted_clock.py FILE OFFSET-FILE

`time.time` is replaced before anything imports it, so Twisted uses the changed clock too. The kernel's clock, and with
it the modification times of files, stay right.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_real = time.time


def _wall() -> float:
    return _real() + float(_offset.read_text())


def start(bridge: Bridge, offset: Path) -> None:
    """Starts a bridge with the clock of this script, and waits until it is ready."""
    argv = [sys.executable, "-P", __file__, str(bridge.write_configuration()), str(offset)]
    bridge.process = Process(argv, directory=bridge.directory, name="bridge")
    bridge.process.wait_until(lambda: bridge.get("/readyz")[0] == 200, "/readyz answers 200")


def shift(offset: Path, seconds: float) -> None:
    """Sets the clock. A running bridge sees it at once."""
    new = offset.with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(offset)


if __name__ == "__main__":
    _offset = Path(sys.argv[2])
    time.time = _wall
    from bridge.app.run import run

    sys.exit(run(Path(sys.argv[1])))
else:
    from tests.harness.bridge import Bridge
    from tests.harness.process import Process
