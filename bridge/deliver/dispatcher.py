"""Shares out what all intakes have together: connections and requests a second.

Round robin: an intake that has had its turn goes to the end, so that a busy one cannot starve a quiet one.
"""

from collections import deque
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Sender(Protocol):
    """What the dispatcher asks of a courier."""

    def ready(self) -> bool:
        """Whether it would start a request now."""

    def start(self) -> bool:
        """Start one; False: it turned out that there was none to start."""


class Dispatcher:
    """``connections`` requests in flight, ``rate`` started a second (None: no limit)."""

    BURST = 0.25
    "Seconds' worth of requests that may start at once after a pause."

    def __init__(self, clock: IReactorTime, *, connections: int, rate: float | None) -> None:
        self._clock = clock
        self._connections = connections
        self._rate = rate
        self._tokens = 1.0
        self._most = max(1.0, rate * self.BURST) if rate else 1.0
        self._filled = clock.seconds()
        self._senders: deque[Sender] = deque()
        self._call: IDelayedCall | None = None
        self._limited_at = float("-inf")
        self._stopped = False
        self.in_flight = 0

    def add(self, sender: Sender) -> None:
        """A courier joins the round."""
        self._senders.append(sender)

    @property
    def limited(self) -> bool:
        """Whether the request rate has been what held requests back, within the last second."""
        return self._clock.seconds() - self._limited_at < 1.0

    def stop(self) -> None:
        """Start no more."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def ended(self) -> None:
        """A request has its answer."""
        self.in_flight -= 1
        self.wake()

    def wake(self) -> None:
        """Something may be startable."""
        idle = 0
        while not self._stopped and self.in_flight < self._connections and idle < len(self._senders):
            sender = self._senders[0]
            self._senders.rotate(-1)
            if not sender.ready():
                idle += 1
                continue
            if not self._token():
                self._senders.rotate(1)
                return
            if sender.start():
                self.in_flight += 1
                idle = 0
            else:
                self._tokens += 1
                idle += 1

    def _token(self) -> bool:
        if self._rate is None:
            return True
        now = self._clock.seconds()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens >= 1:
            self._tokens -= 1
            return True
        self._limited_at = now
        if self._call is None or not self._call.active():
            self._call = self._clock.callLater((1 - self._tokens) / self._rate, self.wake)
        return False
