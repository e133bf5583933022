"""Why a route does not match, and where a zone comes from: decided by routing's own conditions."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from bridge.config import Config, Route
from bridge.config import RouteConditions as Given
from bridge.config.faults import printable
from bridge.routing import Disposition, Facts
from bridge.routing.conditions import Address, Conditions, peer_matches
from bridge.syslog.priorities import SEVERITIES

_SHOWN = 40
"Characters of a value that are quoted."


def passed_over(
    config: Config, *, listener: str, address: Address | None, client: tuple[str, ...], facts: Facts, route: str
) -> Iterator[tuple[str, str]]:
    """The routes before the one that matched, each with why it did not."""
    own = any(known.name == listener and known.intake for known in config.listeners)
    for candidate in config.routes:
        if candidate.name == route:
            return
        if own and not candidate.listener:
            yield candidate.name, f"listener {listener} has an intake of its own: only routes that name it are asked"
        else:
            yield candidate.name, _why_not(candidate, listener, address, client, facts)


def _why_not(route: Route, listener: str, address: Address | None, client: tuple[str, ...], facts: Facts) -> str:
    for name in ("source", "listener", "client_name", "hostname", "app_name", "min_severity", "message"):
        given = getattr(route, name)
        if given is None or given == ():
            continue
        # The condition alone, asked in routing's own way.
        alone = Given.model_construct(**{name: given})
        if not (peer_matches(alone, listener, address, client) and Conditions(alone).hold(facts)):
            if name == "client_name":
                shown = ", ".join(map(printable, client)) or "none"
                return f"its certificate's names ({shown}) are not like {_listed(route.client_name)}"
            return _in_words(name, route, listener, address, facts)
    return "its except: holds"


def _in_words(name: str, route: Route, listener: str, address: Address | None, facts: Facts) -> str:
    if name == "source":
        return f"{address} is not in its source: {_listed(str(network) for network in route.source)}"
    if name == "listener":
        return f"it came in at {listener}, not at {_listed(route.listener)}"
    if name == "hostname":
        return _not_like("hostname", facts.hostname, route.hostname)
    if name == "app_name":
        return _not_like("app_name", facts.app_name, route.app_name)
    if name == "min_severity":
        if not facts.priority:
            return "the message has no PRI, so no severity"
        return f"severity {SEVERITIES[int(facts.priority) & 7]} is below {SEVERITIES[route.min_severity or 0]}"
    assert route.message is not None
    if route.message.contains and not Conditions(
        Given.model_construct(message=route.message.model_copy(update={"starts_with": ()}))
    ).hold(facts):
        return f"the message does not contain {_listed(map(repr, route.message.contains))}"
    return f"the message does not start with {_listed(map(repr, route.message.starts_with))}"


def _not_like(field: str, value: bytes, globs: tuple[str, ...]) -> str:
    if not value:
        return f"the message has no {field}"
    shown = printable(value.decode("utf-8", "replace"))
    return f"{field} {shown[:_SHOWN]} is not like {_listed(globs)}"


def _listed(values: Iterable[str]) -> str:
    shown = list(values)
    more = f" or {len(shown) - 5} more" if len(shown) > 6 else ""
    return ", ".join(shown[:5] if more else shown) + more


def origin_of_zone(config: Config, address: Address | None, disposition: Disposition | None) -> str:
    """Which line of the configuration gave the zone of a time that names none."""
    for route in config.routes:
        if disposition is not None and route.name == disposition.route and route.timezone is not None:
            return f"timezone: of route {route.name}"
    for entry in config.sources:
        if entry.timezone is not None and peer_matches(Given.model_construct(source=entry.source), "", address):
            known = entry.name or _listed(str(ip_network(network)) for network in entry.source)
            return f"timezone: of source {known}"
    return "timezone: of the configuration"
