"""Files that come and files that go, together: what an operator's command does to a spool, whole or not at all.

What is to come is written to ``SPOOL/.transfer/<number>.partial/``, in folders that are named as those of the spool,
with ``gone``: the names of the files that go for it, one a line. All of it is synced. Then one rename, to
``<number>``, which is the *commit*: before it nothing has happened, after it all of it will, if need be by the next
start. To finish: each file is renamed to its place, those that go are unlinked, then the folder. Each of these steps
may be repeated, and a file that has reached its place is never put there twice, whatever became of it meanwhile.

Blocking; belongs to the spool's thread.
"""

import os
import shutil
from pathlib import Path

FOLDER, PARTIAL, GONE = ".transfer", ".partial", "gone"


class UnfinishedTransaction(Exception):
    """It is committed, and could not be finished: the next start will. The text says why, and what to do."""


class Transaction:
    """One of a spool. ``number`` is one that no other has."""

    def __init__(self, spool: Path, number: int) -> None:
        self._spool = spool
        self._committed = spool / FOLDER / str(number)
        self._folder = self._committed.with_name(f"{number}{PARTIAL}")
        self._folders: set[Path] = set()
        self._gone: list[str] = []

    def write(self, place: Path, data: bytes, *, like: Path | None = None) -> None:
        """A file to come, at a place in the spool where none is; ``like``: as old as this one. Raises OSError."""
        staged = self._folder / place.relative_to(self._spool)
        staged.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if like is not None:
                found = like.stat()
                os.utime(descriptor, ns=(found.st_atime_ns, found.st_mtime_ns))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._folders.add(staged.parent)

    def remove(self, place: Path) -> None:
        """A file of the spool goes."""
        self._gone.append(str(place.relative_to(self._spool)))

    def commit(self) -> None:
        """From here on it will be done. Raises OSError: then it will not."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        with open(self._folder / GONE, "w", encoding="utf-8") as list_of_files:
            list_of_files.write("".join(f"{name}\n" for name in self._gone))
            list_of_files.flush()
            os.fsync(list_of_files.fileno())
        for folder in (*self._folders, self._folder, self._folder.parent):
            _sync(folder)
        self._folder.rename(self._committed)
        _sync(self._committed.parent)

    def finish(self) -> None:
        """Put everything in its place. Raises Unfinished."""
        try:
            _finish(self._spool, self._committed)
        except OSError as error:
            raise UnfinishedTransaction(
                f"{error.filename or self._committed}: {error.strerror}; it is kept in {self._committed}, and the next"
                f" start of the bridge brings it to its place"
            ) from None

    def give_up(self) -> None:
        """Forget what is not committed."""
        shutil.rmtree(self._folder, ignore_errors=True)


def recover(spool: Path) -> int:
    """Finish what was committed, forget what was not; how many were finished. Once, before anything else is done with
    the spool. Raises OSError."""
    folder = spool / FOLDER
    if not folder.is_dir():
        return 0
    finished = 0
    for found in sorted(folder.iterdir()):
        if found.name.endswith(PARTIAL):
            shutil.rmtree(found)
        else:
            _finish(spool, found)
            finished += 1
    return finished


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
    # What has come must be on the disk before the list that says that it will.
    for each in touched:
        _sync(each)
    shutil.rmtree(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
