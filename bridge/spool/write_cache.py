"""Caches recently appended lines in memory until their batch is first read.

Most batches are sent within seconds, so their files need not be read back. The cache is bounded: lines that do not fit
are read from the batch file, as after a start.

The file is authoritative. A cached copy is handed out once; every later read uses the file.
"""

from collections import deque

from bridge.spool.batch import Batch, OpenBatch

MAX_BYTES = 12 << 20
"Bytes that a bridge caches; at most a third of them belong to open batches."


class WriteCache:
    """Caches the lines of one spool's batches. Called on the reactor only."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._open = 0
        "Cached bytes of open batches."
        self._sealed: deque[Batch] = deque()
        self._size = 0
        "Upper bound of the cached bytes of sealed batches: copies that were handed out are subtracted later."

    def add(self, batch: OpenBatch, data: bytes) -> None:
        """Adds data that was appended to a batch. The batch's ``size`` already includes it."""
        if batch.fresh is None:
            return
        batch.fresh.append(data)
        self._open += len(data)
        if self._open > self._max_bytes // 3:
            self._open -= batch.size
            batch.drop_fresh()

    def sealed(self, batch: Batch) -> None:
        """Counts the cached lines of a batch that was open as those of a sealed batch."""
        if batch.fresh is None:
            return
        self._open -= batch.size
        self._sealed.append(batch)
        self._size += batch.size
        if self._size > self._max_bytes - self._max_bytes // 3:
            self._evict()

    def _evict(self) -> None:
        """Drops all but the newest half of the sealed lines that were not handed out.

        An old batch waits for its collector and is unlikely to be read soon.
        """
        kept: deque[Batch] = deque()
        self._size = 0
        for batch in reversed(self._sealed):
            if batch.fresh is None:
                continue
            if self._size + batch.size > self._max_bytes // 3:
                batch.take_fresh()
            else:
                kept.appendleft(batch)
                self._size += batch.size
        self._sealed = kept
