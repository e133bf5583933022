"""Rewrites a configuration file with the current names of its keys. All other text stays as it is.

The file is edited as text, because a YAML library would drop comments, order, anchors and quotes. Keys are replaced in
place, and a comment behind a value keeps its column where there is room. A section that has moved to the top level is
cut out with the comments above and in it, and inserted behind the section that had it. The result is read again: it
must have the same tree as the original file, or the file is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from bridge.config import section_move
from bridge.config.faults import FaultReport, Place
from bridge.config.renames import RENAMES, rename_keys
from bridge.config.yaml_spans import Span, SpanReader
from bridge.config.yaml_tree import Entries, read

_COMMENT_BEHIND = re.compile(r"([\s,\]}]*?)( +)#")


@dataclass(frozen=True, order=True)
class _Edit:
    """Replaces a key, which is between two offsets. `follows` is the end of its value."""

    start: int
    end: int
    text: str
    follows: int


def migrated(data: bytes, file: str, report: FaultReport) -> bytes:
    """Returns the contents of a file with current names; the same bytes if there is no old one.

    Reports a fault if the file cannot be read, has both names of a key, or is written so that it cannot be rewritten.
    """
    root, whole = read(data, file, report)
    if not whole or not isinstance(root, Entries):
        return data
    found = FaultReport()
    rename_keys(root, found)
    for fault in found.faults:
        report.at(Place(fault.file, fault.line, fault.column), fault.message)
    if found.faults or not found.warnings:
        return data
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    text = data.decode("utf-8-sig")
    for before in (False, True):
        moved = _moved(text, before=before)
        # An alias may now precede its anchor.
        if read(moved.encode(), file, FaultReport())[1]:
            result = mark + _renamed(moved).encode()
            if _same(result, file, root):
                return result
    first = min(found.warnings)
    report.at(Place(first.file, first.line, first.column), "this file cannot be rewritten. Change the names by hand.")
    return data


def _same(data: bytes, file: str, expected: Entries) -> bool:
    """Returns True if a text has the tree that is expected, without old names."""
    report = FaultReport()
    root, whole = read(data, file, report)
    if not whole or not isinstance(root, Entries):
        return False
    rename_keys(root, report)
    return not report.faults and not report.warnings and root == expected


def _moved(text: str, *, before: bool) -> str:
    for rename in (each for each in RENAMES if each.is_moved):
        root = SpanReader(text).read()
        if root is not None:
            text = section_move.to_top_level(text, root, rename, before=before)
    return text


def _renamed(text: str) -> str:
    root = SpanReader(text).read()
    return text if root is None else _replaced(text, sorted(set(_key_edits(text, root))))


def _key_edits(text: str, root: Span) -> Iterator[_Edit]:
    for rename in RENAMES:
        for section in root.at(rename.section):
            entry = None if rename.is_moved else section.find(rename.old_key)
            if entry is not None:
                key, value = entry
                yield _Edit(key.start, key.end, rename.written(text[key.start : key.end]), value.end)


def _replaced(text: str, edits: list[_Edit]) -> str:
    """Applies the edits. A comment at the end of a line keeps its column if the blanks before it suffice."""
    parts = []
    done = 0
    for _, group in groupby(edits, lambda edit: text.rfind("\n", 0, edit.start)):
        longer = 0
        for edit in group:
            parts += [text[done : edit.start], edit.text]
            done = edit.end
            longer += len(edit.text) - (edit.end - edit.start)
        behind = _COMMENT_BEHIND.match(text, edit.follows)
        if behind is not None and "\n" not in text[edit.start : behind.end()]:
            parts += [text[done : behind.start(2)], " " * max(1, len(behind[2]) - longer)]
            done = behind.end(2)
    return "".join([*parts, text[done:]])
