"""Limits the bytes per second of all request bodies together (``max_bandwidth``) by a token bucket.

A body is sent as soon as the bucket is not in debt, and may leave it in debt. Bodies larger than the bucket are
therefore sent too, and the average rate is exact. Bodies wait in order of arrival.
"""

from collections import deque

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Bandwidth:
    """Token bucket of ``rate`` bytes per second."""

    BURST = 0.25
    "Size of the bucket in seconds: the burst that is allowed after a pause."

    def __init__(self, clock: IReactorTime, rate: float) -> None:
        self._clock = clock
        self._rate = rate
        self._tokens = self._max_tokens = rate * self.BURST
        self._filled_at = clock.seconds()
        self._waiting: deque[tuple[int, defer.Deferred[None]]] = deque()
        self._call: IDelayedCall | None = None

    @property
    def free(self) -> bool:
        """Returns True if a body could be sent at once."""
        self._fill()
        return not self._waiting and self._tokens >= 0

    def acquire(self, size: int) -> "defer.Deferred[None]":
        """Returns a Deferred that fires when a body of ``size`` bytes may be sent. A body whose Deferred was
        cancelled still uses its tokens."""
        allowed: defer.Deferred[None] = defer.Deferred()
        self._waiting.append((size, allowed))
        self._release_waiting()
        return allowed

    def stop(self) -> None:
        """Stops the bucket. Waiting bodies are not sent."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._waiting.clear()

    def _fill(self) -> None:
        now = self._clock.seconds()
        self._tokens = min(self._max_tokens, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def _release_waiting(self) -> None:
        self._fill()
        # The timer may fire a rounding error early. Without the tolerance, it would be set again for the same moment.
        while self._waiting and self._tokens >= -1e-6:
            size, allowed = self._waiting.popleft()
            self._tokens -= size
            allowed.callback(None)
        if self._waiting and (self._call is None or not self._call.active()):
            self._call = self._clock.callLater(-self._tokens / self._rate, self._release_waiting)
