"""Handles a wall clock that may be wrong: limits of plausible times, and a check before files are deleted by age.

A machine may start with a wrong clock, and a clock may be set to a wrong time and back. So a time that was stored while
the clock was wrong is recognised by its distance from the present. And nothing is deleted by age before the clock has
run evenly for ``SETTLED_AFTER``. Limits by size always apply.
"""

from collections.abc import Callable

EARLIEST = 1_704_067_200.0
"A clock before this time (2024-01-01 UTC) was never set. In seconds since the epoch."
MOST_AHEAD = 2 * 86_400.0
"""Seconds by which a stored time may be ahead of the clock. A clock that runs in local time is wrong by less. Beyond
it, the clock was wrong when the time was stored."""
SETTLED_AFTER = 3600.0
"Seconds that the clock must run evenly."
MAX_STEP = 60.0
"Seconds by which the clock may be corrected between two calls."


class SteadyClock:
    """Compares two clocks, in seconds: ``wall`` and the monotonic ``clock``."""

    def __init__(self, wall: Callable[[], float], clock: Callable[[], float]) -> None:
        self._wall = wall
        self._clock = clock
        self._offset = wall() - clock()
        self._since = clock()

    def settled(self) -> bool:
        """Returns True if the clock has run evenly long enough. May be called on any thread."""
        now = self._clock()
        offset = self._wall() - now
        if abs(offset - self._offset) > MAX_STEP:
            self._since = now
        self._offset = offset
        return now - self._since >= SETTLED_AFTER
