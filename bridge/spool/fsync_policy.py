"""When batches are forced to the disk, by ``fsync``.

=========  =========================================================================================
never      the kernel writes when it likes; a power cut takes the last half minute
backlog    every batch that is still there 5 s after it was sealed, in groups
always     before its first POST; what else waits goes with it (group commit)
=========  =========================================================================================

A sync is of the file and of its directory; without the latter the name may be gone. What survives a killed process
needs none of this. The queue belongs to the reactor, the syncing to the spool's thread.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from bridge.spool.batch import Batch

Policy = Literal["never", "backlog", "always"]

AFTER = 5.0
"Seconds between sealing and the sync of what is still there."
GROUP = 64
"Files in one job: deliveries wait for the same thread."
WRITTEN_BACK = 120.0
"Seconds after which the kernel has written what a process before us left."


class FsyncPolicy:
    """One spool's. ``clock`` rises steadily, ``wall`` is since the epoch, both in seconds."""

    def __init__(
        self,
        policy: Policy,
        *,
        directory: Path,
        clock: Callable[[], float],
        wall: Callable[[], float],
        on_error: Callable[[str], None],
    ) -> None:
        self.policy = policy
        self.synced = 0
        "Files that were, since start."
        self._directory = directory
        self._clock = clock
        self._wall = wall
        self._on_error = on_error
        self._waiting: deque[Batch] = deque()
        self._folders: set[Path] = set()
        "Whose own names are on disk."

    def add(self, batch: Batch) -> None:
        """A batch was sealed, or found at start."""
        if self.policy != "never" and self._wall() - batch.sequence / 1_000_000 < WRITTEN_BACK:
            self._waiting.append(batch)

    def due(self) -> list[Batch]:
        """The next group that has waited long enough, taken out of the queue; called about once a second."""
        before = self._clock() - AFTER
        group: list[Batch] = []
        while self._waiting and self._waiting[0].sealed <= before and len(group) < GROUP:
            batch = self._waiting.popleft()
            if batch.unacknowledged > 0 and not batch.synced:
                group.append(batch)
        return group

    def sync(self, batches: Iterable[Batch]) -> None:
        """Force these to the disk; in the spool's thread. A file that is gone needs none. Raises OSError."""
        folders: set[Path] = set()
        done: list[Batch] = []
        for batch in batches:
            if batch.synced:
                continue
            try:
                descriptor = os.open(batch.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            folders.add(batch.directory)
            done.append(batch)
        self.sync_names(folders)
        for batch in done:
            batch.synced = True
        self.synced += len(done)

    def sync_names(self, folders: set[Path]) -> None:
        """Force the names in folders to the disk, and those of new folders; in the spool's thread. Raises OSError."""
        for folder in folders:
            sync_folder(folder)
        if not folders <= self._folders:
            for parent in {folder.parent for folder in folders} | {self._directory}:
                sync_folder(parent)
            self._folders |= folders

    def try_sync(self, batches: Iterable[Batch]) -> None:
        """The same where nobody waits for it; an error is said, and the batches stay as safe as they were."""
        try:
            self.sync(batches)
        except OSError as error:
            self._on_error(f"spool: cannot sync {error.filename or self._directory}: {error.strerror}")

    def before_sending(self, batches: Iterable[Batch]) -> None:
        """A request with these is about to go; in the spool's thread. Raises OSError."""
        if self.policy != "always":
            return
        batches = list(batches)
        if all(batch.synced for batch in batches):
            return
        # What was sealed meanwhile shares the commit. A copy: the reactor goes on adding and taking.
        others = [batch for batch in self._waiting.copy() if not batch.synced and batch.unacknowledged > 0]
        self.sync([*batches, *others[:GROUP]])


def sync_folder(folder: Path) -> None:
    """Force a directory's names to the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
