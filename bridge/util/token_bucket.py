"""Limits a rate with a token bucket: events of a source, requests, and bytes of request bodies."""

_EARLY_MS = 1e-3
"A timer may fire a rounding error early. Without the tolerance, it would be set again for the same moment."


class TokenBucket:
    """Refills at ``rate`` tokens per second up to ``burst``, by default those of one second. It starts full, or with
    ``tokens`` at ``now_ms``.

    Times are milliseconds of any one clock. A step back counts as zero time.
    """

    __slots__ = ("_burst", "_filled_ms", "_tokens", "rate")

    def __init__(
        self, rate: float, burst: float | None = None, *, tokens: float | None = None, now_ms: float | None = None
    ) -> None:
        self.rate = rate
        self._burst = float(rate if burst is None else burst)
        self._tokens = self._burst if tokens is None else tokens
        self._filled_ms = now_ms

    def take(self, requested: int, now_ms: float) -> int:
        """Returns how many of ``requested`` events may pass now, and takes their tokens."""
        self._fill(now_ms)
        allowed = max(0, min(requested, int(self._tokens)))
        self._tokens -= allowed
        return allowed

    def borrow(self, requested: int, now_ms: float) -> float:
        """Takes all ``requested`` tokens or none, and returns the seconds to wait (0: they were taken).

        A request cannot be cut, so it may overdraw the bucket while at least one token is left. Requests larger than
        the bucket therefore pass too, and the average rate is exact.
        """
        self._fill(now_ms)
        if self._tokens + _EARLY_MS * self.rate / 1000 < 1:
            return (1 - self._tokens) / self.rate
        self._tokens -= requested
        return 0.0

    def give_back(self, tokens: int) -> None:
        """Returns tokens that were taken and not used."""
        self._tokens += tokens

    def _fill(self, now_ms: float) -> None:
        if self._filled_ms is not None:
            elapsed_ms = max(0.0, now_ms - self._filled_ms)
            self._tokens = min(self._burst, self._tokens + elapsed_ms * self.rate / 1000)
        self._filled_ms = now_ms
