"""Removes files of delivered or dropped events from the spool, and tries again if that fails."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from bridge.spool import batch_reader
from bridge.spool.batch import Batch
from bridge.spool.pack import Pack
from bridge.util.os_errors import reason_of


class Removals:
    """The removals of one spool. Used on the spool thread only, except ``waiting``."""

    def __init__(self, on_error: Callable[[str], object]) -> None:
        self._on_error = on_error
        self._waiting: list[Callable[[], None]] = []
        "Functions that remove files, or record their removal, after a failure."

    @property
    def waiting(self) -> bool:
        """Returns True if removals failed and are to be tried again."""
        return bool(self._waiting)

    def discard(self, dropped: Iterable[Batch | Pack]) -> None:
        """Removes undelivered batches and packs. They are not archived."""
        for each in dropped:
            if isinstance(each, Batch):
                batch_reader.remove([each], self.failed)
                continue
            try:
                _unlink(each)
            except OSError as error:
                self._add(partial(_unlink, each), each.path, error)

    def failed(self, batch: Batch, error: OSError) -> None:
        """Reports that a batch could not be removed. It is tried again."""
        # A pack knows its settled batches and only has to record them in its name.
        self._add(partial(_unlink, batch) if batch.pack is None else partial(batch.pack.settle, ()), batch.path, error)

    def retry(self) -> None:
        """Tries all failed removals again."""
        waiting, self._waiting = self._waiting, []
        for remove in waiting:
            try:
                remove()
            except OSError:
                self._waiting.append(remove)

    def _add(self, remove: Callable[[], None], path: Path, error: OSError) -> None:
        self._waiting.append(remove)
        # The text names no single file, so that many files give one log line.
        self._on_error(
            f"spool: cannot remove delivered or dropped files from {path.parent}: {reason_of(error)}; the bridge"
            " tries again. If it restarts before that, their events are sent again"
        )


def _unlink(stored: Batch | Pack) -> None:
    stored.path.unlink(missing_ok=True)
