"""Adds, renames and removes files of a spool in one atomic transaction, for an operator's command.

Protocol

1. *Stage*: new files are written to ``SPOOL/.transfer/<number>.partial/``, in subfolders named as in the spool. The
   file ``gone`` lists the files to remove, one name per line. ``.moved`` lists the files to rename, as old and new name
   separated by a TAB. ``.account`` has the command and the events that it moves. Everything is synced.
2. *Commit*: the folder is renamed to ``<number>``. Before this rename nothing has changed. After it the transaction
   will be completed, by the next start if necessary.
3. *Finish*: each new file is renamed to its final path, then the listed files are renamed or unlinked.
4. *Close*: after the journal has the account, the folder is removed. If the process is killed before that, the next
   start writes the account to the journal. It may then be there twice, with the same number.

Each step of *finish* can be repeated. A file that has reached its final path is never put there a second time, even if
it was moved or removed meanwhile.

Blocking calls; runs on the spool thread.
"""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bridge.util.errors import BridgeError
from bridge.util.files import fsync_path, is_nfs_leftover, shown_path, write_new
from bridge.util.os_errors import reason_of

FOLDER, PARTIAL = ".transfer", ".partial"
GONE, MOVED, ACCOUNT = "gone", ".moved", ".account"
_LISTS = (GONE, MOVED, ACCOUNT)
_NUMBER = re.compile("[0-9]{1,19}")


class Change(NamedTuple):
    """Events that an operator's command moves between columns of the ledger.

    ``kind`` is *move* (spool to the spool of another intake), *release* (quarantine to spool), *filter* (quarantine to
    filtered), *purge* (spool to dropped), *purge-quarantined* (quarantine to dropped) or *replay* (archive to spool).
    """

    kind: str
    origin: str | None
    "The intake that the events leave; None for frames without an intake, and for events of the archive."
    target: str | None
    "The intake whose spool gets the events, or None."
    events: int


class UnfinishedTransaction(BridgeError):
    """Raised when a committed transaction could not be finished; the next start finishes it."""


class Transaction:
    """A transaction on a spool. ``number`` must be unique. ``command`` is the name of the operator's command."""

    def __init__(self, spool: Path, number: int, command: str = "") -> None:
        self.number = number
        self.command = command
        self._account: Counter[tuple[str, str | None, str | None]] = Counter()
        self._spool = spool
        self._committed = spool / FOLDER / str(number)
        self._folder = self._committed.with_name(f"{number}{PARTIAL}")
        self._folders: set[Path] = set()
        self._gone: list[str] = []
        self._moved: list[tuple[str, str]] = []

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

    def rename(self, place: Path, new: Path) -> None:
        """Lists a file of the spool to be renamed to a path that is not in use."""
        self._moved.append((str(place.relative_to(self._spool)), str(new.relative_to(self._spool))))

    def account(self, kind: str, origin: str | None, target: str | None, count: int) -> None:
        """Adds events to the account: what the ledger and the journal count once the transaction is finished."""
        self._account[kind, origin, target] += count

    @property
    def changes(self) -> list[Change]:
        """Returns the account. Empty if the transaction moves no event."""
        return [Change(*move, events) for move, events in self._account.items() if events]

    def commit(self) -> None:
        """Commits the transaction, so that it will be completed. Raises OSError; then it is not committed."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_new(self._folder / GONE, ("".join(f"{name}\n" for name in self._gone).encode(),))
        if self._moved:
            write_new(self._folder / MOVED, ("".join(f"{old}\t{new}\n" for old, new in self._moved).encode(),))
        if self.changes:
            account = {"command": self.command, "changes": self.changes}
            write_new(self._folder / ACCOUNT, (json.dumps(account).encode("ascii"),))
        for folder in (*self._folders, self._folder, self._folder.parent):
            fsync_path(folder)
        self._folder.rename(self._committed)
        fsync_path(self._committed.parent)

    def finish(self) -> None:
        """Moves the new files to their final paths, and renames and removes the listed ones. Without an account, this
        closes the transaction. Raises UnfinishedTransaction."""
        try:
            _finish(self._spool, self._committed)
        except OSError as error:
            raise UnfinishedTransaction(
                f"{error.filename or self._committed}: {reason_of(error)}",
                f"The change is saved in {self._committed}; the next start of the bridge completes it",
            ) from None
        if not self.changes:
            self.close()

    def close(self) -> None:
        """Removes the folder of a finished transaction, whose account is in the journal."""
        shutil.rmtree(self._committed, ignore_errors=True)

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


def recover(spool: Path) -> tuple[list[Transaction], list[str]]:
    """Finishes committed transactions and deletes uncommitted ones, before the spool is used. Raises OSError.

    Returns the finished transactions that have an account, and one line for each file that is ignored because it is
    not a transaction. The caller writes the accounts to the journal and closes the transactions.
    """
    folder = spool / FOLDER
    finished: list[Transaction] = []
    notes: list[str] = []
    for found in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_nfs_leftover(found.name):
            continue
        if _NUMBER.fullmatch(found.name.removesuffix(PARTIAL)) is None or found.is_symlink() or not found.is_dir():
            notes.append(f"{shown_path(found)}: not a transaction, ignored")
            continue
        if found.name.endswith(PARTIAL):
            shutil.rmtree(found)
            continue
        _finish(spool, found)
        transaction = _read(spool, found)
        if transaction.changes:
            finished.append(transaction)
        else:
            shutil.rmtree(found)
    return finished, notes


def _read(spool: Path, folder: Path) -> Transaction:
    """Returns a committed transaction with its account. Earlier versions wrote no account."""
    try:
        account = json.loads((folder / ACCOUNT).read_bytes())
        transaction = Transaction(spool, int(folder.name), account["command"])
        for kind, origin, target, count in account["changes"]:
            transaction.account(kind, origin, target, count)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Transaction(spool, 0)
    return transaction


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _finish(spool: Path, folder: Path) -> None:
    touched: set[Path] = set()
    for staged in sorted(folder.rglob("*")):
        if staged.is_dir() or (staged.parent == folder and staged.name in _LISTS):
            continue
        place = spool / staged.relative_to(folder)
        place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        staged.rename(place)
        touched.add(place.parent)
    for line in _lines(folder / MOVED):
        old, new = (spool / name for name in line.split("\t"))
        new.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        # It is missing if it was renamed already. The courier handles a file that another program has removed.
        with suppress(FileNotFoundError):
            old.rename(new)
        touched.update((old.parent, new.parent))
    for name in _lines(folder / GONE):
        place = spool / name
        place.unlink(missing_ok=True)
        if place.parent.is_dir():
            touched.add(place.parent)
    # The new names must be on disk before the list that names them is deleted.
    for each in touched:
        fsync_path(each)
