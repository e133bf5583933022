"""Keys whose function comes later: taken at their default, refused at any other value.

Each row is a path, `[]` for every item of a list or mapping, with what to do instead. The issue that brings a function
deletes its rows; nothing else knows of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.config.document import Document
from bridge.config.faults import Place, Report
from bridge.config.section import Section
from bridge.config.tree import Entries, Items, Node

NOT_YET: dict[str, str] = {}


def refuse_unsupported(document: Document, root: Entries, report: Report) -> None:
    """Report every key that is given another value than the one that works today."""
    for path, remedy in NOT_YET.items():
        *parents, key = path.split(".")
        for section, node in _sections(document, root, parents):
            if key not in node:
                continue
            value = getattr(section, key)
            if value == type(section).model_fields[key].default:
                continue
            place: Place = node.place_of(key)
            report.at(place, f"{key}: not supported yet: {remedy}")


def _sections(document: Document, root: Entries, parents: list[str]) -> Iterator[tuple[Section, Entries]]:
    """The sections at a path, each with its node of the tree."""
    found: list[tuple[object, Node]] = [(document, root)]
    for step in parents:
        name = step.removesuffix("[]")
        below: list[tuple[object, Node]] = []
        for section, node in found:
            value = getattr(section, name)
            child = node.get(name) if isinstance(node, Entries) else None
            if name == step:
                below.append((value, child))
            elif isinstance(child, Items):
                below += zip(value, child, strict=True)
            elif isinstance(child, Entries):
                below += [(value[key], child[key]) for key in child]
        found = below
    for section, node in found:
        if isinstance(section, Section) and isinstance(node, Entries):
            yield section, node
