"""Syncs the names in the folders of a spool to disk."""

from pathlib import Path

from bridge.util.files import fsync_path


class SyncedFolders:
    """Syncs folders of the spool in ``root``. Used on the sync thread only. Blocking."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: set[tuple[int, int]] = set()
        "Folders whose own names are on disk, by device and inode: another program may replace a folder."

    def sync(self, folder: Path) -> None:
        """Syncs a folder, and the folders above it if it is new. Raises OSError."""
        found = folder.stat()
        fsync_path(folder)
        if (found.st_dev, found.st_ino) not in self._known:
            for parent in {folder.parent, self._root}:
                fsync_path(parent)
            self._known.add((found.st_dev, found.st_ino))
