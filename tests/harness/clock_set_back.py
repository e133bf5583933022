"""Runs `syslog-bridge run` with a wall clock that goes back by an hour once the file FOLDER/set-back exists.

Usage: python -P clock_set_back.py FILE FOLDER

`time.time` is replaced before anything imports it, so Twisted uses the changed clock too.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_real = time.time


def _wall() -> float:
    return _real() - 3600 if _marker.exists() else _real()


if __name__ == "__main__":
    _marker = Path(sys.argv[2]) / "set-back"
    time.time = _wall
    from bridge.app.run import run

    sys.exit(run(Path(sys.argv[1])))
