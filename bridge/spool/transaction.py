"""Adds and removes files of a spool in one atomic transaction, for an operator's command.

Protocol

1. *Stage*: new files are written to ``SPOOL/.transfer/<number>.partial/``, in subfolders named as in the spool. The
   file ``gone`` lists the files to remove, one name per line. Everything is synced.
2. *Commit*: the folder is renamed to ``<number>``. Before this rename nothing has changed. After it the transaction
   will be completed, by the next start if necessary.
3. *Finish*: each new file is renamed to its final path, the listed files are unlinked, then the folder is removed.

Each step of *finish* can be repeated. A file that has reached its final path is never put there a second time, even if
it was moved or removed meanwhile.

Blocking calls; runs on the spool thread.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.util.errors import BridgeError
from bridge.util.files import fsync_path, write_new

FOLDER, PARTIAL, GONE = ".transfer", ".partial", "gone"


class UnfinishedTransaction(BridgeError):
    """Raised when a committed transaction could not be finished; the next start finishes it."""


class Transaction:
    """A transaction on a spool. ``number`` must be unique."""

    def __init__(self, spool: Path, number: int) -> None:
        self._spool = spool
        self._committed = spool / FOLDER / str(number)
        self._folder = self._committed.with_name(f"{number}{PARTIAL}")
        self._folders: set[Path] = set()
        self._gone: list[str] = []

    def write(self, place: Path, data: bytes, *, like: Path | None = None) -> None:
        """Stages a new file for a path of the spool that is not in use. Raises OSError.

        The file gets the access and modification times of ``like``, if given.
        """
        staged = self._folder / place.relative_to(self._spool)
        staged.parent.mkdir(mode=0o750, parents=True, exist_ok=True)

        def copy_times(descriptor: int) -> None:
            if like is not None:
                found = like.stat()
                os.utime(descriptor, ns=(found.st_atime_ns, found.st_mtime_ns))

        write_new(staged, (data,), finish=copy_times)
        self._folders.add(staged.parent)

    def remove(self, place: Path) -> None:
        """Lists a file of the spool for removal."""
        self._gone.append(str(place.relative_to(self._spool)))

    def commit(self) -> None:
        """Commits the transaction, so that it will be completed. Raises OSError; then it is not committed."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_new(self._folder / GONE, ("".join(f"{name}\n" for name in self._gone).encode(),))
        for folder in (*self._folders, self._folder, self._folder.parent):
            fsync_path(folder)
        self._folder.rename(self._committed)
        fsync_path(self._committed.parent)

    def finish(self) -> None:
        """Moves the new files to their final paths and removes the listed ones. Raises UnfinishedTransaction."""
        try:
            _finish(self._spool, self._committed)
        except OSError as error:
            raise UnfinishedTransaction(
                f"{error.filename or self._committed}: {error.strerror}",
                f"The change is saved in {self._committed}; the next start of the bridge completes it",
            ) from None

    @contextmanager
    def completion(self) -> Iterator[None]:
        """Commits and finishes the transaction after its block. Discards it if the block or the commit fails."""
        try:
            yield
            self.commit()
        except BaseException:
            self.discard()
            raise
        self.finish()

    def discard(self) -> None:
        """Deletes the staged files of a transaction that is not committed."""
        shutil.rmtree(self._folder, ignore_errors=True)


def recover(spool: Path) -> None:
    """Finishes committed transactions and deletes uncommitted ones, before the spool is used. Raises OSError."""
    folder = spool / FOLDER
    for found in sorted(folder.iterdir()) if folder.is_dir() else ():
        if found.name.endswith(PARTIAL):
            shutil.rmtree(found)
        else:
            _finish(spool, found)


def _finish(spool: Path, folder: Path) -> None:
    gone = folder / GONE
    names = gone.read_text("utf-8").splitlines() if gone.exists() else []
    touched: set[Path] = set()
    for staged in sorted(folder.rglob("*")):
        if staged == gone or staged.is_dir():
            continue
        place = spool / staged.relative_to(folder)
        place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        staged.rename(place)
        touched.add(place.parent)
    for name in names:
        place = spool / name
        place.unlink(missing_ok=True)
        if place.parent.is_dir():
            touched.add(place.parent)
    # The new names must be on disk before the list that names them is deleted.
    for each in touched:
        fsync_path(each)
    shutil.rmtree(folder)
