"""Suggests a route for a source whose messages match no route, as YAML to paste, and says where to paste it.

The intake is chosen by the format of the source's product. If no intake fits, an intake to add is suggested; if the
product is not known, the place of the intake's name is filled by ``INTAKE``, which ``check`` rejects. No text of a
message is in the YAML: only addresses, and host names of a relay's messages that have no special characters.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge import formats
from bridge.config import Config
from bridge.config.fields import UNKNOWN_INTAKE
from bridge.config.paste_places import PastePlace
from bridge.util.names import free_name

MAX_INTAKES = 6
"Intakes that a comment lists."
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,253}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,39}")


@dataclass(frozen=True, slots=True)
class UnroutedSource:
    """A source without a route. ``relay`` is the address of the relay whose messages name it as ``address``."""

    address: str
    listener: str
    relay: str | None = None


@dataclass(frozen=True, slots=True)
class RouteSuggestion:
    """A route to paste, where to paste it, and an intake to add before, if none fits."""

    route: str
    "YAML, or empty if no route can name the source."
    where: str
    intake: str | None = None
    "YAML of an intake to add."
    intake_where: str | None = None
    place: PastePlace | None = None
    intake_place: PastePlace | None = None

    def as_json(self) -> dict[str, object]:
        """Returns the suggestion for JSON output."""
        return {
            "route": self.route,
            "paste_where": self.where,
            "paste_file": self.place and self.place.file,
            "paste_line": self.place and self.place.line,
            "new_intake": self.intake,
            "new_intake_where": self.intake_where,
            "new_intake_file": self.intake_place and self.intake_place.file,
            "new_intake_line": self.intake_place and self.intake_place.line,
        }


def suggest_route(config: Config, source: UnroutedSource, text_format: str | None) -> RouteSuggestion:
    """Suggests a route for a source; ``text_format`` is the format of its product, or None if that is not certain."""
    conditions = _conditions(source)
    if not conditions:
        text = f"No route can name this source. Write a route with a condition on its listener, {source.listener}."
        return RouteSuggestion("", text)
    intake, comment, new = _intake(config, text_format)
    place = config.paste_places.route
    name = free_name(f"from-{source.address}"[:60], {route.name for route in config.routes})
    lines = [f"- name: {json.dumps(name)}", *(f"  {line}" for line in conditions)]
    lines.append(f"  intake: {intake}{f'  # {comment}' if comment else ''}")
    route = _block(lines, place, "routes")
    if not new:
        return RouteSuggestion(route, _where(place), place=place)
    new_place = config.paste_places.intake
    key = f"  intake_key: {{file: {intake}.key}}"
    added = _block([f"{intake}:", key, f"  format: {text_format}"], new_place, "intakes")
    added_where = f"{_where(new_place)}. Write the intake key into the file {intake}.key"
    return RouteSuggestion(route, _where(place), added, added_where, place, new_place)


def _conditions(source: UnroutedSource) -> list[str]:
    peer = source.relay or source.address
    if not _ADDRESS.fullmatch(peer):
        return []
    conditions = [f'source: "{peer}"']
    if source.relay:
        if not _HOST.fullmatch(source.address):
            return []
        conditions.append(f'hostname: "{source.address}"')
    return conditions


def _intake(config: Config, text_format: str | None) -> tuple[str, str, bool]:
    """Returns the name of the intake, a comment, and True if the intake has to be added."""
    names = list(config.intakes)
    by_format: Mapping[str, str | None] = {
        name: formats.find(intake.format).name if intake.format else None for name, intake in config.intakes.items()
    }
    if text_format is None:
        if len(names) == 1 and by_format[names[0]] is None:
            return names[0], "", False
        listed = ", ".join(names[:MAX_INTAKES]) + (", ..." if len(names) > MAX_INTAKES else "")
        return UNKNOWN_INTAKE, f"write the name of an intake: {listed}", False
    suitable = [name for name in names if by_format[name] == text_format]
    if suitable:
        others = f"or {', '.join(suitable[1:MAX_INTAKES])}" if suitable[1:] else ""
        return suitable[0], others, False
    return free_name(text_format, config.intakes), "", True


def _block(lines: list[str], place: PastePlace, section: str) -> str:
    head = f"{section}:\n" if place.section else ""
    return head + "".join(f"{' ' * place.indent}{line}\n" for line in lines)


def _where(place: PastePlace) -> str:
    if place.section:
        return f"Add it to {place.file}"
    if place.inline:
        text = f"Add it to the section at {place.file}:{place.line}, which has to be written without brackets"
        return f"{text}, one entry below another"
    if place.before is not None:
        return f"Paste it before line {place.line} of {place.file}, where route {place.before} begins"
    return f"Paste it after line {place.line} of {place.file}"
