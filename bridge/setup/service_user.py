"""Lets root check a configuration as the user of the service, with the rights and the environment of that user."""

import os
from collections.abc import Mapping
from pathlib import Path

from bridge.host.privileges import User, other_owner, user_named
from bridge.util.file_access import ROOT

PACKAGED = "syslog-bridge"
"The user that the package creates. Its unit runs the service as this user."


def service_user(spool: Path, *, packaged: bool) -> User | None:
    """Returns the user who runs the bridge with a spool, if this process is root and the user is not. Raises OSError.

    This is the owner of the spool. Root may have made its folder by mistake: then it is the user of the package, if the
    configuration is the one of the package's unit (``packaged``).
    """
    if os.geteuid() != ROOT:
        return None
    return other_owner(spool) or (user_named(PACKAGED) if packaged else None)


def environments(user: User) -> dict[str, Mapping[str, str]]:
    """Returns the environments of all processes of a user by process ID. Secrets may be in the one of the service.

    Only root can read them: the service has a capability that other processes of its user lack.
    """
    found: dict[str, Mapping[str, str]] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if process.stat().st_uid == user.uid:
                found[process.name] = _parsed((process / "environ").read_bytes())
        except OSError:
            continue
    return found


def _parsed(data: bytes) -> dict[str, str]:
    pairs = (pair.partition(b"=") for pair in data.split(b"\0") if pair)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
