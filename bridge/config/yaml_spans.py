"""Finds where each key and value of a YAML text begins and ends, so that parts of the text can be replaced.

``yaml_tree`` reads what a text means; this module reads how it is written. It expects a text that ``yaml_tree`` has
read without a fault, because that limits the nesting and rejects what this module does not handle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from bridge.config.yaml_errors import Mark
from bridge.config.yaml_tree import LOADER

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"A line break as the parser counts lines."


@dataclass
class Span:
    """A key or a value: the offsets of its first character and behind its last one, without comments behind it.

    An anchor belongs to the node. An empty value has no characters.
    """

    start: int
    end: int
    text: str | None = None
    "The value of a scalar; None for others."
    is_flow: bool = False
    "True for a list or mapping in brackets or braces."
    items: list[Span] = field(default_factory=list)
    "The items of a list."
    entries: list[tuple[Span, Span]] = field(default_factory=list)
    "The keys and values of a mapping."
    target: Span | None = None
    "The node of an alias."

    @property
    def node(self) -> Span:
        """Returns the node itself; for an alias, the one that it refers to."""
        return self if self.target is None else self.target

    def at(self, path: tuple[str, ...]) -> Iterator[Span]:
        """Yields the nodes at a path of keys, in which `*` is each item of a list and each value of a mapping."""
        if not path:
            yield self.node
            return
        node = self.node
        for key, value in node.entries:
            if path[0] in ("*", key.text):
                yield from value.at(path[1:])
        if path[0] == "*":
            for item in node.items:
                yield from item.at(path[1:])

    def find(self, key: str) -> tuple[Span, Span] | None:
        """Returns an entry of a mapping."""
        return next((entry for entry in self.node.entries if entry[0].text == key), None)


class SpanReader:
    """Reads the spans of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]
        self._anchors: dict[str | None, Span] = {}
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=LOADER))

    def read(self) -> Span | None:
        """Returns the root node; None if the text is empty."""
        return next((self._node(event) for event in self._events if isinstance(event, yaml.NodeEvent)), None)

    def _node(self, event: yaml.NodeEvent) -> Span:
        start, end = self._offset(event.start_mark), self._offset(event.end_mark)
        if isinstance(event, yaml.AliasEvent):
            return Span(start, end, target=self._anchors[event.anchor])
        if isinstance(event, yaml.ScalarEvent):
            # The library counts the line breaks after a block scalar as a part of it.
            span = Span(start, start + len(self._text[start:end].rstrip()), text=event.value)
        else:
            span = self._collection(event, start, end)
        if event.anchor is not None:
            self._anchors[event.anchor] = span
        return span

    def _collection(self, event: yaml.NodeEvent, start: int, end: int) -> Span:
        assert isinstance(event, yaml.CollectionStartEvent)
        span = Span(start, end, is_flow=bool(event.flow_style))
        for following in self._events:
            if isinstance(following, yaml.CollectionEndEvent):
                # In block style, the library has the end where the next node begins.
                span.end = self._offset(following.end_mark) if span.is_flow else span.end
                break
            assert isinstance(following, yaml.NodeEvent)
            child = self._node(following)
            if isinstance(event, yaml.MappingStartEvent):
                value = next(self._events)
                assert isinstance(value, yaml.NodeEvent)
                span.entries.append((child, self._node(value)))
                child = span.entries[-1][1]
            else:
                span.items.append(child)
            span.end = child.end
        return span

    def _offset(self, mark: Mark | None) -> int:
        assert mark is not None
        return self._starts[mark.line] + mark.column
