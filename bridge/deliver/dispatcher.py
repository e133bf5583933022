"""Schedules the requests of all intakes under the shared limits on connections, request rate and bandwidth.

Intakes are served round robin: after its turn an intake moves to the end, so that a busy intake cannot starve a quiet
one. A request without a response becomes *stalled* after the ``stall_timeout`` of its URL. It keeps its connection but
no longer counts against ``connections``, so that an unresponsive URL does not slow the other intakes. At most
``connections`` stalled requests are exempt.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.host.waiting import Waiters
from bridge.util.token_bucket import TokenBucket

BURST = 0.25
"Size of the buckets of requests and of bytes in seconds: the burst that is allowed after a pause."


def _bucket_of(rate: float | None, *, tokens: float | None = None, now_ms: float | None = None) -> TokenBucket | None:
    return None if rate is None else TokenBucket(rate, max(1.0, rate * BURST), tokens=tokens, now_ms=now_ms)


class Sender(Protocol):
    """Declares what the dispatcher needs of a courier."""

    def ready(self) -> bool:
        """Returns True if the courier would start a request now."""

    def start(self) -> bool:
        """Starts a request. Returns False if there was none to start."""


class Slot:
    """A request in flight. ``on_stall`` is called once it is stalled. ``shared`` is True if the events travel in the
    request of another slot."""

    __slots__ = ("_call", "_clock", "_on_stall", "shared", "stalled")

    def __init__(
        self, clock: IReactorTime, stall_timeout: float, on_stall: Callable[[], None], *, shared: bool = False
    ) -> None:
        self.stalled = False
        self.shared = shared
        self._clock = clock
        self._on_stall = on_stall
        self._call = clock.callLater(stall_timeout, self._stall)

    def stop_timer(self) -> bool:
        """Stops the time towards stalling. Returns False if it was not running."""
        running = bool(self._call.active())
        if running:
            self._call.cancel()
        return running

    def restart_timer(self, stall_timeout: float) -> None:
        """Starts the time towards stalling again."""
        self._call = self._clock.callLater(stall_timeout, self._stall)

    def _stall(self) -> None:
        self.stalled = True
        self._on_stall()


class Bandwidth:
    """Bodies that wait to be sent, in order of arrival. ``rate`` is in bytes per second; None means no limit."""

    def __init__(self, clock: IReactorTime, rate: float | None) -> None:
        self.rate = rate
        self._clock = clock
        self._bucket = _bucket_of(rate)
        self._waiting: deque[tuple[int, defer.Deferred[None]]] = deque()
        self._call: IDelayedCall | None = None

    def change(self, rate: float | None) -> None:
        """Applies another limit, also to the bodies that wait."""
        if rate != self.rate:
            self.rate, self._bucket = rate, _bucket_of(rate)
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


class Dispatcher:
    """Allows ``connections`` requests in flight, ``rate`` starts per second and ``bandwidth`` bytes per second. None
    means no limit."""

    def __init__(
        self, clock: IReactorTime, *, connections: int, rate: float | None, bandwidth: float | None = None
    ) -> None:
        self.connections = connections
        self._clock = clock
        self._rate = rate
        self._bucket = self._rate_bucket(rate)
        self._bandwidth = Bandwidth(clock, bandwidth)
        self._senders: deque[Sender] = deque()
        self._call: IDelayedCall | None = None
        self._limited_at = float("-inf")
        self._stopped = False
        self._slots: dict[Slot, None] = {}
        self._stalled = self._shared = 0
        self._idle_waiters = Waiters(lambda: not self._slots)

    def change(self, *, connections: int, rate: float | None, bandwidth: float | None) -> None:
        """Applies other limits."""
        self.connections = connections
        if rate != self._rate:
            self._rate, self._bucket = rate, self._rate_bucket(rate)
        self._bandwidth.change(bandwidth)

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
    def rate(self) -> float | None:
        """Returns the most request starts per second; None means no limit."""
        return self._rate

    @property
    def limited(self) -> bool:
        """Returns True if the request rate has delayed a request within the last seconds."""
        # This time is longer than the longest wait for a token.
        limited_for = max(1.0, 2 / self._rate) if self._rate else 1.0
        return self._clock.seconds() - self._limited_at < limited_for

    def when_idle(self) -> "defer.Deferred[None]":
        """Returns a Deferred that fires once no request is in flight."""
        return self._idle_waiters.wait()

    def stop(self) -> None:
        """Stops starting requests."""
        self._stopped = True
        self._bandwidth.stop()
        if self._call is not None and self._call.active():
            self._call.cancel()
        for slot in self._slots:
            slot.stop_timer()

    def begin(self, stall_timeout: float, *, shared: bool = False) -> Slot:
        """Registers a request in flight. The slot must be passed to ``end``. With ``shared``, the events travel in the
        request of another slot and take no connection of their own."""
        slot = Slot(self._clock, stall_timeout, (lambda: None) if shared else self._slot_stalled, shared=shared)
        self._slots[slot] = None
        self._shared += shared
        return slot

    def refund_token(self) -> None:
        """Returns the token of a job that sends no request, such as cutting batches."""
        if self._bucket is not None:
            self._bucket.give_back(1)

    async def send(self, slot: Slot, size: int, stall_timeout: float) -> None:
        """Waits until a body of ``size`` bytes may be sent. This wait does not count towards stalling."""
        if self._bandwidth.rate is None:
            return
        was_running = slot.stop_timer()
        await self._bandwidth.acquire(size)
        if was_running and not self._stopped:
            slot.restart_timer(stall_timeout)

    def end(self, slot: Slot) -> None:
        """Releases the slot of a request that has ended."""
        slot.stop_timer()
        self._stalled -= slot.stalled and not slot.shared
        self._shared -= slot.shared
        del self._slots[slot]
        self.wake()
        self._idle_waiters.check()

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
                self.refund_token()
                idle += 1

    def _has_free_slot(self) -> bool:
        return len(self._slots) - self._shared - min(self._stalled, self.connections) < self.connections

    def _slot_stalled(self) -> None:
        self._stalled += 1
        self.wake()

    def _rate_bucket(self, rate: float | None) -> TokenBucket | None:
        # It allows one request now, not a burst.
        return _bucket_of(rate, tokens=1, now_ms=self._clock.seconds() * 1000)

    def _take_token(self) -> bool:
        if self._bucket is None:
            return True
        now = self._clock.seconds()
        wait = self._bucket.borrow(1, now * 1000)
        if not wait:
            return True
        self._limited_at = now
        if self._call is None or not self._call.active():
            self._call = self._clock.callLater(wait, self.wake)
        return False
