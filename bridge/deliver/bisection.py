"""Finds the events that the collector refuses, and decides when they go to quarantine.

A request that is refused as a whole (400) is halved until the refused event is alone. The event goes to quarantine
only once another event of the intake has been accepted since a request with the refused event was first refused. A
collector that refuses everything has a fault of its own, and no event is at fault. After its own refusal, an event
waits for another acceptance as long as other requests of the intake are left to send.

While requests are refused, they are sent one at a time, the smallest first. The search thus reaches a single event
before ``MOST_REFUSALS``, however many events are bad and however many batches contain one. Fresh batches alternate
with the search only while its requests are accepted. After ``MOST_REFUSALS`` consecutive refusals without an
acceptance, the intake is parked and its batches are made whole again.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain

from twisted.logger import Logger

from bridge.deliver.context import DeliveryContext
from bridge.deliver.pending import PendingBatches
from bridge.spool import Batch, Piece
from bridge.util.counts import counted

MOST_REFUSALS = 16

log = Logger(namespace="deliver")


class Bisection:
    """Search for the refused events of one intake."""

    def __init__(self, name: str, *, pending: PendingBatches, context: DeliveryContext) -> None:
        self.consecutive_refusals = 0
        self._name = name
        self._pending = pending
        self._context = context
        self._refused_events: list[tuple[Piece, str]] = []
        self._acceptances = 0

    def record_refusal(self, pieces: list[Piece]) -> bool:
        """Records that a request with these pieces was refused. Returns False after too many consecutive refusals:
        the events are not the cause."""
        self.consecutive_refusals += 1
        for piece in pieces:
            if piece.suspected is None:
                piece.suspected = self._acceptances
        if self.consecutive_refusals < MOST_REFUSALS:
            return True
        self.consecutive_refusals = 0
        for piece in pieces:
            piece.suspected = None
        return False

    def end_refusals(self) -> None:
        """Records that the next refusal does not follow on the previous ones."""
        self.consecutive_refusals = 0

    def add_refused(self, *refused: tuple[Piece, str]) -> None:
        """Adds single events that were refused, each with the collector's text."""
        self._refused_events += refused

    def refused_pieces(self) -> Iterator[Piece]:
        """Returns the refused events that wait until another event is accepted."""
        return (piece for piece, _ in self._refused_events)

    def forget(self, batches: Collection[Batch]) -> None:
        """Forgets the refused events of these batches."""
        self._refused_events = [each for each in self._refused_events if each[0].batch not in batches]

    def accepted(self) -> None:
        """Records that events were accepted, and moves the refused events to quarantine."""
        self._acceptances += 1
        self.quarantine_refused()

    def quarantine_refused(self, *, since_suspected: bool = False) -> None:
        """Moves the refused events to quarantine. ``since_suspected`` selects only those that were first refused
        before the latest acceptance."""
        confirmed, waiting = self._refused_events, []
        if since_suspected:
            waiting = [each for each in confirmed if (each[0].suspected or 0) >= self._acceptances]
            confirmed = [each for each in confirmed if (each[0].suspected or 0) < self._acceptances]
        if not confirmed:
            return
        self._refused_events = waiting
        for piece, _ in confirmed:
            self._context.ledger.quarantine(self._name, piece.count)
        log.warn(
            "intake {intake}: {events} moved to quarantine",
            intake=self._name,
            events=counted(len(confirmed), "refused event"),
        )
        self._context.store.refuse(self._name, confirmed, self._pending.settle([piece for piece, _ in confirmed]))

    def undo_splits(self) -> None:
        """Makes all split batches whole again if no event of them is settled. Ranges of other batches stay ranges."""
        split_queue = self._pending.split_queue
        ranges = [*chain.from_iterable(split_queue.clear()), *self.refused_pieces()]
        self._refused_events.clear()
        held: Counter[Batch] = Counter()
        for piece in ranges:
            held[piece.batch] += piece.count
        whole: dict[Batch, Piece] = {}
        for piece in ranges:
            batch = piece.batch
            if held[batch] == batch.count and not batch.timed:
                whole.setdefault(batch, Piece.whole(batch))
            else:
                piece.suspected = None
                split_queue.add([piece])
        self._pending.put_back(list(whole.values()), split=False)
