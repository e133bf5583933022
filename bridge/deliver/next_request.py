"""Selects the events of an intake's next request: how many, and by how much their times may differ.

While an intake catches up, the times of one request may differ by the *join width*. It is
``backlog_timestamp_resolution``, and doubles, up to ten minutes, if the intake cannot keep up for a minute: the request
rate is the limit, requests are small because their times are far apart, and the backlog grows. It halves again after
each minute in which the request rate is not the limit, and returns to the configured value when there is no backlog.
The timestamp error is bounded by the width and reported.

If the intake has a *scattered endpoint*, which takes a time with each event, timed batches are not cut but sent there
whole, and so are the batches of small requests while the request rate is the limit.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from bridge.batching.endpoints import Endpoint
from bridge.deliver.context import DeliveryContext, DeliveryPath, RequestLimits
from bridge.deliver.lane import is_uncut
from bridge.deliver.pending import PendingBatches
from bridge.deliver.request import RequestTarget
from bridge.deliver.response_handler import ResponseHandler
from bridge.deliver.retry_state import RetryState
from bridge.deliver.send_queue import COLLECT_FOR, FEW_RANGES, is_small
from bridge.spool import Piece

UNLIMITED_WIDTH_MS = 1 << 62
"A join width in milliseconds that is larger than any difference of two times."
MOST_MS = 600_000
WIDEN_AFTER = 60.0
"Seconds without progress before the width doubles, and seconds below the rate limit before it halves."
FORESEEN_FOR = 60.0
"Seconds for which the width stays that of a backlog after timed batches would have made too many requests."
CUT_BYTES = 64 << 20
"""Approximate limit in bytes of memory in which all intakes together hold timed batches to cut several at once. A
higher limit means fewer requests: if clocks are spread over S seconds, each cut makes S / width requests, whatever
its size. After a kill, all events of these batches are possible duplicates, because each batch has been started."""


class JoinWidth:
    """Join width of one intake. Times are monotonic seconds."""

    def __init__(self, base_ms: int) -> None:
        self.ms = base_ms
        self._base_ms = base_ms
        self._since: float | None = None
        self._unlimited_since: float | None = None
        self._waiting_before = 0

    def limited_elsewhere(self) -> None:
        """Records that something other than the width is the limit."""
        self._since = self._unlimited_since = None

    def rate_suffices(self, now: float) -> bool:
        """Records that the request rate is not the limit. Returns True if the width shrank by this call."""
        self._since = None
        if self._unlimited_since is None or self.is_reset:
            self._unlimited_since = now
        elif now - self._unlimited_since >= WIDEN_AFTER:
            self._unlimited_since, self.ms = now, max(self._base_ms, self.ms // 2)
            return True
        return False

    @property
    def is_reset(self) -> bool:
        """Returns True if the width is the configured one."""
        return self.ms == self._base_ms

    def caught_up(self) -> bool:
        """Records that there is no backlog. Returns True if the width was reset by this call."""
        self._since = self._unlimited_since = None
        previous, self.ms = self.ms, self._base_ms
        return previous != self.ms

    def falls_behind(self, now: float, waiting: int) -> bool:
        """Records that small requests are sent at the rate limit while ``waiting`` events wait. Returns True if the
        width doubled by this call."""
        self._unlimited_since = None
        if self._since is None:
            self._since, self._waiting_before = now, waiting
            return False
        if now - self._since < WIDEN_AFTER:
            return False
        widened = waiting >= self._waiting_before and self.ms < MOST_MS
        if widened:
            self.ms = min(MOST_MS, self.ms * 2)
        self._since, self._waiting_before = now, waiting
        return widened


@dataclass(frozen=True, slots=True)
class NextRequest:
    """Pieces taken out of the queues. ``split`` is True if they come from the split queue."""

    pieces: list[Piece]
    split: bool
    prepare: Callable[[], Awaitable[None]] | None
    "Makes several requests of the pieces, which are too many or too far apart for one. None: they are one request."
    scattered: bool = False
    "True if the times are too far apart for one timestamp: the request goes to the scattered endpoint."

    def path(self, path: DeliveryPath) -> DeliveryPath:
        """Returns the path of this request, from the intake's."""
        target = path.target.scattered if self.scattered else None
        return path if target is None else replace(path, target=target)


def _has_times(piece: Piece) -> bool:
    """Returns True for a timed batch or a range of one."""
    return is_uncut(piece) or piece.times is not None


def _spread(pieces: list[Piece]) -> int:
    """Returns the distance of the latest time from the earliest, in milliseconds."""
    return max(piece.latest for piece in pieces) - min(piece.earliest for piece in pieces)


class RequestSelector:
    """Selects the requests of one intake."""

    def __init__(
        self, name: str, target: RequestTarget, limits: RequestLimits, *, context: DeliveryContext,
        pending: PendingBatches, retry_state: RetryState, response_handler: ResponseHandler,
    ) -> None:  # fmt: skip
        self._name = name
        self._target = target
        self._limits = limits
        self._context = context
        self._pending = pending
        self._retry_state = retry_state
        self._body_limit = response_handler.body_limit
        self._bisection = response_handler.bisection
        self._width = JoinWidth(limits.catch_up_ms)
        self._fresh_turn = False
        self._foreseen_until = float("-inf")

    def change(self, target: RequestTarget, limits: RequestLimits) -> None:
        """Applies another configuration."""
        if limits.catch_up_ms != self._limits.catch_up_ms:
            self._width = JoinWidth(limits.catch_up_ms)
            text = f"intake {self._name}: requests use the configured timestamp resolution again"
            self._context.alarms.off("width", self._name, text)
        self._target, self._limits = target, limits

    @property
    def _endpoint(self) -> Endpoint:
        return self._target.endpoint

    @property
    def _takes_scattered(self) -> bool:
        """Returns True if the intake has a scattered endpoint."""
        return self._target.scattered is not None

    def take(self, *, fresh: bool) -> NextRequest | None:
        """Takes the pieces of the next request; None if there are none. ``fresh`` is False if only requests that were
        split may be sent."""
        send_queue, split_queue = self._pending.send_queue, self._pending.split_queue
        now = self._context.clock.seconds()
        # Fresh batches alternate with a search for refused events, but not while its requests are refused. A fresh
        # batch with a bad event would start a second search before the first has shown that the collector accepts
        # anything.
        self._fresh_turn = not self._fresh_turn
        take_fresh = (
            self._fresh_turn
            and split_queue.searching_few_ranges
            and not self._bisection.consecutive_refusals
            and fresh
            and bool(len(send_queue))
        )
        pieces = [] if take_fresh else split_queue.take(now)
        split = bool(pieces)
        # Split pieces keep the width within which they were joined.
        width_ms = max(self._width.ms, self._limits.resolution_ms) if split else self._width_now(now)
        if not pieces and fresh:
            pieces = self._from_lanes(now, width_ms)
        if not pieces:
            return None
        prepare = self._preparation(pieces, width_ms)
        if prepare is None:
            self._body_limit.sending(sum(piece.size for piece in pieces))
            limited = self._context.dispatcher.limited and not self._endpoint.exact
            self._context.rate_effect.record(pieces, self._limits.resolution_ms, limited=limited, now=now)
        scattered = self._takes_scattered and (any(map(_has_times, pieces)) or _spread(pieces) >= width_ms)
        return NextRequest(pieces, split, prepare, scattered)

    def take_small(self, max_events: int, max_bytes: int) -> list[Piece]:
        """Takes what waits, up to these limits, for a request that carries a time with each event."""
        return self._pending.send_queue.take(
            self._context.clock.seconds(), width_ms=UNLIMITED_WIDTH_MS, max_events=max_events, max_bytes=max_bytes,
            timed=True,
        )  # fmt: skip

    def _preparation(self, pieces: list[Piece], width_ms: int) -> Callable[[], Awaitable[None]] | None:
        if any(self._needs_cut(piece, width_ms) for piece in pieces):
            if any(self._context.exact(piece.batch.sequence) for piece in pieces):
                width_ms = min(width_ms, self._limits.resolution_ms)
            return lambda: self._pending.cut(pieces, width_ms, self._max_events, self._limits.max_bytes)
        if sum(p.size for p in pieces) > self._body_limit.limit and sum(p.count for p in pieces) > 1:
            return lambda: self._pending.halve(pieces)
        return None

    @property
    def _max_events(self) -> int:
        return 1 if self._endpoint.single else self._limits.max_events

    def _width_now(self, now: float) -> int:
        """Returns by how much the times of one request may differ, in milliseconds."""
        if self._endpoint.exact:
            return UNLIMITED_WIDTH_MS
        catching_up = self._limited(now) or self._pending.send_queue.has_backlog
        return self._width.ms if catching_up else self._limits.resolution_ms

    def _limited(self, now: float) -> bool:
        """Returns True if the request rate is the limit, or if the timed batches would make more requests than this
        intake's share of the rate while others of their kind gather."""
        rate = self._context.dispatcher.rate
        share = None if rate is None else self._context.share_of(int(rate * COLLECT_FOR))
        ranges = 0 if self._takes_scattered else self._pending.send_queue.ranges_to_cut(self._limits.resolution_ms)
        if share is not None and ranges > max(share, FEW_RANGES):
            self._foreseen_until = now + FORESEEN_FOR
        return self._context.dispatcher.limited or now < self._foreseen_until

    def _from_lanes(self, now: float, width_ms: int) -> list[Piece]:
        endpoint = self._endpoint
        max_bytes = min(self._limits.max_bytes, self._body_limit.limit)
        limited = self._context.dispatcher.limited
        pieces = self._pending.send_queue.take(
            now, width_ms=width_ms, narrow_ms=UNLIMITED_WIDTH_MS if endpoint.exact else self._limits.resolution_ms,
            max_events=self._max_events, max_bytes=max_bytes, timed=endpoint.exact or self._takes_scattered,
            fill=limited and self._takes_scattered and not endpoint.single, collect=self._limited(now),
            max_uncut_bytes=0 if endpoint.single else self._context.share_of(CUT_BYTES),
        )  # fmt: skip
        if endpoint.exact or endpoint.single or any(self._needs_cut(piece, width_ms) for piece in pieces):
            # A wider window would not reduce the number of requests. If batches must be cut first, this is not a
            # request yet.
            return pieces
        size, count = sum(p.size for p in pieces), sum(p.count for p in pieces)
        # With a scattered endpoint, requests are not small because of the width.
        small = is_small(count, size, self._limits.max_events, max_bytes) and not self._takes_scattered
        self._widen(now, small=small)
        return pieces

    def _widen(self, now: float, *, small: bool) -> None:
        about = f"intake {self._name}"
        shrank = False
        if not self._pending.send_queue.has_backlog:
            shrank = self._width.caught_up()
        elif not self._context.dispatcher.limited:
            shrank = self._width.rate_suffices(now)
        elif not small or self._retry_state.failures:
            self._width.limited_elsewhere()
        elif self._width.falls_behind(now, self._pending.events):
            text = (
                f"{about} falls behind at max_request_rate: the times in one request may now differ by"
                f" {self._width.ms / 1000:g} s"
            )
            self._context.alarms.on("width", self._name, text)
        if shrank and self._width.is_reset:
            text = f"{about} keeps up: requests use the configured timestamp resolution again"
            self._context.alarms.off("width", self._name, text)
        elif shrank:
            text = f"{about} catches up: the times in one request still differ by up to {self._width.ms / 1000:g} s"
            self._context.alarms.on("width", self._name, text)

    def _needs_cut(self, piece: Piece, width_ms: int) -> bool:
        if self._takes_scattered and (_has_times(piece) or piece.latest - piece.earliest >= width_ms):
            return False
        if self._endpoint.single and piece.count > 1:
            return True
        if self._endpoint.exact:
            return False
        # This is a timed batch, or a range that was cut when the width was larger than it is now.
        return is_uncut(piece) or (piece.times is not None and piece.latest - piece.earliest >= width_ms)
