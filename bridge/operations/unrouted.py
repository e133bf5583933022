"""Lists the senders of held unrouted frames, with the product of each and a route to paste."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.config import Config
from bridge.explain.products import Identification, identify
from bridge.explain.route_suggestion import RouteSuggestion, UnroutedSource, suggest_route
from bridge.ingest import from_config as ingest_config
from bridge.ingest.addresses import address_of
from bridge.routing import Router
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.syslog import parser
from bridge.syslog.framing import datagrams
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import rfc3339

EXAMINED = 20
"Latest frames of a sender by which its product is identified."
MOST_IDENTIFIED = 50
"Senders whose product is identified, the busiest: each takes some milliseconds."
SHOWN = 160
"Bytes of a frame that are shown."

JSON = dict[str, object]


@dataclass(slots=True)
class _Held:
    first_ms: int
    last_ms: int = 0
    count: int = 0
    frames: deque[bytes] = field(default_factory=lambda: deque(maxlen=EXAMINED))

    def add(self, entry: QuarantineEntry) -> None:
        self.count += 1
        self.first_ms = min(self.first_ms, entry.received_ms)
        self.last_ms = max(self.last_ms, entry.received_ms)
        self.frames.append(entry.frame)


def unrouted_rows(config: Config, entries: Iterable[QuarantineEntry]) -> list[JSON]:
    """Returns one row per sender, the busiest first. The entries are in order of reception."""
    router = ingest_config.router(config)
    relays: dict[str, bool] = {}
    senders: dict[UnroutedSource, _Held] = {}
    for entry in entries:
        if entry.peer not in relays:
            relays[entry.peer] = router.known(address_of(entry.peer)).relay
        source = UnroutedSource(entry.peer, entry.listener)
        if relays[entry.peer] and (host := parser.read(entry.frame).hostname.decode("utf-8", "replace")):
            source = UnroutedSource(host, entry.listener, entry.peer)
        senders.setdefault(source, _Held(entry.received_ms)).add(entry)
    ordered = sorted(senders.items(), key=lambda pair: -pair[1].count)
    rows = []
    for number, (source, held) in enumerate(ordered):
        identified = identify(list(held.frames)) if number < MOST_IDENTIFIED else None
        rows.append(_row(config, source, held, identified, _matching_route(router, source, held.frames[-1])))
    return rows


def _matching_route(router: Router, source: UnroutedSource, frame: bytes) -> str | None:
    """Returns the route of the configuration that matches a frame; None if none does."""
    profile = router.profile(source.listener, address_of(source.relay or source.address))
    dispositions = [found for found, _ in profile.assign(read_columns(datagrams([frame]), profile.needs | {"raw"}))]
    return next((found.route for found in dispositions if found.kind == "deliver"), None)


def _row(
    config: Config, source: UnroutedSource, held: _Held, identified: Identification | None, route: str | None
) -> JSON:
    found = identified or identify([])
    if route is None:
        suggestion = suggest_route(config, source, found.format)
    else:
        commands = "syslog-bridge reload and syslog-bridge unrouted reroute"
        suggestion = RouteSuggestion("", f"Route {route} matches its latest message now. Run {commands}.")
    return {
        "address": source.address,
        "listener": source.listener,
        "behind": source.relay,
        "frames": held.count,
        "first": rfc3339(held.first_ms),
        "last": rfc3339(held.last_ms),
        "sample": held.frames[-1][:SHOWN].decode("utf-8", "backslashreplace"),
        "product": found.product,
        "format": found.format,
        "reason": found.reason if identified else "not analysed",
        "matching_route": route,
        **suggestion.as_json(),
    }
