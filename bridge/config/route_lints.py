"""Warns of routes that match no message, or fewer messages than they seem to.

An earlier route *covers* a later one if it matches every message that the later one matches. Two networks are either
nested or disjoint. So the routes that may cover another are found by the prefixes of its networks, and ten thousand
routes are checked in a fraction of a second.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bridge.config.addresses import Network
from bridge.config.faults import Place
from bridge.config.model import Config
from bridge.config.routes import Route, RouteConditions
from bridge.config.yaml_tree import Entries

Found = Iterator[tuple[Place, str]]
_Key = tuple[int, int, int]
"IP version, prefix length, and the network's leading bits."


def lint_routes(config: Config, nodes: Sequence[Entries]) -> Found:
    """Yields warnings on routes; ``nodes`` are the routes' nodes in the tree."""
    yield from _covered(config.routes, nodes)
    yield from _without_effect(config, nodes)
    for route, node in zip(config.routes, nodes, strict=True):
        if route.hostname and not (route.source or route.listener or route.client_name):
            place = node.place_of("hostname")
            text = f"route {route.name}: any sender can claim this hostname. Add a source or listener condition."
            yield place, text


def _covered(routes: Sequence[Route], nodes: Sequence[Entries]) -> Found:
    by_network: defaultdict[_Key, list[int]] = defaultdict(list)
    any_source: list[int] = []
    lengths: set[tuple[int, int]] = set()
    for number, route in enumerate(routes):
        whole, parts = _covering(route, routes, by_network, any_source, lengths)
        place = nodes[number].place
        if whole is not None:
            other = routes[whole]
            text = f"route {route.name} never matches: the earlier route {other.name} takes all its messages."
            yield place, f"{text} Move it up, or remove it."
        for other_number, networks in parts.items():
            shown = ", ".join(map(str, networks[:3])) + (", ..." if len(networks) > 3 else "")
            other = routes[other_number]
            if other.intake != route.intake or other.drop != route.drop:
                text = f"route {route.name} overlaps the earlier route {other.name}, which takes {shown} of its source."
                yield place, text
        if route.except_ is None:
            # A route with `except` covers no other: its exceptions are left over.
            for network in route.source:
                by_network[_key(network, network.prefixlen)].append(number)
                lengths.add((network.version, network.prefixlen))
            if not route.source:
                any_source.append(number)


def _covering(
    route: Route, routes: Sequence[Route], by_network: dict[_Key, list[int]], any_source: list[int],
    lengths: set[tuple[int, int]],
) -> tuple[int | None, dict[int, list[Network]]]:  # fmt: skip
    """Returns the first earlier route that covers the route, and those that cover some of its networks."""
    for number in any_source:
        if _takes_all(routes[number], route):
            return number, {}
    parts: dict[int, list[Network]] = {}
    for network in route.source:
        for version, length in lengths:
            if version != network.version or length > network.prefixlen:
                continue
            for number in by_network.get(_key(network, length), ()):
                if _takes_all(routes[number], route):
                    parts.setdefault(number, []).append(network)
    for number, networks in sorted(parts.items()):
        if len(networks) == len(route.source):
            return number, {}
    return None, parts


def _key(network: Network, length: int) -> _Key:
    return network.version, length, int(network.network_address) >> (network.max_prefixlen - length)


def _takes_all(before: RouteConditions, after: RouteConditions) -> bool:
    """Returns True if every message that matches ``after`` also matches ``before``, apart from the source."""
    for name in ("listener", "client_name", "hostname", "app_name", "procid", "msgid", "facility"):
        earlier, later = getattr(before, name), getattr(after, name)
        if earlier and "*" not in earlier and not (later and set(later) <= set(earlier)):
            return False
    if before.min_severity is not None and (after.min_severity is None or after.min_severity > before.min_severity):
        return False
    if before.max_severity is not None and (after.max_severity is None or after.max_severity < before.max_severity):
        return False
    return before.message is None or before.message == after.message


def _without_effect(config: Config, nodes: Sequence[Entries]) -> Found:
    all_assigned = all(listener.intake is not None for listener in config.listeners)
    for route, node in zip(config.routes, nodes, strict=True):
        if all_assigned and not route.listener:
            text = f"route {route.name} has no effect: every listener has its own intake. Add a listener condition."
            yield node.place, text
    if config.routes and config.unrouted.kind != "hold":
        last = config.routes[-1]
        overrides = last.payload or last.timestamp or last.timezone
        same = last.drop if config.unrouted.kind == "drop" else last.intake == config.unrouted.intake
        if same and not overrides and not last.listener:
            yield nodes[-1].place, f"route {last.name} has no effect: unrouted does the same. Remove the route."
