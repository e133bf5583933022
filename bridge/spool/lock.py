"""Locks a spool for one process and checks the version of its layout."""

import fcntl
import os
from pathlib import Path

from bridge.util.errors import BridgeError
from bridge.util.os_errors import reason_of

FORMAT = "1"


class SpoolError(BridgeError):
    """Raised when the spool cannot be used."""


def take(directory: Path) -> int:
    """Creates the directory if it is missing, locks it, and returns the descriptor that holds the lock.

    Raises SpoolError if the directory is not writable, another process owns it, or this version does not know its
    layout.
    """
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise SpoolError(
            f"spool {error.filename or directory}: {reason_of(error)}",
            "Make the directory writable for this user, or set spool.directory",
        ) from None
    try:
        _lock(descriptor, directory)
        _check_format(descriptor, directory)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        raise SpoolError(
            f"spool {directory}: in use by process {owner or 'unknown'}", "Stop it, or set another spool.directory"
        ) from None
    except OSError as error:
        raise SpoolError(
            f"spool {directory}: its filesystem cannot lock {directory / 'lock'}: {error.strerror}",
            "Without a lock two bridges could use the spool at once: set spool.directory to a local disk",
        ) from None


def _check_format(descriptor: int, directory: Path) -> None:
    """Writes the process ID to the lock, and checks the version of the layout."""
    version = directory / "format"
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        found_version = version.read_text(errors="backslashreplace").strip() if version.exists() else ""
        if not found_version:
            # It is missing, or a power cut has left it empty.
            version.write_text(FORMAT + "\n")
            found_version = FORMAT
    except OSError as error:
        raise SpoolError(f"spool {directory}: {error.filename or directory / 'lock'}: {error.strerror}") from None
    if found_version != FORMAT:
        raise SpoolError(
            f"spool {directory}: its layout version is {found_version!r}, this bridge supports {FORMAT}",
            "Run the version of syslog-bridge that wrote it",
        )
