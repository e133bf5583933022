"""Explains why a route does not match, and which part of the configuration sets the time zone.

Uses the conditions of the router.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from ipaddress import ip_network

from bridge.config import Config, Route
from bridge.config import RouteConditions as ConfiguredConditions
from bridge.config.faults import printable
from bridge.config.routes import MessageMatch
from bridge.routing import Disposition, Facts
from bridge.routing.conditions import Address, Conditions, peer_matches
from bridge.syslog.priorities import FACILITIES, SEVERITIES

_CONDITIONS = (
    "source", "listener", "client_name", "hostname", "app_name", "procid", "msgid", "facility", "min_severity",
    "max_severity", "message",
)  # fmt: skip
_MAX_CHARACTERS = 40
"Maximum characters of a value in a text."


def passed_over(
    config: Config, *, listener: str, address: Address | None, client: tuple[str, ...], facts: Facts, route: str
) -> Iterator[tuple[str, str]]:
    """Yields the routes before the matching one, each with the reason why it does not match."""
    has_own_intake = any(each.name == listener and each.intake for each in config.listeners)
    for candidate in config.routes:
        if candidate.name == route:
            return
        if has_own_intake and not candidate.listener:
            yield candidate.name, f"listener {listener} has its own intake, so only routes that name it apply"
        else:
            yield candidate.name, _mismatch(candidate, listener, address, client, facts)


def _mismatch(route: Route, listener: str, address: Address | None, client: tuple[str, ...], facts: Facts) -> str:
    for name in _CONDITIONS:
        given = getattr(route, name)
        if given is None or given == ():
            continue
        # Let the router's own code evaluate this condition alone.
        single = ConfiguredConditions.model_construct(**{name: given})
        exceeded = Counter[str]()
        conditions = Conditions(single, partial(exceeded.update, [name]))
        if not (peer_matches(single, listener, address, client) and conditions.hold(facts)):
            if exceeded:
                return "an expression in its message: matches exceeded the match limit, which counts as no match"
            if name == "client_name":
                shown = ", ".join(map(printable, client)) or "none"
                return f"the names of the client certificate ({shown}) do not match {_listed(route.client_name)}"
            return _condition_mismatch(name, route, listener, address, facts)
    return "its except: matches"


def _condition_mismatch(name: str, route: Route, listener: str, address: Address | None, facts: Facts) -> str:
    if name == "source":
        sender = "a Unix socket" if address is None else address
        return f"{sender} is not in its source: {_listed(str(network) for network in route.source)}"
    if name == "listener":
        return f"received by listener {listener}, not by {_listed(route.listener)}"
    if name in ("hostname", "app_name", "procid", "msgid"):
        return _glob_mismatch(name, getattr(facts, name), getattr(route, name))
    if name in ("facility", "min_severity", "max_severity"):
        return _priority_mismatch(name, route, facts.priority)
    assert route.message is not None
    for key, verb in (("contains", "contain"), ("starts_with", "start with"), ("matches", "match")):
        values = getattr(route.message, key)
        only = MessageMatch.model_construct(**{key: values})
        if values and not Conditions(ConfiguredConditions.model_construct(message=only)).hold(facts):
            return f"the message does not {verb} {_listed(repr(str(value)) for value in values)}"
    return "the message does not match"


def _priority_mismatch(name: str, route: Route, priority: bytes) -> str:
    if not priority:
        return f"the message has no PRI and therefore no {'facility' if name == 'facility' else 'severity'}"
    facility, severity = divmod(int(priority), 8)
    if name == "facility":
        return f"facility {FACILITIES[facility]} is not {_listed(FACILITIES[number] for number in route.facility)}"
    if name == "min_severity":
        return f"severity {SEVERITIES[severity]} is below {SEVERITIES[route.min_severity or 0]}"
    return f"severity {SEVERITIES[severity]} is above {SEVERITIES[route.max_severity or 0]}"


def _glob_mismatch(field: str, value: bytes, globs: tuple[str, ...]) -> str:
    if not value:
        return f"the message has no {field}"
    shown = printable(value.decode("utf-8", "replace"))
    return f"{field} {shown[:_MAX_CHARACTERS]} does not match {_listed(globs)}"


def _listed(values: Iterable[str]) -> str:
    shown = list(values)
    more = f" or {len(shown) - 5} more" if len(shown) > 6 else ""
    return ", ".join(shown[:5] if more else shown) + more


def origin_of_zone(config: Config, address: Address | None, disposition: Disposition | None) -> str:
    """Returns the part of the configuration that sets the time zone of timestamps without one."""
    for route in config.routes:
        if disposition is not None and route.name == disposition.route and route.timezone is not None:
            return f"from timezone: of route {route.name}"
    for entry in config.sources:
        if entry.timezone is not None and peer_matches(
            ConfiguredConditions.model_construct(source=entry.source), "", address
        ):
            name = entry.name or _listed(str(ip_network(network)) for network in entry.source)
            return f"from timezone: of source {name}"
    return "from the global timezone:"
