"""``max_bandwidth``: a token bucket over the bodies of requests, all intakes together.

A body goes as soon as the bucket is not in debt, and may leave it in debt: so a body larger than the bucket goes too,
and the mean is right. Bodies wait in the order in which they came.
"""

from collections import deque

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Bandwidth:
    """``rate`` in bytes a second."""

    BURST = 0.25
    "Seconds' worth that may go at once after a pause."

    def __init__(self, clock: IReactorTime, rate: float) -> None:
        self._clock = clock
        self._rate = rate
        self._tokens = self._most = rate * self.BURST
        self._filled = clock.seconds()
        self._waiting: deque[tuple[int, defer.Deferred[None]]] = deque()
        self._call: IDelayedCall | None = None

    @property
    def free(self) -> bool:
        """Whether a body would go at once."""
        self._fill()
        return not self._waiting and self._tokens >= 0

    def pass_(self, size: int) -> "defer.Deferred[None]":
        """Fires when a body of ``size`` bytes may go; cancelled, it never went."""
        turn: defer.Deferred[None] = defer.Deferred()
        self._waiting.append((size, turn))
        self._go()
        return turn

    def stop(self) -> None:
        """Nothing goes any more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._waiting.clear()

    def _fill(self) -> None:
        now = self._clock.seconds()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._rate)
        self._filled = now

    def _go(self) -> None:
        self._fill()
        # The wait below may end a rounding error early; to wait for that too would be a call at the same moment.
        while self._waiting and self._tokens >= -1e-6:
            size, turn = self._waiting.popleft()
            self._tokens -= size
            turn.callback(None)
        if self._waiting and (self._call is None or not self._call.active()):
            self._call = self._clock.callLater(-self._tokens / self._rate, self._go)
