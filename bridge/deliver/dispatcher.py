"""Shares out what all intakes have together: connections and requests a second.

Round robin: an intake that has had its turn goes to the end, so that a busy one cannot starve a quiet one. A request
that has been without an answer for longer than its URL's patience is *stalled*: it keeps its own connection, but no
longer counts against ``connections``, so that black holes do not slow the others. As many may stall as may run.
"""

from collections import deque
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.deliver.bandwidth import Bandwidth


class Sender(Protocol):
    """What the dispatcher asks of a courier."""

    def ready(self) -> bool:
        """Whether it would start a request now."""

    def start(self) -> bool:
        """Start one; False: it turned out that there was none to start."""


class Slot:
    """A request in flight."""

    __slots__ = ("call", "stalled")

    def __init__(self) -> None:
        self.stalled = False
        self.call: IDelayedCall | None = None


class Dispatcher:
    """``connections`` requests in flight, ``rate`` started a second, ``bandwidth`` bytes a second (None: no limit)."""

    BURST = 0.25
    "Seconds' worth of requests that may start at once after a pause."

    def __init__(
        self, clock: IReactorTime, *, connections: int, rate: float | None, bandwidth: float | None = None
    ) -> None:
        self._clock = clock
        self._tokens = 1.0
        self._filled = clock.seconds()
        self._senders: deque[Sender] = deque()
        self._call: IDelayedCall | None = None
        self._limited_at = float("-inf")
        self._stopped = False
        self._bandwidth: Bandwidth | None = None
        self._bytes_a_second: float | None = None
        self._slots: dict[Slot, None] = {}
        self._stalled = 0
        self.change(connections=connections, rate=rate, bandwidth=bandwidth)

    def change(self, *, connections: int, rate: float | None, bandwidth: float | None) -> None:
        """Other limits from now on; bodies that wait for the bandwidth wait as long as they would have."""
        self.connections = connections
        self._rate = rate
        self._most = max(1.0, rate * self.BURST) if rate else 1.0
        # Longer than what held a request back can take to let it go.
        self._limited_for = max(1.0, 2 / rate) if rate else 1.0
        if bandwidth != self._bytes_a_second:
            self._bytes_a_second = bandwidth
            self._bandwidth = Bandwidth(self._clock, bandwidth) if bandwidth else None

    def add(self, sender: Sender) -> None:
        """A courier joins the round."""
        self._senders.append(sender)

    def remove(self, sender: Sender) -> None:
        """A courier leaves the round; its requests in flight end as they will."""
        if sender in self._senders:
            self._senders.remove(sender)

    @property
    def senders(self) -> int:
        """Couriers in the round."""
        return len(self._senders)

    @property
    def in_flight(self) -> int:
        """Requests that have no answer yet."""
        return len(self._slots)

    @property
    def limited(self) -> bool:
        """Whether the request rate has been what held requests back, a moment ago."""
        return self._clock.seconds() - self._limited_at < self._limited_for

    def stop(self) -> None:
        """Start no more."""
        self._stopped = True
        if self._bandwidth is not None:
            self._bandwidth.stop()
        for call in (self._call, *(slot.call for slot in self._slots)):
            if call is not None and call.active():
                call.cancel()

    def begin(self, retry_pause: float) -> Slot:
        """A request goes out; to be given back to ``end``."""
        slot = Slot()
        self._slots[slot] = None
        slot.call = self._clock.callLater(retry_pause, self._stall, slot)
        return slot

    def spare_rate(self) -> None:
        """What a sender starts now is no request, but the making of some: none of the rate is used up by it."""
        self._tokens += 1

    async def send(self, slot: Slot, size: int, retry_pause: float) -> None:
        """Wait until a body of ``size`` bytes may go. A request that waits for us is not stalled."""
        if self._bandwidth is None or slot.call is None:
            return
        waiting = slot.call.active()
        if waiting:
            slot.call.cancel()
        await self._bandwidth.pass_(size)
        if waiting and not self._stopped:
            slot.call = self._clock.callLater(retry_pause, self._stall, slot)

    def end(self, slot: Slot) -> None:
        """A request has its answer."""
        if slot.call is not None and slot.call.active():
            slot.call.cancel()
        self._stalled -= slot.stalled
        del self._slots[slot]
        self.wake()

    def offer(self, sender: Sender) -> None:
        """There is more that ``sender`` may start; nothing has changed for the others.

        In an outage each batch of each intake comes here, and to ask all the intakes each time would cost the square of
        their number.
        """
        if not self._stopped and self._free() and sender.ready():
            self.wake()

    def wake(self) -> None:
        """Something may be startable, whoever's it is."""
        idle = 0
        while not self._stopped and self._free() and idle < len(self._senders):
            sender = self._senders[0]
            self._senders.rotate(-1)
            if not sender.ready():
                idle += 1
                continue
            if not self._token():
                self._senders.rotate(1)
                return
            if sender.start():
                idle = 0
            else:
                self._tokens += 1
                idle += 1

    def _free(self) -> bool:
        return len(self._slots) - min(self._stalled, self.connections) < self.connections

    def _stall(self, slot: Slot) -> None:
        slot.stalled = True
        self._stalled += 1
        self.wake()

    def _token(self) -> bool:
        if self._rate is None:
            return True
        now = self._clock.seconds()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        # The wait below may end a rounding error early; to wait for that too would be a call at the same moment.
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return True
        self._limited_at = now
        if self._call is None or not self._call.active():
            self._call = self._clock.callLater((1 - self._tokens) / self._rate, self.wake)
        return False
