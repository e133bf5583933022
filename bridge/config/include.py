"""One tree out of the main file and those it includes.

`include:` of the main file names files and globs relative to it; a glob's files come in the order of their names, each
file once. An included file includes nothing itself, so there are no cycles. `listeners`, `sources` and `routes` are
appended, `intakes` joined; any other key may stand in one file only, those of one section in several.
"""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config.document import APPENDED
from bridge.config.faults import FaultReport, Place, shown
from bridge.config.yaml_tree import (
    Entries,
    Items,
    Scalar,
    read,
)

# Sections whose keys may be spread over files; the others are one value, as `timezone`.
_SPREAD = ("collector", "timestamps", "batch", "spool", "ledger", "admin")


@dataclass
class Texts:
    """What was read: the joined tree, the files in reading order, and whether each of them could be read whole."""

    report: FaultReport
    root: Entries | None = None
    files: list[str] = field(default_factory=list)
    whole: bool = True
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """Of the bytes of all files, in reading order, in hexadecimal."""
        return self._digest.hexdigest()

    def read_main(self, data: bytes, file: str) -> None:
        """Read the main file's bytes, and the files that it includes."""
        self.root = self._read(data, file, empty="the file is empty: see the documentation for the shortest useful one")
        if self.root is None or "include" not in self.root:
            return
        patterns = _patterns(self.root, self.report)
        del self.root["include"]
        for pattern in patterns:
            for path in self._matching(pattern):
                self._include(path, pattern)

    def _include(self, path: Path, pattern: Scalar) -> None:
        file = str(path)
        if os.path.realpath(file) == os.path.realpath(self.files[0]):
            self.report.at(pattern.place, f"include: {shown(pattern)} includes this file itself")
            return
        if file in self.files:
            return
        try:
            data = path.read_bytes()
        except OSError as error:
            self.report.at(pattern.place, f"include: {path} cannot be read: {error.strerror}")
            self.whole = False
            return
        included = self._read(data, file, empty=None)
        if included is not None:
            _join(self.root, included, self.report)

    def _read(self, data: bytes, file: str, *, empty: str | None) -> Entries | None:
        """A file's mapping; `empty` is the fault of a file that holds nothing, None if that is fine."""
        self.files.append(file)
        self._digest.update(data)
        faults = len(self.report.faults)
        root, whole = read(data, file, self.report)
        self.whole = self.whole and whole
        if isinstance(root, Entries):
            return root
        if len(self.report.faults) > faults or (root is None and empty is None):
            return None
        text = empty if root is None and empty else "a configuration is a mapping: KEY: VALUE on each line"
        self.report.at(Place(file, 1, 1), text)
        self.whole = False
        return None

    def _matching(self, pattern: Scalar) -> list[Path]:
        folder = Path(pattern.place.file).parent
        if not glob.has_magic(pattern):
            return [folder / pattern]
        # Not Path.glob: that one refuses absolute patterns, and takes hidden files (an editor's) for `*`.
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
            # An alias shows where it was used, a relative path begins at the file that holds it: both are in the place.
            patterns.append(Scalar(one, place))
        else:
            report.at(place, "include: names of files or globs are expected here, such as [conf.d/*.yaml]")
    return patterns


def _join(root: Entries | None, added: Entries, report: FaultReport) -> None:
    if root is None:
        return
    for key, value in list(added.items()):
        mine = root.get(key)
        if key == "include":
            report.at(
                added.key_places[key], "include: an included file cannot include: list its files in the main file"
            )
        elif key not in root:
            root.put(key, value, added.key_places[key], added.value_places[key])
        elif key in APPENDED and isinstance(mine, Items) and isinstance(value, Items):
            joined = Items(mine.place)  # a new list: an anchor may share the old one
            for items in (mine, value):
                joined.extend(items)
                joined.places.extend(items.places)
            root[key] = joined
        elif key == "intakes" and isinstance(mine, Entries) and isinstance(value, Entries):
            root[key] = _joined(mine, value, report, what="the intake {} is given twice")
        elif key in _SPREAD and isinstance(mine, Entries) and isinstance(value, Entries):
            root[key] = _joined(mine, value, report, what="{}: given in two files")
        else:
            first = root.key_places[key]
            report.at(added.key_places[key], f"{key}: given in two files, first at {first}: remove one")


def _joined(mine: Entries, added: Entries, report: FaultReport, *, what: str) -> Entries:
    joined = Entries(mine.place)
    for entries in (mine, added):
        for key, value in entries.items():
            if key in joined:
                report.at(entries.key_places[key], f"{what.format(key)}, first at {joined.key_places[key]}: remove one")
            else:
                joined.put(key, value, entries.key_places[key], entries.value_places[key])
    return joined
