"""Syncs received events to disk before acknowledged inputs (RELP, HTTPS) acknowledge them.

Group commits do not depend on the ``fsync`` setting, which only covers senders without acknowledgement. All requests
that arrive during a commit share the next commit, so a hundred connections cost no more disk syncs than one. A commit
covers every file that was appended to (open, being sealed, or sealed since), the frames written to quarantine, and the
directories of new names.

The queue is used on the reactor only; the spool thread does the syncing. A file that was sealed, renamed or packed
meanwhile is found through its batch. A file that is missing was delivered, or is in a pack, which is already synced.
"""

import os
from collections.abc import Callable
from pathlib import Path

from bridge.spool.batch import Batch, OpenBatch
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.spool.store import Spool
from bridge.util.jobs import Work

Done = Callable[[OSError | None], None]
"""Called on the reactor with None if the data is on disk, or with the error."""


class GroupCommit:
    """Runs the group commits of one spool."""

    def __init__(self, spool: Spool, fsync_policy: FsyncPolicy, *, work: Work) -> None:
        self.count = 0
        "Number of commits since start."
        self._spool = spool
        self._fsync_policy = fsync_policy
        self._work = work
        self._waiting: list[Done] = []
        self._sealed: list[Batch] = []
        "Batches sealed while a caller waits: they may contain the data that it waits for."
        self._running = False
        spool.quarantine.track_unsynced()
        spool.subscribe(self._add_sealed)

    def after(self, done: Done) -> None:
        """Calls ``done`` once everything received so far is on disk."""
        self._waiting.append(done)
        if not self._running:
            self._begin()

    def _add_sealed(self, batch: Batch) -> None:
        if self._waiting:
            self._sealed.append(batch)

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        sealed, self._sealed = self._sealed, []
        open_batches = [(batch, batch.size) for batch in self._spool.unsealed_batches() if batch.size > batch.synced]
        quarantined = self._spool.quarantine.unsynced()
        self._running = True
        self.count += 1

        def committed(error: OSError | None) -> None:
            self._running = False
            for done in waiting:
                done(error)
            if self._waiting and not self._running:
                self._begin()

        self._work(lambda: self._commit(open_batches, sealed, quarantined), committed)

    def _commit(
        self, open_batches: list[tuple[OpenBatch, int]], closed: list[Batch], quarantined: list[tuple[int, Path]]
    ) -> OSError | None:
        """Syncs files, quarantine descriptors and directories. Returns the first error. Runs on the spool thread."""
        folders: set[Path] = set()
        error: OSError | None = None
        try:
            for batch, size in open_batches:
                if batch.descriptor >= 0:
                    if not batch.synced:
                        folders.add(batch.path.parent)
                    batch.sync(size)
                elif batch.sealed is not None:
                    closed.append(batch.sealed)
            self._fsync_policy.sync(closed)
            self._fsync_policy.sync_names(folders)
        except OSError as failed:
            error = failed
        for descriptor, folder in quarantined:
            try:
                os.fsync(descriptor)
                self._fsync_policy.sync_names({folder})
            except OSError as failed:
                error = error or failed
            finally:
                os.close(descriptor)
        return error
