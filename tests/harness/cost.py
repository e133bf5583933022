"""What work costs, told so that a busy machine does not matter: in time of this process, the least of several tries.

For telling linear work from quadratic, which lie a factor of a hundred apart, never for speed: that is `tests/bench`.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def stays_under(seconds: float, act: Callable[[], object], *, tries: int = 6) -> bool:
    """Whether one of a few tries takes less than so much time of this process."""
    for _ in range(tries):
        start = time.process_time()
        act()
        if time.process_time() - start < seconds:
            return True
    return False
