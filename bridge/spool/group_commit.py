"""Group commits, for those who acknowledge: what was received is on the disk before its sender is told so.

Whatever ``fsync`` says: that policy is about senders who are told nothing. All who ask while a commit is under way
share the next one, so a hundred connections cost the disk no more than one. A commit covers every file that was
appended to (open, being sealed, or sealed since), the frames put into quarantine, and the directories of new names.

The queue belongs to the reactor, the syncing to the spool's one thread. A file that has been sealed, renamed or packed
meanwhile is found by its batch; one that is gone has been delivered, or is in a pack, which is on the disk.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from bridge.spool.batch import Batch, OpenBatch
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.spool.store import Spool, Work

Done = Callable[[OSError | None], None]
"""Called on the reactor: it is on the disk, or why it is not."""


class GroupCommit:
    """One spool's. ``work`` runs a job in the spool's thread, then its result on the reactor."""

    def __init__(self, spool: Spool, fsync_policy: FsyncPolicy, *, work: Work) -> None:
        self.count = 0
        "Commits since start."
        self._spool = spool
        self._fsync_policy = fsync_policy
        self._work = work
        self._waiting: list[Done] = []
        self._sealed: list[Batch] = []
        "While somebody waits: they may hold what he waits for."
        self._running = False
        spool.quarantine.remembers = True

    def after(self, done: Done) -> None:
        """Call ``done`` once everything that was received until now is on the disk."""
        self._waiting.append(done)
        if not self._running:
            self._begin()

    def sealed(self, batch: Batch) -> None:
        """A batch was sealed."""
        if self._waiting:
            self._sealed.append(batch)

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        sealed, self._sealed = self._sealed, []
        open_ones = [(batch, batch.size) for batch in self._spool.being_written() if batch.size > batch.synced]
        aside = self._spool.quarantine.unsynced()
        self._running = True
        self.count += 1

        def ended(error: object) -> None:
            assert error is None or isinstance(error, OSError)
            self._running = False
            for done in waiting:
                done(error)
            if self._waiting and not self._running:
                self._begin()

        self._work(lambda: self._commit(open_ones, sealed, aside), ended)

    def _commit(
        self, open_ones: Iterable[tuple[OpenBatch, int]], sealed: Iterable[Batch], aside: Iterable[tuple[int, Path]]
    ) -> OSError | None:
        """In the spool's thread."""
        closed = list(sealed)
        folders: set[Path] = set()
        error: OSError | None = None
        try:
            for batch, size in open_ones:
                if batch.descriptor >= 0:
                    os.fsync(batch.descriptor)
                    if not batch.synced:
                        folders.add(batch.path.parent)
                    batch.synced = size
                elif batch.sealed is not None:
                    closed.append(batch.sealed)
            self._fsync_policy.sync(closed)
            self._fsync_policy.sync_names(folders)
        except OSError as failed:
            error = failed
        for descriptor, folder in aside:
            try:
                os.fsync(descriptor)
                self._fsync_policy.sync_names({folder})
            except OSError as failed:
                error = error or failed
            finally:
                os.close(descriptor)
        return error
