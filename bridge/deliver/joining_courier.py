"""Joins small batches of several intakes in one request (``small_batches: array``).

A quiet intake needs a request for each second of its events, and ``max_request_rate`` limits the requests of all
intakes together. When a request of a quiet intake starts, the waiting batches of the other quiet intakes of the same
base URL travel with it. Each intake settles its own part of the response.

An intake joins only while all of its waiting events are few and its requests are accepted. If the collector does not
accept a joined request, each part is sent again alone, to the intake's own endpoint, and its outcome is handled there.
The intake joins again after a request of its own was accepted, and joined requests pause, twice as long each time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.deliver.attempt import Attempt
from bridge.deliver.backoff import doubling
from bridge.deliver.circuit_breaker import CircuitBreaker
from bridge.deliver.context import DeliveryContext, DeliveryPath, RequestLimits
from bridge.deliver.courier import Courier
from bridge.deliver.joined_attempt import JoinedAttempt
from bridge.deliver.outcome import Outcome, Verdict
from bridge.deliver.request import Request
from bridge.spool import Piece, batch_reader

PART_BYTES, PART_EVENTS = 32 * 1024, 1000
"Largest part of one intake. An intake for which more waits sends its requests alone."
JOINED_BYTES, JOINED_EVENTS = 128 * 1024, 4000
"Approximate limit of all parts together: a body of this size is within every known limit of bodies."
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 600.0
"Seconds without joined requests after one was not accepted."
ALARM_AFTER = 3
"Consecutive joined requests that were not accepted, after which an alarm begins."

log = Logger(namespace="deliver")


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """Part of one intake in a joined request. ``path`` is the path of the intake when the request started."""

    courier: "JoiningCourier"
    attempt: Attempt
    path: DeliveryPath


class JoinPause:
    """Pause of the joined requests to one base URL."""

    def __init__(self, context: DeliveryContext) -> None:
        self._context = context
        self._failures = 0
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Returns True if a joined request may start."""
        return self._context.clock.seconds() >= self._until

    def refused(self, url: str, why: str) -> None:
        """Records that a joined request was not accepted, but might be if each part is sent alone."""
        self._failures += 1
        wait = doubling(self._failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        self._until = self._context.clock.seconds() + wait
        log.info("{url}: {why}; the small batches are sent again, each intake alone", url=url, why=why)
        if self._failures >= ALARM_AFTER:
            text = (
                f"{url} did not accept {self._failures} requests in a row that carry several intakes ({why})."
                " Small batches are delivered, but each intake needs requests of its own. If this persists, set"
                " collector.small_batches: plain"
            )
            self._context.alarms.on("small_batches", url, text)

    def accepted(self, url: str) -> None:
        """Records that a joined request was accepted."""
        self._failures, self._until = 0, 0.0
        self._context.alarms.off("small_batches", url, f"{url} accepts requests that carry several intakes again")


class JoiningCourier(Courier):
    """Delivers the batches of one intake, small ones together with those of other intakes. ``couriers`` are those of
    all intakes, ``pauses`` belong to the breakers of their base URLs."""

    def __init__(
        self, name: str, delivery_path: DeliveryPath, limits: RequestLimits, *, context: DeliveryContext,
        couriers: Mapping[str, "JoiningCourier"], pauses: dict[CircuitBreaker, JoinPause],
    ) -> None:  # fmt: skip
        super().__init__(name, delivery_path, limits, context=context)
        self._couriers = couriers
        self._pauses = pauses
        self._alone = False
        "True after a joined request was not accepted, until a request of this intake is."

    def start(self) -> bool:
        """Starts the next request, joined with small batches of other intakes if there are any."""
        breaker = self._joins_at()
        if breaker is None or not self._pauses.setdefault(breaker, JoinPause(self._context)).over:
            return super().start()
        others = [courier for courier in self._couriers.values() if courier is not self and courier._joins(self)]
        return self._start_joined(breaker, [self, *others]) if others else super().start()

    def _joins(self, first: "JoiningCourier") -> bool:
        """Returns True if the waiting batches may travel in a request of another intake."""
        breaker, own, other = self._joins_at(), self._delivery_path, first._delivery_path
        # Intakes share a client only if they trust the same authorities and show the same certificate.
        return (
            breaker is not None
            and breaker in other.base_urls[:1]
            and own.post == other.post
            and own.target.gzip == other.target.gzip
        )

    def _joins_at(self) -> CircuitBreaker | None:
        """Returns the breaker of the preferred base URL if the waiting batches can join a request to it."""
        if self._alone or self._delegate is not None or self._delivery_path.target.joined is None:
            return None
        pending, retry_state = self._pending, self._retry_state
        few = len(self._send_queue) and pending.size <= PART_BYTES and pending.events <= PART_EVENTS
        if not few or self._send_queue.needs_packs or len(self._split_queue):
            return None
        if retry_state.failures or retry_state.parked is not None or not self._may_start():
            return None
        breaker = self._next_breaker()
        if breaker is None or breaker is not self._delivery_path.base_urls[0] or breaker.state != "closed":
            return None
        return breaker

    def _start_joined(self, breaker: CircuitBreaker, couriers: Iterable["JoiningCourier"]) -> bool:
        parts = list[JoinedPart]()
        max_bytes = min(JOINED_BYTES, self._limits.max_bytes, self._response_handler.body_limit.limit)
        max_events = min(JOINED_EVENTS, self._limits.max_events)
        size = events = 0
        for courier in couriers:
            if parts and (size + courier._pending.size > max_bytes or events + courier._pending.events > max_events):
                continue
            if (part := courier._take_part(breaker, shared=bool(parts))) is not None:
                parts.append(part)
                size += sum(piece.size for piece in part.attempt.pieces)
                events += sum(piece.count for piece in part.attempt.pieces)
        if not parts:
            return False
        self._context.rate_effect.record((), 0, limited=False, now=self._context.clock.seconds())

        def ended(result: object) -> None:
            for part in reversed(parts):
                part.courier._end(part.attempt.slot)

        def defect(failure: Failure) -> None:
            for part in parts:
                part.courier._handle_defect(failure, part.attempt.pieces)

        defer.ensureDeferred(self._deliver_joined(breaker, parts)).addErrback(defect).addBoth(ended)
        return True

    def _take_part(self, breaker: CircuitBreaker, *, shared: bool) -> JoinedPart | None:
        path = self._delivery_path
        pieces, joined = self._selector.take_small(PART_EVENTS, PART_BYTES), path.target.joined
        if not pieces or joined is None:
            return None
        slot = self._begin(breaker, shared=shared)
        attempt = Attempt(self.name, pieces, replace(path, target=joined), breaker, slot, self._context)
        return JoinedPart(self, attempt, path)

    async def _deliver_joined(self, breaker: CircuitBreaker, parts: list[JoinedPart]) -> None:
        first = parts[0].attempt
        attempts = [part.attempt for part in parts]
        joined = JoinedAttempt(
            first.name, [piece for attempt in attempts for piece in attempt.pieces], first.delivery_path, breaker,
            first.slot, self._context, attempts,
        )  # fmt: skip
        try:
            results = await joined.run_all()
        except (batch_reader.Damaged, OSError) as error:
            for part in parts:
                part.courier._could_not_read(part.attempt.pieces, error)
            return
        url, pause = first.delivery_path.target.url, self._pauses[breaker]
        split = [result for _, result in results if result.verdict is Verdict.SPLIT]
        if len(split) == len(results):
            pause.refused(url, split[0].reason)
        elif not split and results[0][1].verdict is Verdict.ACCEPTED:
            pause.accepted(url)
        for part, (request, result) in zip(parts, results, strict=True):
            # A defect in one part must not stop the others.
            settled = defer.ensureDeferred(part.courier._settle_part(part, request, result))
            await settled.addErrback(part.courier._handle_defect, part.attempt.pieces)

    async def _settle_part(self, part: JoinedPart, request: Request, result: Outcome) -> None:
        attempt = part.attempt
        if attempt.slot.shared:
            # The attempt has reported only its first intake.
            attempt.breaker.ended(self.name, result.verdict)
        if result.verdict is not Verdict.ACCEPTED:
            self._alone = True
        if result.verdict is Verdict.SPLIT:
            # The response may be about another intake. The intake's own request shows its outcome.
            self._pending.was_read(attempt.pieces)
            self.count_request(result)
            self._pending.put_back(attempt.pieces, split=False)
        else:
            attempt = replace(attempt, delivery_path=part.path)
            await super()._apply(attempt, part.path, request, result, split=False)

    async def _apply(
        self, attempt: Attempt, delivery_path: DeliveryPath, request: Request, result: Outcome, *, split: bool
    ) -> None:
        await super()._apply(attempt, delivery_path, request, result, split=split)
        if result.verdict is Verdict.ACCEPTED:
            self._alone = False

    def _could_not_read(self, pieces: list[Piece], error: Exception) -> None:
        bad = getattr(error, "batch", None)
        if bad is None or any(piece.batch is bad for piece in pieces):
            self._pending.cannot_read(pieces, error, split=False)
        else:
            self._pending.put_back(pieces, split=False)
