"""How long to wait after failures in a row."""

import random


def doubling(failures: int, *, first: float, longest: float) -> float:
    """Seconds before the next attempt after so many failures (at least 1): ``first``, then twice as many each time up
    to ``longest``; of these a part between a half and the whole, drawn anew, so that many do not come back at once."""
    return min(longest, first * (1 << min(failures - 1, 10))) * random.uniform(0.5, 1.0)
