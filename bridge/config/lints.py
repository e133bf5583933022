"""Reports warnings on a valid configuration: settings that are probably not what the operator meant."""

import stat
from collections.abc import Iterator

from bridge.config.addresses import TIME_PER_EVENT
from bridge.config.client_name_lints import lint_client_names
from bridge.config.faults import Fault, Place
from bridge.config.model import Config
from bridge.config.route_lints import lint_routes
from bridge.config.secret import looks_like_a_key
from bridge.config.yaml_tree import Entries, Items, Scalar
from bridge.config.zone_hints import lint_zones
from bridge.util.counts import counted
from bridge.util.filesystems import network_filesystem

SINGLE = ("/plain", "/")
"Endpoints that accept one event per request."
CLOCKS = 2
"Assumed number of different device clocks behind one intake; they rarely agree to the second."


def lint(config: Config, root: Entries, *, secrets: bool) -> list[Fault]:
    """Returns all warnings, each with its place. Without ``secrets``, the checks of intake keys are skipped."""
    found = [*lint_routes(config, root.items_of("routes"))]
    found += _unused_intakes(config, root)
    found += _alerts_intake(root)
    found += _plain_http(root)
    found += lint_zones(root)
    found += _request_rate(config, root)
    found += _single_event_endpoints(config, root)
    if secrets:
        found += _keys(config, root)
        found += _key_files(root)
        # Without secrets, this may be a review on another machine.
        found += _network_spool(config, root)
        found += lint_client_names(config, root.items_of("listeners"))
    return [Fault(*place, text) for place, text in found]


def _intakes(root: Entries) -> dict[str, Entries]:
    node = root.get("intakes")
    return {name: item for name, item in node.items() if isinstance(item, Entries)} if isinstance(node, Entries) else {}


def _place(root: Entries, intake: str) -> Place:
    node = root["intakes"]
    assert isinstance(node, Entries)
    return node.key_places.get(intake, node.place)


def _unused_intakes(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    used = {route.intake for route in config.routes} | {listener.intake for listener in config.listeners}
    used |= {config.unrouted.intake, config.admin.alerts_intake}
    used |= {config.admin.heartbeat.intake} if config.admin.heartbeat is not None else set()
    if config.cluster is not None and config.cluster.role != "gateway":
        # The intakes of a courier may receive their events from other gateways.
        return
    for name in config.intakes:
        if name not in used:
            text = f"intake {name} receives no events. Name it in a route, a listener or unrouted, or remove it."
            yield _place(root, name), text


def _alerts_intake(root: Entries) -> Iterator[tuple[Place, str]]:
    admin = root.get("admin")
    if isinstance(admin, Entries) and not admin.wrote("alerts_intake"):
        for key in ("alerts_format", "alerts_statistics_every"):
            if admin.wrote(key):
                yield admin.place_of(key), f"{key} has no effect without alerts_intake. Add alerts_intake: INTAKE."


def _plain_http(root: Entries) -> Iterator[tuple[Place, str]]:
    sections = [root.get("collector"), *_intakes(root).values()]
    for section in sections:
        url = section.get("url") if isinstance(section, Entries) else None
        for one in url if isinstance(url, Items) else [url]:
            if isinstance(one, Scalar) and one.lower().startswith("http://"):
                yield one.place, "plain HTTP sends keys and events unencrypted. Use it only for tests on this machine."


def _request_rate(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    """Warns if max_request_rate is too low for the timestamp resolution.

    Live delivery needs one request per intake, device clock and `timestamp_resolution` of event time. With
    `small_batches: array`, quiet intakes share requests.
    """
    if config.collector.small_batches == "array":
        return
    resolution = config.batch.timestamp_resolution.total_seconds()
    # Endpoints that carry a time per event, or one event per request, do not group events by time.
    ungrouped = (*SINGLE, *TIME_PER_EVENT)
    grouped = [one for one in config.intakes.values() if one.timestamp != "none" and one.endpoint not in ungrouped]
    needed = len(grouped) * CLOCKS / resolution
    rate = config.collector.max_request_rate
    if needed > rate and len(grouped) > 1:
        section = root.get("collector")
        place = section.place_of("max_request_rate") if isinstance(section, Entries) else root.place
        text = (
            f"{len(grouped)} intakes with about {CLOCKS} clocks each need up to {needed:g} requests per second for a"
            f" timestamp resolution of {resolution:g} s, but max_request_rate is {rate:g}. When all intakes are busy,"
            " the event times of one request differ by up to backlog_timestamp_resolution. If most intakes are quiet,"
            " set small_batches: array."
        )
        yield place, text


def _single_event_endpoints(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    """Warns of endpoints with one event per request: max_request_rate then limits the events per second."""
    rate, section = config.collector.max_request_rate, root.get("collector")
    single = [name for name, intake in config.intakes.items() if intake.endpoint in SINGLE]
    for name in single:
        own = _intakes(root).get(name)
        place = _place(root, name)
        if own is not None and own.wrote("endpoint"):
            place = own.place_of("endpoint")
        elif isinstance(section, Entries) and section.wrote("endpoint"):
            place = section.place_of("endpoint")
        others = len(config.intakes) - 1
        shared = f", shared with {counted(others, 'other intake')}" if others else ""
        text = (
            f"intake {name}: the endpoint {config.intakes[name].endpoint} takes one event per request, so at most"
            f" {rate:g} events per second at max_request_rate{shared}. At a higher rate the backlog keeps growing."
            " Use /plain/batch, /jsons or /array, which take many events per request."
        )
        yield place, text


def _keys(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    owners: dict[str, str] = {}
    for name, intake in config.intakes.items():
        key, place = intake.intake_key.reveal(), _place(root, name)
        if key in owners:
            text = f"intake {name} has the same key as intake {owners[key]}, so the collector cannot tell them apart."
            yield place, f"{text} Give each intake the key from its own page."
        owners.setdefault(key, name)
        if not looks_like_a_key(key):
            text = "does not look like an intake key, which begins with 16 letters and digits. Copy it from its page."
            yield place, f"the key of intake {name} {text}"


def _network_spool(config: Config, root: Entries) -> Iterator[tuple[Place, str]]:
    directory = config.spool.directory
    if (kind := network_filesystem(directory)) is not None:
        section = root.get("spool")
        place = section.place_of("directory") if isinstance(section, Entries) else root.place
        text = (
            f"spool.directory {directory} is on a network filesystem ({kind}). A short outage of the network stops the"
            " gateway, and locks or syncs may not hold. Use a local disk."
        )
        yield place, text


def _key_files(root: Entries) -> Iterator[tuple[Place, str]]:
    for name, section in _intakes(root).items():
        given = section.get("intake_key")
        if isinstance(given, Scalar):
            text = f"the key of intake {name} is in the configuration. A separate file is safer: {{file: PATH}}."
            yield section.place_of("intake_key"), text
        file = given.get("file") if isinstance(given, Entries) else None
        if not isinstance(file, Scalar):
            continue
        path = file.path()
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            text = f"other users of this machine can access the key file of intake {name}. Run chmod o= {path}."
            yield file.place, text
