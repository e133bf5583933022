"""Delivers one intake's batches: takes them in turn, posts, settles what the answer says.

=============  ======================================================================================
idle           nothing waits
delivering     requests go, up to ``in_flight``
backing-off    the last request failed; one at a time, after a wait, until one is accepted
parked         the collector does not take this intake's events at all: one attempt every few minutes
=============  ======================================================================================

Whatever the answer, an event stays in the spool until it is accepted or in quarantine. The ledger moves on the
reactor, in the turn in which the answer is read; the file goes later, in the spool's thread. What waits is in
``pending``, when the next request may go in ``retry_state``; what an answer does is in ``response_handler``,
and of refused events in ``rejections``.

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
        context: DeliveryContext,
        poster: Poster,
        base_urls: BaseUrls,
    ) -> None:
        self.name = name
        self.retired = False
        "It is not in the configuration any more: what waits is kept, and nothing is sent."
        self._held = False
        self._delivery_path = DeliveryPath(target, poster, base_urls)
        self._turn = turn
        self._context = context
        self._clock = context.clock
        self._retry_state = RetryState(name, most=turn.in_flight, context=context, base_urls=base_urls)
        self._pending = PendingBatches(
            name, turn, context=context, failed=self._retry_state.fail, changed=self._changed
        )
        self._body_limit = BodyLimit(turn.max_bytes)
        self._response_handler = ResponseHandler(
            name, context=context, pending=self._pending, retry_state=self._retry_state, body_limit=self._body_limit,
            halve=self._halve, last=self._asks_last,
        )  # fmt: skip
        self._rejections = self._response_handler.rejections
        self._send_queue, self._split_queue = self._pending.send_queue, self._pending.split_queue
        self._slots: dict[Slot, CircuitBreaker | None] = {}
        "Requests in flight, and the breaker of where they go; None: none goes."
        self._aside: HandOver | None = None
        self._lent = 0
        self._width = JoinWidth(turn.catch_up_ms)
        self._fresh_turn = False
        base_urls.change(name, None)

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """idle, delivering, backing-off or parked"""
        if self.parked is not None:
            return "parked"
        if self._retry_state.failures or (self._pending and self._delivery_path.base_urls.state != "closed"):
            return "backing-off"
        return "delivering" if self._pending else "idle"

    @property
    def parked(self) -> str | None:
        """Why, while it is."""
        return self._retry_state.parked

    @property
    def last_error(self) -> str | None:
        """What went wrong last; None since a request was accepted."""
        return self._retry_state.last_error

    @property
    def next_attempt_in(self) -> float | None:
        """Seconds until the next attempt; None: none is waited for."""
        own = self._retry_state.next_in
        if own is None and self._pending and self._delivery_path.base_urls.state == "open":
            return max(0.0, round(self._delivery_path.base_urls.retry_at - self._clock.seconds(), 1))
        return own

    @property
    def waiting_events(self) -> int:
        """Sealed events that are not settled."""
        return self._pending.events

    @property
    def waiting_bytes(self) -> int:
        """Their bytes, as lines."""
        return self._pending.size

    @property
    def waiting_disk(self) -> int:
        """Allocated bytes of what waits."""
        return self._pending.disk

    @property
    def oldest(self) -> Batch | None:
        """The sealed batch that has waited longest."""
        return self._pending.oldest

    @property
    def oldest_sequence(self) -> int | None:
        """The sequence of the sealed batch that has waited longest, in a pack or not."""
        return self._pending.oldest_sequence

    @property
    def delivered(self) -> int:
        """Events that the collector has taken."""
        return self._response_handler.delivered

    @property
    def delivered_bytes(self) -> int:
        """Of accepted requests, as text."""
        return self._response_handler.delivered_bytes

    @property
    def unconfirmed(self) -> int:
        """Delivered events that the collector took without naming them."""
        return self._response_handler.unconfirmed

    @property
    def last_answer(self) -> Answered | None:
        """What the collector said last."""
        return self._response_handler.last_answer

    @property
    def last_acceptance(self) -> Answered | None:
        """When it last took events, and which."""
        return self._response_handler.last_acceptance

    @property
    def requests(self) -> dict[str, int]:
        """Requests by their outcome."""
        return self._response_handler.requests

    # --- what it is told ---------------------------------------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """A batch was sealed."""
        self._pending.add(batch)
        self._changed()

    def add_pack(self, pack: Pack) -> None:
        """A pack was found at start."""
        self._pending.add_pack(pack)
        self._changed()

    def _changed(self) -> None:
        """There is more to send."""
        if self._aside is not None:
            self._aside.wake()
        self._context.dispatcher.offer(self)

    def drop_oldest(self) -> Batch | Pack | None:
        """Forget the oldest batch, or pack, of which nothing is in flight or settled, None: there is none.

        The caller sees to file and account.
        """
        return self._pending.drop_oldest()

    def tidy(self) -> None:
        """Pack what waits in too many files. Called several times a second."""
        if self._aside is not None:
            away = self._aside.stuck
        else:
            away = (
                bool(self._retry_state.failures)
                or self.parked is not None
                or self._delivery_path.base_urls.state != "closed"
            )
        self._pending.tidy(away=away)

    def stop(self) -> None:
        """No further attempts."""
        self._retry_state.stop()

    # --- a new configuration -----------------------------------------------------------------------------------------

    def change(self, delivery_path: DeliveryPath, turn: RequestLimits) -> None:
        """Go on under another configuration, and try at once. Requests in flight end as they began; what is split
        stays so."""
        old, self._delivery_path = self._delivery_path, delivery_path
        delivery_path.base_urls.change(self.name, old.base_urls)
        if delivery_path.target.url != old.target.url:
            self._body_limit.forget()
        if turn.catch_up_ms != self._turn.catch_up_ms:
            self._width = JoinWidth(turn.catch_up_ms)
        self._turn = turn
        self._send_queue.change(live_for=turn.live_for, live_first=turn.live_first, now=self._clock.seconds())
        self.retired = False
        self._rejections.in_a_row = 0
        self._retry_state.change(delivery_path.base_urls, most=turn.in_flight)
        self._context.dispatcher.wake()

    def retire(self) -> None:
        """Its intake is not in the configuration: keep what waits and what comes, send nothing."""
        self.retired = True
        self._retry_state.retire(RETIRED)

    def leave(self) -> None:
        """Nothing waits, and nobody asks for it any more."""
        self.stop()
        self._delivery_path.base_urls.leave(self.name)

    # --- at rest, for whoever would change what waits ----------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it is in flight or being packed."""
        return not self._slots and not self._lent and not self._pending.pack_queue.busy

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
        self._rejections.pardon()
        return self._pending.release()

    # --- another way for its batches ---------------------------------------------------------------------------------

    def stand_aside(self, consumer: HandOver | None) -> None:
        """From now on ``consumer`` takes what waits; None: the courier posts again."""
        if consumer is self._aside:
            return
        self._aside = consumer
        if consumer is not None:
            self._rejections.pardon()
        self._changed()

    @property
    def lends(self) -> bool:
        """Whether there is something to lend, or will be in a moment."""
        return not self._held and not self.retired and bool(len(self._send_queue) or self._send_queue.hungry)

    def lend(self) -> Piece | None:
        """The next batch, or part of one, for another way; None: none now. It comes back by one of the three below."""
        if not self.lends:
            return None
        if self._send_queue.hungry:
            self._pending.pack_queue.feed(share=self._context.dispatcher.senders or 1)
        # Of no width: one.
        pieces = self._send_queue.take(self._clock.seconds(), width_ms=0, max_events=0, max_bytes=0)
        self._lent += len(pieces)
        return pieces[0] if pieces else None

    def settle_lent(self, piece: Piece) -> list[Batch]:
        """It has arrived; the batches that are settled whole by it."""
        self._lent -= 1
        return self._pending.settle([piece])

    def take_back(self, pieces: list[Piece]) -> None:
        """They have not arrived: they wait again where they stood."""
        self._lent -= len(pieces)
        self._pending.put_back(pieces, split=False)

    def cannot_lend(self, piece: Piece, error: Exception) -> None:
        """It could not be read: it waits again, or goes where its file is not what its name says."""
        self._lent -= 1
        self._cannot_read([piece], split=False, error=error)

    def pardon(self) -> None:
        """Undo all splitting of batches of which nothing is settled yet."""
        self._rejections.pardon()

    def withdraw(self, chosen: Iterable[Batch]) -> list[Batch]:
        """Forget those of which nothing is in flight, wherever their events wait; the caller sees to the account."""
        waiting: Counter[Batch] = Counter()
        for piece in (*self._send_queue.pieces(), *self._split_queue.pieces(), *self._rejections.condemned()):
            waiting[piece.batch] += piece.count
        free = {batch for batch in chosen if batch in self._pending.batches and waiting[batch] >= batch.unacknowledged}
        self._rejections.forget(free)
        self._pending.forget(free)
        return list(free)

    # --- the dispatcher's view ---------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether a request could start now; reads on in packs where requests will need it."""
        if not self._may_start():
            return False
        if self._send_queue.hungry and self._aside is None:
            self._pending.pack_queue.feed(share=self._context.dispatcher.senders or 1)
            if not self._may_start():
                return False
        if not len(self._send_queue) or self._aside is not None:
            if not len(self._split_queue):
                return False
            if wait := self._split_queue.ready_in(self._clock.seconds()):
                self._retry_state.wait(wait)
                return False
        return True

    def _may_start(self) -> bool:
        if self._held or self.retired or self._retry_state.waiting:
            return False
        if not len(self._split_queue) and (
            self._aside is not None or not (len(self._send_queue) or self._send_queue.hungry)
        ):
            return False
        if (exit_ := self._exit()) is None:
            return False
        # What hangs at another URL is no trouble of this one.
        slots = [slot for slot, breaker in self._slots.items() if breaker is None or breaker is exit_]
        stalled = any(slot.stalled for slot in slots)
        troubled = self._retry_state.failures or self._rejections.in_a_row or self.parked is not None or stalled
        return len(slots) < (1 if troubled else min(self._retry_state.window, self._turn.in_flight))

    def _exit(self) -> CircuitBreaker | None:
        """Where the next request goes; None: nowhere now."""
        return self._delivery_path.base_urls.choose(self.name, self._context.dispatcher.connections)

    def start(self) -> bool:
        """Start the next request."""
        now = self._clock.seconds()
        # Fresh batches take turns with a search, but not while it is being refused: one with a bad event of its own
        # would begin a second search before the first has shown that the collector takes anything.
        self._fresh_turn = not self._fresh_turn
        fresh = (
            self._fresh_turn and self._split_queue.few_suspected and not self._rejections.in_a_row and self._has_fresh
        )
        pieces = [] if fresh else self._split_queue.take(now)
        split = bool(pieces)
        # What was made smaller keeps the width that it was joined within.
        width_ms = max(self._width.ms, self._turn.resolution_ms) if split else self._width_now()
        if not pieces and self._aside is None:
            pieces = self._from_lanes(now, width_ms)
        if not pieces:
            return False
        exit_ = self._exit()
        assert exit_ is not None, "asked to start though not ready"
        slot = self._context.dispatcher.begin(exit_.retry_pause)
        self._slots[slot] = None
        if any(self._needs_cut(piece, width_ms) for piece in pieces):
            self._context.dispatcher.spare_rate()
            act = self._cut(pieces, width_ms)
        elif self._too_large(pieces):
            self._context.dispatcher.spare_rate()
            act = self._halve(pieces)
        else:
            self._slots[slot] = exit_
            exit_.started()
            act = self._deliver(pieces, split, slot, self._delivery_path, exit_)

        def ended(result: object) -> None:
            self._slots.pop(slot, None)
            self._context.dispatcher.end(slot)

        defer.ensureDeferred(act).addErrback(self._failed_inside, pieces).addBoth(ended)
        return True

    def _width_now(self) -> int:
        """How far apart the times of a request may lie, in milliseconds."""
        if self._delivery_path.target.endpoint.exact:
            return NO_WIDTH
        catching_up = self._context.dispatcher.limited or self._send_queue.has_backlog
        return self._width.ms if catching_up else self._turn.resolution_ms

    def _from_lanes(self, now: float, width_ms: int) -> list[Piece]:
        endpoint = self._delivery_path.target.endpoint
        limited = self._context.dispatcher.limited
        max_bytes = min(self._turn.max_bytes, self._body_limit.limit)
        pieces = self._send_queue.take(
            now,
            width_ms=width_ms,
            narrow_ms=NO_WIDTH if endpoint.exact else self._turn.resolution_ms,
            max_events=1 if endpoint.single else self._turn.max_events,
            max_bytes=max_bytes,
            timed=endpoint.exact,
            uncut_bytes=0 if endpoint.single else CUT_BYTES // (self._context.dispatcher.senders or 1),
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
        if not self._send_queue.has_backlog:
            if self._width.caught_up():
                self._context.alarms.off("width", self.name, f"{about} has caught up: times are as exact as configured")
        elif not limited or self._retry_state.failures:
            self._width.held_up()
        elif self._width.falls_behind(now, self._pending.events):
            text = (
                f"{about} falls behind at max_request_rate: the times in one request may now differ by"
                f" {self._width.ms / 1000:g} s"
            )
            self._context.alarms.on("width", self.name, text)

    def _needs_cut(self, piece: Piece, width_ms: int) -> bool:
        endpoint = self._delivery_path.target.endpoint
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
        return not len(self._split_queue) and not self._has_fresh and len(self._slots) == 1

    @property
    def _has_fresh(self) -> bool:
        return self._aside is None and bool(len(self._send_queue))

    def _too_large(self, pieces: list[Piece]) -> bool:
        return sum(p.size for p in pieces) > self._body_limit.limit and sum(p.count for p in pieces) > 1

    # --- one request -------------------------------------------------------------------------------------------------

    async def _deliver(
        self, pieces: list[Piece], split: bool, slot: Slot, delivery_path: DeliveryPath, exit_: CircuitBreaker
    ) -> None:
        try:
            request = await self._context.in_thread(lambda: self._composed(pieces, delivery_path.target))
        except (batch_reader.Damaged, OSError) as error:
            exit_.withdrawn()
            self._cannot_read(pieces, split, error)
            return
        await self._context.dispatcher.send(slot, len(request.data), exit_.retry_pause)
        began = self._clock.seconds()
        try:
            url = delivery_path.target.urls[delivery_path.base_urls.position(exit_)]
            answer = await delivery_path.poster.post(
                url, request.data, request.headers | delivery_path.target.headers()
            )
        except Exception:
            result = outcome.of_failure(Failure())
            doubtful = result.uncertain
        else:
            result = outcome.read(answer, sum(piece.count for piece in pieces), now=self._context.wall())
            doubtful = result.uncertain or answer.repeated
            if result.verdict is Verdict.ACCEPTED:
                self._context.date_seen(answer.headers.get("date"), self._clock.seconds() - began)
        if key := delivery_path.target.key():
            # An answer may repeat what was sent.
            rejected = {i: words.replace(key, "****") for i, words in result.rejected.items()}
            result = replace(result, reason=result.reason.replace(key, "****"), rejected=rejected)
        if doubtful:
            self._may_be_double(pieces)
        if result.network:
            exit_.fault()
        else:
            exit_.answered(self.name, self._clock.seconds() - began)
            self._say_where(delivery_path, exit_)
        if result.verdict is not Verdict.ACCEPTED and (delivery_path is not self._delivery_path or self.retired):
            # What was said to another key, or by another collector, is nothing against this one.
            self.requests[result.verdict.value] += 1
            self._pending.put_back(pieces, split=split)
        else:
            await self._response_handler.settle(pieces, split, result, request)

    def _say_where(self, delivery_path: DeliveryPath, exit_: CircuitBreaker) -> None:
        """Of several URLs, one has answered."""
        if delivery_path is not self._delivery_path or len(delivery_path.base_urls) < 2:
            return
        urls, position = delivery_path.target.urls, delivery_path.base_urls.position(exit_)
        if position:
            text = f"intake {self.name}: {urls[0]} does not answer; its events go to {urls[position]}"
            self._context.alarms.on("failover", self.name, text)
        else:
            self._context.alarms.off("failover", self.name, f"intake {self.name}: {urls[0]} answers again")

    def _may_be_double(self, pieces: list[Piece]) -> None:
        """The collector may have taken these without our knowing, and will get them again. Each counts once."""
        for piece in pieces:
            if not piece.doubtful:
                piece.doubtful = True
                self._context.ledger.may_be_double(self.name, piece.count)

    def _composed(self, pieces: list[Piece], target: RequestTarget) -> Request:
        """The request; in the spool's thread."""
        request = compose(pieces, target)
        self._context.before_sending([piece.batch for piece in pieces])
        batch_reader.begin_all(piece.batch for piece in pieces)
        return request

    async def _cut(self, pieces: list[Piece], width_ms: int) -> None:
        """What cannot go in one request becomes pieces of which each can."""
        turn = self._turn
        most = 1 if self._delivery_path.target.endpoint.single else turn.max_events
        if any(self._context.exact(piece.batch.sequence) for piece in pieces):
            width_ms = min(width_ms, turn.resolution_ms)
        try:
            cut = await self._context.in_thread(
                lambda: batch_reader.cut_together(pieces, width_ms, most, turn.max_bytes)
            )
        except (batch_reader.Damaged, OSError) as error:
            self._cannot_read(pieces, split=False, error=error)
        else:
            self._send_queue.put_back(cut, self._clock.seconds())

    async def _halve(self, pieces: list[Piece]) -> None:
        """What one request carried becomes two."""
        try:
            halves = await self._context.in_thread(lambda: split_pieces.halves(pieces))
        except (batch_reader.Damaged, OSError) as error:
            self._cannot_read(pieces, split=True, error=error)
        else:
            self._split_queue.add(*halves)

    # --- trouble of our own ------------------------------------------------------------------------------------------

    def _cannot_read(self, pieces: list[Piece], split: bool, error: Exception) -> None:
        """A file cannot be read: all wait again; or it is not what its name says: then it goes, the others wait."""
        damaged = error.batch if isinstance(error, batch_reader.Damaged) else None
        self._pending.put_back([piece for piece in pieces if piece.batch is not damaged], split=split)
        if damaged is None:
            self._retry_state.fail(f"cannot read the spool: {error}")
        elif damaged in self._pending.batches:
            self._pending.set_aside(damaged, error)

    def _failed_inside(self, failure: Failure, pieces: list[Piece]) -> None:
        """A defect of ours must not lose a batch or stop the intake."""
        log.failure("intake {intake}: defect while delivering", failure, intake=self.name)
        self._pending.put_back([piece for piece in pieces if piece.batch in self._pending.batches], split=True)
        self._retry_state.fail(f"defect: {failure.value!r}")
