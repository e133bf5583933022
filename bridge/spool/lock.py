"""Locks a spool for one process and checks the version of its layout.

Two locks exclude other processes: one on the spool directory itself, which exists as long as the spool, and one on its
file ``lock``, which names the owner and excludes versions that lock only this file. So the owner keeps the spool if the
file is removed, and makes it again.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from bridge.host.privileges import other_owner, run_as
from bridge.util.errors import BridgeError
from bridge.util.files import clear_place, read_regular, write_replacing
from bridge.util.os_errors import FORBIDDEN, reason_of

FORMAT = "1"
MOST_FORMAT = 1024
"Maximum bytes of the file with the version of the layout."


class SpoolError(BridgeError):
    """Raised when the spool cannot be used."""


class SpoolLock:
    """The lock of one spool, held by this process until ``release``."""

    def __init__(self, directory: Path) -> None:
        """Takes the lock. Raises SpoolError if another process has it, or OSError."""
        self._directory = directory
        self._file = _open_file(directory)
        self._folder: int | None = None
        try:
            self._lock_file()
            self._folder = _lock_folder(directory, self._file)
            _write_owner(self._file)
        except BaseException:
            self.release()
            raise

    def _lock_file(self) -> None:
        try:
            _lock(self._file, self._directory, self._file)
        except OSError as error:
            raise SpoolError(
                f"spool {self._directory}: its filesystem cannot lock {self._directory / 'lock'}: {error.strerror}",
                "Without a lock two bridges could use the spool at once: set spool.directory to a local disk",
            ) from None

    def renew(self) -> bool:
        """Makes the lock file again if it was removed or replaced. Returns True if it was.

        Raises SpoolError if another process has locked the file in its place, or OSError. The directory stays locked.
        """
        own = os.fstat(self._file)
        with suppress(FileNotFoundError):
            found = (self._directory / "lock").lstat()
            if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
                return False
        clear_place(self._directory / "lock", folder=False, links=False)
        new = _open_file(self._directory)
        try:
            _lock(new, self._directory, new)
            _write_owner(new)
        except BaseException:
            os.close(new)
            raise
        os.close(self._file)
        self._file = new
        return True

    def release(self) -> None:
        """Releases the lock."""
        os.close(self._file)
        if self._folder is not None:
            os.close(self._folder)


def unusable(directory: Path, error: OSError) -> SpoolError:
    """Returns the error of a spool that cannot be used because of a file in it."""
    where = f"{error.filename}: " if error.filename else ""
    hint = "Look for disk errors in the kernel log (dmesg), and start the bridge again"
    if error.errno in FORBIDDEN:
        hint = "Make it readable and writable for this user"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free disk space, or raise the quota"
    return SpoolError(f"spool {directory}: {where}{reason_of(error)}", hint)


def refuse_root(directory: Path) -> None:
    """Raises SpoolError if this process is root and the spool belongs to another user, or would be in a folder of one.

    That user could lead root to any file by a link, and could not write what root leaves in the spool.
    """
    try:
        user = other_owner(directory)
    except OSError:
        # What needs the folder reports its own failure.
        return
    if user is None:
        return
    what = "belongs to" if directory.is_dir() else "does not exist, and its folder belongs to"
    raise SpoolError(
        f"spool {directory}: {what} user {user.name}, but this process runs as root",
        f"Start the service. {run_as(user)}",
    )


def take(directory: Path) -> SpoolLock:
    """Creates the directory if it is missing, and locks it.

    Raises SpoolError if the directory is not writable, another process owns it, or this version does not know its
    layout.
    """
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = SpoolLock(directory)
    except OSError as error:
        raise SpoolError(
            f"spool {error.filename or directory}: {reason_of(error)}",
            "Make the directory writable for this user, or set spool.directory",
        ) from None
    try:
        found_version = _layout_version(directory / "format")
    except OSError as error:
        lock.release()
        raise unusable(directory, error) from None
    if found_version != FORMAT:
        lock.release()
        raise SpoolError(
            f"spool {directory}: its layout version is {found_version!r}, this bridge supports {FORMAT}",
            "Run the version of syslog-bridge that wrote it",
        )
    return lock


def _layout_version(file: Path) -> str:
    """Returns the layout version of a spool. Writes it if it is missing, or empty after a kill. Raises OSError."""
    try:
        found = read_regular(file, MOST_FORMAT, links=False).decode("utf-8", "backslashreplace").strip()
    except FileNotFoundError:
        found = ""
    if not found:
        write_replacing(file, f"{FORMAT}\n".encode(), mode=0o644)
    return found or FORMAT


def _open_file(directory: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(directory / "lock", flags, 0o640)


def _write_owner(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _lock(descriptor: int, directory: Path, lock_file: int) -> None:
    """Locks a file or a directory. ``lock_file`` names the owner. Raises SpoolError if another process has the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock_file, 32, 0).decode("ascii", "replace").strip()
        raise SpoolError(
            f"spool {directory}: in use by process {owner or 'unknown'}", "Stop it, or set another spool.directory"
        ) from None


def _lock_folder(directory: Path, lock_file: int) -> int | None:
    """Locks the directory and returns its descriptor; None on a filesystem that cannot lock directories (NFS)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor, directory, lock_file)
    except SpoolError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
