"""Describes errors of the operating system, above all calls that a rule of this machine forbids."""

import errno
import os

FORBIDDEN = frozenset((errno.EACCES, errno.EPERM))
"Errors that never come from the network or the disk: a rule of this machine forbids the call."
SECURITY_MODULES = "SELinux (ausearch -m avc) or AppArmor (journalctl -k)"
"What may forbid a call although the file modes permit it, and where it reports that."


def reason_of(error: OSError) -> str:
    """Describes why a call failed. If this machine forbids it, names what to check."""
    reason = error.strerror or str(error)
    if error.errno not in FORBIDDEN:
        return reason
    return f"{reason}: this machine forbids it. Check owner and mode, and {SECURITY_MODULES}"


def described(error: Exception) -> str:
    """Returns the file and the reason of an error.

    Python's own text has the number of the error, and the file in quotes or as ``PosixPath('...')``.
    """
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    named = isinstance(error.filename, str | bytes | os.PathLike)
    return f"{os.fsdecode(error.filename)}: {error.strerror}" if named else error.strerror


def forbidden_connection(number: int, address: str) -> str:
    """Describes a connection that this machine forbids."""
    return (
        f"this machine forbids the connection to {address} ({os.strerror(number)}). Check its firewall and routes, and"
        f" {SECURITY_MODULES}"
    )
