"""Collects the listeners and rules of an imported syslog server, and builds listeners, routes and intakes from them.

A *rule* says where messages of some listener groups go if they meet a condition. The imported server may send a message
to several destinations; the bridge sends it to the first that matches.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.config.faults import Place
from bridge.setup.import_conditions import Alternative, Condition, alternatives
from bridge.setup.import_expressions import NotConvertible
from bridge.setup.import_overlap import Overlaps, covers
from bridge.setup.import_result import (
    ImportedIntakes,
    Port,
    RouteDraft,
    not_carried_over,
    place_of_host,
    without_secrets,
)
from bridge.util.counts import counted
from bridge.util.names import free_name

NEVER_HOLDS = "no message can meet its condition"
ABOUT_CONDITIONS = (
    "conditions on host and program names ignore case; a host name matches in full or without its domain, a program"
    " name with or without what follows a slash",
    "conditions apply to the fields that the bridge reads from a header: `syslog-bridge explain` shows them",
)
"What differs for all conditions on the header."
PASSES_ON = "its messages match the routes after it, or are held"
"What happens without a rule that cannot be carried over."
_MOST_SKIPPED = 500
_MOST_COMPARED = 100
_TAKEN = "an earlier rule takes all these messages, and the bridge sends a message to one intake"
_Line = tuple[Place, str, str]
"A line of the imported files, and what is said of it."


@dataclass(frozen=True)
class IntakeTarget:
    """A forwarder of the imported server that sends to the collector with an intake key."""

    key: str
    title: str
    host: str
    payload: str = "auto"
    template: str = ""
    "The text that is sent, as a template with ``sent_event.KEY`` for the key. Empty if it is not known."

    def __repr__(self) -> str:
        return f"IntakeTarget({self.title!r})"


@dataclass(frozen=True)
class ReceiverRule:
    """A rule of the imported server; without a destination it discards what it matches."""

    groups: Collection[str]
    condition: Condition
    destination: IntakeTarget | None
    place: Place
    line: str


@dataclass(frozen=True)
class _Listening:
    group: str
    port: Port
    place: Place
    line: str


@dataclass(frozen=True)
class Receiver:
    """The built part of an import."""

    ports: Sequence[Port]
    routes: Sequence[RouteDraft]
    notes: Sequence[str]


class ReceiverDraft:
    """Collects what a reader of another server's configuration finds."""

    def __init__(self, *, replaced: bool) -> None:
        """``replaced``: the operator chose the collector, instead of that of the imported server."""
        self._replaced = replaced
        self._listening: list[_Listening] = []
        self._rules: list[ReceiverRule] = []
        self._ends: dict[int, int] = {}
        "Number of a rule -> number of the first rule that does not see what it takes."
        self._unseen: defaultdict[int, list[Sequence[int]]] = defaultdict(list)
        "Number of a rule -> numbers of later rules that do not see what it takes."
        self._skipped: list[_Line] = []
        self._differing: list[_Line] = []

    @property
    def hosts(self) -> list[str]:
        """Returns the hosts of all destinations, the most used one first."""
        counted = Counter(rule.destination.host for rule in self._rules if rule.destination)
        return [host for host, _ in counted.most_common()]

    @property
    def rule_count(self) -> int:
        """Returns the number of rules so far."""
        return len(self._rules)

    def listen(self, group: str, port: Port, place: Place, line: str) -> None:
        """Adds a listener of a group. A second one with the same address is skipped."""
        transport = "udp" if port.kind == "udp" else "stream"
        for other in self._listening:
            if other.port.address == port.address and transport == ("udp" if other.port.kind == "udp" else "stream"):
                self.skip(place, line, f"the address {port.address} is already used in line {other.place.line}")
                return
        name = free_name(port.name, {other.port.name for other in self._listening}, separator=" ")
        self._listening.append(_Listening(group, replace(port, name=name), place, line))

    def rule(self, rule: ReceiverRule) -> None:
        """Adds a rule."""
        self._rules.append(rule)

    def senders(self, group: str, condition: Condition) -> list[int]:
        """Returns the numbers of the group's rules that have this condition and a destination."""
        return [
            number
            for number, rule in enumerate(self._rules)
            if rule.destination is not None and group in rule.groups and rule.condition == condition
        ]

    def end_rules(self, numbers: Iterable[int]) -> None:
        """Records that no rule from here on sees what these rules take."""
        for number in numbers:
            self._ends.setdefault(number, len(self._rules))

    def separate(self, earlier: Sequence[int], later: Sequence[int]) -> None:
        """Records that none of the later rules sees what the earlier ones take."""
        for number in earlier if later else ():
            self._unseen[number].append(later)

    def skip(self, place: Place, line: str, reason: str) -> None:
        """Lists a line that cannot be carried over."""
        if (place, line, reason) not in self._skipped:
            self._skipped.append((place, line, reason))

    def differ(self, place: Place, line: str, what: str) -> None:
        """Lists a line that is carried over with a difference."""
        if (place, line, what) not in self._differing:
            self._differing.append((place, line, what))

    def not_carried(self, keys: Collection[str] = ()) -> list[str]:
        """Returns the lines that cannot be carried over, without secrets."""
        return self._listed(self._skipped, keys)

    def differing(self, keys: Collection[str] = ()) -> list[str]:
        """Returns the lines that are carried over with a difference, without secrets."""
        return self._listed(self._differing, keys)

    def _listed(self, entries: Sequence[_Line], keys: Collection[str]) -> list[str]:
        own = {rule.destination.key for rule in self._rules if rule.destination} | set(keys)
        order = {file: number for number, file in enumerate(dict.fromkeys(place.file for place, _, _ in entries))}
        found = sorted(entries, key=lambda entry: (order[entry[0].file], entry[0].line, entry[0].column))
        lines = [not_carried_over(place, line, reason, own) for place, line, reason in found[:_MOST_SKIPPED]]
        if len(found) > _MOST_SKIPPED:
            lines.append(f"and {counted(len(found) - _MOST_SKIPPED, 'more line')}")
        return lines

    def build(
        self,
        intakes: ImportedIntakes,
        collector: Mapping[str, str],
        addresses: Callable[[Port], Sequence[str]] = lambda port: [port.address],
        taken: Collection[str] = (),
    ) -> Receiver:
        """Builds listeners and routes.

        ``addresses`` gives the addresses on this host that lead to a listener, ``taken`` the names of other listeners.
        """
        used = {group for rule in self._rules if rule.destination for group in rule.groups}
        heard: dict[str, list[Port]] = {}
        for listening in self._listening:
            if listening.group not in used:
                self.skip(listening.place, listening.line, "its messages are not forwarded with an intake key")
                continue
            names = {*taken, *(port.name for ports in heard.values() for port in ports)}
            for address in addresses(listening.port):
                name = free_name(listening.port.name, names, separator=" ")
                names.add(name)
                heard.setdefault(listening.group, []).append(replace(listening.port, name=name, address=address))
        routes = list(self._routes(intakes, collector, heard))
        rest = [port.name for ports in heard.values() for port in ports if not port.intake]
        notes = []
        if rest and not self._drops_rest(heard):
            notes.append(
                f"messages of {', '.join(rest[:8])}{', ...' if len(rest) > 8 else ''} that no route matches are held"
                " for a later route (unrouted: hold), where the imported server discarded them"
            )
        return Receiver([port for ports in heard.values() for port in ports], routes, notes)

    def _drops_rest(self, heard: Mapping[str, Sequence[Port]]) -> bool:
        closed = {
            group
            for rule in self._rules if any(not alternative for alternative in _alternatives(rule))
            for group in rule.groups
        }  # fmt: skip
        return all(group in closed or all(port.intake for port in ports) for group, ports in heard.items())

    def _routes(
        self, intakes: ImportedIntakes, collector: Mapping[str, str], heard: dict[str, list[Port]]
    ) -> Iterator[RouteDraft]:
        open_groups = set(heard)
        recent: deque[tuple[set[str], Alternative]] = deque(maxlen=_MOST_COMPARED)
        overlaps = Overlaps([_alternatives(rule) for rule in self._rules])
        for number, rule in enumerate(self._rules):
            try:
                found = alternatives(rule.condition)
            except NotConvertible as error:
                self.skip(rule.place, rule.line, f"{error}; {PASSES_ON}")
                continue
            groups = [group for group in heard if group in rule.groups and group in open_groups]
            if not groups:
                reached = any(group in heard for group in rule.groups)
                if rule.destination or not reached:
                    self.skip(rule.place, rule.line, _TAKEN if reached else "no imported listener leads here")
                continue
            if not found:
                self.skip(rule.place, rule.line, NEVER_HOLDS)
                continue
            found = [
                one for one in found if not any(set(groups) <= those and covers(two, one) for those, two in recent)
            ]
            if not found:
                if rule.destination:
                    self.skip(rule.place, rule.line, _TAKEN)
                continue
            self._warn_of_copies(number, rule, overlaps)
            recent.extend((set(groups), alternative) for alternative in found)
            for difference in sorted({one for alternative in found for one in alternative.differences}):
                self.differ(rule.place, rule.line, difference)
            intake = self._intake(intakes, collector, rule.destination)
            origin = f"{rule.place.file}:{rule.place.line}"
            for alternative in found:
                if not alternative and intake is not None:
                    for group in groups:
                        heard[group] = [replace(port, intake=intake) for port in heard[group]]
                else:
                    about = f"{origin}, {alternative.comment}" if alternative.comment else origin
                    yield RouteDraft(
                        [port.name for group in groups for port in heard[group]], alternative, intake, about
                    )
                if not alternative:
                    open_groups -= set(groups)
                    break

    def _intake(
        self, intakes: ImportedIntakes, collector: Mapping[str, str], destination: IntakeTarget | None
    ) -> str | None:
        if destination is None:
            return None
        place = place_of_host(destination.host)
        # --region and --url replace the most used host, and hosts that are not the vendor's.
        main = self._replaced and destination.host == self.hosts[0]
        own = {} if place is None or place == collector or main else place
        key, payload = destination.key, destination.payload
        found = intakes.find(key, payload, own)
        title, template = without_secrets(destination.title, (key,)), destination.template
        return found or intakes.add(title, key, payload, own, template=template)

    def _warn_of_copies(self, number: int, rule: ReceiverRule, overlaps: Overlaps) -> None:
        if rule.destination is None:
            return
        unseen = self._unseen[number]
        for later_number in overlaps.later(number, self._ends.get(number, len(self._rules))):
            later = self._rules[later_number]
            if later.destination is None or later.destination.key == rule.destination.key:
                continue
            if any(later_number in numbers for numbers in unseen) or not set(later.groups) & set(rule.groups):
                continue
            same_file = later.place.file == rule.place.file
            where = f"line {later.place.line}" if same_file else f"{later.place.file}:{later.place.line}"
            text = (
                f"without a stop or flags(final), its messages could also go to the destination in {where}; the bridge"
                " sends a message to the first intake that matches"
            )
            self.skip(rule.place, rule.line, text)
            return


def _alternatives(rule: ReceiverRule) -> list[Alternative]:
    """Returns the alternatives of a rule; none if it cannot be converted."""
    try:
        return alternatives(rule.condition)
    except NotConvertible:
        return []
