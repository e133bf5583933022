"""What is right by the letter, and probably not what was meant: warnings, each with its place. Nothing is refused."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from bridge.config.faults import Fault, Place
from bridge.config.model import Config
from bridge.config.route_lints import lint_routes
from bridge.config.secret import looks_like_a_key
from bridge.config.validation_context import ValidationContext
from bridge.config.yaml_tree import Entries, Items, Scalar

SINGLE = ("/plain", "/")
"Endpoints that take one event a request."
CLOCKS = 2
"Of the devices behind one intake: they are rarely all within the same second."


def lint(config: Config, root: Entries, *, secrets: bool) -> list[Fault]:
    """Warnings, in reading order of what they are about. Without secrets nothing is said of keys."""
    found = [*lint_routes(config, _items(root, "routes"))]
    found += _without_routes(config, root)
    found += _plain_http(root)
    found += _request_rate(config, root)
    found += _one_at_a_time(config, root)
    if secrets:
        found += _keys(config, root)
        found += _key_files(root)
    return [Fault(place.file, place.line, place.column, text) for place, text in found]


def _items(root: Entries, name: str) -> list[Entries]:
    node = root.get(name)
    return [item for item in node if isinstance(item, Entries)] if isinstance(node, Items) else []


def _intakes(root: Entries) -> dict[str, Entries]:
    node = root.get("intakes")
    return {name: item for name, item in node.items() if isinstance(item, Entries)} if isinstance(node, Entries) else {}


def _place(root: Entries, intake: str) -> Place:
    node = root["intakes"]
    assert isinstance(node, Entries)
    return node.key_places.get(intake, node.place)


def _without_routes(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    used = {route.intake for route in config.routes} | {listener.intake for listener in config.listeners}
    used |= {config.unrouted.intake, config.admin.self_events}
    if config.spool.share is not None and config.spool.share.role != "gateway":
        # Its events may come from other gateways.
        return
    for name in config.intakes:
        if name not in used:
            yield (
                _place(root, name),
                f"intake {name} gets no events: no route, listener or unrouted: names it",
            )


def _plain_http(root: Entries) -> Iterator[tuple[Place, str]]:
    sections = [root.get("collector"), *_intakes(root).values()]
    for section in sections:
        url = section.get("url") if isinstance(section, Entries) else None
        for one in url if isinstance(url, Items) else [url]:
            if isinstance(one, Scalar) and one.lower().startswith("http://"):
                yield one.place, "plain HTTP: keys and events go unencrypted; fine for a trial on this machine only"


def _request_rate(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    """Each intake and clock needs a request for each second of event time, while it is live."""
    resolution = config.batch.timestamp_resolution.total_seconds()
    # Where each event has its own time, or goes alone, requests are not made up by times.
    timed = [
        intake
        for intake in config.intakes.values()
        if intake.timestamp != "none" and intake.endpoint not in (*SINGLE, "/array")
    ]
    needed = len(timed) * CLOCKS / resolution
    rate = config.collector.max_request_rate
    if needed > rate and len(timed) > 1:
        section = root.get("collector")
        place = section.place_of("max_request_rate") if isinstance(section, Entries) else root.place
        yield (
            place,
            f"{len(timed)} intakes with about {CLOCKS} clocks each need up to {needed:g} requests a second, to tell"
            f" times within {resolution:g} s apart; max_request_rate is {rate:g}: when all are busy, the times in one"
            " request differ by up to catch_up_resolution",
        )


def _one_at_a_time(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    """One event a request: what waits for its turn grows as soon as more comes than requests may go."""
    rate, section = config.collector.max_request_rate, root.get("collector")
    alone = [name for name, intake in config.intakes.items() if intake.endpoint in SINGLE]
    for name in alone:
        own = _intakes(root).get(name)
        place = _place(root, name)
        if own is not None and own.wrote("endpoint"):
            place = own.place_of("endpoint")
        elif isinstance(section, Entries) and section.wrote("endpoint"):
            place = section.place_of("endpoint")
        others = len(config.intakes) - 1
        shared = f", shared with {others} other intake{'s' if others > 1 else ''}" if others else ""
        yield (
            place,
            f"intake {name}: {config.intakes[name].endpoint} sends one event a request, so at most"
            f" {rate:g} events a second at max_request_rate{shared}: with more, its backlog only grows;"
            " /plain/batch, /jsons or /array send many at once",
        )


def _keys(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    owners: dict[str, str] = {}
    for name, intake in config.intakes.items():
        key = intake.intake_key.reveal()
        if key in owners:
            yield (
                _place(root, name),
                f"intake {name} has the same key as intake {owners[key]}: what goes to one goes to the other",
            )
        owners.setdefault(key, name)
        if not looks_like_a_key(key):
            yield (
                _place(root, name),
                f"the key of intake {name} does not look like one: it begins with 16 letters and digits",
            )


def _key_files(root: Entries) -> Iterator[tuple[Place, str]]:
    for name, section in _intakes(root).items():
        given = section.get("intake_key")
        file = given.get("file") if isinstance(given, Entries) else None
        if not isinstance(file, Scalar):
            if isinstance(given, Scalar):
                place = section.place_of("intake_key")
                yield place, f"the key of intake {name} stands in the configuration: a file of its own is safer"
            continue
        try:
            mode = ValidationContext.path(file).stat().st_mode
        except OSError:
            continue
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            yield (
                file.place,
                f"everybody on this machine can read the key of intake {name}: chmod o= {ValidationContext.path(file)}",
            )
