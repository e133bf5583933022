"""When an intake's next request may go: waits that double, parking, and how many may be in flight.

One failure is one failure, however many requests it took with it. While an intake is parked there is one attempt every
few minutes; whatever ends well ends all of it.
"""

import random

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from bridge.deliver.backoff import doubling
from bridge.deliver.context import DeliveryContext
from bridge.deliver.failover import BaseUrls

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"Seconds between two attempts."
PARKED_WAIT = 180.0
"Seconds between two attempts of a parked intake."

log = Logger(namespace="deliver")


class RetryState:
    """Those of one intake. ``most`` requests in flight, at most."""

    def __init__(self, name: str, *, most: int, context: DeliveryContext, base_urls: BaseUrls) -> None:
        self.last_error: str | None = None
        self.parked: str | None = None
        "Why, while it is."
        self.failures = 0
        "In a row."
        self.window = 1
        "Requests in flight that its successes have earned."
        self._name = name
        self._most = most
        self._context = context
        self._exits = base_urls
        self._retired = False
        self._retry: IDelayedCall | None = None
        self._next: float | None = None

    @property
    def waiting(self) -> bool:
        """Whether nothing may go before a time that was set."""
        return self._retry is not None

    @property
    def next_in(self) -> float | None:
        """Seconds until the next attempt; None: none is waited for."""
        return None if self._next is None else max(0.0, round(self._next - self._context.clock.seconds(), 1))

    def fail(self, why: str, *, at_least: float | None = None, network: bool = False) -> None:
        """A request is to be tried again, after a wait: ours, or the breaker's where the URL is in trouble."""
        if self._retired:
            return
        self.last_error = why
        if network and len(self._exits) > 1 and self._exits.state == "closed":
            # Another URL stands by: there is nothing to wait for.
            return
        self.window = 1
        if self._retry is not None:
            # Requests that were in flight together fail together: one failure.
            return
        if self.parked is not None:
            self.park(self.parked)
            return
        self.failures += 1
        wait = doubling(self.failures, first=FIRST_WAIT, longest=LONGEST_WAIT)
        if network and self._exits.state != "closed":
            wait = max(0.0, self._exits.retry_at - self._context.clock.seconds())
        wait = max(wait, at_least or 0.0)
        if self.failures & (self.failures - 1) == 0:
            # The first failure and then ever fewer: an outage of a weekend is a few lines.
            log.warn(
                "intake {intake}: {why}; attempt {n}, next in {wait:.1f} s; events are kept",
                intake=self._name, why=why, n=self.failures, wait=wait,
            )  # fmt: skip
        if at_least or not network or self._exits.state == "closed":
            self.wait(wait)

    def park(self, why: str) -> None:
        """The collector does not take this intake's events at all."""
        if self.parked != why:
            text = f"intake {self._name} is parked: {why}; its events are kept, the others are not concerned"
            self._context.alarms.on("parked", self._name, text)
        self.parked = self.last_error = why
        self.window = 1
        self.wait(PARKED_WAIT * random.uniform(0.9, 1.1))

    def unpark(self) -> None:
        """It is parked no longer, if it was."""
        if self.parked is not None and not self._retired:
            self.parked = None
            self._context.alarms.off("parked", self._name, f"intake {self._name} is parked no longer")

    def succeeded(self) -> None:
        """A request was accepted."""
        self.unpark()
        self.failures = 0
        self.last_error = self.parked
        self.window = min(self._most, self.window * 2)

    def change(self, base_urls: BaseUrls, *, most: int) -> None:
        """Under another configuration: whatever was waited for may be different now."""
        self._exits = base_urls
        self._most = most
        if self._retired:
            self._retired, self.parked, self.last_error = False, None, None
        self.unpark()
        self.failures = 0
        self.stop()

    def retire(self, why: str) -> None:
        """There is no attempt any more, until the next ``change``."""
        self.unpark()
        self.stop()
        self._retired = True
        self.parked = self.last_error = why

    def stop(self) -> None:
        """Wait no longer."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = self._next = None

    def wait(self, seconds: float) -> None:
        """Nothing may go before so many seconds have passed; a wait under way stays."""
        if self._retry is None:
            self._retry = self._context.clock.callLater(seconds, self._try_again)
            self._next = self._context.clock.seconds() + seconds

    def _try_again(self) -> None:
        self._retry = self._next = None
        self._context.dispatcher.wake()
