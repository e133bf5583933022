"""One owner of a spool, and the version of its layout."""

import fcntl
import os
from pathlib import Path

FORMAT = "1"


class SpoolError(Exception):
    """The spool cannot be used; the text says where, why and what to do."""


def take(directory: Path) -> int:
    """Make the directory if it is missing and become its owner. The descriptor that holds the lock.

    Raises SpoolError where it cannot be written, has another owner, or has a layout that this version does not know.
    """
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise SpoolError(
            f"spool {directory}: {error.strerror}; make the directory writable for this user, or set spool.directory"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise SpoolError(
            f"spool {directory}: in use by process {owner or 'unknown'}; stop it, or set another spool.directory"
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        version = directory / "format"
        if not version.exists():
            version.write_text(FORMAT + "\n")
        known = version.read_text().strip()
    except OSError as error:
        os.close(descriptor)
        raise SpoolError(f"spool {directory}: {error.strerror}") from None
    if known != FORMAT:
        os.close(descriptor)
        raise SpoolError(
            f"spool {directory}: layout version {known!r}, this bridge knows {FORMAT}; run the version that wrote it"
        )
    return descriptor
