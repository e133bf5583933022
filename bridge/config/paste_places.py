"""Finds the lines of a configuration at which a new route and a new intake can be pasted."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.config.routes import Route
from bridge.config.yaml_tree import Entries, Items, Node, Scalar


@dataclass(frozen=True)
class PastePlace:
    """A line of a file. Nothing is written there yet if ``section`` is True: then the key has to be pasted as well."""

    file: str
    line: int
    "Paste before this line or, if ``before`` is None, after it. 0: at the end of the file."
    indent: int = 2
    "Blanks before an entry."
    before: str | None = None
    "Name of the route that begins at the line."
    section: bool = False
    inline: bool = False
    "True if the section is written in brackets or braces, where no lines can be pasted."


@dataclass(frozen=True)
class PastePlaces:
    """The places of a new route and of a new intake."""

    route: PastePlace
    intake: PastePlace


def paste_places(root: Entries, routes: Sequence[Route], file: str) -> PastePlaces:
    """Returns the places in a valid configuration, whose main file is ``file``.

    A route belongs behind those that exist, but before a route that takes everything that is left.
    """
    return PastePlaces(_route_place(root, routes, file), _intake_place(root, file))


def _route_place(root: Entries, routes: Sequence[Route], file: str) -> PastePlace:
    node = root.get("routes")
    if not isinstance(node, Items) or not node:
        return _missing(root, "routes", file)
    key = root.key_places["routes"]
    last = node.places[-1]
    catch_all = len(node) == len(routes) and _takes_all(routes[-1])
    if _shares_a_line(node, key.line if key.file == last.file else 0):
        return PastePlace(last.file, node.place.line, inline=True)
    # The place of a list is its first dash; that of a mapping is behind its dash and, usually, one blank.
    indent = node.place.column - 1 if node.place.file == last.file else max(0, last.column - 3)
    if catch_all:
        return PastePlace(last.file, last.line, indent, before=routes[-1].name)
    return PastePlace(last.file, _last_line(node[-1], last.line), indent)


def _shares_a_line(node: Items, key_line: int) -> bool:
    """Returns True if an item begins on the line of the key or of another item."""
    lines = [key_line, *(place.line for place in node.places)]
    return len(set(lines)) < len(lines)


def _intake_place(root: Entries, file: str) -> PastePlace:
    node = root.get("intakes")
    if not isinstance(node, Entries) or not node:
        return _missing(root, "intakes", file)
    name, entry = list(node.items())[-1]
    last, key = node.key_places[name], root.key_places["intakes"]
    if key.file == last.file and key.line == last.line:
        return PastePlace(last.file, last.line, inline=True)
    return PastePlace(last.file, _last_line(entry, last.line), last.column - 1)


def _missing(root: Entries, key: str, file: str) -> PastePlace:
    place = root.key_places.get(key)
    return PastePlace(file, 0, section=True) if place is None else PastePlace(place.file, place.line, inline=True)


def _takes_all(route: Route) -> bool:
    conditions = (
        route.source, route.client_name, route.hostname, route.app_name, route.procid, route.msgid, route.facility,
        route.message,
    )  # fmt: skip
    severities = (route.min_severity, route.max_severity)
    return not any(conditions) and severities == (None, None) and route.except_ is None


def _last_line(node: Node, line: int) -> int:
    """Returns the last line of a node, as far as its values have places."""
    if isinstance(node, Entries):
        for key, value in node.items():
            line = max(line, node.key_places[key].line, _last_line(value, node.value_places[key].line))
    elif isinstance(node, Items):
        for value, place in zip(node, node.places, strict=True):
            line = max(line, _last_line(value, place.line))
    elif isinstance(node, Scalar):
        line = max(line, node.place.line)
    return line
