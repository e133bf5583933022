"""Writes and syncs files so that they survive a killed process or a power cut. Blocking calls."""

import errno
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"Flags with which opening a FIFO does not block."
_KINDS = {
    stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}  # fmt: skip


class TooLarge(OSError):
    """Raised when a file has more bytes than its reader accepts."""

    def __init__(self, most: int, path: Path) -> None:
        limit = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
        super().__init__(errno.EFBIG, f"larger than {limit}", str(path))


def open_regular(path: Path, *, links: bool = True) -> BinaryIO:
    """Opens a regular file for reading. Raises OSError, also for anything else; never blocks on a FIFO.

    ``links``: False if the file must not be a link either.
    """
    return open(regular_descriptor(path, links=links), "rb")


def regular_descriptor(path: Path, *, links: bool = True) -> int:
    """Returns the descriptor of a regular file for reading, as ``open_regular`` opens it. Raises OSError."""
    try:
        descriptor = os.open(path, _READ if links else _READ | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENXIO or (error.errno == errno.ELOOP and path.is_symlink()):
            raise _irregular(path, path.stat(follow_symlinks=links).st_mode) from None
        raise
    try:
        if not stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
            raise _irregular(path, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _irregular(path: Path, mode: int) -> OSError:
    if stat.S_ISDIR(mode):
        return OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return OSError(errno.EINVAL, f"{_KINDS.get(stat.S_IFMT(mode), 'special')}, not a regular file", str(path))


def read_regular(path: Path, most: int | None = None, *, links: bool = True) -> bytes:
    """Returns the contents of a regular file. Raises OSError with the file's name, also for anything else.

    Raises TooLarge for a file of more than ``most`` bytes, without reading more of it. ``links``: as for
    ``open_regular``.
    """
    try:
        with open_regular(path, links=links) as file:
            if most is None:
                return file.read()
            # The file may grow, and the size of a file in /proc is 0.
            if os.fstat(file.fileno()).st_size > most or len(data := file.read(most + 1)) > most:
                raise TooLarge(most, path)
            return data
    except TooLarge:
        raise
    except OSError as error:
        # The error of a read does not name the file.
        raise OSError(error.errno, error.strerror, str(path)) from None


def is_foreign(path: Path, *, links: bool = True) -> bool:
    """Returns True for anything but a regular file or a link to one, False if that cannot be read.

    ``links``: False to return True also for a link to a regular file.
    """
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode) and links:
            return not os.path.isfile(path)  # noqa: PTH113 - does not raise on a loop of links
    except OSError:
        return False
    return not stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    """Returns True for a folder or a link to one, False if that cannot be read."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_nfs_leftover(name: str) -> bool:
    """Returns True for the name that NFS gives to a deleted file while a process has it open."""
    return name.startswith(".nfs")


def shown_path(path: Path) -> str:
    """Returns a path for a log line. Escapes bytes that are not UTF-8 and characters that are not printable."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def clear_place(place: Path, *, folder: bool, links: bool = True) -> Path | None:
    """Renames what is at a place where a folder, or a regular file, must be, if it is something else.

    Returns its new path, or None if the place is free or correct, as is one that cannot be read. ``links``: False if a
    link to the right kind is wrong, too. Raises OSError.
    """
    try:
        mode = place.stat(follow_symlinks=links).st_mode
        correct = stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)
    except OSError as error:
        correct = error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    if correct or not os.path.lexists(place):
        return None
    names = (f".foreign-{place.name.lstrip('.')}{f'-{n}' if n else ''}" for n in count())
    target = next(path for name in names if not os.path.lexists(path := place.with_name(name)))
    place.rename(target)
    return target


def fsync_path(path: Path) -> None:
    """Syncs the contents of a file, or the names in a directory. Raises OSError."""
    descriptor = os.open(path, _READ)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def close_quietly(descriptor: int) -> None:
    """Closes a descriptor. Ignores an error that the filesystem reports only now (NFS, FUSE): it is closed anyway."""
    with suppress(OSError):
        os.close(descriptor)


def allocated_bytes(path: Path) -> int:
    """Returns the allocated bytes of a file, or 0 if they cannot be read."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def write_new(
    path: Path, parts: Iterable[bytes], *, mode: int = 0o640, finish: Callable[[int], None] = lambda descriptor: None
) -> None:
    """Writes and syncs a new file. ``finish`` may change its attributes through its descriptor before the sync.

    The caller syncs the directory. Raises OSError, also if the file exists; a file that could not be written remains.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        for part in parts:
            write_all(descriptor, part)
        finish(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_unsynced(path: Path, data: bytes) -> None:
    """Writes a file and leaves the sync to the kernel. Raises OSError; then there is no part of the file."""
    try:
        path.write_bytes(data)
    except OSError:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def write_replacing(path: Path, data: bytes, *, mode: int = 0o640) -> None:
    """Writes a file so that its path always has all of the old or all of the new contents, also after a power cut.

    A killed process may leave ``.NAME.new`` beside it, which the next call replaces. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        write_new(temporary, (data,), mode=mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    fsync_path(path.parent)


def replace_in(folder: int, name: str, data: bytes, *, finish: Callable[[int], None]) -> None:
    """Writes a file of an open folder as ``write_replacing`` does, even if the folder's path leads elsewhere meanwhile.

    Only the owner may access the file, unless ``finish`` changes that through its descriptor. Raises OSError.
    """
    temporary = f".{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        try:
            write_all(descriptor, data)
            finish(descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def with_rights_of(status: os.stat_result) -> Callable[[int], None]:
    """Returns a ``finish`` that gives a new file the owner and the permissions of another one. It raises OSError."""

    def finish(descriptor: int) -> None:
        os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))

    return finish


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of ``data``, also if the kernel takes it in several parts. Raises OSError."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def write_whole(descriptor: int, data: bytes, size: int) -> None:
    """Appends all of ``data`` to a file of ``size`` bytes, or nothing: truncates the file after a short write.

    Raises OSError.
    """
    try:
        write_all(descriptor, data)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
