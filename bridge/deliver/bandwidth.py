"""Limits the bytes per second of all request bodies together (``max_bandwidth``). Bodies wait in order of arrival."""

from collections import deque

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.util.token_bucket import TokenBucket

BURST = 0.25
"Size of the buckets of bytes and of requests in seconds: the burst that is allowed after a pause."


class Bandwidth:
    """Bodies that wait to be sent. ``rate`` is in bytes per second; None means no limit."""

    def __init__(self, clock: IReactorTime, rate: float | None) -> None:
        self.rate = rate
        self._clock = clock
        self._bucket = self._bucket_of(rate)
        self._waiting: deque[tuple[int, defer.Deferred[None]]] = deque()
        self._call: IDelayedCall | None = None

    def change(self, rate: float | None) -> None:
        """Applies another limit, also to the bodies that wait."""
        if rate != self.rate:
            self.rate, self._bucket = rate, self._bucket_of(rate)
            self._cancel_timer()
            self._release_waiting()

    def acquire(self, size: int) -> "defer.Deferred[None]":
        """Returns a Deferred that fires when a body of ``size`` bytes may be sent. If it is cancelled first, the body
        takes no tokens."""

        def forget(cancelled: "defer.Deferred[None]") -> None:
            self._waiting = deque(each for each in self._waiting if each[1] is not cancelled)

        allowed: defer.Deferred[None] = defer.Deferred(forget)
        self._waiting.append((size, allowed))
        self._release_waiting()
        return allowed

    def stop(self) -> None:
        """Sends none of the waiting bodies."""
        self._cancel_timer()
        self._waiting.clear()

    @staticmethod
    def _bucket_of(rate: float | None) -> TokenBucket | None:
        return None if rate is None else TokenBucket(rate, max(1.0, rate * BURST))

    def _cancel_timer(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _release_waiting(self) -> None:
        while self._waiting:
            size, allowed = self._waiting[0]
            wait = self._bucket.borrow(size, self._clock.seconds() * 1000) if self._bucket is not None else 0.0
            if wait:
                if self._call is None or not self._call.active():
                    self._call = self._clock.callLater(wait, self._release_waiting)
                return
            self._waiting.popleft()
            allowed.callback(None)
