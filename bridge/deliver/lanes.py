"""The order in which an intake's batches leave.

Two lanes: **live first**, the backlog gets what is left and at least a fifth, so that a SOC is not blind after an
outage. A batch that has waited longer than ``live_for`` belongs to the backlog. Within a lane requests start in
sequence order. A request takes a run of neighbours whose times lie within ``width``.
"""

from collections import deque

from bridge.spool import Batch, Piece

BACKLOG_SHARE = 5
"Every fifth request is the backlog's."


class Lanes:
    """What waits to be sent. Times are monotonic seconds."""

    def __init__(self, *, live_for: float, live_first: bool) -> None:
        self._live_for = live_for
        self._live_first = live_first
        self._live: deque[Piece] = deque()
        self._backlog: deque[Piece] = deque()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._live) + len(self._backlog)

    @property
    def has_backlog(self) -> bool:
        """Whether batches wait that should have left long ago."""
        return bool(self._backlog)

    def add(self, batch: Batch, now: float) -> None:
        """A batch was sealed, or found at start."""
        self._insert(Piece.whole(batch), now)

    def put_back(self, pieces: list[Piece], now: float) -> None:
        """A request failed: its pieces wait again where they stood."""
        for piece in reversed(pieces):
            self._insert(piece, now)

    def take(self, now: float, *, width_ms: int, max_events: int, max_bytes: int) -> list[Piece]:
        """The pieces of the next request; empty: nothing waits. A timed batch that is not cut yet comes alone."""
        self._age(now)
        lane = self._next_lane()
        if lane is None:
            return []
        first = lane.popleft()
        taken = [first]
        if first.batch.timed and first.lines is None:
            return taken
        earliest, latest, count, size = first.earliest, first.latest, first.count, first.size
        while lane:
            piece = lane[0]
            if piece.batch.timed and piece.lines is None:
                break
            low, high = min(earliest, piece.earliest), max(latest, piece.latest)
            if high - low >= width_ms or count + piece.count > max_events or size + piece.size > max_bytes:
                break
            earliest, latest, count, size = low, high, count + piece.count, size + piece.size
            taken.append(lane.popleft())
        return taken

    def drop_oldest(self) -> Batch | None:
        """Forget the oldest batch that waits whole, and of which nothing was settled; None: there is none."""
        found: list[tuple[Piece, deque[Piece]]] = []
        for lane in (self._live, self._backlog):
            piece = next((p for p in lane if p.lines is None and p.batch.unacknowledged == p.batch.count), None)
            if piece is not None:
                found.append((piece, lane))
        if not found:
            return None
        piece, lane = min(found, key=lambda one: one[0].order)
        lane.remove(piece)
        return piece.batch

    def _next_lane(self) -> "deque[Piece] | None":
        if self._live and self._backlog:
            self._turn = (self._turn + 1) % BACKLOG_SHARE
            return self._live if self._turn else self._backlog
        return self._live or self._backlog or None

    def _age(self, now: float) -> None:
        if self._live_first:
            while self._live and now - self._live[0].batch.sealed > self._live_for:
                _insert_sorted(self._backlog, self._live.popleft())

    def _insert(self, piece: Piece, now: float) -> None:
        aged = self._live_first and now - piece.batch.sealed > self._live_for
        _insert_sorted(self._backlog if aged else self._live, piece)


def _insert_sorted(lane: "deque[Piece]", piece: Piece) -> None:
    """Nearly always at an end; only answers that overtake each other go in between."""
    if not lane or lane[-1].order < piece.order:
        lane.append(piece)
    elif piece.order < lane[0].order:
        lane.appendleft(piece)
    else:
        at = next(i for i, other in enumerate(lane) if piece.order < other.order)
        lane.insert(at, piece)
