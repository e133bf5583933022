"""Reads the files of an imported configuration: within size limits, regular files only, and not endlessly many."""

import re
from collections.abc import Iterator
from glob import escape, glob, has_magic
from pathlib import Path

from bridge.config.yaml_tree import LARGEST
from bridge.util.files import read_regular

MOST_FILES = 500
DEEPEST_INCLUDE = 10


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

    def find(self, pattern: str) -> Iterator[Path]:
        """Yields the files that match a pattern and were not yielded before."""
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
            new = [file for file in found if file.is_file() and file.resolve() not in self._seen]
            if found:
                for file in new[: MOST_FILES - len(self._seen)]:
                    self._seen.add(file.resolve())
                    yield file
                return
