"""Syncs received events to disk before acknowledged inputs (RELP, HTTPS) acknowledge them.

Group commits do not depend on the ``fsync`` setting, which only covers senders without acknowledgement. A commit covers
the files that hold events somebody waits for, the quarantined frames of these senders, and the folders of new names.
All requests that arrive during a commit share the next one, so a hundred connections cost no more disk syncs than one.

The sync thread does the syncing, so that a slow disk delays acknowledgements but not deliveries. It uses duplicated
descriptors, because the spool thread renames, packs and removes the files meanwhile. The descriptors are duplicated on
the reactor, which also closes those of the files.
"""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bridge.spool.batch import OpenBatch
from bridge.spool.quarantine import Quarantine
from bridge.spool.synced_folders import SyncedFolders
from bridge.util.files import close_quietly
from bridge.util.jobs import Work

Done = Callable[[OSError | None], None]
"""Called on the reactor with None if the data is on disk, or with the error."""
Failed = dict[OpenBatch | None, OSError]
"Errors by file; None: the quarantine."


class CommitObserver(Protocol):
    """Receives the start and the end of each group commit, on the reactor."""

    def began(self) -> None:
        """Records the start."""

    def ended(self) -> None:
        """Records the end."""


class GroupCommit:
    """Runs the group commits of one spool. ``sync_work`` runs a job in the sync thread."""

    def __init__(
        self, quarantine: Quarantine, folders: SyncedFolders, *, sync_work: Work, observer: CommitObserver
    ) -> None:
        self.count = 0
        "Number of commits since start."
        self._quarantine = quarantine
        self._folders = folders
        self._sync_work = sync_work
        self._observer = observer
        self._waiting: list[tuple[Sequence[OpenBatch], Done]] = []
        self._next: dict[OpenBatch, int] = {}
        "Files of the next commit, with a duplicated descriptor each."
        self._current: dict[OpenBatch, int] | None = None
        "Files of the running commit; None if none runs."

    def after(self, files: Sequence[OpenBatch], done: Done) -> None:
        """Calls ``done`` once everything in these files is on disk, and the frames in quarantine that are awaited."""
        try:
            for batch in files:
                self._add(batch)
        except OSError as error:
            done(error)
            return
        self._waiting.append((files, done))
        if self._current is None:
            self._begin()

    def _add(self, batch: OpenBatch) -> None:
        if batch.sync_error is not None:
            raise batch.sync_error
        if batch.synced >= batch.size or batch in self._next:
            return
        descriptor = batch.descriptor if batch.descriptor >= 0 else (self._current or {}).get(batch)
        if descriptor is None:
            raise OSError(errno.EBADF, "the file was closed before it was synced", str(batch.path))
        self._next[batch] = os.dup(descriptor)

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        files, self._next = self._next, {}
        for batch in [batch for batch in files if batch.synced >= batch.size]:
            close_quietly(files.pop(batch))
        sizes = {batch: batch.size for batch in files}
        try:
            quarantined = self._quarantine.take_awaited()
        except OSError as error:
            for descriptor in files.values():
                close_quietly(descriptor)
            for _, done in waiting:
                done(error)
            return
        self._current = files
        self.count += 1

        def committed(failed: Failed) -> None:
            for descriptor in (*files.values(), *(descriptor for descriptor, _ in quarantined)):
                close_quietly(descriptor)
            for batch, size in sizes.items():
                if (error := failed.get(batch)) is not None:
                    batch.note_sync_failed(error)
                elif batch.sync_error is None:
                    batch.note_synced(size)
                else:
                    failed[batch] = batch.sync_error
            self._current = None
            self._observer.ended()
            for needed, done in waiting:
                done(next((failed[each] for each in (*needed, None) if each in failed), None))
            if self._waiting and self._current is None:
                self._begin()

        self._observer.began()
        if files or quarantined:
            self._sync_work(lambda: self._commit(files, quarantined), committed)
        else:
            committed({})

    def _commit(self, files: Mapping[OpenBatch, int], quarantined: Sequence[tuple[int, Path]]) -> Failed:
        """Syncs files, quarantine descriptors and folders. Returns the errors. Runs on the sync thread."""
        batches = [
            (batch, descriptor, None if batch.synced else batch.path.parent) for batch, descriptor in files.items()
        ]
        return self._folders.sync_files([*batches, *((None, descriptor, folder) for descriptor, folder in quarantined)])
