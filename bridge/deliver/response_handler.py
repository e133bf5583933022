"""Applies the outcome of a request to its events and its intake: settles, puts back, halves or quarantines the
events."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from twisted.logger import Logger

from bridge.accounting.receipt import Receipt
from bridge.deliver.bisection import Bisection
from bridge.deliver.body_limit import BodyLimit
from bridge.deliver.cause import Cause
from bridge.deliver.context import DeliveryContext
from bridge.deliver.outcome import Outcome, Verdict
from bridge.deliver.pending import PendingBatches
from bridge.deliver.request import Request
from bridge.deliver.retry_state import RetryState
from bridge.deliver.split_queue import single_out
from bridge.spool import Piece, batch_reader
from bridge.util.alarms import A_DAY, ENDS_IN_A_DAY
from bridge.util.counts import counted

POSTPONED = 15.0
"Seconds after which a single event is sent again that was called too large."
MAX_FOREIGN_RESPONSES = 3
"Consecutive 2xx responses that are not from the collector, after which the intake is parked."

log = Logger(namespace="deliver")


@dataclass(frozen=True, slots=True)
class Answered:
    """An outcome and its time, for the operator. ``at`` is in seconds since the epoch."""

    at: float
    outcome: Outcome


class DeliveryCounters:
    """Counters of one intake's requests and accepted events."""

    def __init__(self) -> None:
        self.delivered = 0
        self.delivered_bytes = 0
        "Bytes of accepted request bodies, before compression."
        self.unconfirmed = 0
        "Delivered events for which the collector returned no ids."
        self.requests: dict[str, int] = {verdict.value: 0 for verdict in Verdict}
        "Requests per outcome."
        self.last_answer: Answered | None = None
        self.last_acceptance: Answered | None = None

    def count_request(self, result: Outcome) -> None:
        """Counts the outcome of a request."""
        self.requests[result.verdict.value] += 1

    def count_response(self, result: Outcome, plain_size: int, *, now: float) -> None:
        """Counts the outcome of a request, and its events if they were accepted. ``plain_size`` is the size of its body
        before compression, ``now`` is in seconds since the epoch."""
        self.count_request(result)
        self.last_answer = Answered(now, result)
        if result.verdict is Verdict.ACCEPTED:
            self.last_acceptance = self.last_answer
            self.delivered += result.accepted
            self.delivered_bytes += plain_size
            self.unconfirmed += 0 if result.confirmed else result.accepted


class ResponseHandler:
    """Response handling of one intake. ``max_bytes`` limits its bodies. ``is_last`` returns True if nothing else is
    left to send."""

    def __init__(
        self, name: str, *, context: DeliveryContext, pending: PendingBatches, retry_state: RetryState,
        counters: DeliveryCounters, max_bytes: int, is_last: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.body_limit = BodyLimit(max_bytes, context.clock.seconds)
        self.bisection = Bisection(name, pending=pending, context=context)
        self._name = name
        self._context = context
        self._pending = pending
        self._retry_state = retry_state
        self._counters = counters
        self._is_last = is_last
        self._foreign_responses = 0

    async def settle(self, pieces: list[Piece], split: bool, result: Outcome, request: Request) -> None:
        """Applies the outcome of a request. ``split`` is True if its pieces come from the split queue."""
        self._counters.count_response(result, request.plain_size, now=self._context.wall())
        self.body_limit.answered(request.size, cut_off=result.cut_off)
        self._foreign_responses = self._foreign_responses + 1 if result.foreign else 0
        single_event = sum(piece.count for piece in pieces) == 1
        if result.verdict is Verdict.ACCEPTED:
            await self._accepted(pieces, split, result, request)
        elif result.verdict is Verdict.RETRY:
            if result.status == 413 and single_event:
                # A proxy may take less than the collector. Other events must not wait for this one.
                self._pending.split_queue.postpone(pieces, self._context.clock.seconds() + POSTPONED)
            else:
                self._pending.put_back(pieces, split=split)
            if result.status == 413:
                self.body_limit.too_large(request.size)
            if self._foreign_responses >= MAX_FOREIGN_RESPONSES:
                why = f"{MAX_FOREIGN_RESPONSES} responses were not from the collector: {result.reason}"
                self._retry_state.park(why, result.cause)
            else:
                self._retry_state.fail(result.reason, result.cause, at_least=result.retry_after, network=result.network)
        elif result.verdict is Verdict.SPLIT and not single_event:
            if self.body_limit.too_large(request.size):
                self._retry_state.note_error(result.reason, result.cause)
                log.warn(
                    "intake {intake}: {why}; for now at most {size} bytes a request",
                    intake=self._name, why=result.reason, size=self.body_limit.limit,
                )  # fmt: skip
            await self._pending.halve(pieces)
        elif result.verdict is Verdict.PARKED:
            self._pending.put_back(pieces, split=split)
            self._retry_state.park(result.reason, result.cause)
        else:
            await self._refused(pieces, split, single_event, result)

    async def _accepted(self, pieces: list[Piece], split: bool, result: Outcome, request: Request) -> None:
        count = sum(piece.count for piece in pieces)
        self._recovered(request.size)
        chosen: list[tuple[int, Piece]] = []
        others: list[Piece] = pieces
        if result.rejected:
            try:
                chosen, others = await self._context.run(lambda: single_out(pieces, set(result.rejected)))
            except (batch_reader.Damaged, OSError) as error:
                # The file cannot be read any more, so all events are sent again.
                self._context.ledger.add_possible_duplicates(self._name, result.accepted)
                self._pending.cannot_read(pieces, error, split=split)
                return
        self._context.ledger.deliver(self._name, result.accepted, request.size)
        if result.rejected:
            self.bisection.add_refused(*((piece, result.rejected[position]) for position, piece in chosen))
            pieces = others
        elif missing := count - result.accepted:
            self._context.ledger.drop_spooled(self._name, missing, "collector_shortfall")
            text = (
                f"the collector confirmed {result.accepted} of {counted(count, 'event')}; {missing} may be lost there"
            )
            self._retry_state.note_error(text, Cause.SHORTFALL)
            alarm = f"intake {self._name}: {text}. {ENDS_IN_A_DAY}"
            self._context.alarms.on("loss", self._name, alarm, lasts=A_DAY)
            self._context.store.keep_evidence(self._name, pieces[0].batch.sequence, request.evidence())
        receipt = Receipt(
            self._name, [(p.batch.sequence, p.count, p.batch.count) for p in pieces], result.accepted, request.sha256,
            result.status or 0, result.first_id, result.last_id, result.confirmed,
        )  # fmt: skip
        self._observe(pieces, exact=request.exact)
        self._context.store.acknowledge(self._pending.settle(pieces), receipt)
        if result.accepted:
            self.bisection.accepted()

    def _observe(self, pieces: list[Piece], *, exact: bool) -> None:
        now = self._context.clock.seconds()
        earliest = min((piece.earliest for piece in pieces), default=0)
        for piece in pieces:
            sealed = piece.batch.sealed
            delay = now - sealed if math.isfinite(sealed) else None
            if exact:
                # Each event of a timed batch has its own time, those of another file have the earliest of the file.
                has_times = piece.batch.timed or piece.times is not None
                error = 0.0 if has_times else (piece.latest - piece.earliest) / 1000
            else:
                error = (piece.latest - earliest) / 1000
            self._context.runtime_metrics.accepted(delay=delay, error=error)

    async def _refused(self, pieces: list[Piece], split: bool, single_event: bool, result: Outcome) -> None:
        self._retry_state.note_error(result.reason, result.cause)
        if not self.bisection.record_refusal(pieces):
            self._pending.put_back(pieces, split=split)
            self.bisection.undo_splits()
            self._retry_state.park(f"the collector refuses everything: {result.reason}", result.cause)
        elif single_event:
            self.bisection.add_refused((pieces[0], result.reason))
            log.warn("intake {intake}: one event is refused: {why}", intake=self._name, why=result.reason)
            if self._is_last():
                # No other event is left that could be accepted later, so acceptances during the search must count.
                self.bisection.quarantine_refused(since_suspected=True)
        else:
            await self._pending.halve(pieces)

    def _recovered(self, size: int) -> None:
        if self._retry_state.failures or self.bisection.consecutive_refusals or self._retry_state.parked is not None:
            log.info("intake {intake}: delivering again", intake=self._name)
        self._retry_state.succeeded()
        self.bisection.end_refusals()
        self.body_limit.accepted(size)
