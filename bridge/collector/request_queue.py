"""Processes the bodies of requests one at a time and in slices, so that no request holds the reactor.

Only one request is parsed and stored at a time. While it waits for the sync, nothing holds its events, so only one body
is held inflated. Clients take turns: after a request of one client follows the oldest request of the next one, however
many requests a client sends.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.collector.refusal import Refusal

SLICE_SECONDS = 0.01
"Seconds for which requests are processed in one reactor turn."


class AbandonedError(Exception):
    """Raised when the client of a request is gone before anything of it is stored."""


class Pace(Protocol):
    """Declares how the work for one request is divided among reactor turns."""

    async def pause(self) -> None:
        """Lets the reactor handle other work if this turn's time is used up. Raises AbandonedError."""

    def keep(self) -> None:
        """Called before the first event is stored: the rest is stored even if the client is gone."""

    def end(self) -> None:
        """Called when the request needs no more processing."""


class Unpaced:
    """Never pauses: the work is done in one reactor turn."""

    async def pause(self) -> None:
        """Does nothing."""

    def keep(self) -> None:
        """Does nothing."""

    def end(self) -> None:
        """Does nothing."""


UNPACED = Unpaced()


class RequestTurn:
    """The right of one request to be processed, until ``end`` is called."""

    def __init__(self, queue: "RequestQueue") -> None:
        self._queue = queue
        self._abandoned = self._kept = self._ended = False

    async def pause(self) -> None:
        self._check()
        await self._queue.pause()
        # The client may have gone while the request waited.
        self._check()

    def _check(self) -> None:
        if self._abandoned and not self._kept:
            raise AbandonedError

    def keep(self) -> None:
        self._kept = True

    def abandon(self) -> None:
        """Stops the work at its next pause, unless something is stored already: the client is gone."""
        self._abandoned = True

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._queue.end_turn()


class RequestQueue:
    """Decides which request is processed next, and for how long in one reactor turn.

    ``after_turn`` schedules one call of a function for the end of the reactor turn. With it, several requests that need
    little are processed in one turn, which may be long under load; without it, one.
    """

    def __init__(self, clock: IReactorTime, after_turn: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._clock = clock
        self._after_turn = after_turn
        self._waiting: dict[str, deque[defer.Deferred[None]]] = {}
        "Requests that wait, by client. The client whose turn is next is first."
        self._busy = self._hurrying = self._closed = False
        self._began: float | None = None
        "Time at which the first request of this reactor turn began; None before."
        self._paused: tuple[IDelayedCall, defer.Deferred[None]] | None = None

    async def turn(self, client: str) -> RequestTurn:
        """Waits until a request of a client may be processed. Raises Refusal once the queue is closed."""
        if self._closed:
            raise _stopping()
        if self._busy:
            waiting: defer.Deferred[None] = defer.Deferred()
            self._waiting.setdefault(client, deque()).append(waiting)
            await waiting
        self._busy = True
        self._begin_slice()
        return RequestTurn(self)

    def end_turn(self) -> None:
        """Lets the next request begin: at the end of this reactor turn if its time is not used up, or in the next."""
        self._hurrying = False
        if not self._waiting:
            self._busy = False
            return
        # Still busy: a request that arrives before the next one begins must wait as well.
        in_next_turn = self._clock.callLater(0, self._begin_next)
        if self._after_turn is not None and not self._is_used_up():
            self._after_turn(lambda: self._begin_early(in_next_turn))

    def _begin_early(self, in_next_turn: IDelayedCall) -> None:
        if in_next_turn.active():
            in_next_turn.cancel()
            self._begin_next()

    async def pause(self) -> None:
        """Lets the reactor handle other work if this turn's time is used up."""
        if self._began is None:
            # The request waited for something else since.
            self._begin_slice()
        elif not self._hurrying and self._is_used_up():
            waiting: defer.Deferred[None] = defer.Deferred()
            self._paused = self._clock.callLater(0, self._resume), waiting
            await waiting

    def _is_used_up(self) -> bool:
        return self._began is not None and self._clock.seconds() - self._began >= SLICE_SECONDS

    def _begin_slice(self) -> None:
        if self._began is None:
            self._began = self._clock.seconds()
            self._clock.callLater(0, self._end_slice)

    def _end_slice(self) -> None:
        self._began = None

    def _resume(self) -> None:
        if self._paused is not None:
            waiting, self._paused = self._paused[1], None
            self._began = None
            self._begin_slice()
            waiting.callback(None)

    def _begin_next(self) -> None:
        if not self._waiting:
            self._busy = False
            return
        client = next(iter(self._waiting))
        requests = self._waiting.pop(client)
        waiting = requests.popleft()
        if requests:
            self._waiting[client] = requests
        waiting.callback(None)

    def close(self) -> None:
        """Finishes the current request in this reactor turn, and refuses all that wait or arrive later."""
        self._closed = self._hurrying = True
        if self._paused is not None:
            self._paused[0].cancel()
            self._resume()
        refused, self._waiting = self._waiting, {}
        for requests in refused.values():
            for waiting in requests:
                waiting.errback(_stopping())


def _stopping() -> Refusal:
    return Refusal(503, "the gateway is stopping, no event was taken; send them again", headers={"Retry-After": "10"})
