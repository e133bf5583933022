"""Runs `syslog-bridge run` on a disk whose syncs take as long as the file CONTROL says.

Usage: python -P slow_sync.py FILE CONTROL

CONTROL holds the seconds that each `os.fsync` of a batch file or of an intake's folder takes, or `block`: then it
returns once CONTROL holds something else.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any


def slow_down(control: Path) -> None:
    """Replaces `os.fsync`."""
    original = os.fsync

    def fsync(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = str(Path(f"/proc/self/fd/{number}").readlink())
        if "/." not in path:
            while (text := control.read_text()) == "block":
                time.sleep(0.02)
            time.sleep(float(text))
        original(descriptor)

    os.fsync = fsync


if __name__ == "__main__":
    slow_down(Path(sys.argv[2]))
    from bridge.app.run import run

    sys.exit(run(Path(sys.argv[1])))
