"""Orders the batches of an intake for sending.

There are two lanes. **Live** batches go first; the backlog gets the rest, and at least a fifth, so that a SOC sees
current events after an outage. A batch that has waited longer than ``live_for`` belongs to the backlog. Within a lane,
requests start in sequence order. A request takes consecutive batches whose times lie within ``width_ms``. Batches that
an operator has replayed (``exact``, by sequence) are joined only within the width of a single batch: they are not
urgent, and the operator searches for them by time.

Consecutive timed batches are cut together, and their parts are sent by time window. A request thus contains the events
of all these batches in one window. While the request rate is the limit, or would be, timed batches gather in the
backlog for that: each cut makes about as many requests as there are windows, whatever its size. They wait for at most
``COLLECT_FOR`` seconds if the requests are small.

Packed batches belong to the backlog. They arrive as the pack queue reads them. The backlog waits until enough batches
for full requests have been read. A batch is never sent before an older batch that is still unread.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice, takewhile

from bridge.deliver.lane import Lane, is_droppable, is_uncut, is_whole, order_of
from bridge.spool import Batch, Pack, Piece
from bridge.spool.pack_writer import MIN_BATCHES

BACKLOG_SHARE = 5
"Every fifth request is for the backlog."
ENOUGH = 64
"Packed batches in memory that are enough for full requests."
FRONT, MANY = 64, 256
"""The first FRONT batches of a moving backlog are sent soon and stay unpacked. At least MANY more behind them
justify a pack."""
NEWEST = 16
"Number of live batches that stay unpacked while the collector accepts nothing."
PACK_BYTES, PACK_BATCHES = 16 << 20, 512
"""Bytes of lines, and batches, that are packed at once. Deliveries and sealing wait for the same thread, and a batch
takes about a millisecond to read and remove."""
COLLECT_FOR, COLLECT_EVENTS = 4.0, 500
"Seconds that a sealed timed batch waits for others, and the mean of events in a request for which none waits."
FEW_RANGES = 8
"Requests of one cut that are too few to wait for."
RANGE_BYTES = 500
"Approximate memory of a range of a cut batch besides its lines. With clocks that are days apart, each event is one."


class SendQueue:
    """Waiting pieces of one intake. Times are monotonic seconds. ``packed_limit`` returns the bytes from packs that
    may be in memory."""

    def __init__(
        self, *, live_for: float, live_first: bool, exact: Callable[[int], bool] = lambda sequence: False,
        packed_limit: Callable[[], int] = lambda: 1 << 20,
    ) -> None:  # fmt: skip
        self._exact = exact
        self._packed_limit = packed_limit
        self._live_for = live_for
        self._live_first = live_first
        self._live = Lane()
        self._backlog = Lane()
        self._turn = 0
        self._boundary: int | None = None
        "Lowest sequence that is not yet read from a pack; None if all packs are read."
        self._packed = self._packed_bytes = 0
        "Number and bytes of the pieces in the lanes that come from packs."
        self._cut_bytes = 0
        "Approximate memory of the pieces in the lanes that come from cut batches."
        self._collects_until = 0.0
        "While the backlog begins with timed batches that wait for others, the time at which the first is cut."

    def __len__(self) -> int:
        """Returns the number of pieces in the lanes that may be sent now."""
        if self._boundary is None and not self._collects_until:
            return len(self._live) + len(self._backlog)
        return sum(len(lane) for lane in (self._live, self._backlog) if not self._held_back(lane))

    def change(self, *, live_for: float, live_first: bool, now: float) -> None:
        """Applies another order."""
        if (live_for, live_first) == (self._live_for, self._live_first):
            return
        pieces = [*self._live, *self._backlog]
        self._live, self._backlog = Lane(), Lane()
        self._packed = self._packed_bytes = self._cut_bytes = 0
        self._live_for, self._live_first = live_for, live_first
        self.put_back(pieces, now)

    def batches_of_pack(self, pack: Pack) -> list[Batch]:
        """Returns the batches of a pack that are in the lanes and whole."""
        return [piece.batch for piece in self._pack_lane if piece.batch.pack is pack and is_whole(piece)]

    def pieces(self) -> Iterator[Piece]:
        """Returns all pieces in the lanes."""
        yield from self._live
        yield from self._backlog

    def forget(self, batches: Collection[Batch]) -> None:
        """Takes these batches out of the lanes."""
        forgotten = set(batches)
        self._remove({piece for piece in self.pieces() if piece.batch in forgotten})

    def _remove(self, pieces: Collection[Piece]) -> None:
        for piece in pieces:
            self._count(piece, -1)
        self._live = Lane(piece for piece in self._live if piece not in pieces)
        self._backlog = Lane(piece for piece in self._backlog if piece not in pieces)

    @property
    def has_backlog(self) -> bool:
        """Returns True if batches have waited longer than ``live_for`` or are in packs."""
        return bool(self._backlog) or self._boundary is not None

    @property
    def needs_packs(self) -> bool:
        """Returns True if packs should be read.

        A pack that is older than all batches in memory must be read, even if enough are there: none of them may be sent
        before it. Such a pack is written when its batches come back from a failed request or a failed attempt to pack.
        """
        if self._boundary is None:
            return False
        lane = self._pack_lane
        is_behind = bool(lane) and lane[0].order[0] >= self._boundary
        return is_behind or (self._packed < ENOUGH and self._packed_bytes < self._packed_limit())

    def unread_begin_at(self, sequence: int | None) -> None:
        """Records the lowest sequence that is not yet read from a pack; None if all packs are read."""
        self._boundary = sequence

    def has_packable(self, *, blocked: bool) -> bool:
        """Returns True if there may be enough batches to pack."""
        return self._live.packable + self._backlog.packable >= (MIN_BATCHES if blocked else MANY)

    def take_packable(self, now: float, *, blocked: bool) -> list[Batch]:
        """Takes out batches that are worth packing; empty if there are too few. ``blocked`` is True if the collector
        accepts nothing at the moment."""
        if not self.has_packable(blocked=blocked):
            return []
        self._age(now)
        lane = self._pack_lane
        # Each lane is sorted. If live batches are added, they follow the older ones of the backlog.
        candidates = lane.candidates(0 if blocked else FRONT)
        if blocked and lane is not self._live and len(self._live) + len(lane) >= MANY:
            newest = set(islice(reversed(self._live), NEWEST))
            candidates += [piece for piece in self._live.candidates(0) if piece not in newest]
        chosen: set[Piece] = set()
        size = 0
        for piece in candidates:
            chosen.add(piece)
            size += piece.size
            if len(chosen) >= PACK_BATCHES or size >= PACK_BYTES:
                break
        if len(chosen) < (MIN_BATCHES if blocked else MANY):
            return []
        self._remove(chosen)
        return [piece.batch for piece in chosen]

    @property
    def _pack_lane(self) -> Lane:
        return self._backlog if self._live_first else self._live

    def _held_back(self, lane: Lane) -> bool:
        if lane is not self._pack_lane:
            return False
        if self._boundary is None:
            return bool(self._collects_until and lane and is_uncut(lane[0]))
        return self.needs_packs or not lane

    def add(self, *batches: Batch, now: float) -> None:
        """Adds whole batches: sealed, found at start or read from packs."""
        self.put_back(map(Piece.whole, batches), now)

    def put_back(self, pieces: Iterable[Piece], now: float) -> None:
        """Puts pieces of a failed request, or of cut batches, back in their old order."""
        live: list[Piece] = []
        backlog: list[Piece] = []
        for piece in sorted(pieces, key=order_of):
            self._count(piece, 1)
            (live if self._is_live(piece.batch, now) else backlog).append(piece)
        for lane, run in ((self._live, live), (self._backlog, backlog)):
            lane.insert_run(run)

    def take(
        self, now: float, *, width_ms: int, narrow_ms: int | None = None, max_events: int, max_bytes: int,
        timed: bool = False, fill: bool = False, collect: bool = False, max_uncut_bytes: int = 0,
    ) -> list[Piece]:  # fmt: skip
        """Returns the pieces of the next request; empty if nothing may be sent. Timed batches that are not cut yet
        come only with others of their kind, to be cut together: several while their memory and that of those cut before
        are within ``max_uncut_bytes``. For an endpoint that takes a time with each event (``timed``), they are treated
        like others. ``narrow_ms`` is the width for ``exact`` batches. With ``fill``, pieces of any time follow if the
        request would otherwise be small, because ``width_ms`` has ended it. With ``collect``, timed batches wait in the
        backlog until the ranges before them are sent, so that as many as possible are cut together. They do not wait
        for an ordinary backlog: they may hold current events."""
        self._age(now)
        self._collects_until = 0.0
        if collect and self._live_first and not timed and (not self._backlog or self._backlog[0].batch.timed):
            self._to_backlog(is_uncut)
            self._collect(now, width_ms, max_uncut_bytes)
        lane = self._next_lane()
        if lane is None:
            return []
        first = self._pop(lane)
        taken = [first]
        end = self._boundary if lane is self._pack_lane else None
        narrow = width_ms if narrow_ms is None else narrow_ms
        if is_uncut(first) and not timed:
            size, exact = self._cut_bytes + _memory_when_cut(first, width_ms), self._exact(first.order[0])
            while lane and is_uncut(lane[0]) and (end is None or lane[0].order[0] < end):
                size += _memory_when_cut(lane[0], width_ms)
                if size > max_uncut_bytes or self._exact(lane[0].order[0]) is not exact:
                    break
                taken.append(self._pop(lane))
            return taken
        earliest, latest, count, size = first.earliest, first.latest, first.count, first.size
        filled = False
        while lane:
            piece = lane[0]
            if (is_uncut(piece) and not timed) or (end is not None and piece.order[0] >= end):
                break
            low, high = min(earliest, piece.earliest), max(latest, piece.latest)
            exact = high - low >= narrow and (self._exact(first.order[0]) or self._exact(piece.order[0]))
            if exact or count + piece.count > max_events or size + piece.size > max_bytes:
                break
            if high - low >= width_ms and not filled:
                if not fill or not is_small(count, size, max_events, max_bytes):
                    break
                filled = True
            earliest, latest, count, size = low, high, count + piece.count, size + piece.size
            taken.append(self._pop(lane))
        return taken

    def _collect(self, now: float, width_ms: int, max_bytes: int) -> None:
        """Lets the timed batches at the front of the backlog wait for others, if they would make small requests."""
        uncut = list(takewhile(is_uncut, self._backlog))
        if not uncut or (until := uncut[0].batch.sealed + COLLECT_FOR) <= now:
            return
        ranges = ranges_when_cut(uncut, width_ms)
        small = ranges > FEW_RANGES and sum(piece.count for piece in uncut) < ranges * COLLECT_EVENTS
        if small and sum(piece.size for piece in uncut) < max_bytes:
            self._collects_until = until

    def ranges_to_cut(self, width_ms: int) -> int:
        """Returns the requests that the timed batches at the front of the live lane would make."""
        return ranges_when_cut(list(takewhile(is_uncut, self._live)), width_ms)

    def ends_collecting(self, now: float) -> bool:
        """Returns True if timed batches have waited for others and may be cut now."""
        if not 0.0 < self._collects_until <= now:
            return False
        self._collects_until = 0.0
        return True

    def drop_oldest(self, *, before: int | None = None, parts: bool = False) -> Batch | None:
        """Forgets and returns the oldest batch that waits whole in its own file and has no settled events; None if
        none qualifies. ``before`` limits the search to lower sequences. With ``parts``, a batch that was cut also
        qualifies if all its unsettled events wait here."""
        found: list[tuple[Piece, Lane]] = []
        waiting: Counter[Batch] = Counter()
        for lane in (self._backlog, self._live):
            for piece in lane:
                batch = piece.batch
                if parts and batch.pack is None and piece.lines is not None:
                    waiting[batch] += piece.count
                if is_droppable(piece) or waiting.get(batch) == batch.unacknowledged:
                    found.append((piece, lane))
                    break
        if not found:
            return None
        piece, lane = min(found, key=lambda one: one[0].batch.sequence)
        if before is not None and piece.batch.sequence >= before:
            return None
        if piece.lines is None:
            lane.remove(piece)
            lane.note((piece,), -1)
            self._count(piece, -1)
        else:
            self.forget((piece.batch,))
        return piece.batch

    def release_cut(self) -> list[Batch]:
        """Forgets and returns the batches in files of their own that were cut, and of which all events wait here."""
        waiting: Counter[Batch] = Counter()
        for piece in self.pieces():
            if piece.lines is not None and piece.batch.pack is None:
                waiting[piece.batch] += piece.count
        cut = [batch for batch, events in waiting.items() if events == batch.unacknowledged == batch.count]
        if cut:
            self.forget(cut)
        return cut

    def _pop(self, lane: Lane) -> Piece:
        piece = lane.popleft()
        self._count(piece, -1)
        if piece.lines is None:
            lane.note((piece,), -1)
        return piece

    def _count(self, piece: Piece, sign: int) -> None:
        if piece.lines is not None:
            self._cut_bytes += sign * (piece.size + RANGE_BYTES)
        if piece.batch.pack is not None:
            self._packed += sign
            self._packed_bytes += sign * piece.size

    def _next_lane(self) -> Lane | None:
        live = self._live if self._live and not self._held_back(self._live) else None
        backlog = self._backlog if self._backlog and not self._held_back(self._backlog) else None
        if live is not None and backlog is not None:
            self._turn = (self._turn + 1) % BACKLOG_SHARE
            return live if self._turn else backlog
        return live if live is not None else backlog

    def _age(self, now: float) -> None:
        if not self._live_first:
            return
        self._to_backlog(lambda piece: now - piece.batch.sealed > self._live_for)

    def _to_backlog(self, moves: Callable[[Piece], bool]) -> None:
        """Moves the first live pieces to the backlog, up to the first one that does not move."""
        # All at once: thousands of ranges of one batch have the same age, and each may belong among others.
        run: list[Piece] = []
        while self._live and moves(self._live[0]):
            run.append(self._live.popleft())
        self._live.note(run, -1)
        self._backlog.insert_run(run)

    def _is_live(self, batch: Batch, now: float) -> bool:
        if batch.pack is not None:
            return not self._live_first
        return not self._live_first or now - batch.sealed <= self._live_for


def is_small(count: int, size: int, max_events: int, max_bytes: int) -> bool:
    """Returns True if a request of this many events and bytes is less than half full."""
    return count * 2 < max_events and size * 2 < max_bytes


def ranges_when_cut(pieces: Collection[Piece], width_ms: int) -> int:
    """Returns the most ranges of timed batches that are cut together: one for each event, or for each window."""
    if not pieces:
        return 0
    spread = max(piece.latest for piece in pieces) - min(piece.earliest for piece in pieces)
    return min(sum(piece.count for piece in pieces), spread // max(width_ms, 1) + 1)


def _memory_when_cut(piece: Piece, width_ms: int) -> int:
    """Returns the most memory that a timed batch takes when it is cut."""
    return piece.size + RANGE_BYTES * ranges_when_cut((piece,), width_ms)
