"""Routes that take nothing, or less than they seem to.

A route is *covered* by one before it if whatever fulfils its conditions fulfils the other's. Sources are networks, so
two either lie in each other or have nothing in common: whoever may cover a route is found by its networks' prefixes,
and ten thousand routes are looked at in a moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bridge.config.addresses import Network
from bridge.config.faults import Place
from bridge.config.model import Config
from bridge.config.routes import Route, RouteConditions
from bridge.config.yaml_tree import Entries

Found = Iterator[tuple[Place, str]]
_Key = tuple[int, int, int]
"Version, prefix length, the network's bits."


def lint_routes(config: Config, nodes: Sequence[Entries]) -> Found:
    """Warnings on routes; ``nodes`` are their places."""
    yield from _covered(config.routes, nodes)
    yield from _without_effect(config, nodes)
    for route, node in zip(config.routes, nodes, strict=True):
        if route.hostname and not (route.source or route.listener or route.client_name):
            place = node.place_of("hostname")
            yield (
                place,
                f"route {route.name}: whoever writes this hostname is believed: add source or listener",
            )


def _covered(routes: Sequence[Route], nodes: Sequence[Entries]) -> Found:
    by_network: defaultdict[_Key, list[int]] = defaultdict(list)
    of_anybody: list[int] = []
    lengths: set[tuple[int, int]] = set()
    for number, route in enumerate(routes):
        whole, parts = _coverers(route, routes, by_network, of_anybody, lengths)
        place = nodes[number].place
        if whole is not None:
            other = routes[whole]
            yield place, f"route {route.name} never takes anything: route {other.name} before it takes all of it"
        elif parts:
            for other_number, networks in parts.items():
                shown = ", ".join(map(str, networks[:3])) + (", ..." if len(networks) > 3 else "")
                other = routes[other_number]
                if other.intake != route.intake or other.drop != route.drop:
                    yield (
                        place,
                        f"route {route.name} overlaps route {other.name} before it, which takes {shown} of its source",
                    )
        if route.except_ is None:
            # What has an exception may leave something over.
            for network in route.source:
                by_network[_key(network, network.prefixlen)].append(number)
                lengths.add((network.version, network.prefixlen))
            if not route.source:
                of_anybody.append(number)


def _coverers(
    route: Route,
    routes: Sequence[Route],
    by_network: dict[_Key, list[int]],
    of_anybody: list[int],
    lengths: set[tuple[int, int]],
) -> tuple[int | None, dict[int, list[Network]]]:
    """The first route that covers all of it; and those that cover some of its networks."""
    for number in of_anybody:
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
    """Whether, but for the source, all that fulfils ``after`` fulfils ``before``."""
    for name in ("listener", "client_name", "hostname", "app_name"):
        mine, others = getattr(before, name), getattr(after, name)
        if mine and "*" not in mine and not (others and set(others) <= set(mine)):
            return False
    if before.min_severity is not None and (after.min_severity is None or after.min_severity > before.min_severity):
        return False
    return before.message is None or before.message == after.message


def _without_effect(config: Config, nodes: Sequence[Entries]) -> Found:
    own = all(listener.intake is not None for listener in config.listeners)
    for route, node in zip(config.routes, nodes, strict=True):
        if own and not route.listener:
            yield (
                node.place,
                f"route {route.name} has no effect: every listener has an intake of its own, and the route names none",
            )
    if config.routes and config.unrouted.kind != "hold":
        last = config.routes[-1]
        overrides = last.payload or last.timestamp or last.timezone
        same = last.drop if config.unrouted.kind == "drop" else last.intake == config.unrouted.intake
        if same and not overrides and not last.listener:
            yield nodes[-1].place, f"route {last.name} has no effect: unrouted: does the same with what it takes"
