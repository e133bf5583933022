"""Compares what is seen with a configuration: new senders, changed products, wrong zones, and senders that are gone.

A change is proposed only where the findings are certain. Everything else is a note.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal
from zoneinfo import ZoneInfo

from bridge.config import Config, Listener
from bridge.discover.clock_evidence import span
from bridge.discover.finding import DAY, SenderFinding
from bridge.discover.plan import RoutePlan, SourcePlan, plan_of
from bridge.ingest import from_config
from bridge.routing import Disposition, Router
from bridge.syslog.framing import datagrams
from bridge.syslog.reader import read_columns
from bridge.util.counts import counted
from bridge.util.names import free_name

Group = Literal["new", "changed", "zones", "gone"]
GROUPS: Sequence[Group] = ("new", "changed", "zones", "gone")
MAX_ROUTED = 12
"Messages of a sender whose route is looked up."


@dataclass(frozen=True, slots=True)
class ProposedChange:
    """A proposed change of the configuration."""

    group: Group
    reason: str
    route: RoutePlan | None = None
    "A route to add: of ``new`` senders at the end, of ``changed`` ones before all others."
    new_intake: bool = False
    "True if the intake of the route has to be added."
    source: SourcePlan | None = None
    "An entry of sources to add before all others."
    gone: str | None = None
    "Address to remove."


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes, and notes on what was not decided."""

    changes: Sequence[ProposedChange]
    notes: Sequence[str]


def changes_of(config: Config, findings: Sequence[SenderFinding], seconds: float) -> Changes:
    """Compares the findings with a configuration. ``seconds``: how long was watched."""
    return _Comparison(config).compare(findings, seconds)


def zone_in(router: Router, source: str, host: str | None) -> ZoneInfo:
    """Returns the zone that a configuration has for a sender, or for a host behind it."""
    zone = router.zone(ip_address(source.partition("%")[0]) if source else None, host)
    assert isinstance(zone, ZoneInfo)
    return zone


def receives(listener: Listener, transport: str) -> bool:
    """Returns True if a listener has a kind of port, such as ``tcp``, or a port, such as ``udp 514``."""
    kind, _, port = transport.partition(" ")
    address = {"udp": listener.udp, "tcp": listener.tcp}.get(kind)
    return address is not None and port in ("", str(address.port))


class _Comparison:
    """Compares findings with one configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._router = from_config.router(config)
        self._notes: list[str] = []

    def compare(self, findings: Sequence[SenderFinding], seconds: float) -> Changes:
        new: list[SenderFinding] = []
        changed: list[SenderFinding] = []
        for finding in findings:
            kind = self._kind(finding)
            if kind == "new":
                new.append(finding)
            elif kind == "changed":
                changed.append(finding)
        taken = {route.name for route in self._config.routes}
        added: dict[str, str] = {}
        found = [
            *self._routes("new", new, taken, added), *self._routes("changed", changed, taken, added),
            *self._zones(findings), *self._gone(findings, seconds),
        ]  # fmt: skip
        return Changes(found, self._notes)

    # --- routes ------------------------------------------------------------------------------------------------------

    def _kind(self, finding: SenderFinding) -> str:
        """Returns ``new``, ``changed`` or an empty text; adds a note if something else has to be decided."""
        if not finding.source or not finding.samples:
            return ""
        reached = {(found.kind, found.intake) for found in self._dispositions(finding)}
        if reached == {("hold", None)}:
            if not finding.route:
                self._notes.append(f"{finding.place}: not routed, and {finding.why}")
            return "new" if finding.route else ""
        intakes = {intake for kind, intake in reached if kind == "deliver" and intake}
        formats = {self._config.intakes[intake].format for intake in intakes}
        if not finding.route or formats <= {finding.identified.format}:
            return ""
        listed = ", ".join(sorted(intakes))
        product = f"{finding.identified.product} ({finding.identified.confidence:.0%})"
        if None in formats:
            self._notes.append(f"{finding.place}: {product}, but its intake {listed} has no format. Set it yourself")
            return ""
        if len(reached) > 1:
            self._notes.append(f"{finding.place}: {product}, but its messages reach several intakes: {listed}")
            return ""
        return "changed"

    def _dispositions(self, finding: SenderFinding) -> Iterator[Disposition]:
        address = ip_address(finding.source.partition("%")[0])
        host = finding.host if self._router.known(address).relay else None
        profile = self._router.profile(self._listener(finding), address, host=host)
        frames = list(finding.samples[:MAX_ROUTED])
        for disposition, _ in profile.assign(read_columns(datagrams(frames), profile.needs | {"raw"})):
            yield disposition

    def _listener(self, finding: SenderFinding) -> str:
        listeners = self._config.listeners
        for transport in finding.transports:
            for listener in listeners:
                if listener.full_name == transport or receives(listener, transport):
                    return listener.full_name
        return listeners[0].full_name

    def _routes(
        self, group: Group, findings: Sequence[SenderFinding], taken: set[str], added: dict[str, str]
    ) -> Iterator[ProposedChange]:
        for route in plan_of(findings).routes:
            suitable = [name for name, intake in self._config.intakes.items() if intake.format == route.intake]
            places = ", ".join(finding.place for finding in route.findings[:5])
            places += f" and {len(route.findings) - 5} more" if len(route.findings) > 5 else ""
            if len(suitable) > 1:
                listed = ", ".join(suitable)
                self._notes.append(f"{places}: {route.product}; choose its intake yourself: {listed}")
                continue
            intake = suitable[0] if suitable else added.get(route.intake)
            new_intake = intake is None
            if intake is None:
                intake = added[route.intake] = free_name(route.intake, {*self._config.intakes, *added.values()})
            name = free_name(route.name, taken)
            taken.add(name)
            best = max(route.findings, key=lambda finding: finding.count)
            if group == "new":
                why = "matches no route"
            else:
                was = next(iter(self._dispositions(best))).intake
                why = f"is delivered to intake {was}, whose format is {self._config.intakes[was or ''].format}"
            verb = "" if len(route.findings) == 1 else "each "
            reason = f"{places}: {verb}{why}, and is {route.product}: {best.identified.reason}"
            yield ProposedChange(group, reason, replace(route, name=name, intake=intake), new_intake)

    # --- sources -----------------------------------------------------------------------------------------------------

    def _zones(self, findings: Sequence[SenderFinding]) -> Iterator[ProposedChange]:
        for finding in findings:
            clock = finding.clock
            if not finding.source or (finding.relay and not finding.host):
                continue
            present = zone_in(self._router, finding.source, finding.host).key
            if clock.zone:
                entry = SourcePlan(finding.source, finding.host, zone=clock.zone)
                yield ProposedChange("zones", f"{finding.place}: read as {present}, but {clock.text}", source=entry)
            elif clock.candidates:
                listed = ", ".join(clock.candidates)
                self._notes.append(f"{finding.place}: read as {present}, but {clock.text}; its zone may be {listed}")

    def _gone(self, findings: Sequence[SenderFinding], seconds: float) -> Iterator[ProposedChange]:
        networks = [network for entry in self._config.sources for network in entry.source]
        networks += [network for route in self._config.routes for network in route.source]
        single = [network for network in networks if network.prefixlen == network.max_prefixlen]
        listed = dict.fromkeys(str(network.network_address) for network in single)
        seen = {finding.source for finding in findings}
        missing = [address for address in listed if address not in seen]
        if missing and seconds < DAY:
            self._notes.append(
                f"{counted(len(missing), 'sender')} of the configuration sent nothing in {span(seconds)}. A sender"
                " counts as gone only after a day"
            )
            return
        for address in missing:
            yield ProposedChange("gone", f"{address}: sent nothing in {span(seconds)}", gone=address)
