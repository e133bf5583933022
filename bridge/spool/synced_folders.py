"""Syncs files of a spool, and the names in its folders, to disk."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from bridge.util.files import fsync_path

K = TypeVar("K")


class SyncedFolders:
    """Syncs files and folders of the spool in ``root``. Used on the sync thread only. Blocking."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: set[tuple[int, int]] = set()
        "Folders whose own names are on disk, by device and inode: another program may replace a folder."

    def sync_files(self, files: Iterable[tuple[K, int, Path | None]]) -> dict[K, OSError]:
        """Syncs open files, then their folders. Returns the errors by key.

        Each file has a key, a descriptor, and the folder that holds its name, or None if the name is on disk.
        """
        failed: dict[K, OSError] = {}
        folders: dict[Path, list[K]] = {}
        for key, descriptor, folder in files:
            try:
                os.fsync(descriptor)
            except OSError as error:
                failed[key] = error
            else:
                if folder is not None:
                    folders.setdefault(folder, []).append(key)
        for folder, keys in folders.items():
            try:
                self.sync(folder)
            except OSError as error:
                failed |= dict.fromkeys(keys, error)
        return failed

    def sync(self, folder: Path) -> None:
        """Syncs a folder, and the folders above it if it is new. Raises OSError."""
        found = folder.stat()
        fsync_path(folder)
        if (found.st_dev, found.st_ino) not in self._known:
            for parent in {folder.parent, self._root}:
                fsync_path(parent)
            self._known.add((found.st_dev, found.st_ino))
