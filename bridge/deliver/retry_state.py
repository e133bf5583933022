"""Decides when the next request of an intake may start: back-off, parking, and the number of requests in flight.

Requests that fail together count as one failure. A parked intake makes one attempt every few minutes. A success ends
back-off and parking. The success of another intake at the same base URL shortens the wait of a back-off to
``RESUME_WITHIN`` seconds, but not the wait that the collector asked for and not that of a parked intake.
"""

import random

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from bridge.deliver.backoff import doubling
from bridge.deliver.cause import Cause
from bridge.deliver.circuit_breaker import BaseUrls
from bridge.deliver.context import DeliveryContext

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"Minimum and maximum seconds between two attempts."
PARKED_WAIT = 180.0
"Seconds between two attempts of a parked intake."
RESUME_WITHIN = 1.5
"Maximum of the seconds until the next attempt after the base URL has accepted a request of another intake."

log = Logger(namespace="deliver")


class RetryState:
    """Retry state of one intake. ``max_in_flight`` is the configured limit of requests in flight."""

    def __init__(self, name: str, *, max_in_flight: int, context: DeliveryContext, base_urls: BaseUrls) -> None:
        self.last_error: str | None = None
        self.last_cause: Cause | None = None
        "Cause of the last error, if it is known."
        self.failing_since: float | None = None
        "Monotonic time of the first failure since a request was accepted; None if there was none."
        self.parked: str | None = None
        "Reason why the intake is parked; None if it is not parked."
        self.failures = 0
        "Consecutive failures."
        self.window = 1
        "Number of requests that may be in flight. It doubles with each success and returns to 1 after a failure."
        self._parked_cause: Cause | None = None
        self._name = name
        self._max_in_flight = max_in_flight
        self._context = context
        self._base_urls = base_urls
        self._retired = False
        self._retry: IDelayedCall | None = None
        self._asked_to_wait = False
        "True if the collector sent the wait as ``Retry-After``."

    @property
    def waiting(self) -> bool:
        """Returns True while a wait is running and no request may start."""
        return self._retry is not None

    @property
    def next_in(self) -> float | None:
        """Returns the seconds until the next attempt; None if no wait is set."""
        now = self._context.clock.seconds()
        return None if self._retry is None else max(0.0, round(self._retry.getTime() - now, 1))

    def fail(
        self, why: str, cause: Cause | None = None, *, at_least: float | None = None, network: bool = False
    ) -> None:
        """Records that a request must be retried, and sets a wait. If the base URL is unavailable, its circuit
        breaker sets the wait instead."""
        if self._retired:
            return
        self.last_error, self.last_cause = why, cause
        if network and len(self._base_urls) > 1 and self._base_urls.state == "closed":
            # Another URL is available, so no wait is needed.
            return
        self.window = 1
        if self._retry is not None:
            # Requests that were in flight together fail together. That is one failure.
            if at_least and at_least > (self.next_in or 0.0):
                self._asked_to_wait = True
                self._retry.reset(at_least)
            return
        if self.parked is not None:
            self.park(self.parked, self._parked_cause)
            return
        self._end_alarm()
        self.failures += 1
        self._note_failing()
        wait = doubling(self.failures, first=FIRST_WAIT, longest=LONGEST_WAIT)
        if network and self._base_urls.state != "closed":
            wait = max(0.0, self._base_urls.retry_at - self._context.clock.seconds())
        wait = max(wait, at_least or 0.0)
        if self.failures & (self.failures - 1) == 0:
            # Logs the 1st, 2nd, 4th, 8th failure and so on, so that a weekend's outage is a few lines.
            log.warn(
                "intake {intake}: {why}; attempt {n}, next in {wait:.1f} s; events are kept",
                intake=self._name, why=why, n=self.failures, wait=wait,
            )  # fmt: skip
        if at_least or not network or self._base_urls.state == "closed":
            self.wait(wait)
            self._asked_to_wait = bool(at_least)

    def cannot_read(self, why: str) -> None:
        """Records that files of the spool cannot be read."""
        self.fail(why, Cause.FILES)

    def note_defect(self, error: BaseException | None) -> None:
        """Records that this program has failed."""
        self.fail(f"defect: {error!r}", Cause.DEFECT)

    def resume(self) -> None:
        """Shortens the wait of a back-off, because the base URL has accepted a request of another intake."""
        if self._retry is None or not self.failures or self._asked_to_wait or self.parked is not None:
            return
        self._retry.reset(min(self.next_in or 0.0, random.uniform(0.0, RESUME_WITHIN)))

    def _note_failing(self) -> None:
        if self.failing_since is None:
            self.failing_since = self._context.clock.seconds()

    def note_error(self, why: str, cause: Cause | None = None) -> None:
        """Records an error after which no wait is needed."""
        self.last_error, self.last_cause = why, cause

    def park(self, why: str, cause: Cause | None = None) -> None:
        """Parks the intake, because the collector accepts none of its events."""
        if self.parked != why:
            # After a new key that is wrong too, the alarm is still active and keeps its begin.
            self._context.alarms.on("parked", self._name, self._parked_text(why))
        self._note_failing()
        self.parked = self.last_error = why
        self.last_cause = self._parked_cause = cause
        self.window = 1
        self.wait(PARKED_WAIT * random.uniform(0.9, 1.1))

    def _parked_text(self, why: str) -> str:
        return f"intake {self._name} is parked: {why}. Its events stay in the spool; other intakes continue."

    def unpark(self) -> None:
        """Ends parking, if the intake is parked."""
        if self.parked is not None and not self._retired:
            self.parked = None
        self._end_alarm()

    def _end_alarm(self) -> None:
        self._context.alarms.off("parked", self._name, f"intake {self._name} is no longer parked")

    def succeeded(self) -> None:
        """Records an accepted request."""
        self.unpark()
        self.failures = 0
        self.failing_since = None
        self.last_error = self.parked
        self.window = min(self._max_in_flight, self.window * 2)

    def nothing_waits(self) -> None:
        """Ends a back-off, because no events are left to send. The next event still waits for its end. A parked intake
        stays parked: the collector would not accept its next event either."""
        if self.parked is None:
            self.failures = 0
            self.failing_since = self.last_error = self.last_cause = None

    def change(self, base_urls: BaseUrls, *, max_in_flight: int) -> None:
        """Applies another configuration. It ends waits and parking, because their cause may be gone."""
        self._base_urls = base_urls
        self._max_in_flight = max_in_flight
        if self._retired:
            self._retired, self.parked, self.last_error, self.failing_since = False, None, None, None
        if (why := self.parked) is not None:
            # The next attempt shows whether the new configuration has fixed the cause.
            self.parked = None
            self._context.alarms.on("parked", self._name, self._parked_text(why), lasts=PARKED_WAIT)
        self.failures = 0
        self.stop()

    def retire(self, why: str) -> None:
        """Makes no further attempts until the next ``change``."""
        self.unpark()
        self.stop()
        self._retired = True
        self.parked = self.last_error = why
        self.last_cause = Cause.RETIRED

    def stop(self) -> None:
        """Cancels the wait."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def wait(self, seconds: float) -> None:
        """Lets no request start for this many seconds. A wait that is already running stays unchanged."""
        if self._retry is None:
            self._retry = self._context.clock.callLater(seconds, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._context.dispatcher.wake()
