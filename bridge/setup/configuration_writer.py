"""A configuration that a command has written for its user: checked first, then laid down with its keys, or not at all.

Everything is written into a folder beside its place (same filesystem, mode 0700), read back as the bridge would read
it, tried by whoever asks for it, and only then moved: keys first, the configuration last, since it refers to them. What
stood there before is kept as ``NAME.old``. A key is a file of its own under ``keys/``, named like its intake; where
that folder passes its group on (setgid, as the Debian package makes it) the group may read the key, elsewhere only its
owner.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config import Config, ConfigurationError, load


class DraftError(Exception):
    """Nothing was written; the text says why and what to do."""


@dataclass(frozen=True)
class Draft:
    """What is to be written: the configuration's file, its text, and the key of each intake by its name."""

    file: Path
    text: str
    keys: Mapping[str, str] = field(repr=False)

    def key_file(self, name: str) -> Path:
        """Where the key of an intake belongs."""
        return self.file.parent / "keys" / name

    def refuse_existing(self) -> None:
        """Raise DraftError where writing would replace something."""
        there = [path for path in (self.file, *map(self.key_file, self.keys)) if path.exists()]
        if there:
            raise DraftError(
                f"{_listed(there)} {'exists' if len(there) == 1 else 'exist'} already: edit what is there, or give"
                " --force to replace it (the old one is kept as NAME.old)"
            )


Agree = Callable[[Config], bool]
"""Whether a configuration without faults is to be written."""


def write(draft: Draft, *, secrets: bool = True, agree: Agree = lambda config: True) -> Config | None:
    """Write a draft once it reads without faults and ``agree`` has said yes; None where it said no.

    With ``secrets=False`` no file that the draft names is read: some may still have to be brought. Raises DraftError.
    """
    folder = draft.file.parent
    was_there = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    except OSError as error:
        raise DraftError(_cannot(error, folder)) from None
    try:
        config = _tried(draft, work, secrets=secrets)
        if not agree(config):
            return None
        _move(draft, work)
    except OSError as error:
        raise DraftError(_cannot(error, folder)) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if not was_there:
            # It is left where something was written, and only then.
            with suppress(OSError):
                folder.rmdir()
    return config


def _tried(draft: Draft, work: Path, *, secrets: bool) -> Config:
    (work / "keys").mkdir()
    for name, key in draft.keys.items():
        _create(work / "keys" / name, key + "\n", 0o600)
    file = work / draft.file.name
    _create(file, draft.text, 0o644)
    try:
        return load(file, secrets=secrets)
    except ConfigurationError as error:
        raise DraftError(str(error).replace(f"{work}/", f"{draft.file.parent}/")) from None


def _create(path: Path, text: str, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


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
    if place.exists():
        place.replace(place.with_name(f"{place.name}.old"))
    new.replace(place)


def _cannot(error: OSError, folder: Path) -> str:
    remedy = ": is sudo missing?" if isinstance(error, PermissionError) else ""
    return f"cannot write in {folder}: {error.strerror}{remedy}"


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))
