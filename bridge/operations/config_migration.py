"""Gives the files of a configuration the current names of their keys, each file as a whole or not at all."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

from bridge.config.faults import FaultReport
from bridge.config.include import Texts
from bridge.config.loading import read_bytes
from bridge.config.migrate import migrated
from bridge.config.renames import rename_keys
from bridge.config.yaml_tree import LARGEST
from bridge.util.files import fsync_path, read_regular, replace_in, with_rights_of, write_new


@dataclass(frozen=True)
class Migration:
    """Holds the bytes of one file before and after, and the number of old names in it."""

    file: Path
    before: bytes
    after: bytes
    old_names: int
    copy: Path
    "The path for a copy of the file as it was."


def plan(path: Path) -> list[Migration]:
    """Reads a file and those that it includes; returns what they become, in reading order, without writing anything.

    Raises OSError, and ConfigurationError if a file cannot be parsed or rewritten or has both names of a key.
    """
    report = FaultReport()
    texts = Texts(report)
    texts.read_main(read_bytes(path), str(path))
    if texts.root is not None:
        # The old and the new name of a key may be in two files.
        rename_keys(texts.root, report)
    # As `include` joins them: a pattern is relative to the main file.
    patterns = [str(path.parent / pattern) for pattern in texts.patterns]
    migrations = []
    for file in texts.files:
        before = read_regular(Path(file), LARGEST)
        after = migrated(before, file, report)
        old_names = sum(warning.file == file for warning in report.warnings)
        migrations.append(Migration(Path(file), before, after, old_names, _free_name(Path(file), patterns)))
    if report.faults:
        raise report.error(texts.files)
    return migrations


def write(migration: Migration) -> None:
    """Replaces a file, after its copy is written. Both have the owner and the permissions that the file had.

    Raises OSError; then the file is as it was.
    """
    file = migration.file.resolve()
    as_before = with_rights_of(file.stat())
    try:
        write_new(migration.copy, (migration.before,), mode=0o600, finish=as_before)
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            replace_in(folder, file.name, migration.after, finish=as_before)
        finally:
            os.close(folder)
    except FileExistsError:
        raise
    except OSError:
        migration.copy.unlink(missing_ok=True)
        raise
    fsync_path(migration.copy.parent)


def _free_name(file: Path, patterns: Iterable[str]) -> Path:
    """Returns the path of a copy, which replaces no file and is not included itself."""
    included = any(fnmatch(f"{file}.bak", pattern) for pattern in patterns)
    # Globs do not match hidden files.
    name = f"{'.' if included else ''}{file.name}.bak"
    names = (f"{name}{f'.{number}' if number else ''}" for number in count())
    return next(path for each in names if not os.path.lexists(path := file.with_name(each)))
