"""Finds out who runs a command: by the credentials of the control socket, the kernel's login id, and what sudo says.

A command that root runs on the spool of another user becomes that user before it connects, so the credentials alone
often name the user of the bridge. The login id of the kernel's audit stays the same through sudo and su; it is missing
in most containers. What the client says is recorded apart, because it cannot be verified.
"""

import json
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from bridge.util.file_access import STARTED_AS

JSON = dict[str, object]

HEADER = "X-Operator"
"The header in which ``syslog-bridge`` says who has started it."
_MAX_NAME = 64
_NO_LOGIN = 2**32 - 1
"The login id of processes that no login has started, such as those of a service or a container."
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Operator:
    """The user who runs a command. ``via`` is socket, files (no bridge runs), signal (SIGHUP; the user is unknown) or
    timer (the bridge itself, at the end of a wait).

    ``said``: the user who has started the command, and SUDO_USER, as the client says.
    """

    via: str
    uid: int | None = None
    pid: int | None = None
    said: JSON | None = None

    def fields(self) -> JSON:
        """Returns the fields of a journal line. Reads files in ``/proc`` and ``/etc/passwd``; never a name service,
        which may not answer."""
        fields: JSON = {"via": self.via, "uid": self.uid, "user": _name(self.uid), "pid": self.pid}
        login = None if self.pid is None else _login_uid(self.pid)
        return {**fields, "login_uid": login, "login": _name(login), "said": self.said}


SIGNAL = Operator("signal")
TIMER = Operator("timer")


def local_operator() -> Operator:
    """Returns the user of this process, for a command that works on the files of a stopped bridge."""
    return Operator("files", STARTED_AS, os.getpid(), what_is_said())


def what_is_said() -> JSON:
    """Returns what this process says about the user who has started it."""
    return {"uid": STARTED_AS, "user": _name(STARTED_AS), "sudo_user": _short(os.environ.get("SUDO_USER"))}


def header() -> dict[str, str]:
    """Returns the header of a request to the control socket."""
    return {HEADER: json.dumps(what_is_said())}


def connected_operator(connection: socket.socket | None, said: str | None) -> Operator:
    """Returns the user at the other end of a Unix socket. ``said`` is the value of the header."""
    uid = pid = None
    if connection is not None and connection.family == socket.AF_UNIX:
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(packed)
    return Operator("socket", uid, pid, _read_header(said))


def _read_header(text: str | None) -> JSON | None:
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    uid = found.get("uid")
    return {
        "uid": uid if isinstance(uid, int) else None,
        "user": _short(found.get("user")),
        "sudo_user": _short(found.get("sudo_user")),
    }


def _short(name: object) -> str | None:
    return name[:_MAX_NAME] if isinstance(name, str) and name else None


def _login_uid(pid: int) -> int | None:
    try:
        # As bytes: root may have become a user who cannot read the modules of other codecs.
        uid = int(Path(f"/proc/{pid}/loginuid").read_bytes())
    except (OSError, ValueError):
        return None
    return None if uid == _NO_LOGIN else uid


def _name(uid: int | None) -> str | None:
    """Returns the name of a user in ``/etc/passwd``, or None."""
    if uid is None:
        return None
    try:
        lines = Path("/etc/passwd").read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    rows = (line.split(":") for line in lines)
    return next((_short(row[0]) for row in rows if len(row) > 2 and row[2] == str(uid)), None)
