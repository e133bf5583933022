"""Seals batches that are closed to appends: renames their files on the spool thread, again after a failure."""

from collections.abc import Callable, Iterable

from bridge.spool.batch import Batch, OpenBatch
from bridge.spool.write_cache import WriteCache
from bridge.util.jobs import Work
from bridge.util.os_errors import reason_of


class Sealing:
    """The batches of one spool that are being sealed. ``clock`` is monotonic; all methods are called on the reactor."""

    def __init__(
        self, work: Work, *, clock: Callable[[], float], write_cache: WriteCache, on_error: Callable[[str], object]
    ) -> None:
        self.batches: dict[OpenBatch, None] = {}
        "Batches whose sealing is not complete: being sealed, or waiting for another attempt."
        self._work = work
        self._clock = clock
        self._write_cache = write_cache
        self._on_error = on_error
        self.running = 0
        "Number of batches that the spool thread is sealing."
        self._to_retry: list[OpenBatch] = []
        "Batches whose files could not be renamed."
        self._subscribers: list[Callable[[Batch], object]] = []
        self._waiting: list[tuple[Callable[[], bool], Callable[[], object]]] = []

    @property
    def idle(self) -> bool:
        """Returns True if the spool thread is sealing nothing."""
        return not self.running

    def of(self, intake: str) -> list[OpenBatch]:
        """Returns the batches of an intake whose sealing is not complete."""
        return [batch for batch in self.batches if batch.intake == intake]

    def subscribe(self, callback: Callable[[Batch], object]) -> None:
        """Calls ``callback`` with each batch once it is sealed, after the callbacks that subscribed earlier."""
        self._subscribers.append(callback)

    def announce(self, batch: Batch) -> None:
        """Passes a batch to all subscribers."""
        for callback in self._subscribers:
            callback(batch)

    def when(self, condition: Callable[[], bool], callback: Callable[[], object]) -> None:
        """Calls ``callback`` once, now or after the end of the sealing job after which ``condition`` returns True."""
        if condition():
            callback()
        else:
            self._waiting.append((condition, callback))

    def seal(self, batches: Iterable[OpenBatch]) -> None:
        """Seals batches."""
        batches = list(batches)
        self.batches.update(dict.fromkeys(batches))
        self._begin(batches)

    def retry(self) -> None:
        """Tries again to seal the batches whose files could not be renamed."""
        if self._to_retry:
            to_retry, self._to_retry = self._to_retry, []
            self._begin(to_retry)

    def _begin(self, batches: list[OpenBatch]) -> None:
        self.running += len(batches)
        self._work(lambda: [self._sealed(batch) for batch in batches], lambda sealed: self._end(batches, sealed))

    def _sealed(self, batch: OpenBatch) -> Batch | OSError | None:
        try:
            return batch.seal(self._clock())
        except OSError as error:
            # The text names no single file, so that many files give one log line.
            files = batch.path.parent / f"*.open.{batch.encoding}"
            self._on_error(f"spool: cannot seal {files}: {reason_of(error)}; the bridge tries again")
            return error

    def _end(self, batches: list[OpenBatch], results: list[Batch | OSError | None]) -> None:
        self.running -= len(batches)
        for batch, sealed in zip(batches, results, strict=True):
            if isinstance(sealed, OSError):
                self._to_retry.append(batch)
                continue
            batch.close()
            del self.batches[batch]
            if sealed is not None:
                self._write_cache.sealed(sealed)
                self.announce(sealed)
        waiting, self._waiting = self._waiting, []
        for condition, callback in waiting:
            self.when(condition, callback)
