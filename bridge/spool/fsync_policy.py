"""Syncs batches to disk according to the ``fsync`` setting.

=========  =========================================================================================
never      no syncs; the kernel decides when to write, and a power cut loses about the last 30 s
backlog    syncs every batch that still exists 5 s after it was sealed, in groups
always     syncs a batch before its first POST, together with other waiting batches (group commit)
=========  =========================================================================================

A sync covers the file and its directory; without the directory the name may be lost. Events survive a killed process
without any sync. The spool thread opens the files, because it also renames them; the sync thread syncs them, so that a
slow disk does not delay the deliveries of other batches.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice, takewhile
from typing import Literal

from bridge.spool.batch import Batch
from bridge.spool.synced_folders import SyncedFolders
from bridge.util.files import close_quietly, regular_descriptor
from bridge.util.jobs import Work
from bridge.util.os_errors import reason_of

Policy = Literal["never", "backlog", "always"]
Done = Callable[[OSError | None], None]

AFTER = 5.0
"Seconds between the sealing of a batch and its sync, if it still exists."
GROUP = 8
"Batches synced in one job. Few, because group commits wait for the same thread."
MOST_SHARED = 64
"Further batches that are synced together with those of a request."
WRITTEN_BACK = 120.0
"Seconds after which the kernel has written the files of an earlier process."


class FsyncPolicy:
    """The sync policy of one spool. ``work`` runs a job in the spool thread, ``sync_work`` in the sync thread.
    ``clock`` is monotonic, ``wall`` is since the epoch, both in seconds."""

    def __init__(
        self, policy: Policy, folders: SyncedFolders, *, work: Work, sync_work: Work, clock: Callable[[], float],
        wall: Callable[[], float], on_error: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._policy = policy
        self.synced = 0
        "Number of files synced since start."
        self._folders = folders
        self._work = work
        self._sync_work = sync_work
        self._clock = clock
        self._wall = wall
        self._recovered = False
        self._on_error = on_error
        self._queue: dict[Batch, None] = {}
        "Batches that are synced when they are due, in the order of sealing; those whose sync failed are last."
        self._requests: list[tuple[Sequence[Batch], Done]] = []
        "Batches whose first POST waits for the sync."
        self._running = False
        self._on_failed: list[Callable[[OSError], None]] = []

    def subscribe(self, on_failed: Callable[[OSError], None]) -> None:
        """Calls ``on_failed`` with the error of a sync that failed, not with those of opening files."""
        self._on_failed.append(on_failed)

    def change(self, policy: Policy) -> None:
        """Applies another policy, to batches in the queue only when they are sent."""
        self._policy = policy

    def end_recovery(self) -> None:
        """Records that the batches that were found at start have been added."""
        self._recovered = True

    def add(self, batch: Batch) -> None:
        """Queues a batch that was sealed, or found at start."""
        # The sequence of a batch of this process does not tell its age: the batch may have been open for long, or the
        # clock was set.
        recent = self._recovered or self._wall() - batch.sequence / 1_000_000 < WRITTEN_BACK
        if self._policy != "never" and recent:
            self._queue[batch] = None

    def look(self) -> None:
        """Syncs the batches that are due, in groups. Called about once a second."""
        if not self._running:
            self._sync_next()

    def before_sending(self, batches: Sequence[Batch], done: Done) -> None:
        """Syncs the batches of a request, under ``always`` only, and calls ``done`` on the reactor."""
        if self._policy != "always" or all(batch.synced for batch in batches):
            done(None)
            return
        self._requests.append((batches, done))
        if not self._running:
            self._sync_next()

    def _sync_next(self) -> None:
        requests, self._requests = self._requests, []
        if requests:
            batches = {batch: None for needed, _ in requests for batch in needed if not batch.synced}
            # Batches that were sealed meanwhile share the commit.
            batches.update(dict.fromkeys(islice(filter(_needs_sync, self._queue), MOST_SHARED)))
        else:
            batches = dict.fromkeys(self._due())
        if not batches and not requests:
            return
        self._running = True

        def synced(result: tuple[dict[Batch, OSError], OSError | None]) -> None:
            failed, disk_error = result
            self._running = False
            for needed, done in requests:
                done(next((failed[batch] for batch in needed if batch in failed), None))
            for batch, error in failed.items():
                self._on_error(f"spool: cannot sync {batch.path}: {reason_of(error)}")
                self._queue[batch] = None
            if disk_error is not None:
                for on_failed in self._on_failed:
                    on_failed(disk_error)
            # After an error, batches that no request waits for are tried again at the next call of `look`.
            if not self._running and (not failed or self._requests):
                self._sync_next()

        self._work(lambda: _open(batches), lambda opened: self._sync_work(lambda: self._sync(opened), synced))

    def _due(self) -> list[Batch]:
        """Removes the next group of due batches from the queue and returns it."""
        sealed_before = self._clock() - AFTER
        due = list(islice(takewhile(lambda batch: batch.sealed <= sealed_before, self._queue), MOST_SHARED))
        group: list[Batch] = []
        for batch in due:
            if len(group) == GROUP:
                break
            del self._queue[batch]
            if _needs_sync(batch):
                group.append(batch)
        return group

    def _sync(self, opened: dict[Batch, int | OSError]) -> tuple[dict[Batch, OSError], OSError | None]:
        """Syncs open files and their folders. Returns the errors by batch, and one of an fsync.

        Runs on the sync thread.
        """
        unopened = {batch: result for batch, result in opened.items() if isinstance(result, OSError)}
        files = [(batch, result, batch.directory) for batch, result in opened.items() if isinstance(result, int)]
        failed = self._folders.sync_files(files)
        for batch, descriptor, _ in files:
            close_quietly(descriptor)
            if batch not in failed:
                batch.synced = True
                self.synced += 1
        return unopened | failed, next(iter(failed.values()), None)


def _needs_sync(batch: Batch) -> bool:
    return batch.unacknowledged > 0 and not batch.synced


def _open(batches: Iterable[Batch]) -> dict[Batch, int | OSError]:
    """Opens batch files and returns their descriptors or errors. Leaves out missing ones. Runs on the spool thread."""
    opened: dict[Batch, int | OSError] = {}
    for batch in batches:
        if batch.pack is None:
            try:
                opened[batch] = regular_descriptor(batch.path)
            except FileNotFoundError:
                # It was delivered, or is in a pack, which is synced.
                continue
            except OSError as error:
                opened[batch] = error
    return opened
