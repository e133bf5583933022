"""Validates the tree with the models and turns each model error into a fault at its place in the file.

A model error names a path. This module follows the path through the tree to a place, reports the fault there and
removes (prunes) the invalid part. The rest is validated again and then passes through `checks`, so one report contains
every fault.
"""

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.config.document import Document, keys_of, section_at, sections_with_key
from bridge.config.faults import FaultAtKey, Place, Reported, ValidationContext, nearest, shown_word, suggestion
from bridge.config.yaml_tree import Entries, Items, Node

Path = tuple[str | int, ...]

_MOST_ROUNDS = 10
"Each round prunes at least one part. The faults that it hides are mostly one level deeper."


def validated(root: Entries, reading: ValidationContext) -> Document | None:
    """Returns the document of the valid part of the tree, or None if too much is invalid.

    The invalid parts are reported and pruned.
    """
    for _ in range(_MOST_ROUNDS):
        try:
            return Document.model_validate(root, context=reading)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        # Prune from the end, so that the indices of earlier list items do not change.
        for path in sorted({_report(detail, root, reading) for detail in details}, key=_order, reverse=True):
            _prune(root, path)
    return None


def _order(path: Path) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in path]


def _report(detail: ErrorDetails, root: Entries, reading: ValidationContext) -> Path:
    """Reports one model error; returns its path, cut to the part that exists in the tree."""
    location = detail["loc"]
    kind = detail["type"]
    about_key = location[-1:] == ("[key]",)
    path = _existing(root, location)
    parent = _at(root, path[:-1])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Reported):
        return path
    if not path:
        reading.report.at(root.place, "the file must be a mapping: KEY: VALUE on each line.")
        return path
    value = _at(root, path)
    place = _place(parent, path[-1])
    if isinstance(parent, Entries) and (kind == "extra_forbidden" or about_key or isinstance(cause, FaultAtKey)):
        place = parent.key_places[str(path[-1])]
    if kind == "extra_forbidden":
        key, known = str(path[-1]), _known(path[:-1])
        reading.report.at(place, _unknown(key, known))
        meant = nearest(key, known)
        if meant is not None and isinstance(parent, Entries) and meant not in parent:
            # The key that was meant is written, too: that it is missing would be a second fault for one mistake.
            parent.pruned.add(meant)
            parent.key_places.setdefault(meant, place)
            parent.value_places.setdefault(meant, place)
        return path
    if about_key:
        message = str(cause) if isinstance(cause, ValueError) else "a key must be text."
    elif value is None:
        message = "the value is missing. Write one, or remove the key."
    elif isinstance(cause, ValueError):
        message = str(cause)
    else:
        message = _expected(path)
    reading.report.at(place, f"{_subject(path)}{message}")
    return path


def _subject(path: Path) -> str:
    """Returns the key that a message is about, as its prefix; "" if the last key is an intake's name."""
    keys = [step for step in path if isinstance(step, str)]
    if not keys or (keys[0] == "intakes" and len(keys) == 2):
        return ""
    return f"{keys[-1]}: "


def _expected(path: Path) -> str:
    """Returns the message for a value that should have been a mapping."""
    section = section_at(path)
    if section is None:
        return "expected a mapping here: NAME: {...}."
    keys = keys_of(section)
    return f"expected a mapping here, with keys such as {', '.join(keys[:6])}."


def _known(path: Path) -> Sequence[str]:
    section = section_at(path)
    return keys_of(section) if section else []


def _unknown(key: str, known: Sequence[str]) -> str:
    name, colon, _ = key.partition(":")
    if colon and name in known:
        return f"a space is missing after {name}:. Write {name}: VALUE."
    where = " or ".join(f"under {name}" if name else "at the top level" for name in sections_with_key(key)[:3])
    otherwise = f" here. It belongs {where}." if where else f". Known keys: {', '.join(known)}."
    return f"unknown key{shown_word(key)}{suggestion(key, known, otherwise)}"


def _existing(root: Entries, location: Sequence[str | int]) -> Path:
    """Returns the longest prefix of a location that exists in the tree; models add steps that no file contains."""
    node: Node = root
    for depth, step in enumerate(location):
        if isinstance(node, Entries) and step in node:
            node = node[str(step)]
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return tuple(location[:depth])
    return tuple(location)


def _at(root: Entries, path: Path) -> Node:
    node: Node = root
    for step in path:
        if isinstance(node, Entries):
            node = node[str(step)]
        elif isinstance(node, Items):
            node = node[int(step)]
    return node


def _place(parent: Node, step: str | int) -> Place:
    if isinstance(parent, Entries):
        return parent.place_of(str(step))
    assert isinstance(parent, Items)
    return parent.places[int(step)]


def _prune(root: Entries, path: Path) -> None:
    if not path:
        root.clear()
        return
    parent = _at(root, path[:-1]) if _existing(root, path) == path else None
    if isinstance(parent, Entries):
        parent.prune(str(path[-1]))
    elif isinstance(parent, Items):
        parent.prune(int(path[-1]))
