"""Finds the process that owns a spool. Imports nothing of the spool, so a command can ask before it needs more."""

import fcntl
import os
import stat
from pathlib import Path

from bridge.util.files import is_foreign


def has_owner(directory: Path) -> bool:
    """Returns True if a process has the lock of a spool, False also if there is no such directory. Raises OSError."""
    return directory.is_dir() and owner(directory) is not None


def owner(directory: Path) -> str | None:
    """Returns the ID of the process that has the lock of a spool, or None if no process has it. Raises OSError.

    Returns ``unknown`` if the lock file contains no ID.
    """
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or is_foreign(directory / "lock", links=False):
            # No bridge can have it; the next start renames it.
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        # Take a shared lock and release it at once, so that a bridge that starts now can take the lock.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return None
