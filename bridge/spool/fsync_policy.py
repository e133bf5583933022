"""Syncs batches to disk according to the ``fsync`` setting.

=========  =========================================================================================
never      no syncs; the kernel decides when to write, and a power cut loses about the last 30 s
backlog    syncs every batch that still exists 5 s after it was sealed, in groups
always     syncs a batch before its first POST, together with other waiting batches (group commit)
=========  =========================================================================================

A sync covers the file and its directory; without the directory the name may be lost. Events survive a killed process
without any sync. The queue is used on the reactor only; the spool thread does the syncing.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from bridge.spool.batch import Batch
from bridge.util.files import fsync_path

Policy = Literal["never", "backlog", "always"]

AFTER = 5.0
"Seconds between the sealing of a batch and its sync, if it still exists."
GROUP = 64
"Files synced in one job. Bounded because deliveries wait for the same thread."
WRITTEN_BACK = 120.0
"Seconds after which the kernel has written the files of an earlier process."


class FsyncPolicy:
    """The sync policy of one spool. ``clock`` is monotonic, ``wall`` is since the epoch, both in seconds."""

    def __init__(
        self, policy: Policy, *, directory: Path, clock: Callable[[], float], wall: Callable[[], float],
        on_error: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._policy = policy
        self.synced = 0
        "Number of files synced since start."
        self._directory = directory
        self._clock = clock
        self._wall = wall
        self._on_error = on_error
        self._waiting: deque[Batch] = deque()
        self._folders: set[Path] = set()
        "Folders whose own names are on disk."

    def change(self, policy: Policy) -> None:
        """Applies another policy, to batches in the queue only when they are sent."""
        self._policy = policy

    def add(self, batch: Batch) -> None:
        """Queues a batch that was sealed, or found at start."""
        if self._policy != "never" and self._wall() - batch.sequence / 1_000_000 < WRITTEN_BACK:
            self._waiting.append(batch)

    def due(self) -> list[Batch]:
        """Removes the next group of due batches from the queue and returns it. Called about once a second."""
        sealed_before = self._clock() - AFTER
        group: list[Batch] = []
        while self._waiting and self._waiting[0].sealed <= sealed_before and len(group) < GROUP:
            batch = self._waiting.popleft()
            if batch.unacknowledged > 0 and not batch.synced:
                group.append(batch)
        return group

    def sync(self, batches: Iterable[Batch]) -> None:
        """Syncs batch files and their directories; skips missing files. Runs on the spool thread. Raises OSError."""
        folders: set[Path] = set()
        synced: list[Batch] = []
        for batch in (each for each in batches if not each.synced):
            with suppress(FileNotFoundError):
                fsync_path(batch.path)
                folders.add(batch.directory)
                synced.append(batch)
        self.sync_names(folders)
        for batch in synced:
            batch.synced = True
        self.synced += len(synced)

    def sync_names(self, folders: set[Path]) -> None:
        """Syncs folders, and the parents of folders that are new. Runs on the spool thread. Raises OSError."""
        for folder in folders:
            fsync_path(folder)
        if not folders <= self._folders:
            for parent in {folder.parent for folder in folders} | {self._directory}:
                fsync_path(parent)
            self._folders |= folders

    def try_sync(self, batches: Iterable[Batch]) -> None:
        """Syncs batches that no caller waits for. Reports an error to ``on_error`` instead of raising it."""
        try:
            self.sync(batches)
        except OSError as error:
            self._on_error(f"spool: cannot sync {error.filename or self._directory}: {error.strerror}")

    def before_sending(self, batches: Iterable[Batch]) -> None:
        """Syncs the batches of a request before it is sent, under ``always`` only.

        Runs on the spool thread. Raises OSError.
        """
        if self._policy != "always":
            return
        batches = list(batches)
        if all(batch.synced for batch in batches):
            return
        # Batches sealed meanwhile share the commit. Copy the queue, because the reactor changes it concurrently.
        others = [batch for batch in self._waiting.copy() if not batch.synced and batch.unacknowledged > 0]
        self.sync([*batches, *others[:GROUP]])
