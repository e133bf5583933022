"""Limits a rate with a token bucket: ``rate`` events per second, with a burst of one second's events.

Used for a source's ``limit:``.
"""


class TokenBucket:
    """Refills at ``rate`` tokens per second. Times are wall-clock milliseconds; a step back counts as zero time."""

    __slots__ = ("_filled_ms", "_tokens", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._tokens = float(rate)
        self._filled_ms = 0

    def take(self, requested: int, now_ms: int) -> int:
        """Returns how many of ``requested`` events may pass now, and takes their tokens."""
        self._fill(now_ms)
        allowed = max(0, min(requested, int(self._tokens)))
        self._tokens -= allowed
        return allowed

    def borrow(self, requested: int, now_ms: int) -> float:
        """Takes tokens for all ``requested`` events or none, and returns the seconds to wait (0: all events pass).

        A request cannot be cut, so it may overdraw the bucket while at least one token is left.
        """
        self._fill(now_ms)
        if self._tokens < 1:
            return (1 - self._tokens) / self.rate
        self._tokens -= requested
        return 0.0

    def _fill(self, now_ms: int) -> None:
        if self._filled_ms:
            elapsed_ms = max(0, now_ms - self._filled_ms)
            self._tokens = min(float(self.rate), self._tokens + elapsed_ms * self.rate / 1000)
        self._filled_ms = now_ms
