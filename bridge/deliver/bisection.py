"""Events that the collector refuses: which of them go to quarantine, and when it is the collector that is in trouble.

A request that is refused as a whole (400) is halved until the refused event is alone. That event is then *condemned*,
but goes to quarantine only once another event of the intake has been accepted since a request with it was first
refused: a collector that refuses everything is in trouble itself. It waits for an acceptance after its own refusal as
long as there is anything left to ask about. While there are refusals, requests go one at a time, the smallest first:
the search is at a single event before ``MOST_REFUSALS``, however many bad events there are, and however many batches
have some. Fresh batches take turns with it only while it is answered. After ``MOST_REFUSALS`` in a row without an
acceptance the intake is parked and its batches are whole again.
"""

from collections.abc import Collection, Iterator

from twisted.logger import Logger

from bridge.deliver.context import DeliveryContext
from bridge.deliver.pending import PendingBatches
from bridge.spool import Batch, Piece

MOST_REFUSALS = 16

log = Logger(namespace="deliver")


class Bisection:
    """Those of one intake."""

    def __init__(self, name: str, *, pending: PendingBatches, context: DeliveryContext) -> None:
        self.in_a_row = 0
        self._name = name
        self._pending = pending
        self._context = context
        self._condemned: list[tuple[Piece, str]] = []
        self._acceptances = 0

    def suspect(self, pieces: list[Piece]) -> bool:
        """A request with these was refused. False: too many were, it is not the events."""
        self.in_a_row += 1
        for piece in pieces:
            if piece.suspected is None:
                piece.suspected = self._acceptances
        if self.in_a_row < MOST_REFUSALS:
            return True
        self.in_a_row = 0
        for piece in pieces:
            piece.suspected = None
        return False

    def condemn(self, *refused: tuple[Piece, str]) -> None:
        """Single events that were refused, each with the collector's words."""
        self._condemned += refused

    def condemned(self) -> Iterator[Piece]:
        """Those that wait for an acceptance of others."""
        return (piece for piece, _ in self._condemned)

    def forget(self, batches: Collection[Batch]) -> None:
        """Forget what is of these."""
        self._condemned = [each for each in self._condemned if each[0].batch not in batches]

    def accepted(self) -> None:
        """Events were accepted: the condemned ones go to quarantine."""
        self._acceptances += 1
        self.carry_out()

    def carry_out(self, *, since_suspected: bool = False) -> None:
        """The condemned go; or those only that an event was accepted since they were suspected."""
        condemned, kept = self._condemned, []
        if since_suspected:
            kept = [each for each in condemned if (each[0].suspected or 0) >= self._acceptances]
            condemned = [each for each in condemned if (each[0].suspected or 0) < self._acceptances]
        if not condemned:
            return
        self._condemned = kept
        for piece, _ in condemned:
            self._context.ledger.quarantine(self._name, piece.count)
        log.warn("intake {intake}: {n} refused events moved to quarantine", intake=self._name, n=len(condemned))
        self._context.store.refuse(self._name, condemned, self._pending.settle([piece for piece, _ in condemned]))

    def pardon(self) -> None:
        """Undo all splitting of batches of which nothing is settled yet; ranges of others stay ranges."""
        split_queue = self._pending.split_queue
        ranges = [piece for unit in split_queue.clear() for piece in unit]
        ranges += [piece for piece, _ in self._condemned]
        self._condemned.clear()
        held: dict[Batch, int] = {}
        certain: set[Batch] = set()
        for piece in ranges:
            held[piece.batch] = held.get(piece.batch, 0) + piece.count
            if not piece.doubtful:
                certain.add(piece.batch)
        whole: dict[Batch, Piece] = {}
        for piece in ranges:
            batch = piece.batch
            if held[batch] == batch.count and not batch.timed:
                whole.setdefault(batch, Piece.whole(batch)).doubtful = batch not in certain
            else:
                piece.suspected = None
                split_queue.add([piece])
        self._pending.put_back(list(whole.values()), split=False)
