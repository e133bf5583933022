"""Makes the edits of configuration files that apply changes, and shows them as a diff.

Only lines are inserted or removed, so comments and order stay. What cannot be done by lines is left to the operator.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff

from bridge.config import Config
from bridge.config.faults import Place
from bridge.config.paste_places import PastePlace
from bridge.config.yaml_tree import Entries, Items
from bridge.discover.changes import ProposedChange
from bridge.discover.configuration_text import intake_line, route_comment, route_lines, source_lines


@dataclass(frozen=True, slots=True)
class Edited:
    """The edited files and what could not be edited."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    by_hand: Sequence[str]
    intakes: Sequence[str]
    "Intakes that were added. Their keys have to be written first."

    def diff(self) -> Iterator[str]:
        """Yields the lines of a unified diff."""
        for file, text in self.after.items():
            if text != self.before[file]:
                old, new = self.before[file].splitlines(), text.splitlines()
                yield from unified_diff(old, new, file, file, lineterm="")


class Editor:
    """Collects edits of the files of one configuration. ``texts`` has each file's text by its name in the places."""

    def __init__(self, config: Config, root: Entries, texts: Mapping[str, str]) -> None:
        self._config = config
        self._root = root
        self._before = dict(texts)
        self._lines = {file: text.splitlines() for file, text in texts.items()}
        self._inserted: dict[tuple[str, int], list[str]] = {}
        "File and line number, from 0, before which lines are inserted."
        self._replaced: dict[tuple[str, int], str | None] = {}
        self._appended: dict[tuple[str, str], list[str]] = {}
        "File and name of a section that it does not have yet: the entries of the section."
        self._left: dict[int, int] = {}
        "Number of items of a list that are left after removals."
        self._by_hand: list[str] = []
        self._intakes: list[str] = []

    def apply(self, changes: Sequence[ProposedChange]) -> Edited:
        """Returns the edited files."""
        for change in changes:
            if change.route is not None:
                self._route(change)
            elif change.source is not None:
                self._first("sources", source_lines(change.source), change)
            elif change.gone is not None and not self._remove(change.gone):
                self._by_hand.append(f"{change.reason}. Remove it by hand")
        after = {file: self._text(file, lines) for file, lines in self._lines.items()}
        return Edited(self._before, after, self._by_hand, self._intakes)

    def _text(self, file: str, lines: Sequence[str]) -> str:
        found: list[str] = []
        for number in range(len(lines) + 1):
            found += self._inserted.get((file, number), ())
            if number < len(lines):
                line = self._replaced.get((file, number), lines[number])
                found += [] if line is None else [line]
        for (of_file, section), entries in self._appended.items():
            found += [f"{section}:", *entries] if of_file == file else []
        return "".join(f"{line}\n" for line in found)

    # --- additions ---------------------------------------------------------------------------------------------------

    def _route(self, change: ProposedChange) -> None:
        route = change.route
        assert route is not None
        lines = [*route_comment(route), *route_lines(route)]
        if change.new_intake:
            place = self._config.paste_places.intake
            text_format = route.findings[0].identified.format or ""
            if place.inline:
                self._by_hand.append(f"{change.reason}. Its intake has to be added by hand")
                return
            self._intakes.append(route.intake)
            self._paste(place, "intakes", [intake_line(route.intake, text_format)])
        if change.group == "changed":
            self._first("routes", lines, change)
        elif self._config.paste_places.route.inline:
            self._by_hand.append(f"{change.reason}. Its route has to be added by hand")
        else:
            self._paste(self._config.paste_places.route, "routes", lines)

    def _paste(self, place: PastePlace, section: str, lines: Sequence[str]) -> None:
        indented = [" " * place.indent + line for line in lines]
        if place.section:
            self._appended.setdefault((place.file, section), []).extend(indented)
            return
        number = place.line - 1 if place.before is not None else place.line
        self._inserted.setdefault((place.file, number), []).extend(indented)

    def _first(self, section: str, lines: Sequence[str], change: ProposedChange) -> None:
        """Inserts an entry before all others of a list, or after the entries that were inserted before."""
        node = self._root.get(section)
        if not isinstance(node, Items) or not node:
            if section in self._root:
                self._by_hand.append(f"{change.reason}. {section}: has to be written as a list of lines first")
                return
            main_file = next(iter(self._lines))
            self._appended.setdefault((main_file, section), []).extend(f"  {line}" for line in lines)
            return
        first = node.places[0]
        line = self._lines[first.file][first.line - 1]
        dash = re.match(r"(\s*)- ", line)
        if dash is None:
            self._by_hand.append(f"{change.reason}. {section}: is written in brackets, so add it by hand")
            return
        number = first.line - 1
        while number and self._lines[first.file][number - 1].lstrip().startswith("#"):
            # The comment above an entry belongs to it.
            number -= 1
        self._inserted.setdefault((first.file, number), []).extend(dash[1] + each for each in lines)

    # --- removals ----------------------------------------------------------------------------------------------------

    def _remove(self, address: str) -> bool:
        """Removes an address wherever it is one of several, or the only one of an entry of sources on one line.

        Returns False if it is left somewhere. The last address of a list and the last entry of a section stay.
        """
        word = rf'"?{re.escape(address)}(?:/32|/128)?"?'
        places = [
            (section, entry)
            for section in ("sources", "routes") for entry in self._root.items_of(section)
            if any(re.fullmatch(word, each) for each in _listed(entry.get("source")))
        ]  # fmt: skip
        return all([self._remove_from(section, entry, word) for section, entry in places])

    def _remove_from(self, section: str, entry: Entries, word: str) -> bool:
        node = entry.get("source")
        whole = section == "sources" and not isinstance(node, Items)
        container = self._root.get(section) if whole else node
        left = self._left.setdefault(id(container), len(container) if isinstance(container, Items) else 0)
        if left < 2:
            return False
        if whole:
            done = self._cut(entry.place, rf"\s*- \{{.*\bsource: *{word}[,}}].*\}}\s*(#.*)?")
        else:
            done = any(
                self._cut(place, rf"\s*- {word}\s*(#.*)?") or self._shorten(place, word)
                for each, place in _places(node) if re.fullmatch(word, each)
            )  # fmt: skip
        self._left[id(container)] -= done
        return done

    def _cut(self, place: Place, pattern: str) -> bool:
        if not re.fullmatch(pattern, self._now(place)):
            return False
        self._replaced[place.file, place.line - 1] = None
        return True

    def _shorten(self, place: Place, word: str) -> bool:
        """Removes an item of a list in brackets."""
        text = self._now(place)
        found = re.subn(rf"(?<=[\[ ]){word} *, *|, *{word}(?= *[,\]])", "", text, count=1)
        self._replaced[place.file, place.line - 1] = found[0]
        return found[1] == 1

    def _now(self, place: Place) -> str:
        number = place.line - 1
        return self._replaced.get((place.file, number), self._lines[place.file][number]) or ""


def _listed(node: object) -> Sequence[str]:
    return [str(each) for each in node] if isinstance(node, Items) else [str(node)]


def _places(node: object) -> Iterator[tuple[str, Place]]:
    if isinstance(node, Items):
        yield from zip(map(str, node), node.places, strict=True)
