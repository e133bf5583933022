"""Runs a command of the program in a process of its own, and lists the modules that it imports."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import sys
from bridge.cli.main import main

try:
    main(sys.argv[1:], prog_name="syslog-bridge")
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def run_and_list_modules(*words: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Returns the ended process of a command, and the names of the modules that it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    return done, set(done.stderr.splitlines()[-1].split())
