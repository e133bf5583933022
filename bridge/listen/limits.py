"""``limit:`` of a source: so many events a second, and one second's worth at once."""


class Bucket:
    """Fills at ``rate`` a second. Times are wall-clock milliseconds; one that goes back costs nothing."""

    __slots__ = ("_filled", "_tokens", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._tokens = float(rate)
        self._filled = 0

    def take(self, wanted: int, now_ms: int) -> int:
        """How many of ``wanted`` events may pass."""
        if self._filled:
            passed = max(0, now_ms - self._filled)
            self._tokens = min(float(self.rate), self._tokens + passed * self.rate / 1000)
        self._filled = now_ms
        allowed = min(wanted, int(self._tokens))
        self._tokens -= allowed
        return allowed
