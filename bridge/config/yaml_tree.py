"""Parses YAML text into a tree that keeps the place of every node and leaves scalars as text.

The nodes are subclasses of Python types: `Entries` of dict, `Items` of list, `Scalar` of str; an empty value is None.
So pydantic models can validate the tree, and each error can be mapped back to a place. The type of a field decides what
a scalar means. YAML 1.1 does not decide it: there, `0514` is 332, `12:30` is 750 and the key `no` is false.

The tree is built from the parser's events, not from composed nodes, so that the limits on nesting and aliases apply
during parsing. Rejected, each with its place: duplicate keys, keys that are not text, tags, `<<` merges, a second
document, and aliases that expand the tree beyond `MOST_VALUES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from bridge.config.faults import FaultReport, Place, shown_word
from bridge.config.yaml_errors import place_after, place_of_mark, syntax_fault, unprintable

MOST_VALUES = 100_000  # with aliases expanded; allows thousands of listed sources, but no "billion laughs" attack
DEEPEST = 40
LARGEST = 4 << 20  # bytes of one file

_NULLS = ("", "~", "null", "Null", "NULL")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"The parser: that of libyaml, if the library has it."


class Scalar(str):
    """A value as it was written; `plain` is False if it was quoted or a block scalar."""

    place: Place
    plain: bool

    def __new__(cls, text: str, place: Place, *, plain: bool = True) -> Scalar:
        self = super().__new__(cls, text)
        self.place = place
        self.plain = plain
        return self

    def path(self) -> Path:
        """Returns the path that the text names; a relative path starts at the folder of the file that contains it."""
        if "\0" in self:
            raise ValueError("a path must not contain NUL.")
        return Path(self.place.file).parent / self


class Items(list["Node"]):
    """A list with the place of each item; `pruned` is True after an invalid item was removed."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []
        self.pruned = False

    def prune(self, index: int) -> None:
        """Removes an invalid item. A list that becomes empty this way does not count as written empty."""
        del self[index]
        del self.places[index]
        self.pruned = True


class Entries(dict[str, "Node"]):
    """A mapping with the places of its keys and values; keys pruned as invalid still count as written."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.key_places: dict[str, Place] = {}
        self.value_places: dict[str, Place] = {}
        self.pruned: set[str] = set()

    def put(self, key: str, value: Node, key_place: Place, value_place: Place) -> None:
        """Adds an entry and its places."""
        self[key] = value
        self.key_places[key] = key_place
        self.value_places[key] = value_place

    def rename(self, key: str, new: str) -> None:
        """Gives an entry another key. It keeps its position and its places."""
        for name in list(self):
            current = new if name == key else name
            # Each entry moves to the end, so that their order stays.
            self.put(current, self.pop(name), self.key_places.pop(name), self.value_places.pop(name))

    def remove(self, key: str) -> None:
        """Removes an entry as if it had not been written."""
        del self[key], self.key_places[key], self.value_places[key]

    def prune(self, key: str) -> None:
        """Removes an invalid entry."""
        del self[key]
        self.pruned.add(key)

    def items_of(self, key: str) -> list[Entries]:
        """Returns the mappings in the list at a key; empty if there is no list."""
        node = self.get(key)
        return [item for item in node if isinstance(item, Entries)] if isinstance(node, Items) else []

    def wrote(self, key: str) -> bool:
        """Returns True if the key was written with a value, valid or not."""
        return key in self.pruned or self.get(key) is not None

    def fault(self, report: FaultReport, key: str, message: str) -> None:
        """Reports a fault of a key's value; the message begins with the key."""
        report.at(self.place_of(key), f"{key}: {message}")

    def place_of(self, key: str) -> Place:
        """Returns the place for faults of a key's value.

        This is the place of a scalar value, the key's place for other values, and the mapping's for an absent key.
        """
        if isinstance(self.get(key), Scalar):
            return self.value_places[key]
        return self.key_places.get(key, self.place)


Node: TypeAlias = "Entries | Items | Scalar | None"


class _Stop(Exception):
    """Raised when the rest of the text cannot be read."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


@dataclass
class _Open:
    """A collection that is still open, with its last key if the value of that key is still missing."""

    node: Entries | Items
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_place: Place | None = None
    discard: bool = False  # The next value belongs to a rejected key.


@dataclass
class _Builder:
    file: str
    report: FaultReport
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)
    documents: int = 0
    root: Node = None

    def take(self, event: yaml.Event) -> None:
        """Adds one parser event to the tree. Raises _Stop if nothing after it can be read."""
        place = place_of_mark(event.start_mark, self.file)
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                text = "a second document begins here. A file must contain one document; move the rest to another file."
                raise _Stop(place, text)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, place)
            plain = event.style in (None, "")
            if self._expects_key():
                self._key(event.value, place)
                return
            node = None if plain and event.value in _NULLS else Scalar(event.value, place, plain=plain)
            self._anchor(event.anchor, node, 1)
            self._value(node, place, 1)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._refuse_tag(event, place)
            if len(self.open) >= DEEPEST:
                raise _Stop(place, f"the nesting is deeper than {DEEPEST} levels.")
            collection = Items(place) if isinstance(event, yaml.SequenceStartEvent) else Entries(place)
            self.open.append(_Open(collection, event.anchor))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            closed = self.open.pop()
            self._anchor(closed.anchor, closed.node, closed.size)
            self._value(closed.node, closed.node.place, closed.size)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                text = "this alias has no anchor before it. A value that begins with * needs quotes."
                raise _Stop(place, text)
            aliased, size = self.anchors[event.anchor]
            self._value(aliased, place, size)

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, place: Place) -> None:
        if event.tag is not None:
            self.report.at(place, "tags (!) are not supported. A value that begins with ! needs quotes.")

    def _anchor(self, name: str | None, node: Node, size: int) -> None:
        if name is not None:
            self.anchors[name] = (node, size)

    def _expects_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].node, Entries) and self.open[-1].key_place is None

    def _key(self, key: str, place: Place) -> None:
        top = self.open[-1]
        assert isinstance(top.node, Entries)
        top.key, top.key_place = key, place
        if key == "<<":
            top.discard = True
            self.report.at(place, "merges (<<) are not supported. Write the keys themselves.")
        elif key in top.node.key_places:
            top.discard = True
            first = top.node.key_places[key]
            self.report.at(place, f"the key{shown_word(key)} is given twice, first at {first}. Remove one.")

    def _value(self, node: Node, place: Place, size: int) -> None:
        # An alias counts with the size of the node that it refers to.
        if not self.open:
            self.root = node
            return
        top = self.open[-1]
        top.size += size
        if top.size > MOST_VALUES:
            raise _Stop(place, f"the file has more than {MOST_VALUES} values, with aliases expanded.")
        if isinstance(top.node, Items):
            top.node.append(node)
            top.node.places.append(place)
        elif top.key_place is None:
            self.report.at(place, "a key must be text.")
            top.key_place, top.discard = place, True
        else:
            if not top.discard:
                assert top.key is not None
                top.node.put(top.key, node, top.key_place, place)
            top.key, top.key_place, top.discard = None, None, False


def read(data: bytes, file: str, report: FaultReport) -> tuple[Node, bool]:
    """Parses the bytes of one file; returns the tree, and False if the file had faults, which go to the report."""
    count = len(report.faults)
    builder = _Builder(file, report)
    try:
        text = _decoded(data, file)
        for event in yaml.parse(text, Loader=LOADER):
            builder.take(event)
    except _Stop as stop:
        report.at(stop.place, stop.message)
    except yaml.MarkedYAMLError as error:
        report.at(*syntax_fault(error, text, file))
    except yaml.YAMLError:  # An error that the checks above missed. Its text may quote the file.
        report.at(Place(file, 1, 1), "not valid YAML.")
    else:
        return builder.root, len(report.faults) == count
    return None, False


def _decoded(data: bytes, file: str) -> str:
    if len(data) > LARGEST:
        raise _Stop(Place(file, 1, 1), f"the file is larger than {LARGEST >> 20} MiB. Is it a configuration?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise _Stop(place_after(before, file), "the file is not UTF-8. Save it in that encoding.") from None
    if (place := unprintable(text, file)) is not None:
        raise _Stop(place, "a control character is not allowed here. Remove it.")
    return text
