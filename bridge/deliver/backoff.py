"""Computes how long to wait after consecutive failures."""

import random


def doubling(failures: int, *, first: float, longest: float) -> float:
    """Returns the seconds before the next attempt after ``failures`` consecutive failures (at least 1). The wait
    starts at ``first`` and doubles with each failure, up to ``longest``. The result is a random value between half
    of the wait and all of it, so that many clients do not retry at the same moment."""
    return min(longest, first * (1 << min(failures - 1, 10))) * random.uniform(0.5, 1.0)
