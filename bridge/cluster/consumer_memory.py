"""Limits the bytes of the batches that all consumers of a node hold in memory."""

from bridge.cluster.message import TakenBatch

MIN_BATCHES, MAX_BATCHES = 2, 256
"Limits of the number of batches that an intake may hold."


class ConsumerMemory:
    """Counts the batches that all consumers of this node hold; ``limit`` is in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        "Bytes of the held batches."
        self._consumers = 1
        self._exact: set[int] = set()

    def divide_among(self, consumers: int) -> None:
        """Divides the limit among this number of consumers."""
        self._consumers = max(1, consumers)

    def prefetch(self, typical_size: float) -> int:
        """Returns how many batches of a typical size one intake may hold."""
        return max(MIN_BATCHES, min(MAX_BATCHES, int(self.limit / self._consumers / typical_size)))

    def has_room(self, size: int) -> bool:
        """Returns True if ``size`` more bytes may be held."""
        return self.held + size <= self.limit

    def hold(self, batch: TakenBatch, *, exact: bool) -> None:
        """Counts a batch that was taken over. ``exact``: it is joined only within the timestamp resolution."""
        self.held += batch.size
        if exact:
            self._exact.add(batch.sequence)

    def release(self, batch: TakenBatch) -> None:
        """Counts a batch as settled or requeued."""
        self.held -= batch.size
        self._exact.discard(batch.sequence)

    def is_exact(self, sequence: int) -> bool:
        """Returns True if the held batch with this sequence is joined only within the timestamp resolution."""
        return sequence in self._exact
