"""Shows times of the monotonic clock as times of day."""

from collections.abc import Callable

MIN_STEP = 0.5
"Seconds by which the clock must have been set to change the times that are shown."


class WallTimes:
    """Converts times of the monotonic ``clock`` to seconds since the epoch, by ``wall``.

    The difference of the clocks is kept, so a moment always has the same time, wherever it is shown. Two readings of
    the clocks would differ by some milliseconds on a busy machine. The times of earlier moments change only if the wall
    clock is set.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._offset: float | None = None
        "The difference between the two clocks, None before the first use."

    def of(self, moment: float) -> float:
        """Returns the time of day of a moment."""
        offset = self._wall() - self._clock()
        if self._offset is None or abs(offset - self._offset) >= MIN_STEP:
            self._offset = offset
        return moment + self._offset
