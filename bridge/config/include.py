"""Joins the main file and its included files into one tree.

`include` of the main file names files and globs relative to it. The files of a glob are read in the order of their
names, each file once. An included file cannot include others, so there are no cycles. `listeners`, `sources` and
`routes` are appended, `intakes` are joined. Any other key may occur in one file only; the keys of one section may be
spread over several files.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config.faults import FaultReport, Place, shown
from bridge.config.yaml_tree import LARGEST, Entries, Items, Scalar, read
from bridge.util.files import read_regular

# Lists that an included file may append to.
_APPENDED = ("listeners", "sources", "redact", "routes")
# Sections whose keys may be spread over several files; other top-level keys, such as `timezone`, hold one value.
_SPREAD = ("collector", "timestamps", "batch", "spool", "cluster", "ledger", "admin")
_EMPTY = "the file is empty. Write at least collector, listeners and intakes."


@dataclass
class Texts:
    """The joined tree, the contents of the files in order, and `whole`: False if one was not read completely."""

    report: FaultReport
    root: Entries | None = None
    contents: dict[str, bytes] = field(default_factory=dict)
    whole: bool = True
    patterns: list[Scalar] = field(default_factory=list)
    "The file names and globs of ``include``."
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """Returns the SHA-256 of the bytes of all files, in reading order, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def files(self) -> list[str]:
        """Returns the names of the files in reading order."""
        return list(self.contents)

    def read_main(self, data: bytes, file: str) -> None:
        """Reads the main file from its bytes, then the files that it includes."""
        self.root = self._read(data, file, empty=_EMPTY)
        if self.root is None or "include" not in self.root:
            return
        self.patterns = _patterns(self.root, self.report)
        del self.root["include"]
        for pattern in self.patterns:
            for path in self._matching(pattern):
                self._include(path, pattern)

    def read_again(self, contents: Mapping[str, bytes]) -> None:
        """Reads files from the bytes that an earlier reading found, the main file first, whatever is on disk now."""
        (main, data), *others = contents.items()
        self.root = self._read(data, main, empty=_EMPTY)
        if self.root is not None:
            self.root.pop("include", None)
        for file, data in others:
            self._read_included(data, file)

    def _include(self, path: Path, pattern: Scalar) -> None:
        file = str(path)
        if os.path.realpath(file) == os.path.realpath(self.files[0]):
            self.report.at(pattern.place, f"include: {shown(pattern)} matches this file itself. Exclude it.")
            return
        if file in self.contents:
            return
        try:
            data = read_regular(path, LARGEST)
        except OSError as error:
            self.report.at(pattern.place, f"include: cannot read {path}: {error.strerror}.")
            self.whole = False
            return
        self._read_included(data, file)

    def _read_included(self, data: bytes, file: str) -> None:
        """Reads an included file from its bytes, and joins it with the tree."""
        included = self._read(data, file, empty=None)
        if self.root is not None and included is not None:
            _join(self.root, included, self.report)

    def _read(self, data: bytes, file: str, *, empty: str | None) -> Entries | None:
        """Parses one file and returns its mapping; `empty` is the fault text for an empty file, None if allowed."""
        self.contents[file] = data
        self._digest.update(data)
        root, whole = read(data, file, self.report)
        self.whole = self.whole and whole
        if isinstance(root, Entries):
            return root
        if not whole or (root is None and empty is None):
            return None
        text = empty if root is None and empty else "the file must be a mapping: KEY: VALUE on each line."
        self.report.at(Place(file, 1, 1), text)
        self.whole = False
        return None

    def _matching(self, pattern: Scalar) -> list[Path]:
        folder = Path(pattern.place.file).parent
        if not glob.has_magic(pattern):
            return [folder / pattern]
        # Path.glob rejects absolute patterns and lets `*` match hidden files, such as an editor's.
        absolute = pattern if Path(pattern).is_absolute() else f"{glob.escape(str(folder))}/{pattern}"
        return [Path(name) for name in sorted(glob.glob(absolute))]  # noqa: PTH207


def _patterns(root: Entries, report: FaultReport) -> list[Scalar]:
    value = root["include"]
    given = (
        list(zip(value, value.places, strict=True)) if isinstance(value, Items) else [(value, root.place_of("include"))]
    )
    patterns = []
    for one, place in given:
        if isinstance(one, Scalar) and one and "\0" not in one:
            # The item's place, not the scalar's own: for an alias it is the place of use. It also names the file that
            # a relative path starts from.
            patterns.append(Scalar(one, place))
        else:
            report.at(place, "include: expected file names or globs here, for example [conf.d/*.yaml].")
    return patterns


def _join(root: Entries, added: Entries, report: FaultReport) -> None:
    for key, value in list(added.items()):
        mine = root.get(key)
        if key == "include":
            text = "include: an included file cannot include other files. List them in the main file."
            report.at(added.key_places[key], text)
        elif key not in root:
            root.put(key, value, added.key_places[key], added.value_places[key])
        elif key in _APPENDED and isinstance(mine, Items) and isinstance(value, Items):
            joined = Items(mine.place)  # A new list, because an anchor may share the old one.
            for items in (mine, value):
                joined.extend(items)
                joined.places.extend(items.places)
            root[key] = joined
        elif key == "intakes" and isinstance(mine, Entries) and isinstance(value, Entries):
            root[key] = _joined(mine, value, report, what="the intake {} is given twice")
        elif key in _SPREAD and isinstance(mine, Entries) and isinstance(value, Entries):
            root[key] = _joined(mine, value, report, what="{}: the key is given in two files")
        else:
            first = root.key_places[key]
            report.at(added.key_places[key], f"{key}: the key is given in two files, first at {first}. Remove one.")


def _joined(mine: Entries, added: Entries, report: FaultReport, *, what: str) -> Entries:
    joined = Entries(mine.place)
    for entries in (mine, added):
        for key, value in entries.items():
            if key in joined:
                text = f"{what.format(key)}, first at {joined.key_places[key]}. Remove one."
                report.at(entries.key_places[key], text)
            else:
                joined.put(key, value, entries.key_places[key], entries.value_places[key])
    return joined
