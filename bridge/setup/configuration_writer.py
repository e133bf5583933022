"""Writes a generated configuration and its key files, after checking them; on a fault it writes nothing.

All files are written to a temporary folder in the target folder (same filesystem, mode 0700), loaded as the bridge
would load them, and confirmed by the caller. Then they are moved: keys first, the configuration last, because it
refers to the keys. Replaced files are kept as ``NAME.old``. Each key is a file under ``keys/``, named after its intake.
If that folder is setgid, as in the Debian package, the group may read the key; otherwise only its owner may.
"""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config import Config, ConfigurationError, load
from bridge.util.errors import BridgeError
from bridge.util.files import fsync_path, with_rights_of, write_new

_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"Errors of a filesystem that has no hard links (FAT, some network filesystems), or no further one for a file."


class DraftError(BridgeError):
    """Raised when the draft cannot be written; the text says why and what to do."""


@dataclass(frozen=True)
class Draft:
    """A configuration to be written: its file, its text, and the keys by intake name."""

    file: Path
    text: str
    keys: Mapping[str, str] = field(repr=False)

    def key_file(self, name: str) -> Path:
        """Returns the path of the key file of an intake."""
        return self.file.parent / "keys" / name

    def refuse_existing(self) -> None:
        """Raises DraftError if writing would replace a file."""
        existing = [path for path in (self.file, *map(self.key_file, self.keys)) if path.exists()]
        if existing:
            raise DraftError(
                f"{', '.join(map(str, existing))} already {'exists' if len(existing) == 1 else 'exist'}",
                "Edit what is there, or use --force to replace it; the old file is kept as NAME.old.",
            )


def write(
    draft: Draft, *, secrets: bool = True, agree: Callable[[Config], bool] = lambda config: True
) -> Config | None:
    """Writes a draft if it is valid and ``agree`` returns True; returns None if ``agree`` returns False.

    With ``secrets=False``, no file that the draft names is read, because some may not exist yet. Raises DraftError.
    """
    folder = draft.file.parent
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    except OSError as error:
        raise _cannot_write(error, folder) from None
    try:
        config = _checked(draft, work, secrets=secrets)
        if not agree(config):
            return None
        _move(draft, work)
    except OSError as error:
        raise _cannot_write(error, folder) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if not existed:
            # Remove the new folder, unless files were written to it.
            with suppress(OSError):
                folder.rmdir()
    return config


def _checked(draft: Draft, work: Path, *, secrets: bool) -> Config:
    (work / "keys").mkdir()
    for name, key in draft.keys.items():
        write_new(work / "keys" / name, (f"{key}\n".encode(),), mode=0o600)
    file = work / draft.file.name
    write_new(file, (draft.text.encode(),), mode=0o644)
    try:
        return load(file, secrets=secrets)
    except ConfigurationError as error:
        raise DraftError(str(error).replace(f"{work}/", f"{draft.file.parent}/")) from None


def _move(draft: Draft, work: Path) -> None:
    keys = draft.file.parent / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    folder = keys.stat()
    for name in draft.keys:
        new = work / "keys" / name
        if folder.st_mode & stat.S_ISGID:
            os.chown(new, -1, folder.st_gid)
            new.chmod(0o640)
        _replace(new, draft.key_file(name))
    _replace(work / draft.file.name, draft.file)


def _replace(new: Path, place: Path) -> None:
    """Replaces a file and keeps the old one as ``.old``. At each moment, ``place`` has one of them."""
    if place.exists():
        old = place.with_name(f"{place.name}.old")
        old.unlink(missing_ok=True)
        try:
            old.hardlink_to(place)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _copy(place, old)
    new.replace(place)
    fsync_path(place.parent)


def _copy(place: Path, copy: Path) -> None:
    """Copies a file with its owner and mode, as far as its filesystem has them. Raises OSError."""
    as_before = with_rights_of(place.stat())

    def keep_rights(descriptor: int) -> None:
        # A filesystem without hard links may have no owners and modes either. Nobody gets more rights by that.
        with suppress(PermissionError):
            as_before(descriptor)

    write_new(copy, (place.read_bytes(),), mode=0o600, finish=keep_rights)


def _cannot_write(error: OSError, folder: Path) -> DraftError:
    hint = "Run the command with sudo." if isinstance(error, PermissionError) else ""
    return DraftError(f"cannot write to {folder}: {error.strerror}", hint)
