"""Delivers one intake's batches: takes them in turn, posts, settles what the answer says.

=============  ======================================================================================
idle           nothing waits
delivering     requests go, up to ``in_flight``
backing-off    the last request failed; one at a time, after a wait, until one is accepted
parked         the collector does not take this intake's events at all: one attempt every few minutes
=============  ======================================================================================

Whatever the answer, an event stays in the spool until it is accepted or in quarantine. The ledger moves on the
reactor, in the turn in which the answer is read; the file goes later, in the spool's thread. What waits is in
``stock``, when the next request may go in ``attempts``; what an answer does is in ``settling``,
and of refused events in ``refusals``.

A courier *aside* posts nothing but the rest of what it has split: another takes its batches away (``bridge.cluster``).
Both draw from the same lanes, so that no batch is in both hands.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.deliver import outcome, split_pieces
from bridge.deliver.body_limit import BodyLimit
from bridge.deliver.circuit_breaker import CircuitBreaker
from bridge.deliver.context import (
    DeliveryContext,
    DeliveryPath,
    HandOver,
    Poster,
    RequestLimits,
)
from bridge.deliver.dispatcher import Slot
from bridge.deliver.failover import BaseUrls
from bridge.deliver.join_window import JoinWidth
from bridge.deliver.outcome import Verdict
from bridge.deliver.pending import PendingBatches
from bridge.deliver.request import Request, RequestTarget, compose
from bridge.deliver.response_handler import Answered, ResponseHandler
from bridge.deliver.retry_state import RetryState
from bridge.spool import (
    Batch,
    Pack,
    Piece,
    batch_reader,
)

NO_WIDTH = 1 << 62
"Milliseconds within which any two times lie."
CUT_BYTES = 32 << 20
"""Of timed batches that all intakes together hold in memory when each cuts several at once, about. The more, the fewer
requests: of clocks spread over S seconds there are S / width for each cut, whatever it holds. A killed process may send
all of it twice, as each batch has been begun."""

RETIRED = "not in the configuration"

log = Logger(namespace="deliver")


class Courier:
    """One intake."""

    def __init__(
        self,
        name: str,
        target: RequestTarget,
        turn: RequestLimits,
        *,
        office: DeliveryContext,
        poster: Poster,
        exits: BaseUrls,
    ) -> None:
        self.name = name
        self.retired = False
        "It is not in the configuration any more: what waits is kept, and nothing is sent."
        self._held = False
        self._way = DeliveryPath(target, poster, exits)
        self._turn = turn
        self._office = office
        self._clock = office.clock
        self._attempts = RetryState(name, most=turn.in_flight, office=office, exits=exits)
        self._stock = PendingBatches(name, turn, office=office, failed=self._attempts.fail, changed=self._changed)
        self._fitting = BodyLimit(turn.max_bytes)
        self._settling = ResponseHandler(
            name, office=office, stock=self._stock, attempts=self._attempts, fitting=self._fitting,
            halve=self._halve, last=self._asks_last,
        )  # fmt: skip
        self._refusals = self._settling.refusals
        self._lanes, self._splits = self._stock.lanes, self._stock.splits
        self._slots: dict[Slot, CircuitBreaker | None] = {}
        "Requests in flight, and the breaker of where they go; None: none goes."
        self._aside: HandOver | None = None
        self._lent = 0
        self._width = JoinWidth(turn.catch_up_ms)
        self._fresh_turn = False
        exits.change(name, None)

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """idle, delivering, backing-off or parked"""
        if self.parked is not None:
            return "parked"
        if self._attempts.failures or (self._stock and self._way.exits.state != "closed"):
            return "backing-off"
        return "delivering" if self._stock else "idle"

    @property
    def parked(self) -> str | None:
        """Why, while it is."""
        return self._attempts.parked

    @property
    def last_error(self) -> str | None:
        """What went wrong last; None since a request was accepted."""
        return self._attempts.last_error

    @property
    def next_attempt_in(self) -> float | None:
        """Seconds until the next attempt; None: none is waited for."""
        own = self._attempts.next_in
        if own is None and self._stock and self._way.exits.state == "open":
            return max(0.0, round(self._way.exits.retry_at - self._clock.seconds(), 1))
        return own

    @property
    def waiting_events(self) -> int:
        """Sealed events that are not settled."""
        return self._stock.events

    @property
    def waiting_bytes(self) -> int:
        """Their bytes, as lines."""
        return self._stock.size

    @property
    def waiting_disk(self) -> int:
        """Allocated bytes of what waits."""
        return self._stock.disk

    @property
    def oldest(self) -> Batch | None:
        """The sealed batch that has waited longest."""
        return self._stock.oldest

    @property
    def oldest_sequence(self) -> int | None:
        """The sequence of the sealed batch that has waited longest, in a pack or not."""
        return self._stock.oldest_sequence

    @property
    def delivered(self) -> int:
        """Events that the collector has taken."""
        return self._settling.delivered

    @property
    def delivered_bytes(self) -> int:
        """Of accepted requests, as text."""
        return self._settling.delivered_bytes

    @property
    def unconfirmed(self) -> int:
        """Delivered events that the collector took without naming them."""
        return self._settling.unconfirmed

    @property
    def last_answer(self) -> Answered | None:
        """What the collector said last."""
        return self._settling.last_answer

    @property
    def last_acceptance(self) -> Answered | None:
        """When it last took events, and which."""
        return self._settling.last_acceptance

    @property
    def requests(self) -> dict[str, int]:
        """Requests by their outcome."""
        return self._settling.requests

    # --- what it is told ---------------------------------------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """A batch was sealed."""
        self._stock.add(batch)
        self._changed()

    def add_pack(self, pack: Pack) -> None:
        """A pack was found at start."""
        self._stock.add_pack(pack)
        self._changed()

    def _changed(self) -> None:
        """There is more to send."""
        if self._aside is not None:
            self._aside.wake()
        self._office.dispatcher.offer(self)

    def drop_oldest(self) -> Batch | Pack | None:
        """Forget the oldest batch, or pack, of which nothing is in flight or settled, None: there is none.

        The caller sees to file and account.
        """
        return self._stock.drop_oldest()

    def tidy(self) -> None:
        """Pack what waits in too many files. Called several times a second."""
        if self._aside is not None:
            away = self._aside.stuck
        else:
            away = bool(self._attempts.failures) or self.parked is not None or self._way.exits.state != "closed"
        self._stock.tidy(away=away)

    def stop(self) -> None:
        """No further attempts."""
        self._attempts.stop()

    # --- a new configuration -----------------------------------------------------------------------------------------

    def change(self, way: DeliveryPath, turn: RequestLimits) -> None:
        """Go on under another configuration, and try at once. Requests in flight end as they began; what is split
        stays so."""
        old, self._way = self._way, way
        way.exits.change(self.name, old.exits)
        if way.target.url != old.target.url:
            self._fitting.forget()
        if turn.catch_up_ms != self._turn.catch_up_ms:
            self._width = JoinWidth(turn.catch_up_ms)
        self._turn = turn
        self._lanes.change(live_for=turn.live_for, live_first=turn.live_first, now=self._clock.seconds())
        self.retired = False
        self._refusals.in_a_row = 0
        self._attempts.change(way.exits, most=turn.in_flight)
        self._office.dispatcher.wake()

    def retire(self) -> None:
        """Its intake is not in the configuration: keep what waits and what comes, send nothing."""
        self.retired = True
        self._attempts.retire(RETIRED)

    def leave(self) -> None:
        """Nothing waits, and nobody asks for it any more."""
        self.stop()
        self._way.exits.leave(self.name)

    # --- at rest, for whoever would change what waits ----------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it is in flight or being packed."""
        return not self._slots and not self._lent and not self._stock.shelf.busy

    def hold(self) -> None:
        """Start nothing, until ``go_on``."""
        self._held = True

    def go_on(self) -> None:
        """Start requests again."""
        self._held = False
        self._changed()

    def release(self) -> list[tuple[Batch | Pack, int]]:
        """Forget all that waits whole, with the number of its events that are not settled; the caller has file and
        account. To be asked of a courier at rest. What stays is being searched for refused events."""
        self._refusals.pardon()
        return self._stock.release()

    # --- another way for its batches ---------------------------------------------------------------------------------

    def stand_aside(self, taker: HandOver | None) -> None:
        """From now on ``taker`` takes what waits; None: the courier posts again."""
        if taker is self._aside:
            return
        self._aside = taker
        if taker is not None:
            self._refusals.pardon()
        self._changed()

    @property
    def lends(self) -> bool:
        """Whether there is something to lend, or will be in a moment."""
        return not self._held and not self.retired and bool(len(self._lanes) or self._lanes.hungry)

    def lend(self) -> Piece | None:
        """The next batch, or part of one, for another way; None: none now. It comes back by one of the three below."""
        if not self.lends:
            return None
        if self._lanes.hungry:
            self._stock.shelf.feed(share=self._office.dispatcher.senders or 1)
        # Of no width: one.
        pieces = self._lanes.take(self._clock.seconds(), width_ms=0, max_events=0, max_bytes=0)
        self._lent += len(pieces)
        return pieces[0] if pieces else None

    def settle_lent(self, piece: Piece) -> list[Batch]:
        """It has arrived; the batches that are settled whole by it."""
        self._lent -= 1
        return self._stock.settle([piece])

    def take_back(self, pieces: list[Piece]) -> None:
        """They have not arrived: they wait again where they stood."""
        self._lent -= len(pieces)
        self._stock.put_back(pieces, split=False)

    def cannot_lend(self, piece: Piece, error: Exception) -> None:
        """It could not be read: it waits again, or goes where its file is not what its name says."""
        self._lent -= 1
        self._cannot_read([piece], split=False, error=error)

    def pardon(self) -> None:
        """Undo all splitting of batches of which nothing is settled yet."""
        self._refusals.pardon()

    def withdraw(self, chosen: Iterable[Batch]) -> list[Batch]:
        """Forget those of which nothing is in flight, wherever their events wait; the caller sees to the account."""
        waiting: Counter[Batch] = Counter()
        for piece in (*self._lanes.pieces(), *self._splits.pieces(), *self._refusals.condemned()):
            waiting[piece.batch] += piece.count
        free = {batch for batch in chosen if batch in self._stock.batches and waiting[batch] >= batch.unacknowledged}
        self._refusals.forget(free)
        self._stock.forget(free)
        return list(free)

    # --- the dispatcher's view ---------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether a request could start now; reads on in packs where requests will need it."""
        if not self._may_start():
            return False
        if self._lanes.hungry and self._aside is None:
            self._stock.shelf.feed(share=self._office.dispatcher.senders or 1)
            if not self._may_start():
                return False
        if not len(self._lanes) or self._aside is not None:
            if not len(self._splits):
                return False
            if wait := self._splits.ready_in(self._clock.seconds()):
                self._attempts.wait(wait)
                return False
        return True

    def _may_start(self) -> bool:
        if self._held or self.retired or self._attempts.waiting:
            return False
        if not len(self._splits) and (self._aside is not None or not (len(self._lanes) or self._lanes.hungry)):
            return False
        if (exit_ := self._exit()) is None:
            return False
        # What hangs at another URL is no trouble of this one.
        slots = [slot for slot, breaker in self._slots.items() if breaker is None or breaker is exit_]
        stalled = any(slot.stalled for slot in slots)
        troubled = self._attempts.failures or self._refusals.in_a_row or self.parked is not None or stalled
        return len(slots) < (1 if troubled else min(self._attempts.window, self._turn.in_flight))

    def _exit(self) -> CircuitBreaker | None:
        """Where the next request goes; None: nowhere now."""
        return self._way.exits.choose(self.name, self._office.dispatcher.connections)

    def start(self) -> bool:
        """Start the next request."""
        now = self._clock.seconds()
        # Fresh batches take turns with a search, but not while it is being refused: one with a bad event of its own
        # would begin a second search before the first has shown that the collector takes anything.
        self._fresh_turn = not self._fresh_turn
        fresh = self._fresh_turn and self._splits.few_suspected and not self._refusals.in_a_row and self._has_fresh
        pieces = [] if fresh else self._splits.take(now)
        split = bool(pieces)
        # What was made smaller keeps the width that it was joined within.
        width_ms = max(self._width.ms, self._turn.resolution_ms) if split else self._width_now()
        if not pieces and self._aside is None:
            pieces = self._from_lanes(now, width_ms)
        if not pieces:
            return False
        exit_ = self._exit()
        assert exit_ is not None, "asked to start though not ready"
        slot = self._office.dispatcher.begin(exit_.patience)
        self._slots[slot] = None
        if any(self._needs_cut(piece, width_ms) for piece in pieces):
            self._office.dispatcher.spare_rate()
            act = self._cut(pieces, width_ms)
        elif self._too_large(pieces):
            self._office.dispatcher.spare_rate()
            act = self._halve(pieces)
        else:
            self._slots[slot] = exit_
            exit_.started()
            act = self._deliver(pieces, split, slot, self._way, exit_)

        def ended(result: object) -> None:
            self._slots.pop(slot, None)
            self._office.dispatcher.end(slot)

        defer.ensureDeferred(act).addErrback(self._failed_inside, pieces).addBoth(ended)
        return True

    def _width_now(self) -> int:
        """How far apart the times of a request may lie, in milliseconds."""
        if self._way.target.endpoint.exact:
            return NO_WIDTH
        catching_up = self._office.dispatcher.limited or self._lanes.has_backlog
        return self._width.ms if catching_up else self._turn.resolution_ms

    def _from_lanes(self, now: float, width_ms: int) -> list[Piece]:
        endpoint = self._way.target.endpoint
        limited = self._office.dispatcher.limited
        max_bytes = min(self._turn.max_bytes, self._fitting.limit)
        pieces = self._lanes.take(
            now,
            width_ms=width_ms,
            narrow_ms=NO_WIDTH if endpoint.exact else self._turn.resolution_ms,
            max_events=1 if endpoint.single else self._turn.max_events,
            max_bytes=max_bytes,
            timed=endpoint.exact,
            uncut_bytes=0 if endpoint.single else CUT_BYTES // (self._office.dispatcher.senders or 1),
        )
        if endpoint.exact or endpoint.single or any(self._needs_cut(piece, width_ms) for piece in pieces):
            # Times that lie further apart would not make fewer requests; or this is none yet.
            return pieces
        size, count = sum(p.size for p in pieces), sum(p.count for p in pieces)
        small = size * 2 < max_bytes and count * 2 < self._turn.max_events
        self._widen(now, limited=limited and small)
        return pieces

    def _widen(self, now: float, *, limited: bool) -> None:
        about = f"intake {self.name}"
        if not self._lanes.has_backlog:
            if self._width.caught_up():
                self._office.alarms.off("width", self.name, f"{about} has caught up: times are as exact as configured")
        elif not limited or self._attempts.failures:
            self._width.held_up()
        elif self._width.falls_behind(now, self._stock.events):
            text = (
                f"{about} falls behind at max_request_rate: the times in one request may now differ by"
                f" {self._width.ms / 1000:g} s"
            )
            self._office.alarms.on("width", self.name, text)

    def _needs_cut(self, piece: Piece, width_ms: int) -> bool:
        endpoint = self._way.target.endpoint
        if endpoint.single and piece.count > 1:
            return True
        if endpoint.exact:
            return False
        # A timed batch, or a range of one that was made when times might lie further apart than now.
        return (piece.batch.timed and piece.lines is None) or (
            piece.times is not None and piece.latest - piece.earliest >= width_ms
        )

    def _asks_last(self) -> bool:
        """Whether the request at hand is the only one, and nothing waits behind it."""
        return not len(self._splits) and not self._has_fresh and len(self._slots) == 1

    @property
    def _has_fresh(self) -> bool:
        return self._aside is None and bool(len(self._lanes))

    def _too_large(self, pieces: list[Piece]) -> bool:
        return sum(p.size for p in pieces) > self._fitting.limit and sum(p.count for p in pieces) > 1

    # --- one request -------------------------------------------------------------------------------------------------

    async def _deliver(
        self, pieces: list[Piece], split: bool, slot: Slot, way: DeliveryPath, exit_: CircuitBreaker
    ) -> None:
        try:
            request = await self._office.in_thread(lambda: self._composed(pieces, way.target))
        except (batch_reader.Damaged, OSError) as error:
            exit_.withdrawn()
            self._cannot_read(pieces, split, error)
            return
        await self._office.dispatcher.send(slot, len(request.data), exit_.patience)
        began = self._clock.seconds()
        try:
            url = way.target.urls[way.exits.position(exit_)]
            answer = await way.poster.post(url, request.data, request.headers | way.target.headers())
        except Exception:
            result = outcome.of_failure(Failure())
            doubtful = result.uncertain
        else:
            result = outcome.read(answer, sum(piece.count for piece in pieces), now=self._office.wall())
            doubtful = result.uncertain or answer.repeated
            if result.verdict is Verdict.ACCEPTED:
                self._office.date_seen(answer.headers.get("date"), self._clock.seconds() - began)
        if key := way.target.key():
            # An answer may repeat what was sent.
            rejected = {i: words.replace(key, "****") for i, words in result.rejected.items()}
            result = replace(result, reason=result.reason.replace(key, "****"), rejected=rejected)
        if doubtful:
            self._may_be_double(pieces)
        if result.network:
            exit_.fault()
        else:
            exit_.answered(self.name, self._clock.seconds() - began)
            self._say_where(way, exit_)
        if result.verdict is not Verdict.ACCEPTED and (way is not self._way or self.retired):
            # What was said to another key, or by another collector, is nothing against this one.
            self.requests[result.verdict.value] += 1
            self._stock.put_back(pieces, split=split)
        else:
            await self._settling.settle(pieces, split, result, request)

    def _say_where(self, way: DeliveryPath, exit_: CircuitBreaker) -> None:
        """Of several URLs, one has answered."""
        if way is not self._way or len(way.exits) < 2:
            return
        urls, position = way.target.urls, way.exits.position(exit_)
        if position:
            text = f"intake {self.name}: {urls[0]} does not answer; its events go to {urls[position]}"
            self._office.alarms.on("failover", self.name, text)
        else:
            self._office.alarms.off("failover", self.name, f"intake {self.name}: {urls[0]} answers again")

    def _may_be_double(self, pieces: list[Piece]) -> None:
        """The collector may have taken these without our knowing, and will get them again. Each counts once."""
        for piece in pieces:
            if not piece.doubtful:
                piece.doubtful = True
                self._office.ledger.may_be_double(self.name, piece.count)

    def _composed(self, pieces: list[Piece], target: RequestTarget) -> Request:
        """The request; in the spool's thread."""
        request = compose(pieces, target)
        self._office.before_sending([piece.batch for piece in pieces])
        batch_reader.begin_all(piece.batch for piece in pieces)
        return request

    async def _cut(self, pieces: list[Piece], width_ms: int) -> None:
        """What cannot go in one request becomes pieces of which each can."""
        turn = self._turn
        most = 1 if self._way.target.endpoint.single else turn.max_events
        if any(self._office.exact(piece.batch.sequence) for piece in pieces):
            width_ms = min(width_ms, turn.resolution_ms)
        try:
            cut = await self._office.in_thread(
                lambda: batch_reader.cut_together(pieces, width_ms, most, turn.max_bytes)
            )
        except (batch_reader.Damaged, OSError) as error:
            self._cannot_read(pieces, split=False, error=error)
        else:
            self._lanes.put_back(cut, self._clock.seconds())

    async def _halve(self, pieces: list[Piece]) -> None:
        """What one request carried becomes two."""
        try:
            halves = await self._office.in_thread(lambda: split_pieces.halves(pieces))
        except (batch_reader.Damaged, OSError) as error:
            self._cannot_read(pieces, split=True, error=error)
        else:
            self._splits.add(*halves)

    # --- trouble of our own ------------------------------------------------------------------------------------------

    def _cannot_read(self, pieces: list[Piece], split: bool, error: Exception) -> None:
        """A file cannot be read: all wait again; or it is not what its name says: then it goes, the others wait."""
        damaged = error.batch if isinstance(error, batch_reader.Damaged) else None
        self._stock.put_back([piece for piece in pieces if piece.batch is not damaged], split=split)
        if damaged is None:
            self._attempts.fail(f"cannot read the spool: {error}")
        elif damaged in self._stock.batches:
            self._stock.set_aside(damaged, error)

    def _failed_inside(self, failure: Failure, pieces: list[Piece]) -> None:
        """A defect of ours must not lose a batch or stop the intake."""
        log.failure("intake {intake}: defect while delivering", failure, intake=self.name)
        self._stock.put_back([piece for piece in pieces if piece.batch in self._stock.batches], split=True)
        self._attempts.fail(f"defect: {failure.value!r}")
