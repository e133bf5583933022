"""Schedules the requests of all intakes under the shared limits on connections, request rate and bandwidth.

Intakes are served round robin: after its turn an intake moves to the end, so that a busy intake cannot starve a quiet
one. A request without a response becomes *stalled* after the ``stall_timeout`` of its URL. It keeps its connection but
no longer counts against ``connections``, so that an unresponsive URL does not slow the other intakes. At most
``connections`` stalled requests are exempt.
"""

from collections import deque
from typing import Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.deliver.bandwidth import Bandwidth


class Sender(Protocol):
    """Declares what the dispatcher needs of a courier."""

    def ready(self) -> bool:
        """Returns True if the courier would start a request now."""

    def start(self) -> bool:
        """Starts a request. Returns False if there was none to start."""


class Slot:
    """A request in flight."""

    __slots__ = ("call", "stalled")

    def __init__(self) -> None:
        self.stalled = False
        self.call: IDelayedCall | None = None


class Dispatcher:
    """Allows ``connections`` requests in flight, ``rate`` starts per second and ``bandwidth`` bytes per second. None
    means no limit."""

    BURST = 0.25
    "Size of the token bucket in seconds: the burst of requests that is allowed after a pause."

    def __init__(
        self, clock: IReactorTime, *, connections: int, rate: float | None, bandwidth: float | None = None
    ) -> None:
        self._clock = clock
        self._tokens = 1.0
        self._filled_at = clock.seconds()
        self._senders: deque[Sender] = deque()
        self._call: IDelayedCall | None = None
        self._limited_at = float("-inf")
        self._stopped = False
        self._bandwidth: Bandwidth | None = None
        self._bytes_per_second: float | None = None
        self._slots: dict[Slot, None] = {}
        self._stalled = 0
        self._idle: list[defer.Deferred[None]] = []
        self.change(connections=connections, rate=rate, bandwidth=bandwidth)

    def change(self, *, connections: int, rate: float | None, bandwidth: float | None) -> None:
        """Applies other limits. Bodies that already wait for bandwidth keep their old limit."""
        self.connections = connections
        self._rate = rate
        self._max_tokens = max(1.0, rate * self.BURST) if rate else 1.0
        # This time is longer than the longest wait for a token.
        self._limited_for = max(1.0, 2 / rate) if rate else 1.0
        if bandwidth != self._bytes_per_second:
            self._bytes_per_second = bandwidth
            self._bandwidth = Bandwidth(self._clock, bandwidth) if bandwidth else None

    def add(self, sender: Sender) -> None:
        """Adds a courier at the end of the round."""
        self._senders.append(sender)

    def remove(self, sender: Sender) -> None:
        """Removes a courier from the round. Its requests in flight continue."""
        if sender in self._senders:
            self._senders.remove(sender)

    @property
    def senders(self) -> int:
        """Returns the number of couriers in the round."""
        return len(self._senders)

    @property
    def in_flight(self) -> int:
        """Returns the number of requests without a response."""
        return len(self._slots)

    def when_idle(self) -> "defer.Deferred[None]":
        """Waits until no request is in flight."""
        if not self._slots:
            return defer.succeed(None)
        self._idle.append(defer.Deferred())
        return self._idle[-1]

    @property
    def limited(self) -> bool:
        """Returns True if the request rate has delayed a request within the last seconds."""
        return self._clock.seconds() - self._limited_at < self._limited_for

    def stop(self) -> None:
        """Stops starting requests."""
        self._stopped = True
        if self._bandwidth is not None:
            self._bandwidth.stop()
        for call in (self._call, *(slot.call for slot in self._slots)):
            if call is not None and call.active():
                call.cancel()

    def begin(self, stall_timeout: float) -> Slot:
        """Registers a request in flight. The slot must be passed to ``end``."""
        slot = Slot()
        self._slots[slot] = None
        slot.call = self._clock.callLater(stall_timeout, self._stall, slot)
        return slot

    def refund_token(self) -> None:
        """Returns the token of a job that sends no request, such as cutting batches."""
        self._tokens += 1

    async def send(self, slot: Slot, size: int, stall_timeout: float) -> None:
        """Waits until a body of ``size`` bytes may be sent. This wait does not count towards stalling."""
        if self._bandwidth is None or slot.call is None:
            return
        waiting = slot.call.active()
        if waiting:
            slot.call.cancel()
        await self._bandwidth.acquire(size)
        if waiting and not self._stopped:
            slot.call = self._clock.callLater(stall_timeout, self._stall, slot)

    def end(self, slot: Slot) -> None:
        """Releases the slot of a request that has ended."""
        if slot.call is not None and slot.call.active():
            slot.call.cancel()
        self._stalled -= slot.stalled
        del self._slots[slot]
        self.wake()
        if not self._slots:
            waiting, self._idle = self._idle, []
            for each in waiting:
                each.callback(None)

    def offer(self, sender: Sender) -> None:
        """Starts requests if ``sender`` has more to send. Use this if nothing has changed for the other couriers.

        In an outage, every new batch of every intake calls this. Asking all intakes each time would take time
        quadratic in their number.
        """
        if not self._stopped and self._has_free_slot() and sender.ready():
            self.wake()

    def wake(self) -> None:
        """Starts all requests that are ready, in round-robin order."""
        idle = 0
        while not self._stopped and self._has_free_slot() and idle < len(self._senders):
            sender = self._senders[0]
            self._senders.rotate(-1)
            if not sender.ready():
                idle += 1
                continue
            if not self._take_token():
                self._senders.rotate(1)
                return
            if sender.start():
                idle = 0
            else:
                self._tokens += 1
                idle += 1

    def _has_free_slot(self) -> bool:
        return len(self._slots) - min(self._stalled, self.connections) < self.connections

    def _stall(self, slot: Slot) -> None:
        slot.stalled = True
        self._stalled += 1
        self.wake()

    def _take_token(self) -> bool:
        if self._rate is None:
            return True
        now = self._clock.seconds()
        self._tokens = min(self._max_tokens, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        # The timer may fire a rounding error early. Without the tolerance, it would be set again for the same moment.
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return True
        self._limited_at = now
        if self._call is None or not self._call.active():
            self._call = self._clock.callLater((1 - self._tokens) / self._rate, self.wake)
        return False
