"""Reads the files of an imported configuration: within size limits, regular files only, and not endlessly many."""

import re
from collections.abc import Sequence
from glob import escape, glob, has_magic
from pathlib import Path

from bridge.config.yaml_tree import LARGEST
from bridge.util.files import read_regular

MOST_FILES = 500
DEEPEST_INCLUDE = 10
NO_FILE = "no file was found; copy it beside the imported file"


def read_text(file: Path) -> str:
    """Returns the text of a file; bytes that are not UTF-8 are read as Latin-1. Raises OSError."""
    data = read_regular(file, LARGEST)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return re.sub(r"\r\n?", "\n", text)


class IncludedFiles:
    """Finds the files that an ``include`` names, each at most once.

    A copy of ``/etc/rsyslog.conf`` is often imported with its folder ``rsyslog.d`` beside it. So an absolute pattern is
    looked up beside the main file first.
    """

    def __init__(self, main: Path) -> None:
        self._folder = main.parent
        self._seen = {main.resolve()}

    def find(self, pattern: str, depth: int) -> tuple[list[Path], list[str]]:
        """Returns the files that match a pattern and were not returned before, and why others are left out.

        ``depth`` is the number of includes that lead to this one.
        """
        if depth >= DEEPEST_INCLUDE:
            return [], [f"files are included more than {DEEPEST_INCLUDE} levels deep; this one is not read"]
        if not pattern:
            return [], ["it names no file"]
        parts = Path(pattern).parts
        beside = [Path(*parts[-2:])] if pattern.startswith("/") and len(parts) > 2 else []
        if beside and not has_magic(pattern):
            beside.append(Path(parts[-1]))
        candidates = [str(Path(escape(str(self._folder))) / path) for path in beside] + [pattern]
        if not pattern.startswith("/"):
            candidates = [str(Path(escape(str(self._folder))) / pattern)]
        for candidate in candidates:
            path = Path(candidate)
            if not has_magic(candidate) and path.is_dir():
                candidate = f"{escape(candidate)}/*"  # noqa: PLW2901
            found = [Path(name) for name in sorted(glob(candidate))]  # noqa: PTH207 - Path.glob refuses absolute patterns
            if found:
                return self._readable(found)
        return [], [NO_FILE]

    def _readable(self, found: Sequence[Path]) -> tuple[list[Path], list[str]]:
        files: list[Path] = []
        left_out: list[str] = []
        for file in found:
            if not file.exists():
                left_out.append(f"{file.name} is a symbolic link to no file; correct the link")
            elif not file.is_file():
                left_out.append(f"{file.name} is not a regular file, so it is not read")
            elif file.resolve() in self._seen:
                left_out.append(f"{file.name} has been read already, so it is not read again")
            elif len(self._seen) >= MOST_FILES:
                left_out.append(f"more than {MOST_FILES} files are included; {file.name} is not read")
            else:
                self._seen.add(file.resolve())
                files.append(file)
        return files, left_out
