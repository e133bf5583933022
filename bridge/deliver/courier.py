"""Delivers one intake's batches: selects the next request, posts it and processes the response.

=============  ======================================================================================
idle           no events are waiting
delivering     up to ``in_flight`` requests are in flight
backing-off    the last request failed; after a wait, one request at a time until one is accepted
parked         the collector accepts no events of this intake: one attempt every few minutes; or the
               intake is not in the configuration: no attempt
=============  ======================================================================================

Whatever the response, an event stays in the spool until it is accepted or in quarantine. Only a full spool or an
operator's purge drops it. The ledger changes on the reactor, in the turn in which the response is read. The file is
removed later, in the spool thread.

A courier can delegate its batches to the cluster (``bridge.cluster``). It then posts only what it has already split.
Courier and publisher take batches from the same send queue, so no batch is taken by both.
"""

from collections import Counter
from collections.abc import Iterable

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.deliver.attempt import Attempt
from bridge.deliver.circuit_breaker import CircuitBreaker
from bridge.deliver.context import DeliveryContext, DeliveryPath, HandOver, RequestLimits
from bridge.deliver.courier_status import CourierStatus
from bridge.deliver.dispatcher import Slot
from bridge.deliver.next_request import NextRequest, RequestSelector
from bridge.deliver.outcome import Outcome, Verdict
from bridge.deliver.pending import PendingBatches
from bridge.deliver.request import Request
from bridge.deliver.response_handler import ResponseHandler
from bridge.deliver.retry_state import RetryState
from bridge.host.waiting import Waiters
from bridge.spool import Batch, Pack, Piece, batch_reader

RETIRED = "not in the configuration"

log = Logger(namespace="deliver")


class Courier(CourierStatus):
    """Delivers the batches of one intake."""

    def __init__(
        self, name: str, delivery_path: DeliveryPath, limits: RequestLimits, *, context: DeliveryContext
    ) -> None:
        retry_state = RetryState(
            name, max_in_flight=limits.in_flight, context=context, base_urls=delivery_path.base_urls
        )
        pending = PendingBatches(
            name, limits, context=context, failed=retry_state.cannot_read, changed=self._changed,
            emptied=retry_state.nothing_waits,
        )  # fmt: skip
        super().__init__(name, delivery_path, context, pending, retry_state)
        self._response_handler = ResponseHandler(
            name, context=context, pending=pending, retry_state=retry_state, counters=self,
            max_bytes=limits.max_bytes, is_last=self._is_last_request,
        )  # fmt: skip
        self.retired = False
        "True if the intake is not in the configuration. Waiting events are kept and nothing is sent."
        self._paused = False
        self._limits = limits
        self._bisection = self._response_handler.bisection
        self._selector = RequestSelector(
            name, delivery_path.target, limits, context=context, pending=pending, retry_state=retry_state,
            response_handler=self._response_handler,
        )  # fmt: skip
        self._send_queue, self._split_queue = pending.send_queue, pending.split_queue
        self._slots: dict[Slot, CircuitBreaker | None] = {}
        "Requests in flight and the breaker of their base URL. None marks a job that sends nothing."
        self._delegate: HandOver | None = None
        self._handed_over = 0
        self._quiescent_waiters = Waiters(lambda: self.is_quiescent)
        delivery_path.base_urls.change(name, previous=(), resume=retry_state.resume)

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
        if self._delegate is not None:
            self._delegate.wake()
        self._context.dispatcher.offer(self)
        self._quiescent_waiters.check()

    def drop_oldest(self) -> Batch | Pack | None:
        """Forgets and returns the oldest batch or pack of which nothing is in flight; None if none qualifies. The
        caller removes the file and updates the ledger for the unsettled events."""
        return self._pending.drop_oldest()

    def tidy(self) -> None:
        """Packs the backlog if it consists of many files. Called several times a second."""
        if not self._paused:
            self._pending.tidy(self._is_blocked)

    def _is_blocked(self) -> bool | None:
        """Returns True if nothing can be sent at the moment, and None if the courier is paused."""
        if self._paused:
            return None
        return self.state in ("parked", "backing-off") if self._delegate is None else self._delegate.stuck

    def stop(self) -> None:
        """Stops further attempts."""
        self._retry_state.stop()

    @property
    def learned_body_limit(self) -> int | None:
        """Returns the limit of request bodies in bytes that was learned from refusals; None if none is in force."""
        return self._response_handler.body_limit.learned

    @property
    def late_after(self) -> float:
        """Returns the seconds after which a waiting event is late."""
        return self._limits.late_after

    # --- a new configuration -----------------------------------------------------------------------------------------

    def change(self, delivery_path: DeliveryPath, limits: RequestLimits) -> None:
        """Applies another configuration and makes an attempt at once. Requests in flight end under the old
        configuration. Split requests stay split."""
        old, self._delivery_path = self._delivery_path, delivery_path
        delivery_path.base_urls.change(self.name, old.base_urls, resume=self._retry_state.resume)
        if delivery_path.target.url != old.target.url:
            self._response_handler.body_limit.forget()
        self._limits = limits
        self._selector.change(delivery_path.target, limits)
        now = self._context.clock.seconds()
        self._send_queue.change(live_for=limits.live_for, live_first=limits.live_first, now=now)
        self.retired = False
        self._bisection.end_refusals()
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

    def when_quiescent(self) -> "defer.Deferred[None]":
        """Returns a Deferred that fires once nothing is in flight, handed over or being packed."""
        return self._quiescent_waiters.wait()

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
            self._pending.pack_queue.read_ahead()
        # A width of 0 takes exactly one piece.
        pieces = self._send_queue.take(self._context.clock.seconds(), width_ms=0, max_events=0, max_bytes=0)
        self._handed_over += len(pieces)
        return pieces[0] if pieces else None

    def settle_handover(self, piece: Piece) -> list[Batch]:
        """Settles a piece that was handed over. Returns the batches that are completely settled by it."""
        self._pending.was_read([piece])
        settled = self._pending.settle([piece])
        self._taken_back(1)
        return settled

    def put_back_handover(self, pieces: list[Piece]) -> None:
        """Puts back pieces that were not handed over, in their old order."""
        self._pending.put_back(pieces, split=False)
        self._taken_back(len(pieces))

    def fail_handover(self, piece: Piece, error: Exception) -> None:
        """Handles a piece that could not be read: it waits again. If its file does not match its name, the batch is
        quarantined or counted as lost."""
        self._pending.cannot_read([piece], error, split=False)
        self._taken_back(1)

    def _taken_back(self, pieces: int) -> None:
        self._handed_over -= pieces
        self._quiescent_waiters.check()

    def undo_splits(self) -> None:
        """Makes all split batches whole again if no event of them is settled."""
        self._bisection.undo_splits()

    def withdraw(self, chosen: Iterable[Batch]) -> list[Batch]:
        """Forgets those of the given batches of which nothing is in flight, wherever their events wait. Returns
        them. The caller updates the ledger."""
        waiting: Counter[Batch] = Counter()
        pending = self._pending
        for piece in (*pending.waiting_pieces(), *self._bisection.refused_pieces()):
            waiting[piece.batch] += piece.count
        free = {batch for batch in chosen if batch in pending.batches and waiting[batch] >= batch.unacknowledged}
        self._bisection.forget(free)
        pending.forget(free)
        return list(free)

    # --- the dispatcher's view ---------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Returns True if a request could start now. Reads ahead in packs if the next requests need it."""
        if not self._may_start():
            return False
        if self._send_queue.needs_packs and self._delegate is None:
            self._pending.pack_queue.read_ahead()
            if not self._may_start():
                return False
        if self._delegate is None and len(self._send_queue):
            return True
        wait = self._split_queue.ready_in(self._context.clock.seconds())
        if wait:
            # Live events may come meanwhile.
            self._retry_state.wait(min(wait, 1.0))
        return wait == 0

    def _may_start(self) -> bool:
        if self._paused or self.retired or self._retry_state.waiting:
            return False
        has_fresh = self._delegate is None and bool(len(self._send_queue) or self._send_queue.needs_packs)
        if not has_fresh and not len(self._split_queue):
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
        return self._delivery_path.base_urls.choose(self.name, self._context.dispatcher.connections)

    def start(self) -> bool:
        """Starts the next request. Returns False if there was none to start."""
        selection = self._selector.take(fresh=self._delegate is None)
        if selection is None:
            return False
        breaker = self._next_breaker()
        assert breaker is not None, "start() was called although ready() is False"
        slot = self._begin(breaker, sends=selection.prepare is None)
        job = self._deliver(selection, slot, breaker)
        deferred = defer.ensureDeferred(job).addErrback(self._handle_defect, selection.pieces)
        deferred.addBoth(lambda result: self._end(slot))
        return True

    def _begin(self, breaker: CircuitBreaker, *, sends: bool = True, shared: bool = False) -> Slot:
        slot = self._context.dispatcher.begin(breaker.stall_timeout, shared=shared)
        self._slots[slot] = breaker if sends else None
        return slot

    def _end(self, slot: Slot) -> None:
        del self._slots[slot]
        self._context.dispatcher.end(slot)
        self._quiescent_waiters.check()

    def _is_last_request(self) -> bool:
        """Returns True if the current request is the only one and nothing else waits to be sent."""
        has_fresh = self._delegate is None and bool(len(self._send_queue))
        return not len(self._split_queue) and not has_fresh and len(self._slots) == 1

    async def _deliver(self, selection: NextRequest, slot: Slot, breaker: CircuitBreaker) -> None:
        """Posts the selected pieces and applies the response, or makes several requests of them."""
        if selection.prepare is not None:
            self._context.dispatcher.refund_token()
            await selection.prepare()
            return
        pieces, split, delivery_path = selection.pieces, selection.split, self._delivery_path
        attempt = Attempt(self.name, pieces, selection.path(delivery_path), breaker, slot, self._context)
        try:
            request, result = await attempt.run()
        except (batch_reader.Damaged, OSError) as error:
            self._pending.cannot_read(pieces, error, split=split)
            return
        await self._apply(attempt, delivery_path, request, result, split=split)

    async def _apply(
        self, attempt: Attempt, delivery_path: DeliveryPath, request: Request, result: Outcome, *, split: bool
    ) -> None:
        """Applies the outcome of an attempt that began under ``delivery_path``."""
        pieces = attempt.pieces
        self._pending.was_read(pieces)
        is_current = delivery_path is self._delivery_path
        if is_current and not result.network:
            attempt.report_failover()
        if result.verdict is not Verdict.ACCEPTED and (not is_current or self.retired):
            # A response to another key, or from another collector, says nothing about the current one.
            self.count_request(result)
            self._pending.put_back(pieces, split=split)
        else:
            await self._response_handler.settle(pieces, split, result, request)

    def _handle_defect(self, failure: Failure, pieces: list[Piece]) -> None:
        """Handles a defect in this program. It must not lose a batch or stop the intake."""
        log.failure("intake {intake}: defect while delivering", failure, intake=self.name)
        self._pending.put_back([piece for piece in pieces if piece.batch in self._pending.batches], split=True)
        self._retry_state.note_defect(failure.value)
