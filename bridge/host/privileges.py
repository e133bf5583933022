"""Gives up the rights of root before a command touches a folder of another user.

The user of a folder can plant links in it and replace it by a link at any time, also while a command runs. A process
that has the rights of that user only cannot be led to a file that the user may not use, and all files that it makes
belong to the user.
"""

import errno
import os
import pwd
import shlex
import stat
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from bridge.util.errors import BridgeError
from bridge.util.file_access import ROOT

_ANY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
"Flags that open anything, also a link itself, without any effect on it."
_MOST_LINKS = 40


class User(NamedTuple):
    """A user of this machine, who may have no name."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    "As ``sudo -u`` accepts it."


def other_owner(path: Path) -> User | None:
    """Returns the user who decides what is at a path, if this process is root and the user is not. Raises OSError.

    This is the owner of the folder, or of the deepest folder on the way that exists. If that is root, it is the owner
    of the first link on the way that does not belong to root.
    """
    if os.geteuid() != ROOT:
        return None
    with suppress(OSError):
        # Mounts a folder that is mounted on its first use. The steps below do not.
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    status = _deciding(path)
    return None if status.st_uid == ROOT else _user(status)


def become_owner(path: Path) -> None:
    """Becomes the user that ``other_owner`` returns, for the rest of this process.

    Raises BridgeError, also if that user cannot reach a path that exists. Raises OSError.
    """
    user = other_owner(path)
    if user is None:
        return
    exists = path.exists()
    try:
        become(user)
    except OSError as error:
        raise BridgeError(
            f"{path} belongs to user {user.name}, and this process cannot become that user: {error.strerror}",
            run_as(user),
        ) from None
    if exists and not os.access(path, os.F_OK):
        raise _unreachable(path, user)


def become(user: User) -> None:
    """Becomes a user for the rest of this process. Raises OSError."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def user_named(name: str) -> User | None:
    """Returns a user of this machine with all groups, or None if there is none with this name."""
    try:
        known = pwd.getpwnam(name)
    except KeyError:
        return None
    return _known(known)


def program_is_public() -> bool:
    """Returns True if every user can read the program, so that it can import more after ``become_owner``.

    Looks at the folders of the program and of its libraries.
    """
    places = (Path(__file__), *(Path(place) for place in sys.path if place))
    folders = {folder for place in places if place.exists() for folder in place.resolve().parents}
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


@contextmanager
def acting_as_owner(path: Path) -> Iterator[None]:
    """Acts as the user that ``other_owner`` returns while the context lasts. Raises OSError.

    For a command that uses a folder of another user and then files of root. The process must have one thread.
    """
    user = other_owner(path)
    if user is None:
        yield
        return
    gid, groups = os.getegid(), os.getgroups()
    os.setgroups(user.groups)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(ROOT)
        os.setegid(gid)
        os.setgroups(groups)


def check_reachable(path: Path) -> None:
    """Raises the BridgeError that ``become_owner`` raises if the user cannot reach a path. Raises OSError.

    A child process becomes the user, so this process keeps its rights.
    """
    user = other_owner(path)
    if user is None or not path.exists():
        return
    child = os.fork()
    if child == 0:
        code = 1
        try:
            become_owner(path)
            code = 0
        finally:
            # A child that could not become the user is still root. Then ``become_owner`` reports why.
            os._exit(0 if os.geteuid() == ROOT else code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise _unreachable(path, user)


def run_as(user: User) -> str:
    """Returns the advice to run the command of this process as a user."""
    command = shlex.join(["syslog-bridge", *sys.argv[1:]])
    return f"Run it as that user: sudo -u {user.name} {command}, or start the container as that user"


def _unreachable(path: Path, user: User) -> BridgeError:
    return BridgeError(
        f"{path}: its owner {user.name} cannot enter a folder above it",
        f"Let this user enter it: chmod o+x FOLDER, or setfacl -m u:{user.uid}:x FOLDER",
    )


def open_folder(path: Path) -> int:
    """Opens a folder in which a file is replaced. Raises OSError, also if a link of another user would lead root to it.

    With the descriptor, the file is written to this folder even if its path leads elsewhere meanwhile.
    """
    walk = _walk(path)
    try:
        if walk.link is not None and os.geteuid() == ROOT:
            raise OSError(errno.ELOOP, f"a link of user {_user(walk.link).name} leads to this folder", str(path))
        if walk.missing is not None:
            raise walk.missing
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walk.folder)
    finally:
        os.close(walk.folder)


def _deciding(path: Path) -> os.stat_result:
    """Returns the status of the folder, or the link, whose owner decides what is at a path. Raises OSError."""
    walk = _walk(path)
    try:
        end = os.fstat(walk.folder)
    finally:
        os.close(walk.folder)
    return walk.link if walk.link is not None and end.st_uid == ROOT else end


class _Walk(NamedTuple):
    """The way to a path, with links followed."""

    folder: int
    "A descriptor of the end of the way, or of the deepest folder that exists."
    link: os.stat_result | None
    "The first link that does not belong to root."
    missing: OSError | None
    "Why the way ends before the path."


def _walk(path: Path) -> _Walk:
    """Follows a path. Raises OSError.

    Opens each step relative to the one before, so nobody can replace a step that was looked at.
    """
    steps = deque(path.absolute().parts)
    links = 0
    link: os.stat_result | None = None
    folder = os.open("/", _ANY)
    try:
        while steps:
            try:
                found = os.open(steps.popleft(), _ANY, dir_fd=folder)
            except OSError as error:
                # The error names the step only.
                failure = OSError(error.errno, error.strerror, str(path))
                if isinstance(error, FileNotFoundError | NotADirectoryError):
                    return _Walk(folder, link, failure)
                raise failure from None
            try:
                status = os.fstat(found)
                if not stat.S_ISLNK(status.st_mode):
                    folder, found = found, folder
                    continue
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                steps.extendleft(reversed(PurePosixPath(os.readlink("", dir_fd=found)).parts))
                if link is None and status.st_uid != ROOT:
                    link = status
            finally:
                os.close(found)
    except BaseException:
        os.close(folder)
        raise
    return _Walk(folder, link, None)


def _user(status: os.stat_result) -> User:
    try:
        known = pwd.getpwuid(status.st_uid)
    except KeyError:
        # The group of root would give rights that the user may not have.
        gid = status.st_gid or status.st_uid
        return User(status.st_uid, gid, (gid,), f"'#{status.st_uid}'")
    return _known(known)


def _known(known: pwd.struct_passwd) -> User:
    groups = tuple(os.getgrouplist(known.pw_name, known.pw_gid))
    return User(known.pw_uid, known.pw_gid, groups, known.pw_name)
