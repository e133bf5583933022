"""Delivers one intake's batches: takes them in turn, posts, settles what the answer says.

States: **idle** (nothing waits), **delivering**, **backing-off** (the last request failed; one at a time until one is
accepted). A request that failed leaves its batches where they were.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from isal import igzip
from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.batching.grouping import NO_TIME
from bridge.deliver import outcome
from bridge.deliver.client import Answer, in_words
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.lanes import Lanes
from bridge.deliver.outcome import Outcome, Verdict
from bridge.ledger import Ledger
from bridge.spool import Batch, Piece, reading
from bridge.syslog.timestamps import rfc3339

T = TypeVar("T")

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"Seconds between two attempts."

log = Logger(namespace="deliver")


class Store(Protocol):
    """What holds sealed batches until they are acknowledged."""

    def acknowledge(self, batches: list[Batch]) -> None:
        """These have been delivered."""

    def set_aside(self, batch: Batch, why: str) -> None:
        """This one cannot be read: it goes to quarantine."""


class Poster(Protocol):
    """What posts."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Answer]":
        """POST a body; any status is an Answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an intake's events go. ``repr`` shows no key."""

    url: str
    "The endpoint's whole URL."
    headers: Callable[[], dict[str, str]]
    "The authentication, made anew for each request."
    gzip: bool

    def __repr__(self) -> str:
        return f"Target({self.url})"


@dataclass(frozen=True, slots=True)
class Turn:
    """How requests are made up."""

    in_flight: int
    max_events: int
    max_bytes: int
    resolution_ms: int
    catch_up_ms: int
    live_for: float = 10.0
    live_first: bool = True


class Courier:
    """One intake. ``in_thread`` runs a job in the spool's thread."""

    def __init__(
        self,
        name: str,
        target: Target,
        turn: Turn,
        *,
        clock: IReactorTime,
        poster: Poster,
        store: Store,
        ledger: Ledger,
        dispatcher: Dispatcher,
        in_thread: Callable[[Callable[[], Any]], "defer.Deferred[Any]"],
    ) -> None:
        self.name = name
        self.last_error: str | None = None
        self.waiting_events = 0
        "Sealed events that are not accepted yet."
        self.waiting_bytes = 0
        self.delivered = 0
        self.requests: dict[str, int] = {}
        self._target = target
        self._turn = turn
        self._clock = clock
        self._poster = poster
        self._store = store
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._in_thread = in_thread
        self._lanes = Lanes(live_for=turn.live_for, live_first=turn.live_first)
        self._batches: dict[Batch, None] = {}
        self._failures = 0
        self._retry: IDelayedCall | None = None
        self._in_flight = 0

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """idle, delivering or backing-off"""
        if self._failures:
            return "backing-off"
        return "delivering" if self._batches else "idle"

    @property
    def oldest(self) -> Batch | None:
        """The sealed batch that has waited longest."""
        return min(self._batches, key=lambda batch: batch.sequence, default=None)

    # --- the dispatcher's view ---------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether a request could start now."""
        if not len(self._lanes):
            return False
        if self._failures:
            return self._in_flight == 0 and self._retry is None
        return self._in_flight < self._turn.in_flight

    def start(self) -> bool:
        """Start the next request."""
        catching_up = self._dispatcher.limited or self._lanes.has_backlog
        pieces = self._lanes.take(
            self._clock.seconds(),
            width_ms=self._turn.catch_up_ms if catching_up else self._turn.resolution_ms,
            max_events=self._turn.max_events,
            max_bytes=self._turn.max_bytes,
        )
        if not pieces:
            return False
        self._in_flight += 1
        first = pieces[0]
        act = self._cut(first.batch) if first.batch.timed and first.lines is None else self._deliver(pieces)
        defer.ensureDeferred(act).addErrback(self._failed_inside, pieces).addBoth(self._ended)
        return True

    def add(self, batch: Batch) -> None:
        """A batch was sealed."""
        self._batches[batch] = None
        self.waiting_events += batch.count
        self.waiting_bytes += batch.size
        self._lanes.add(batch, self._clock.seconds())
        self._dispatcher.wake()

    def stop(self) -> None:
        """No further attempts."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    # --- one request -------------------------------------------------------------------------------------------------

    async def _deliver(self, pieces: list[Piece]) -> None:
        try:
            body = await self._in_thread(lambda: self._body(pieces))
        except reading.Damaged as damage:
            self._set_aside(pieces, str(damage))
            return
        except OSError as error:
            self._put_back(pieces, f"cannot read the spool: {error}")
            return
        count = sum(piece.count for piece in pieces)
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Request-ID": str(pieces[0].batch.sequence)}
        earliest = min(piece.earliest for piece in pieces)
        if earliest != NO_TIME:
            headers["X-SEKOIAIO-EVENT-TIMESTAMP"] = rfc3339(earliest)
        if self._target.gzip:
            headers["Content-Encoding"] = "gzip"
        try:
            answer = await self._poster.post(self._target.url, body, headers | self._target.headers())
        except Exception:
            self._settle(pieces, Outcome(Verdict.RETRY, in_words(Failure())))
        else:
            self._settle(pieces, outcome.read(answer, count))

    def _body(self, pieces: list[Piece]) -> bytes:
        """The request's body; in the spool's thread."""
        parts = [reading.as_plain(piece) for piece in pieces]
        for piece in pieces:
            reading.begin_sending(piece.batch)
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        body = body[:-1]
        return igzip.compress(body, compresslevel=1) if self._target.gzip else body

    async def _cut(self, batch: Batch) -> None:
        """A timed batch becomes pieces that each fit one request."""
        turn = self._turn
        try:
            cut = await self._in_thread(
                lambda: reading.cut_by_time(batch, turn.resolution_ms, turn.max_events, turn.max_bytes)
            )
        except reading.Damaged as damage:
            self._set_aside([Piece.whole(batch)], str(damage))
        except OSError as error:
            self._put_back([Piece.whole(batch)], f"cannot read the spool: {error}")
        else:
            self._lanes.put_back(cut, self._clock.seconds())

    def _settle(self, pieces: list[Piece], result: Outcome) -> None:
        """Do what the outcome says. The ledger moves here, and nowhere else on the way out."""
        self.requests[result.verdict.value] = self.requests.get(result.verdict.value, 0) + 1
        if result.verdict is Verdict.RETRY:
            self._put_back(pieces, result.reason)
            return
        count = sum(piece.count for piece in pieces)
        self._ledger.deliver(self.name, result.accepted)
        self.delivered += result.accepted
        if short := count - result.accepted:
            self._ledger.drop_spooled(self.name, short, "collector_shortfall")
            self.last_error = f"the collector named {result.accepted} of {count} events as accepted"
            log.warn("intake {intake}: {why}", intake=self.name, why=self.last_error)
        elif self._failures:
            log.info("intake {intake}: delivering again", intake=self.name)
            self.last_error = None
        self._failures = 0
        self._acknowledge(pieces)

    def _acknowledge(self, pieces: list[Piece]) -> None:
        gone = []
        for piece in pieces:
            batch = piece.batch
            batch.unacknowledged -= piece.count
            self.waiting_events -= piece.count
            if batch.unacknowledged <= 0:
                self.waiting_bytes -= batch.size
                del self._batches[batch]
                gone.append(batch)
        if gone:
            self._store.acknowledge(gone)

    def _put_back(self, pieces: list[Piece], why: str) -> None:
        self._lanes.put_back(pieces, self._clock.seconds())
        self.last_error = why
        if self._retry is not None:
            # Requests that were in flight together fail together: one failure.
            return
        self._failures += 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1.0)
        if self._failures == 1 or self._failures & (self._failures - 1) == 0:
            # The first failure and then ever fewer: an outage of a weekend is a few lines.
            log.warn(
                "intake {intake}: {why}; attempt {n}, next in {wait:.1f} s; events are kept",
                intake=self.name, why=why, n=self._failures, wait=wait,
            )  # fmt: skip
        self._retry = self._clock.callLater(wait, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._dispatcher.wake()

    def _set_aside(self, pieces: list[Piece], why: str) -> None:
        """One file of a request is not what its name says: it goes, the others wait again."""
        bad = [piece for piece in pieces if str(piece.batch.path) in why] or pieces[:1]
        for piece in bad:
            log.error("intake {intake}: {why}; moved to quarantine", intake=self.name, why=why)
            batch = piece.batch
            self.waiting_events -= batch.unacknowledged
            self.waiting_bytes -= batch.size
            self._ledger.quarantine(self.name, batch.unacknowledged)
            del self._batches[batch]
            self._store.set_aside(batch, why)
        self._lanes.put_back([piece for piece in pieces if piece not in bad], self._clock.seconds())

    def _failed_inside(self, failure: Failure, pieces: list[Piece]) -> None:
        """A defect of ours must not lose a batch or stop the intake."""
        log.failure("intake {intake}: defect while delivering", failure, intake=self.name)
        self._put_back([piece for piece in pieces if piece.batch in self._batches], f"defect: {failure.value!r}")

    def _ended(self, result: object) -> None:
        self._in_flight -= 1
        self._dispatcher.ended()
