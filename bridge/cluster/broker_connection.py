"""Keeps one connection to a cluster of brokers open. Tries the brokers in turn, starting with a random one.

==========  ====================================================================================
connecting  a broker is tried, or no broker has answered and all are tried again after a wait
up          the connection is open
blocked     the connection is open, but the broker blocks publishers (low on disk or memory)
stopped     before ``start`` and after ``stop``
==========  ====================================================================================

Publishers and consumers have one connection each. A broker that blocks publishers must not stop the consumers from
emptying the queues.
"""

import random
from collections.abc import Callable, Sequence

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.cluster.broker import BrokerError, BrokerLost, BrokerSession, Channel, Connect, QueueMismatch
from bridge.deliver.backoff import doubling

FIRST_WAIT, LONGEST_WAIT = 0.5, 5.0
"Seconds to wait after no broker has answered: the first wait, and the longest."

log = Logger(namespace="fleet")


class BrokerConnection:
    """Keeps a session with one of several brokers. ``purpose`` names the connection in log lines. ``on_connected`` is
    called for each new session, ``on_change`` when state or error change."""

    def __init__(
        self, purpose: str, urls: Sequence[str], *, connect: Connect, clock: IReactorTime,
        on_connected: Callable[[], None] = lambda: None, on_change: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.state = "stopped"
        self.since = clock.seconds()
        "Monotonic time of the last change of state, in seconds."
        self.broker = ""
        "Address of the broker that was tried or connected last."
        self.last_error: str | None = None
        "Error of the last attempt or session; None while the connection is up."
        self._on_connected = on_connected
        self._on_change = on_change
        self._purpose = purpose
        self._urls = list(urls)
        self._connect = connect
        self._clock = clock
        self._next = random.randrange(len(urls))
        self._failed_attempts = 0
        self._failed_rounds = 0
        self._session: BrokerSession | None = None
        self._call: IDelayedCall | None = None

    # --- status ------------------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """True if there is a session, blocked or not."""
        return self._session is not None

    @property
    def unavailable_for(self) -> float:
        """Seconds since batches can no longer be published; 0 if they can."""
        return 0.0 if self.state == "up" else self._clock.seconds() - self.since

    @property
    def description(self) -> str:
        """State of the connection, for the operator."""
        if self.state == "up":
            return f"connected to {self.broker}"
        if self.state == "blocked":
            return f"{self.broker} blocks publishers: {self.last_error}"
        if self.last_error is not None:
            return f"no broker answers; {self.broker}: {self.last_error}"
        return "connecting" if self.state != "stopped" else "stopped"

    # --- lifecycle ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connects, and reconnects when the session is lost."""
        self._set_state("connecting")
        self._try()

    async def stop(self) -> None:
        """Closes the session in order and stops reconnecting."""
        session, self._session = self._session, None
        self._set_state("stopped")
        if self._call is not None and self._call.active():
            self._call.cancel()
        if session is not None:
            await session.close()

    def abort(self, why: str) -> None:
        """Closes a session on which the broker does not respond, and tries another broker."""
        session = self._session
        if session is not None:
            self.last_error = why
            self._warn("{purpose}: closing the connection to {broker}: {why}", why)
            session.abort()

    def channel(self) -> "defer.Deferred[Channel]":
        """Opens a channel. Fails with BrokerLost if there is no session."""
        if self._session is None:
            return defer.fail(BrokerLost(self.description))
        return self._session.channel()

    async def open_queue(self, queue: str, max_bytes: int) -> tuple[Channel, QueueMismatch | None]:
        """Opens a channel and declares a queue. A queue with other arguments is used as it is; then the mismatch is
        returned as well. Raises BrokerError."""
        channel = await self.channel()
        try:
            await channel.declare(queue, max_bytes)
        except QueueMismatch as mismatch:
            channel = await self.channel()
            await channel.inspect(queue)
            return channel, mismatch
        return channel, None

    def _try(self) -> None:
        self.broker = self._urls[self._next]
        self._next = (self._next + 1) % len(self._urls)
        self._connect(self.broker).addCallbacks(self._opened, self._refused).addErrback(self._defect)

    def _opened(self, session: BrokerSession) -> None:
        if self.state == "stopped":
            session.abort()
            return
        self._session = session
        self._failed_attempts = self._failed_rounds = 0
        self.last_error = None
        self._set_state("up")
        log.info("{purpose}: connected to {broker}", purpose=self._purpose, broker=self.broker)
        session.on_blocked(lambda reason: self._blocked(session, reason))
        session.on_lost(lambda reason: self._lost(session, reason))
        if self._session is session:
            self._on_connected()

    def _refused(self, failure: Failure) -> None:
        failure.trap(BrokerError)
        if self.state == "stopped":
            return
        if self.last_error != (why := str(failure.value)):
            self._warn("{purpose}: {broker}: {why}", why)
        self.last_error = why
        self._failed_attempts += 1
        if self._failed_attempts % len(self._urls):
            self._try()
        else:
            self._failed_rounds += 1
            self._retry_later()
        self._on_change()

    def _retry_later(self) -> None:
        wait = doubling(self._failed_rounds, first=FIRST_WAIT, longest=LONGEST_WAIT)
        self._call = self._clock.callLater(max(wait, 0.05), self._try)

    def _blocked(self, session: BrokerSession, reason: str | None) -> None:
        if session is not self._session:
            return
        self.last_error = None if reason is None else f"the broker says: {reason}"
        self._set_state("up" if reason is None else "blocked")

    def _lost(self, session: BrokerSession, reason: str) -> None:
        if session is not self._session:
            return
        self._session = None
        self.last_error = self.last_error or reason
        self._warn("{purpose}: the connection to {broker} is lost: {why}", self.last_error)
        # If the broker blocked publishers before, the connection has been unavailable since then.
        since = self.since if self.state == "blocked" else self._clock.seconds()
        self._set_state("connecting")
        self.since = since
        # Try the next broker after a short pause only: a broker may accept connections just to close them.
        self._failed_rounds = 1
        self._call = self._clock.callLater(0.1, self._try)

    def _warn(self, text: str, why: str) -> None:
        log.warn(text, purpose=self._purpose, broker=self.broker, why=why)

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state, self.since = state, self._clock.seconds()
            self._on_change()

    def _defect(self, failure: Failure) -> None:
        log.failure("defect while connecting to a broker", failure)
        if self.state != "stopped" and self._session is None:
            self.last_error = f"defect: {failure.value!r}"
            self._failed_rounds += 1
            self._retry_later()
