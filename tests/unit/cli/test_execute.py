"""Tests the progress bar of a command."""

import subprocess
import sys

PROGRESS = """
import io, sys
from bridge.cli import execute

class Terminal(io.StringIO):
    def isatty(self):
        return True

loaded, sys.stderr = set(sys.modules), Terminal()
with execute._progress_bar("purging") as on_progress:
    on_progress({"done": 1, "total": 2})
print(*sorted(set(sys.modules) - loaded))
"""


def test_progress_bar_loads_no_module_that_the_user_of_the_spool_may_not_read() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRESS], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
