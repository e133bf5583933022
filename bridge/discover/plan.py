"""Groups findings into what a configuration has: intakes, routes, and properties of sources.

An intake receives one text format. A route names the addresses that were seen, and no others: neighbouring addresses
become a network only if all of its addresses were seen.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

from bridge.discover.finding import SenderFinding
from bridge.util.counts import counted
from bridge.util.names import free_name


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route: the senders of one product, whose messages need the same conditions."""

    name: str
    intake: str
    product: str
    sources: Sequence[str]
    "Addresses and networks. Empty if the capture has no addresses."
    hosts: Sequence[str]
    "Names in the header, of the hosts behind a relay."
    app_names: Sequence[str]
    findings: Sequence[SenderFinding]


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """Properties of one source. ``candidates`` are zones of which the operator has to choose one."""

    source: str
    host: str | None = None
    name: str | None = None
    zone: str | None = None
    relay: bool = False
    silence_limit: float | None = None
    "In seconds."
    candidates: Sequence[str] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration to be written."""

    routes: Sequence[RoutePlan]
    sources: Sequence[SourcePlan]
    held: Sequence[SenderFinding]
    intakes: Sequence[str] = field(default=())
    "Names of the intakes, which are those of their formats."


def plan_of(findings: Sequence[SenderFinding]) -> Plan:
    """Plans a configuration for all senders of one network."""
    routes = list(_routes([finding for finding in findings if finding.route]))
    held = [finding for finding in findings if not finding.route]
    intakes = tuple(dict.fromkeys(route.intake for route in routes))
    return Plan(routes, _with_unique_names(sorted(_sources(findings), key=_order)), held, intakes)


def networks_of(addresses: Sequence[str]) -> list[str]:
    """Returns addresses as networks that contain them and nothing else, each as short as a configuration takes it."""
    # A link-local address has a zone, which is no part of the address.
    parsed = {ip_network(address.partition("%")[0]) for address in addresses}
    four = [each for each in parsed if isinstance(each, IPv4Network)]
    six = [each for each in parsed if isinstance(each, IPv6Network)]
    return [_short(network) for network in collapse_addresses(four)] + [
        _short(network) for network in collapse_addresses(six)
    ]


def _short(network: IPv4Network | IPv6Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _routes(findings: Sequence[SenderFinding]) -> Iterator[RoutePlan]:
    """Yields the routes, those of the most specific conditions first."""
    groups: dict[tuple[str, str, tuple[str, ...], str], list[SenderFinding]] = {}
    for finding in findings:
        identified = finding.identified
        # The hosts behind each relay have a route of their own: another relay may have a host of the same name.
        behind = finding.source if finding.host else ""
        key = (identified.product or "", identified.format or "", tuple(sorted(finding.app_names)), behind)
        groups.setdefault(key, []).append(finding)
    taken: set[str] = set()
    ordered = sorted(groups.items(), key=lambda item: (not item[0][2], not item[1][0].host, item[0][1], item[0]))
    for (product, text_format, app_names, _), members in ordered:
        sources = networks_of([finding.source for finding in members if finding.source])
        hosts = sorted({finding.host for finding in members if finding.host})
        name = free_name(text_format, taken)
        taken.add(name)
        yield RoutePlan(name, text_format, product, sources, hosts, app_names, members)


def _with_unique_names(sources: Sequence[SourcePlan]) -> list[SourcePlan]:
    """Adds the address to a name that several sources have, such as the members of a cluster."""
    counts = Counter(source.name for source in sources)
    found = []
    for source in sources:
        if source.name and counts[source.name] > 1:
            found.append(replace(source, name=f"{source.name[:20]} ({source.source})"))
        else:
            found.append(source)
    return found


def _order(source: SourcePlan) -> tuple[int, int, str]:
    address = ip_address(source.source.partition("%")[0])
    return address.version, int(address), source.host or ""


def _sources(findings: Sequence[SenderFinding]) -> Iterator[SourcePlan]:
    done: set[tuple[str, str | None]] = set()
    relays: set[str] = set()
    for finding in findings:
        place = (finding.source, finding.host)
        if not finding.source or place in done:
            continue
        done.add(place)
        if finding.relay and finding.source not in relays:
            relays.add(finding.source)
            yield SourcePlan(finding.source, relay=True, comment=f"a relay of {counted(len(finding.devices), 'host')}")
        if finding.relay and not finding.host:
            continue
        clock = finding.clock
        found = SourcePlan(
            finding.source, finding.host, None if finding.host else finding.name, clock.zone,
            silence_limit=finding.silence_limit, candidates=clock.candidates,
            comment=clock.text if clock.zone or clock.candidates or clock.kind in ("wrong", "unsteady") else "",
        )  # fmt: skip
        if found.name or found.zone or found.silence_limit or found.comment:
            yield found
