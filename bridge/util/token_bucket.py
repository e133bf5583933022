"""``limit:`` of a source: so many events a second, and one second's worth at once."""


class TokenBucket:
    """Fills at ``rate`` a second. Times are wall-clock milliseconds; one that goes back costs nothing."""

    __slots__ = ("_filled", "_tokens", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._tokens = float(rate)
        self._filled = 0

    def take(self, wanted: int, now_ms: int) -> int:
        """How many of ``wanted`` events may pass."""
        self._fill(now_ms)
        allowed = max(0, min(wanted, int(self._tokens)))
        self._tokens -= allowed
        return allowed

    def borrow(self, wanted: int, now_ms: int) -> float:
        """0: all of ``wanted`` events pass, if need be on account of the time to come, as a request cannot be cut; else
        the seconds after which some may."""
        self._fill(now_ms)
        if self._tokens < 1:
            return (1 - self._tokens) / self.rate
        self._tokens -= wanted
        return 0.0

    def _fill(self, now_ms: int) -> None:
        if self._filled:
            passed = max(0, now_ms - self._filled)
            self._tokens = min(float(self.rate), self._tokens + passed * self.rate / 1000)
        self._filled = now_ms
