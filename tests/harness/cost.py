"""Measures the CPU time of work in this process, as the least of several tries, so that a busy machine has no effect.

It tells linear work from quadratic, a factor of about a hundred. Speed is measured by `tests/bench`.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def stays_under(seconds: float, act: Callable[[], object], *, tries: int = 6) -> bool:
    """Returns True if one of a few tries takes less than `seconds` of this process's CPU time."""
    for _ in range(tries):
        start = time.process_time()
        act()
        if time.process_time() - start < seconds:
            return True
    return False
