"""How far apart the times of one request may be while an intake catches up.

``catch_up_resolution``, as a rule. If even that cannot keep up for a minute (the request rate is the limit, requests
are small because their times lie apart, and what waits grows), it doubles, up to ten minutes; once there is no backlog
any more it is as configured again. The error of the times is bounded by it, and said.
"""

MOST_MS = 600_000
PATIENCE = 60.0
"Seconds without progress."


class JoinWidth:
    """One intake's. Times are monotonic seconds."""

    def __init__(self, base_ms: int) -> None:
        self.ms = base_ms
        self._base_ms = base_ms
        self._since: float | None = None
        self._waited = 0

    @property
    def grown(self) -> bool:
        """Whether it is wider than configured."""
        return self.ms > self._base_ms

    def held_up(self) -> None:
        """Something else than the width is the limit."""
        self._since = None

    def caught_up(self) -> bool:
        """Nothing waits that should have left long ago. True: the width came back by this."""
        self._since = None
        was, self.ms = self.ms, self._base_ms
        return was != self.ms

    def falls_behind(self, now: float, waiting: int) -> bool:
        """Requests go as fast as they may, each is small, and so many events wait. True: it doubled by this."""
        if self._since is None:
            self._since, self._waited = now, waiting
            return False
        if now - self._since < PATIENCE:
            return False
        grew = waiting >= self._waited and self.ms < MOST_MS
        if grew:
            self.ms = min(MOST_MS, self.ms * 2)
        self._since, self._waited = now, waiting
        return grew
