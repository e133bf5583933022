"""Explains time zones: what to write instead of an abbreviation, an offset or a city, and zones that never change."""

import re
import zoneinfo
from collections.abc import Iterator

from bridge.config.faults import Place, shown, suggestion
from bridge.config.yaml_tree import Entries, Scalar
from bridge.util.zone_places import PLACES, UNCHANGING, WINTER

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?([0-9]{2}))?")
_FIXED = re.compile(r"(?:Etc/)?GMT([+-])([0-9]{1,2})")
_FIXED_NAMES = {"EST": -300, "MST": -420, "HST": -600}
"Zones of the database that look like abbreviations -> offset in minutes, which they have all year."


def unknown_zone(text: str) -> str:
    """Returns the error for a text that is no zone of the time zone database."""
    if match := _OFFSET.fullmatch(text):
        minutes = (int(match[2]) * 60 + int(match[3] or 0)) * (-1 if match[1] == "-" else 1)
        return f"{shown(text)} is an offset, not a zone. Write {_place_with(minutes)}."
    if places := PLACES.get(text.upper()):
        several = f"one of its places: {', '.join(places)}" if len(places) > 1 else f"its place, {places[0]}"
        return f"{shown(text)} is an abbreviation, not a zone. Write {several}."
    known = zoneinfo.available_timezones()
    if city := next((zone for zone in sorted(known) if _city(zone) == _folded(text)), None):
        return f"unknown time zone {shown(text)}: did you mean {city}?"
    return f"unknown time zone {shown(text)}" + suggestion(
        text, known, ". Write a zone such as Europe/Paris, or UTC.", closeness=0.8
    )


def _city(zone: str) -> str:
    return _folded(zone.rpartition("/")[2]) if "/" in zone else ""


def _folded(text: str) -> str:
    return text.lower().replace(" ", "_").replace("-", "_")


def lint_zones(root: Entries) -> Iterator[tuple[Place, str]]:
    """Yields warnings on zones without daylight saving time that are probably not meant."""
    for section in (root, *root.items_of("sources"), *root.items_of("routes")):
        zone = section.get("timezone")
        if isinstance(zone, Scalar) and (text := _warning(zone)):
            yield section.place_of("timezone"), f"timezone: {text}"


def _warning(zone: str) -> str:
    minutes = _FIXED_NAMES.get(zone)
    sign = ""
    if minutes is None:
        match = _FIXED.fullmatch(zone)
        if match is None or not int(match[2]):
            return ""
        # POSIX's sign: hours west of Greenwich.
        minutes = int(match[2]) * 60 * (-1 if match[1] == "+" else 1)
        sign = " (its sign is the reverse of the usual one)"
    offset = f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return f"{zone} is {offset}{sign}, all year without daylight saving time. Write {_place_with(minutes)}."


def _place_with(minutes: int) -> str:
    times = (
        ("in winter", WINTER.get(minutes)),
        ("in summer", WINTER.get(minutes - 60)),
        ("all year", UNCHANGING.get(minutes)),
    )
    found = [f"{place} has it {when}" for when, place in times if place]
    return "the place of the devices" + (f": {', '.join(found)}" if found else ", such as Europe/Paris")
