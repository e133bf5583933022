"""Delivers one intake's batches: selects the next request, posts it and processes the response.

=============  ======================================================================================
idle           no events are waiting
delivering     up to ``in_flight`` requests are in flight
backing-off    the last request failed; after a wait, one request at a time until one is accepted
parked         the collector accepts no events of this intake: one attempt every few minutes; or the
               intake is not in the configuration: no attempt
=============  ======================================================================================

Whatever the response, an event stays in the spool until it is accepted or in quarantine. Only a full spool or an
operator's purge drops it. The ledger changes on the
reactor, in the turn in which the response is read. The file is removed later, in the spool thread. ``pending`` keeps
the waiting batches, ``retry_state`` decides when the next request may start, ``response_handler`` processes responses,
and ``bisection`` handles refused events.

A courier can delegate its batches to the cluster (``bridge.cluster``). It then posts only what it has already split.
Courier and publisher take batches from the same send queue, so no batch is taken by both.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from twisted.internet import defer, task
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.deliver import outcome, split_pieces
from bridge.deliver.body_limit import BodyLimit
from bridge.deliver.circuit_breaker import CircuitBreaker
from bridge.deliver.context import DeliveryContext, DeliveryPath, HandOver, Poster, RequestLimits
from bridge.deliver.dispatcher import Slot
from bridge.deliver.failover import BaseUrls
from bridge.deliver.join_window import JoinWidth
from bridge.deliver.outcome import Verdict
from bridge.deliver.pending import PendingBatches
from bridge.deliver.request import Request, RequestTarget, compose
from bridge.deliver.response_handler import Answered, ResponseHandler
from bridge.deliver.retry_state import RetryState
from bridge.spool import Batch, Pack, Piece, batch_reader

UNLIMITED_WIDTH_MS = 1 << 62
"A join width in milliseconds that is larger than any difference of two times."
CUT_BYTES = 32 << 20
"""Approximate limit in bytes of timed batches that all intakes together hold in memory to cut several at once. A
higher limit means fewer requests: if clocks are spread over S seconds, each cut makes S / width requests, whatever
its size. After a kill, all events of these batches are possible duplicates, because each batch has been started."""

RETIRED = "not in the configuration"

log = Logger(namespace="deliver")


class Courier:
    """Delivers the batches of one intake."""

    def __init__(
        self,
        name: str,
        target: RequestTarget,
        limits: RequestLimits,
        *,
        context: DeliveryContext,
        poster: Poster,
        base_urls: BaseUrls,
    ) -> None:
        self.name = name
        self.retired = False
        "True if the intake is not in the configuration. Waiting events are kept and nothing is sent."
        self._paused = False
        self._delivery_path = DeliveryPath(target, poster, base_urls)
        self._limits = limits
        self._context = context
        self._clock = context.clock
        self._retry_state = RetryState(name, max_in_flight=limits.in_flight, context=context, base_urls=base_urls)
        self._pending = PendingBatches(
            name, limits, context=context, failed=self._retry_state.fail, changed=self._changed
        )
        self._body_limit = BodyLimit(limits.max_bytes)
        self._response_handler = ResponseHandler(
            name, context=context, pending=self._pending, retry_state=self._retry_state, body_limit=self._body_limit,
            halve=self._halve, is_last=self._is_last_request,
        )  # fmt: skip
        self._bisection = self._response_handler.bisection
        self._send_queue, self._split_queue = self._pending.send_queue, self._pending.split_queue
        self._slots: dict[Slot, CircuitBreaker | None] = {}
        "Requests in flight and the breaker of their base URL. None marks a job that sends nothing."
        self._delegate: HandOver | None = None
        self._handed_over = 0
        self._width = JoinWidth(limits.catch_up_ms)
        self._fresh_turn = False
        base_urls.change(name, None)

    # --- status ------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """Returns idle, delivering, backing-off or parked."""
        if self.parked is not None:
            return "parked"
        if self._retry_state.failures or (self._pending and self._delivery_path.base_urls.state != "closed"):
            return "backing-off"
        return "delivering" if self._pending else "idle"

    @property
    def parked(self) -> str | None:
        """Returns why the intake is parked; None if it is not parked."""
        return self._retry_state.parked

    @property
    def last_error(self) -> str | None:
        """Returns the latest error; None since a request was accepted."""
        return self._retry_state.last_error

    @property
    def next_attempt_in(self) -> float | None:
        """Returns the seconds until the next attempt; None if no wait is set."""
        own = self._retry_state.next_in
        if own is None and self._pending and self._delivery_path.base_urls.state == "open":
            return max(0.0, round(self._delivery_path.base_urls.retry_at - self._clock.seconds(), 1))
        return own

    @property
    def waiting_events(self) -> int:
        """Returns the number of sealed events that are not settled."""
        return self._pending.events

    @property
    def waiting_bytes(self) -> int:
        """Returns the bytes of the sealed events that are not settled, as lines."""
        return self._pending.size

    @property
    def waiting_disk(self) -> int:
        """Returns the allocated bytes of the waiting batches on disk."""
        return self._pending.disk

    @property
    def oldest(self) -> Batch | None:
        """Returns the sealed batch that has waited longest."""
        return self._pending.oldest

    @property
    def oldest_sequence(self) -> int | None:
        """Returns the sequence of the sealed batch that has waited longest, in a pack or not."""
        return self._pending.oldest_sequence

    @property
    def delivered(self) -> int:
        """Returns the number of events that the collector has accepted."""
        return self._response_handler.delivered

    @property
    def delivered_bytes(self) -> int:
        """Returns the bytes of accepted request bodies, before compression."""
        return self._response_handler.delivered_bytes

    @property
    def unconfirmed(self) -> int:
        """Returns the number of delivered events for which the collector returned no ids."""
        return self._response_handler.unconfirmed

    @property
    def last_answer(self) -> Answered | None:
        """Returns the latest response of the collector."""
        return self._response_handler.last_answer

    @property
    def last_acceptance(self) -> Answered | None:
        """Returns the latest accepted request: its time and its events."""
        return self._response_handler.last_acceptance

    @property
    def requests(self) -> dict[str, int]:
        """Returns the number of requests per outcome."""
        return self._response_handler.requests

    # --- input -------------------------------------------------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """Adds a sealed batch."""
        self._pending.add(batch)
        self._changed()

    def add_pack(self, pack: Pack) -> None:
        """Adds a pack that was found at start."""
        self._pending.add_pack(pack)
        self._changed()

    def _changed(self) -> None:
        """Announces that there is more to send."""
        if self._delegate is not None:
            self._delegate.wake()
        self._context.dispatcher.offer(self)

    def drop_oldest(self) -> Batch | Pack | None:
        """Forgets the oldest batch or pack of which nothing is in flight or settled. Returns it, or None if no
        batch or pack qualifies.

        The caller removes the file and updates the ledger.
        """
        return self._pending.drop_oldest()

    def tidy(self) -> None:
        """Packs the backlog if it consists of many files. Called several times a second."""
        if self._delegate is not None:
            blocked = self._delegate.stuck
        else:
            blocked = (
                bool(self._retry_state.failures)
                or self.parked is not None
                or self._delivery_path.base_urls.state != "closed"
            )
        self._pending.tidy(blocked=blocked)

    def stop(self) -> None:
        """Stops further attempts."""
        self._retry_state.stop()

    # --- a new configuration -----------------------------------------------------------------------------------------

    def change(self, delivery_path: DeliveryPath, limits: RequestLimits) -> None:
        """Applies another configuration and makes an attempt at once. Requests in flight end under the old
        configuration. Split requests stay split."""
        old, self._delivery_path = self._delivery_path, delivery_path
        delivery_path.base_urls.change(self.name, old.base_urls)
        if delivery_path.target.url != old.target.url:
            self._body_limit.forget()
        if limits.catch_up_ms != self._limits.catch_up_ms:
            self._width = JoinWidth(limits.catch_up_ms)
        self._limits = limits
        self._send_queue.change(live_for=limits.live_for, live_first=limits.live_first, now=self._clock.seconds())
        self.retired = False
        self._bisection.consecutive_refusals = 0
        self._retry_state.change(delivery_path.base_urls, max_in_flight=limits.in_flight)
        self._context.dispatcher.wake()

    def retire(self) -> None:
        """Retires the courier, because its intake is not in the configuration. Waiting and new events are kept and
        nothing is sent."""
        self.retired = True
        self._retry_state.retire(RETIRED)

    def leave(self) -> None:
        """Stops the courier and releases its base URLs. No events are waiting, and the courier is not used again."""
        self.stop()
        self._delivery_path.base_urls.leave(self.name)

    # --- pausing and releasing ---------------------------------------------------------------------------------------

    @property
    def is_quiescent(self) -> bool:
        """Returns True if nothing is in flight, handed over or being packed."""
        return not self._slots and not self._handed_over and not self._pending.pack_queue.busy

    def when_quiescent(self) -> "defer.Deferred[task.LoopingCall]":
        """Waits until nothing is in flight, handed over or being packed."""
        check = task.LoopingCall(lambda: check.stop() if self.is_quiescent else None)
        check.clock = self._clock
        return check.start(0.02)

    def pause(self) -> None:
        """Starts no further requests until ``resume`` is called."""
        self._paused = True

    def resume(self) -> None:
        """Starts requests again."""
        self._paused = False
        self._changed()

    def release(self) -> list[tuple[Batch | Pack, int]]:
        """Forgets all batches and packs that wait whole. Returns each with the number of its unsettled events. The
        caller removes the files and updates the ledger. Requires a quiescent courier. Ranges of batches that are
        searched for refused events stay."""
        self._bisection.undo_splits()
        return self._pending.release()

    # --- handover to the cluster -------------------------------------------------------------------------------------

    def delegate_to(self, publisher: HandOver | None) -> None:
        """Lets ``publisher`` take the waiting batches; with None, the courier posts them again."""
        if publisher is self._delegate:
            return
        self._delegate = publisher
        if publisher is not None:
            self._bisection.undo_splits()
        self._changed()

    @property
    def can_hand_over(self) -> bool:
        """Returns True if a batch can be handed over now or will soon be read from a pack."""
        return not self._paused and not self.retired and bool(len(self._send_queue) or self._send_queue.needs_packs)

    def take_for_handover(self) -> Piece | None:
        """Returns the next batch, or part of one, for the cluster; None if none is available. Each piece must be
        returned to one of ``settle_handover``, ``put_back_handover`` and ``fail_handover``."""
        if not self.can_hand_over:
            return None
        if self._send_queue.needs_packs:
            self._pending.pack_queue.read_ahead(share=self._context.dispatcher.senders or 1)
        # A width of 0 takes exactly one piece.
        pieces = self._send_queue.take(self._clock.seconds(), width_ms=0, max_events=0, max_bytes=0)
        self._handed_over += len(pieces)
        return pieces[0] if pieces else None

    def settle_handover(self, piece: Piece) -> list[Batch]:
        """Settles a piece that was handed over. Returns the batches that are completely settled by it."""
        self._handed_over -= 1
        return self._pending.settle([piece])

    def put_back_handover(self, pieces: list[Piece]) -> None:
        """Puts back pieces that were not handed over, in their old order."""
        self._handed_over -= len(pieces)
        self._pending.put_back(pieces, split=False)

    def fail_handover(self, piece: Piece, error: Exception) -> None:
        """Handles a piece that could not be read: it waits again. If its file does not match its name, the batch is
        quarantined or counted as lost."""
        self._handed_over -= 1
        self._cannot_read([piece], split=False, error=error)

    def undo_splits(self) -> None:
        """Makes all split batches whole again if no event of them is settled."""
        self._bisection.undo_splits()

    def withdraw(self, chosen: Iterable[Batch]) -> list[Batch]:
        """Forgets those of the given batches of which nothing is in flight, wherever their events wait. Returns
        them. The caller updates the ledger."""
        waiting: Counter[Batch] = Counter()
        for piece in (*self._send_queue.pieces(), *self._split_queue.pieces(), *self._bisection.refused_pieces()):
            waiting[piece.batch] += piece.count
        free = {batch for batch in chosen if batch in self._pending.batches and waiting[batch] >= batch.unacknowledged}
        self._bisection.forget(free)
        self._pending.forget(free)
        return list(free)

    # --- the dispatcher's view ---------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Returns True if a request could start now. Reads ahead in packs if the next requests need it."""
        if not self._may_start():
            return False
        if self._send_queue.needs_packs and self._delegate is None:
            self._pending.pack_queue.read_ahead(share=self._context.dispatcher.senders or 1)
            if not self._may_start():
                return False
        if not len(self._send_queue) or self._delegate is not None:
            if not len(self._split_queue):
                return False
            if wait := self._split_queue.ready_in(self._clock.seconds()):
                self._retry_state.wait(wait)
                return False
        return True

    def _may_start(self) -> bool:
        if self._paused or self.retired or self._retry_state.waiting:
            return False
        if not len(self._split_queue) and (
            self._delegate is not None or not (len(self._send_queue) or self._send_queue.needs_packs)
        ):
            return False
        if (breaker := self._next_breaker()) is None:
            return False
        # A request that hangs at another base URL does not limit this one.
        slots = [slot for slot, in_use in self._slots.items() if in_use is None or in_use is breaker]
        stalled = any(slot.stalled for slot in slots)
        cautious = (
            self._retry_state.failures or self._bisection.consecutive_refusals or self.parked is not None or stalled
        )
        return len(slots) < (1 if cautious else min(self._retry_state.window, self._limits.in_flight))

    def _next_breaker(self) -> CircuitBreaker | None:
        """Returns the breaker of the base URL for the next request; None if no request is allowed now."""
        return self._delivery_path.base_urls.choose(self.name, self._context.dispatcher.connections)

    def start(self) -> bool:
        """Starts the next request. Returns False if there was none to start."""
        now = self._clock.seconds()
        # Fresh batches alternate with a search for refused events, but not while its requests are refused. A fresh
        # batch with a bad event would start a second search before the first has shown that the collector accepts
        # anything.
        self._fresh_turn = not self._fresh_turn
        take_fresh = (
            self._fresh_turn
            and self._split_queue.searching_few_ranges
            and not self._bisection.consecutive_refusals
            and self._has_fresh
        )
        pieces = [] if take_fresh else self._split_queue.take(now)
        split = bool(pieces)
        # Split pieces keep the width within which they were joined.
        width_ms = max(self._width.ms, self._limits.resolution_ms) if split else self._width_now()
        if not pieces and self._delegate is None:
            pieces = self._from_lanes(now, width_ms)
        if not pieces:
            return False
        breaker = self._next_breaker()
        assert breaker is not None, "start() was called although ready() is False"
        slot = self._context.dispatcher.begin(breaker.stall_timeout)
        self._slots[slot] = None
        if any(self._needs_cut(piece, width_ms) for piece in pieces):
            self._context.dispatcher.refund_token()
            job = self._cut(pieces, width_ms)
        elif self._too_large(pieces):
            self._context.dispatcher.refund_token()
            job = self._halve(pieces)
        else:
            self._slots[slot] = breaker
            breaker.started()
            job = self._deliver(pieces, split, slot, self._delivery_path, breaker)

        def ended(result: object) -> None:
            self._slots.pop(slot, None)
            self._context.dispatcher.end(slot)

        defer.ensureDeferred(job).addErrback(self._handle_defect, pieces).addBoth(ended)
        return True

    def _width_now(self) -> int:
        """Returns by how much the times of one request may differ, in milliseconds."""
        if self._delivery_path.target.endpoint.exact:
            return UNLIMITED_WIDTH_MS
        catching_up = self._context.dispatcher.limited or self._send_queue.has_backlog
        return self._width.ms if catching_up else self._limits.resolution_ms

    def _from_lanes(self, now: float, width_ms: int) -> list[Piece]:
        endpoint = self._delivery_path.target.endpoint
        limited = self._context.dispatcher.limited
        max_bytes = min(self._limits.max_bytes, self._body_limit.limit)
        pieces = self._send_queue.take(
            now,
            width_ms=width_ms,
            narrow_ms=UNLIMITED_WIDTH_MS if endpoint.exact else self._limits.resolution_ms,
            max_events=1 if endpoint.single else self._limits.max_events,
            max_bytes=max_bytes,
            timed=endpoint.exact,
            max_uncut_bytes=0 if endpoint.single else CUT_BYTES // (self._context.dispatcher.senders or 1),
        )
        if endpoint.exact or endpoint.single or any(self._needs_cut(piece, width_ms) for piece in pieces):
            # A wider window would not reduce the number of requests. If batches must be cut first, this is not a
            # request yet.
            return pieces
        size, count = sum(p.size for p in pieces), sum(p.count for p in pieces)
        small = size * 2 < max_bytes and count * 2 < self._limits.max_events
        self._widen(now, limited=limited and small)
        return pieces

    def _widen(self, now: float, *, limited: bool) -> None:
        about = f"intake {self.name}"
        if not self._send_queue.has_backlog:
            if self._width.caught_up():
                text = f"{about} has caught up: requests use the configured timestamp resolution again"
                self._context.alarms.off("width", self.name, text)
        elif not limited or self._retry_state.failures:
            self._width.limited_elsewhere()
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
        # This is a timed batch, or a range that was cut when the width was larger than it is now.
        return (piece.batch.timed and piece.lines is None) or (
            piece.times is not None and piece.latest - piece.earliest >= width_ms
        )

    def _is_last_request(self) -> bool:
        """Returns True if the current request is the only one and nothing else waits to be sent."""
        return not len(self._split_queue) and not self._has_fresh and len(self._slots) == 1

    @property
    def _has_fresh(self) -> bool:
        return self._delegate is None and bool(len(self._send_queue))

    def _too_large(self, pieces: list[Piece]) -> bool:
        return sum(p.size for p in pieces) > self._body_limit.limit and sum(p.count for p in pieces) > 1

    # --- one request -------------------------------------------------------------------------------------------------

    async def _deliver(
        self, pieces: list[Piece], split: bool, slot: Slot, delivery_path: DeliveryPath, breaker: CircuitBreaker
    ) -> None:
        try:
            request = await self._context.run(lambda: self._compose(pieces, delivery_path.target))
        except (batch_reader.Damaged, OSError) as error:
            breaker.withdrawn()
            self._cannot_read(pieces, split, error)
            return
        await self._context.dispatcher.send(slot, len(request.data), breaker.stall_timeout)
        began = self._clock.seconds()
        try:
            url = delivery_path.target.urls[delivery_path.base_urls.position(breaker)]
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
            # A response may repeat what was sent, including the key.
            rejected = {i: text.replace(key, "****") for i, text in result.rejected.items()}
            result = replace(result, reason=result.reason.replace(key, "****"), rejected=rejected)
        if doubtful:
            self._mark_possible_duplicates(pieces)
        if result.network:
            breaker.fault()
        else:
            breaker.answered(self.name, self._clock.seconds() - began)
            self._report_failover(delivery_path, breaker)
        if result.verdict is not Verdict.ACCEPTED and (delivery_path is not self._delivery_path or self.retired):
            # A response to another key, or from another collector, says nothing about the current one.
            self.requests[result.verdict.value] += 1
            self._pending.put_back(pieces, split=split)
        else:
            await self._response_handler.settle(pieces, split, result, request)

    def _report_failover(self, delivery_path: DeliveryPath, breaker: CircuitBreaker) -> None:
        """Raises or clears the failover alarm after a response, if the intake has several base URLs."""
        if delivery_path is not self._delivery_path or len(delivery_path.base_urls) < 2:
            return
        urls, position = delivery_path.target.urls, delivery_path.base_urls.position(breaker)
        if position:
            text = f"intake {self.name}: {urls[0]} does not answer; its events go to {urls[position]}"
            self._context.alarms.on("failover", self.name, text)
        else:
            self._context.alarms.off("failover", self.name, f"intake {self.name}: {urls[0]} answers again")

    def _mark_possible_duplicates(self, pieces: list[Piece]) -> None:
        """Marks pieces that the collector may have accepted and that will be sent again. Each is counted once."""
        for piece in pieces:
            if not piece.doubtful:
                piece.doubtful = True
                self._context.ledger.add_possible_duplicates(self.name, piece.count)

    def _compose(self, pieces: list[Piece], target: RequestTarget) -> Request:
        """Builds the request and marks its batches as started. Runs in the spool thread."""
        request = compose(pieces, target)
        self._context.before_sending([piece.batch for piece in pieces])
        batch_reader.begin_all(piece.batch for piece in pieces)
        return request

    async def _cut(self, pieces: list[Piece], width_ms: int) -> None:
        """Cuts pieces that cannot share one request into pieces that can be sent."""
        limits = self._limits
        max_events = 1 if self._delivery_path.target.endpoint.single else limits.max_events
        if any(self._context.exact(piece.batch.sequence) for piece in pieces):
            width_ms = min(width_ms, limits.resolution_ms)
        try:
            cut = await self._context.run(
                lambda: batch_reader.cut_together(pieces, width_ms, max_events, limits.max_bytes)
            )
        except (batch_reader.Damaged, OSError) as error:
            self._cannot_read(pieces, split=False, error=error)
        else:
            self._send_queue.put_back(cut, self._clock.seconds())

    async def _halve(self, pieces: list[Piece]) -> None:
        """Splits the pieces of one request into two requests."""
        try:
            halves = await self._context.run(lambda: split_pieces.halves(pieces))
        except (batch_reader.Damaged, OSError) as error:
            self._cannot_read(pieces, split=True, error=error)
        else:
            self._split_queue.add(*halves)

    # --- internal errors ---------------------------------------------------------------------------------------------

    def _cannot_read(self, pieces: list[Piece], split: bool, error: Exception) -> None:
        """Handles a spool file that cannot be read. All pieces wait again, except those of a batch whose file does
        not match its name: that batch is removed from the queue."""
        damaged = error.batch if isinstance(error, batch_reader.Damaged) else None
        self._pending.put_back([piece for piece in pieces if piece.batch is not damaged], split=split)
        if damaged is None:
            self._retry_state.fail(f"cannot read the spool: {error}")
        elif damaged in self._pending.batches:
            self._pending.quarantine_batch(damaged, error)

    def _handle_defect(self, failure: Failure, pieces: list[Piece]) -> None:
        """Handles a defect in this program. It must not lose a batch or stop the intake."""
        log.failure("intake {intake}: defect while delivering", failure, intake=self.name)
        self._pending.put_back([piece for piece in pieces if piece.batch in self._pending.batches], split=True)
        self._retry_state.fail(f"defect: {failure.value!r}")
