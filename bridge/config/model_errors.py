"""What the models refuse, in the operator's words and at its place in the file; and the tree without it.

A model says only "this path is wrong". Here the path is followed through the tree to a place, and the faulty part is
pruned, so that what is left can be validated again and the cross checks run over it: one report then has everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bridge.config.document import (
    Document,
    homes_of,
    keys_of,
    section_at,
)
from bridge.config.faults import Place, nearest, shown_word
from bridge.config.validation_context import FaultAtKey, Reported, ValidationContext
from bridge.config.yaml_tree import Entries, Items, Node

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]

_MOST_ROUNDS = 10  # each prunes at least one part; what it hides is as a rule one level further in


def validated(root: Entries, reading: ValidationContext) -> Document | None:
    """The document of what is right in the tree; the rest is reported and pruned. None if too much is wrong."""
    for _ in range(_MOST_ROUNDS):
        try:
            return Document.model_validate(root, context=reading)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        # From the end, so that the indices of list items before a pruned one stay what they are.
        for path in sorted({_report(detail, root, reading) for detail in details}, key=_order, reverse=True):
            _prune(root, path)
    return None


def _order(path: Path) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in path]


def _report(detail: ErrorDetails, root: Entries, reading: ValidationContext) -> Path:
    """Report one error of the models; the path of what it is about, as far as the tree has it."""
    location = detail["loc"]
    kind = detail["type"]
    about_key = location[-1:] == ("[key]",)
    path = _existing(root, location)
    parent = _at(root, path[:-1])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Reported):
        return path
    if not path:
        reading.report.at(root.place, "the file must be a mapping of keys")
        return path
    value = _at(root, path)
    place = _place(parent, path[-1])
    at_key = isinstance(parent, Entries) and isinstance(path[-1], str)
    if at_key and (kind == "extra_forbidden" or about_key or isinstance(cause, FaultAtKey)):
        assert isinstance(parent, Entries)
        place = parent.key_places[str(path[-1])]
    if kind == "extra_forbidden":
        reading.report.at(place, _unknown(str(path[-1]), path[:-1]))
        return path
    if about_key:
        message = str(cause) if isinstance(cause, ValueError) else "a key must be text"
    elif value is None:
        message = "no value: give one, or remove the key"
    elif isinstance(cause, ValueError):
        message = str(cause)
    else:
        message = _expected(path)
    reading.report.at(place, f"{_subject(path)}{message}")
    return path


def _subject(path: Path) -> str:
    """The key that a message is about, in front of it; nothing where it is a name that somebody chose."""
    keys = [step for step in path if isinstance(step, str)]
    if not keys or (keys[0] == "intakes" and len(keys) == 2):
        return ""
    return f"{keys[-1]}: "


def _expected(path: Path) -> str:
    """What stands where a value of quite another shape was given."""
    section = section_at(path)
    if section is None:
        return "a mapping is expected here, NAME: {...}"
    keys = keys_of(section)
    return f"a mapping is expected here, with keys such as {', '.join(keys[:6])}"


def _unknown(key: str, path: Path) -> str:
    section = section_at(path)
    known = keys_of(section) if section else []
    if key in ("facility", "min_facility"):
        return "no condition reads the facility: use source, hostname, app_name or min_severity"
    meant = nearest(key, known)
    if meant:
        return f"unknown key{shown_word(key)}: did you mean {meant}?"
    homes = homes_of(key)
    if homes:
        where = " or ".join(f"under {home}:" if home else "at the top level" for home in homes[:3])
        return f"unknown key{shown_word(key)} here: it stands {where}"
    return f"unknown key{shown_word(key)}: known here are {', '.join(known)}"


def _existing(root: Entries, location: Sequence[str | int]) -> Path:
    """The longest beginning of a location that the tree has: models know parts that the file does not."""
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
