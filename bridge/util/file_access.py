"""Names the command that makes a file readable for the user of this process, who is the user of the bridge.

``run`` is this user, and ``check`` becomes this user if root runs it. Only a command of another user reports the rights
of that user instead, so the texts name the user.
"""

import grp
import os
import pwd
import shlex
from contextlib import suppress
from pathlib import Path

ROOT = 0
_FIRST_LOGIN_UID = 1000
"The first user id that Debian gives to people. Users below run services."
STARTED_AS = os.getuid()
"The user who has started this process. If root has, the process has become the user of the bridge."


def to_create(path: Path) -> str:
    """Returns the command that creates a secret's file with owner and mode, as a sentence."""
    rights, command = _installation(path, "/dev/stdin")
    return f"Create it with {rights}: {command}. Then paste the secret, and press Enter and Ctrl-D."


def to_install(path: Path) -> str:
    """Returns the command that puts a certificate or a private key in its place, as a sentence."""
    rights, command = _installation(path, "FILE")
    return f"Correct the path, or install the file with {rights}: {command}."


def _installation(path: Path, source: str) -> tuple[str, str]:
    """Returns owner and mode of a private file of the bridge, and the command that makes it from ``source``."""
    folder = path.parent
    uid, gid = _effective_ids()
    if uid == ROOT:
        rights, owner, file_mode, folder_mode = "owner root and mode 0600", "", "0600", "0700"
    else:
        group = group_name(gid)
        rights = f"owner root, group {group} and mode 0640"
        owner, file_mode, folder_mode = f"-o root -g {group} ", "0640", "2750"
    command = f"sudo install {owner}-m {file_mode} {source} {shlex.quote(str(path))}"
    if not folder.exists():
        command = f"sudo install -d {owner}-m {folder_mode} {shlex.quote(str(folder))} && {command}"
    return rights, command


def to_read(path: Path) -> str:
    """Returns the command that lets the user of this process read a file which it may not, as a sentence.

    This is about the file, or about the first folder on the way that the user cannot enter.
    """
    uid, gid = _effective_ids()
    user, group = user_name(uid), group_name(gid)
    blocked, right = path, "g+r"
    for folder in reversed(path.absolute().parents):
        if not os.access(folder, os.X_OK, effective_ids=True):
            blocked, right = folder, "g+x"
            break
    place = shlex.quote(str(blocked))
    command = f"sudo chgrp {group} {place} && sudo chmod {right} {place}"
    if uid < _FIRST_LOGIN_UID or STARTED_AS == ROOT:
        return f"User {user} must be able to read it: {command}."
    return f"Run the command with sudo. If the bridge runs as user {user}, let this user read the file: {command}."


def _effective_ids() -> tuple[int, int]:
    return os.geteuid(), os.getegid()


def user_name(uid: int) -> str:
    """Returns the name of a user, or the number of an unknown user."""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def group_name(gid: int) -> str:
    """Returns the name of a group, or the number of an unknown group."""
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)
