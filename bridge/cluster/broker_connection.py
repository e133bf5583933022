"""One connection that is kept up: its brokers are tried in turn, from one that differs from node to node.

==========  ==============================================================
connecting  a broker is being tried
up          it is open
blocked     open, but the broker hears no publisher (its disk or memory)
waiting     none has answered; all are tried again in a moment
stopped     at the end
==========  ==============================================================

Publishing and taking have a link each: what blocks the one must not keep the other from emptying the queues.
"""

import random
from collections.abc import Callable, Sequence

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.cluster.broker import (
    BrokerError,
    BrokerLost,
    BrokerSession,
    Channel,
    Connect,
)
from bridge.deliver.backoff import doubling

FIRST_WAIT, LONGEST_WAIT = 0.5, 5.0
"Seconds after a round in which no broker has answered."

log = Logger(namespace="fleet")


class BrokerConnection:
    """To one of several brokers. ``what`` it is for, in a word."""

    def __init__(self, what: str, urls: Sequence[str], *, connect: Connect, clock: IReactorTime) -> None:
        self.state = "stopped"
        self.since = clock.seconds()
        "When it came into this state, in monotonic seconds."
        self.broker = ""
        "The address that it is, or was last, connected to."
        self.trouble: str | None = None
        "What went wrong last; None while it is up."
        self.sessions = 0
        "Opened since start."
        self.on_up: list[Callable[[], None]] = []
        self.on_change: list[Callable[[], None]] = []
        self._what = what
        self._urls = list(urls)
        self._connect = connect
        self._clock = clock
        self._next = random.randrange(len(urls))
        self._failed = 0
        self._periodic_tasks = 0
        self._session: BrokerSession | None = None
        self._call: IDelayedCall | None = None

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether there is a session, blocked or not."""
        return self._session is not None

    @property
    def away_for(self) -> float:
        """Seconds for which nothing could be published; 0: it can."""
        return 0.0 if self.state == "up" else self._clock.seconds() - self.since

    @property
    def words(self) -> str:
        """Its state, for the operator."""
        if self.state == "up":
            return f"connected to {self.broker}"
        if self.state == "blocked":
            return f"{self.broker} takes nothing: {self.trouble}"
        if self.trouble is not None:
            return f"no broker answers; {self.broker}: {self.trouble}"
        return "connecting" if self.state != "stopped" else "stopped"

    # --- its life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, and stay so."""
        self._become("connecting")
        self._try()

    async def stop(self) -> None:
        """End in order."""
        session, self._session = self._session, None
        self._become("stopped")
        if self._call is not None and self._call.active():
            self._call.cancel()
        if session is not None:
            await session.close()

    def abort(self, why: str) -> None:
        """What is said on this session has no effect: try another broker."""
        session = self._session
        if session is not None:
            self.trouble = why
            log.warn("{what}: {broker} is given up: {why}", what=self._what, broker=self.broker, why=why)
            session.abort()

    def channel(self) -> "defer.Deferred[Channel]":
        """A new conversation. Fails with Lost where there is no session."""
        if self._session is None:
            return defer.fail(BrokerLost(self.words))
        return self._session.channel()

    def _try(self) -> None:
        self.broker = self._urls[self._next]
        self._next = (self._next + 1) % len(self._urls)
        self._connect(self.broker).addCallbacks(self._opened, self._refused).addErrback(self._defect)

    def _opened(self, session: BrokerSession) -> None:
        if self.state == "stopped":
            session.abort()
            return
        self._session = session
        self._failed = self._periodic_tasks = 0
        self.sessions += 1
        self.trouble = None
        self._become("up")
        log.info("{what}: connected to {broker}", what=self._what, broker=self.broker)
        session.on_blocked(lambda reason: self._blocked(session, reason))
        session.on_lost(lambda reason: self._lost(session, reason))
        if self._session is session:
            for told in list(self.on_up):
                told()

    def _refused(self, failure: Failure) -> None:
        failure.trap(BrokerError)
        if self.state == "stopped":
            return
        if self.trouble != (why := str(failure.value)):
            log.warn("{what}: {broker}: {why}", what=self._what, broker=self.broker, why=why)
        self.trouble = why
        self._failed += 1
        if self._failed % len(self._urls):
            self._try()
        else:
            self._periodic_tasks += 1
            self._again()
        self._tell()

    def _again(self) -> None:
        wait = doubling(self._periodic_tasks, first=FIRST_WAIT, longest=LONGEST_WAIT)
        self._call = self._clock.callLater(max(wait, 0.05), self._try)

    def _blocked(self, session: BrokerSession, reason: str | None) -> None:
        if session is not self._session:
            return
        self.trouble = None if reason is None else f"the broker says: {reason}"
        self._become("up" if reason is None else "blocked")

    def _lost(self, session: BrokerSession, reason: str) -> None:
        if session is not self._session:
            return
        self._session = None
        self.trouble = self.trouble or reason
        log.warn("{what}: {broker} is lost: {why}", what=self._what, broker=self.broker, why=self.trouble)
        # Blocked before, it has been away for longer.
        since = self.since if self.state == "blocked" else self._clock.seconds()
        self._become("connecting")
        self.since = since
        # At once to the next one; but a broker that takes connections only to end them is not asked without a pause.
        self._periodic_tasks = 1
        self._call = self._clock.callLater(0.1, self._try)

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state, self.since = state, self._clock.seconds()
            self._tell()

    def _tell(self) -> None:
        for told in list(self.on_change):
            told()

    def _defect(self, failure: Failure) -> None:
        log.failure("defect while connecting to a broker", failure)
        if self.state != "stopped" and self._session is None:
            self.trouble = f"defect: {failure.value!r}"
            self._periodic_tasks += 1
            self._again()
