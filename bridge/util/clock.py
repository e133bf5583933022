"""Handles a wall clock that may be wrong: limits of plausible times, and a check before files are deleted by age.

A machine may start with a wrong clock, and a clock may be set to a wrong time and back. So a time that was stored while
the clock was wrong is recognised by its distance from the present. And nothing is deleted by age before the clock has
run evenly for ``SETTLED_AFTER``. Limits by size always apply.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

EARLIEST = 1_704_067_200.0
"A clock before this time (2024-01-01 UTC) was never set. In seconds since the epoch."
MOST_AHEAD = 2 * 86_400.0
"""Seconds by which a stored time may be ahead of the clock. A clock that runs in local time is wrong by less. Beyond
it, the clock was wrong when the time was stored."""
SETTLED_AFTER = 3600.0
"Seconds that the clock must run evenly."
MAX_STEP = 60.0
"Seconds by which the clock may be corrected between two calls."


class WallClock:
    """Returns the time of the machine's clock in seconds since the epoch.

    While that clock was never set, returns an estimate instead: the time since ``known``, the last time that is known.
    """

    def __init__(
        self, known: float = 0.0, *, read: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._known = max(EARLIEST, known)
        self._read = read
        self._monotonic = monotonic
        self._began = monotonic()

    def __call__(self) -> float:
        """Returns the time."""
        now = self._read()
        return now if now >= EARLIEST else self._known + self._monotonic() - self._began

    def is_set(self) -> bool:
        """Returns True if the machine's clock was set."""
        return self._read() >= EARLIEST


def last_modified(folder: Path) -> float:
    """Returns the latest modification time of the files in a folder; 0 if there are none."""
    latest = 0.0
    with suppress(OSError):
        for path in folder.iterdir():
            latest = max(latest, path.stat().st_mtime)
    return latest


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
