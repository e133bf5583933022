"""Stops requests to a base URL after network errors and 502-504 responses, and chooses between base URLs.

All intakes of a URL share one breaker.

=========  ==========================================================================
closed     requests are sent; at most a quarter of all connections until one is answered
open       no request is sent before ``retry_at``, which is later after each failed probe
probing    one request is in flight; its response closes the breaker, its error opens it
=========  ==========================================================================

When the breaker closes, the intakes resume one after the other within ``RETURN_SPREAD`` seconds. If all resumed at
once, they could overload the collector again.

An intake that backs off after errors of its own (500, 429) waits up to a minute. The first request that the URL accepts
after a fault shortens these waits (``ended``).

An intake uses its first URL whose breaker allows a request. If the breaker of the first URL is open, requests go to the
next URL at once. The breaker occasionally lets a probe through to the first URL. As soon as a probe gets a response,
all requests use the first URL again.
"""

import random
from collections.abc import Callable, Collection

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.deliver.backoff import doubling
from bridge.deliver.outcome import Verdict

OPENS_AFTER = 3
"Consecutive errors, of any intake, that open the breaker. One error is enough if the intake has another URL."
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
RETURN_SPREAD = 1.5
RETURN_STEP = 0.1
"Minimum of the seconds between two calls of ``wake`` while the intakes resume."
MIN_STALL_TIMEOUT = 2.0
"""Minimum of the seconds without a response after which a request counts as stalled. Three average response times
apply if that is longer."""


class CircuitBreaker:
    """Circuit breaker of one base URL. ``wake`` is called when a request may be sent again."""

    def __init__(self, clock: IReactorTime, *, wake: Callable[[], None]) -> None:
        self.state = "closed"
        self.in_flight = 0
        self.retry_at = 0.0
        self._opens_after = OPENS_AFTER
        self._clock = clock
        self._wake = wake
        self._faults = 0
        self._probes = 0
        self._answered = False
        self._resume: dict[str, Callable[[], None]] = {}
        self._failing_since: dict[str, float] = {}
        "Intakes whose last request must be retried, and the time of the first of its consecutive failures."
        self._accepted_at = float("-inf")
        self._returns_at: dict[str, float] = {}
        self._call: IDelayedCall | None = None
        self._usual_seconds = 0.0

    def add(self, name: str, resume: Callable[[], None]) -> None:
        """Adds an intake that posts to this URL. ``resume`` shortens its back-off."""
        self._resume[name] = resume

    def has_alternative(self) -> None:
        """Records that an intake has another URL, so that one error opens the breaker."""
        self._opens_after = 1

    def remove(self, name: str) -> None:
        """Removes an intake that no longer posts to this URL."""
        self._resume.pop(name, None)
        self._failing_since.pop(name, None)
        self._returns_at.pop(name, None)

    @property
    def used(self) -> bool:
        """Returns True if an intake posts to this URL, or a request to it is in flight."""
        return bool(self._resume) or self.in_flight > 0

    @property
    def stall_timeout(self) -> float:
        """Returns the seconds after which a request without a response no longer blocks others. A probe never blocks
        others, so its value is 0."""
        return max(MIN_STALL_TIMEOUT, 3 * self._usual_seconds) if self.state == "closed" else 0.0

    def allows(self, name: str, connections: int) -> bool:
        """Returns True if an intake may start a request to this URL. ``connections`` is the limit of all intakes
        together."""
        now = self._clock.seconds()
        if self.state == "open":
            return now >= self.retry_at
        if self.state == "probing":
            return False
        if not self._answered and self.in_flight >= max(1, connections // 4):
            return False
        return now >= self._returns_at.get(name, 0.0)

    def started(self) -> None:
        """Records that a request starts."""
        self.in_flight += 1
        if self.state == "open":
            self.state = "probing"

    def withdrawn(self) -> None:
        """Records that a started request was not sent."""
        self.in_flight -= 1
        if self.state == "probing":
            self.state = "open"

    def answered(self, name: str, seconds: float) -> None:
        """Records a response of the collector itself, whatever its status."""
        self.in_flight -= 1
        self._faults = 0
        self._answered = True
        self._usual_seconds = seconds if not self._usual_seconds else 0.8 * self._usual_seconds + 0.2 * seconds
        if self.state != "closed":
            self.state = "closed"
            self._probes = 0
            self._schedule_returns(name)

    def ended(self, name: str, verdict: Verdict) -> None:
        """Records the outcome of an intake's request. The first acceptance after failures resumes the other intakes
        that fail: if the intake itself had failed, or if no request was accepted since the other began to fail. An
        intake that alone fails is thus not resumed by each success of the others."""
        if verdict is Verdict.RETRY:
            self._failing_since.setdefault(name, self._clock.seconds())
        elif verdict is Verdict.ACCEPTED:
            recovered = self._failing_since.pop(name, None) is not None
            previous, self._accepted_at = self._accepted_at, self._clock.seconds()
            for other, since in self._failing_since.items():
                if (recovered or since >= previous) and other in self._resume:
                    self._resume[other]()

    def fault(self) -> None:
        """Records that there was no response, or only one from a gateway that cannot reach the collector."""
        self.in_flight -= 1
        self._faults += 1
        self._answered = False
        if self.state == "probing" or (self.state == "closed" and self._faults >= self._opens_after):
            self.state = "open"
            self._probes += 1
            wait = doubling(self._probes, first=FIRST_WAIT, longest=LONGEST_WAIT)
            self.retry_at = self._clock.seconds() + wait
            self._wake_at(wait)

    def stop(self) -> None:
        """Cancels the pending timer."""
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _schedule_returns(self, answered_by: str) -> None:
        remaining = [name for name in self._resume if name != answered_by]
        random.shuffle(remaining)
        now, step = self._clock.seconds(), RETURN_SPREAD / max(1, len(remaining))
        self._returns_at = {name: now + step * (i + 1) for i, name in enumerate(remaining)}
        if remaining:
            self._wake_at(step, again=max(step, RETURN_STEP))

    def _wake_at(self, delay: float, again: float = 0.0) -> None:
        self.stop()

        def wake_up() -> None:
            if again and any(at > self._clock.seconds() for at in self._returns_at.values()):
                self._call = self._clock.callLater(again, wake_up)
            else:
                self._returns_at.clear()
            self._wake()

        self._call = self._clock.callLater(delay, wake_up)


class BaseUrls(tuple[CircuitBreaker, ...]):
    """Breakers of one intake's base URLs in order of preference, usually one."""

    __slots__ = ()

    @property
    def state(self) -> str:
        """Returns closed if any breaker is closed; otherwise probing or open."""
        states = {breaker.state for breaker in self}
        return "closed" if "closed" in states else "probing" if "probing" in states else "open"

    @property
    def retry_at(self) -> float:
        """Returns the monotonic time in seconds at which the next URL with an open breaker is tried again."""
        return min((each.retry_at for each in self if each.state != "closed"), default=0.0)

    def choose(self, name: str, connections: int) -> CircuitBreaker | None:
        """Returns the breaker of the URL for an intake's next request; None if no request is allowed now."""
        return next((breaker for breaker in self if breaker.allows(name, connections)), None)

    def change(self, name: str, previous: Collection[CircuitBreaker], *, resume: Callable[[], None]) -> None:
        """Registers an intake at these URLs and removes it from the previous ones. ``resume`` shortens its back-off."""
        for old in previous:
            if old not in self:
                old.remove(name)
        for new in self:
            if new not in previous:
                new.add(name, resume)

    def leave(self, name: str) -> None:
        """Removes an intake from all URLs."""
        for breaker in self:
            breaker.remove(name)
