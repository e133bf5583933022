"""Computes by how much the times of one request may differ while an intake catches up.

The width is ``catch_up_resolution``. It doubles, up to ten minutes, if the intake cannot keep up for a minute: the
request rate is the limit, requests are small because their times are far apart, and the backlog grows. It returns to
the configured value when there is no backlog. The timestamp error is bounded by the width and reported.
"""

MOST_MS = 600_000
WIDEN_AFTER = 60.0
"Seconds without progress before the width doubles."


class JoinWidth:
    """Join width of one intake. Times are monotonic seconds."""

    def __init__(self, base_ms: int) -> None:
        self.ms = base_ms
        self._base_ms = base_ms
        self._since: float | None = None
        self._waiting_before = 0

    @property
    def grown(self) -> bool:
        """Returns True if the width is larger than configured."""
        return self.ms > self._base_ms

    def limited_elsewhere(self) -> None:
        """Records that something other than the width is the limit."""
        self._since = None

    def caught_up(self) -> bool:
        """Records that there is no backlog. Returns True if the width was reset by this call."""
        self._since = None
        previous, self.ms = self.ms, self._base_ms
        return previous != self.ms

    def falls_behind(self, now: float, waiting: int) -> bool:
        """Records that small requests are sent at the rate limit while ``waiting`` events wait. Returns True if the
        width doubled by this call."""
        if self._since is None:
            self._since, self._waiting_before = now, waiting
            return False
        if now - self._since < WIDEN_AFTER:
            return False
        widened = waiting >= self._waiting_before and self.ms < MOST_MS
        if widened:
            self.ms = min(MOST_MS, self.ms * 2)
        self._since, self._waiting_before = now, waiting
        return widened
