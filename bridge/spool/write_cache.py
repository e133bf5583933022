"""What was appended a moment ago, kept in memory until its batch is first read: most are sent within seconds, and
what is in the file need not be read back for that. Bounded: what does not fit is read from its file, as after a start.

The file is what counts. This is a copy that is handed out once; whatever happens then, the next one to ask reads the
file.
"""

from collections import deque

from bridge.spool.batch import Batch, OpenBatch

MOST = 12 << 20
"Bytes that a bridge keeps; a third of it of batches that are open."


class WriteCache:
    """The copies of one spool; called on the reactor only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        "Bytes of open batches that are kept."
        self._sealed: deque[Batch] = deque()
        self._size = 0
        "Bytes of sealed ones, at most: what was handed out is not missed at once."

    def add(self, batch: OpenBatch, data: bytes) -> None:
        """A batch was appended to; its ``size`` is the new one."""
        if batch.fresh is None:
            return
        batch.fresh.append(data)
        self._open += len(data)
        if self._open > self._most // 3:
            self._open -= batch.size
            batch.fresh = None

    def hand_over(self, batch: OpenBatch, sealed: Batch) -> None:
        """A batch was sealed."""
        if batch.fresh is None:
            return
        self._open -= batch.size
        sealed.fresh, batch.fresh = batch.fresh, None
        self._sealed.append(sealed)
        self._size += sealed.size
        if self._size > self._most - self._most // 3:
            self._give_up()

    def _give_up(self) -> None:
        """Keep the newest half of what has not been handed out: what has waited long waits for its collector."""
        kept: deque[Batch] = deque()
        self._size = 0
        for batch in reversed(self._sealed):
            if batch.fresh is None:
                continue
            if self._size + batch.size > self._most // 3:
                batch.fresh = None
            else:
                kept.appendleft(batch)
                self._size += batch.size
        self._sealed = kept
