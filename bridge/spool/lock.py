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
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise SpoolError(
            f"spool {error.filename or directory}: {reason_of(error)}",
            "Make the directory writable for this user, or set spool.directory",
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise SpoolError(
            f"spool {directory}: in use by process {owner or 'unknown'}", "Stop it, or set another spool.directory"
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        version = directory / "format"
        if not version.exists():
            version.write_text(FORMAT + "\n")
        found_version = version.read_text().strip()
    except OSError as error:
        os.close(descriptor)
        raise SpoolError(f"spool {directory}: {error.strerror}") from None
    if found_version != FORMAT:
        os.close(descriptor)
        raise SpoolError(
            f"spool {directory}: its layout version is {found_version!r}, this bridge supports {FORMAT}",
            "Run the version of syslog-bridge that wrote it",
        )
    return descriptor
