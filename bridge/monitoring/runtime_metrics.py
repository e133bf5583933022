"""Measures delivery delays, timestamp errors and reactor stalls, once per batch or reactor turn."""

from bisect import bisect_left
from collections.abc import Callable

DELAYS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)
ERRORS = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 600.0)


class Histogram:
    """Counts observations in buckets; the last bucket has no upper bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.total = 0.0
        self.count = 0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Adds one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value
        self.count += 1

    def buckets(self) -> list[tuple[str, float]]:
        """Returns pairs of upper bound and number of observations up to it, the form that Prometheus expects."""
        found, so_far = [], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            so_far += count
            found.append((bound, float(so_far)))
        return found


class RuntimeMetrics:
    """Holds the measurements of one bridge.

    ``clock`` returns monotonic seconds, ``longest_turn`` the seconds of the longest reactor turn since the last call.
    """

    TICK = 0.25
    "Seconds between two calls of ``tick``."

    def __init__(self, clock: Callable[[], float], longest_turn: Callable[[], float] = lambda: 0.0) -> None:
        self.delivery = Histogram(DELAYS)
        "Time from the sealing of a batch to its acceptance, in seconds."
        self.error = Histogram(ERRORS)
        "Largest difference between the timestamp of a request and those of its events, in seconds."
        self._clock = clock
        self._longest_turn = longest_turn
        self._last: float | None = None
        self._minute = clock()
        self._worst = (0.0, 0.0)
        "Longest stall in the previous minute and in the current one, in seconds."

    def accepted(self, *, delay: float | None, error: float) -> None:
        """Records an accepted batch.

        ``delay``: seconds since it was sealed, None if an earlier process sealed it. ``error``: its timestamp error in
        seconds.
        """
        if delay is not None:
            self.delivery.observe(delay)
        self.error.observe(error)

    @property
    def stall(self) -> float:
        """The longest stall within the last one to two minutes, in seconds: a reactor turn, or the delay of a tick."""
        return max(self._worst)

    def tick(self) -> None:
        """Takes the longest turn, and measures how late the reactor calls it; it is due every ``TICK`` seconds."""
        now = self._clock()
        before, worst = self._worst
        if now - self._minute >= 60:
            self._minute, before, worst = now, worst, 0.0
        if self._last is not None:
            worst = max(worst, now - self._last - self.TICK, self._longest_turn())
        self._worst, self._last = (before, worst), now
