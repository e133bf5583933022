"""One breaker per base URL, for what concerns all its intakes: network faults and a gateway's 502-504.

=========  ==========================================================================
closed     requests go; at most a quarter of all connections until one is answered
open       nothing goes before ``retry_at``, which moves away with each failed probe
probing    one request is on its way; its answer closes the breaker, its fault opens it
=========  ==========================================================================

When it closes, the intakes come back one after the other within ``COME_BACK`` seconds: all at once they would knock
the collector over again.
"""

import random
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.deliver.backoff import doubling

OPENS_AFTER = 3
"Faults in a row, of whichever intakes; one is enough where another URL stands by."
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
COME_BACK = 30.0
PATIENCE = 2.0
"Seconds without an answer after which a request counts as stalled; three usual answers' time where that is more."


class CircuitBreaker:
    """What is known of one base URL. ``wake`` is called when something may go again."""

    def __init__(
        self, clock: IReactorTime, *, wake: Callable[[], None], shuffle: Callable[[list[str]], None] = random.shuffle
    ) -> None:
        self.state = "closed"
        self.in_flight = 0
        self.retry_at = 0.0
        self.opens_after = OPENS_AFTER
        self._clock = clock
        self._wake = wake
        self._shuffle = shuffle
        self._faults = 0
        self._probes = 0
        self._answered = False
        self._names: list[str] = []
        self._back_at: dict[str, float] = {}
        self._call: IDelayedCall | None = None
        self._usual = 0.0

    def add(self, name: str) -> None:
        """An intake posts to this URL."""
        self._names.append(name)

    def remove(self, name: str) -> None:
        """It does so no longer."""
        if name in self._names:
            self._names.remove(name)
        self._back_at.pop(name, None)

    @property
    def used(self) -> bool:
        """Whether an intake posts to this URL, or a request to it has no answer yet."""
        return bool(self._names) or self.in_flight > 0

    @property
    def retry_pause(self) -> float:
        """Seconds after which a request without an answer no longer holds others up; a probe never does."""
        return max(PATIENCE, 3 * self._usual) if self.state == "closed" else 0.0

    def allows(self, name: str, connections: int) -> bool:
        """Whether an intake may start a request to this URL, of ``connections`` in all."""
        now = self._clock.seconds()
        if self.state == "open":
            return now >= self.retry_at
        if self.state == "probing":
            return False
        if not self._answered and self.in_flight >= max(1, connections // 4):
            return False
        return now >= self._back_at.get(name, 0.0)

    def started(self) -> None:
        """A request goes out."""
        self.in_flight += 1
        if self.state == "open":
            self.state = "probing"

    def withdrawn(self) -> None:
        """The request did not go out after all."""
        self.in_flight -= 1
        if self.state == "probing":
            self.state = "open"

    def answered(self, name: str, seconds: float) -> None:
        """The collector itself has answered, whatever it said."""
        self.in_flight -= 1
        self._faults = 0
        self._answered = True
        self._usual = seconds if not self._usual else 0.8 * self._usual + 0.2 * seconds
        if self.state != "closed":
            self.state = "closed"
            self._probes = 0
            self._come_back(name)

    def fault(self) -> None:
        """Nobody answered, or only a gateway that cannot reach the collector."""
        self.in_flight -= 1
        self._faults += 1
        self._answered = False
        if self.state == "probing" or (self.state == "closed" and self._faults >= self.opens_after):
            self.state = "open"
            self._probes += 1
            wait = doubling(self._probes, first=FIRST_WAIT, longest=LONGEST_WAIT)
            self.retry_at = self._clock.seconds() + wait
            self._wake_at(wait)

    def stop(self) -> None:
        """No more calls."""
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _come_back(self, first: str) -> None:
        others = [name for name in self._names if name != first]
        self._shuffle(others)
        now, step = self._clock.seconds(), COME_BACK / max(1, len(others))
        self._back_at = {name: now + step * (i + 1) for i, name in enumerate(others)}
        if others:
            self._wake_at(step, again=step)

    def _wake_at(self, delay: float, again: float = 0.0) -> None:
        self.stop()

        def due() -> None:
            if again and any(at > self._clock.seconds() for at in self._back_at.values()):
                self._call = self._clock.callLater(again, due)
            else:
                self._back_at.clear()
            self._wake()

        self._call = self._clock.callLater(delay, due)
