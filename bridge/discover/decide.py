"""Decides what each sender is: one product, several that its header distinguishes, a relay, or unknown.

A sender is routed only if its product has a text format and the confidence is high enough. Everything else is held,
with the reason: unknown costs an operator a minute, a wrong format changes events in silence.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from bridge.discover.clock_evidence import ClockEvidence, clock_evidence, utc
from bridge.discover.finding import SenderFinding
from bridge.discover.observer import ObservedHost, ObservedPeriod, ObservedSource, Observer, Received
from bridge.discover.separation import distinguishing_programs, programs_to_name
from bridge.explain.products import PRODUCTS, Identification, identify, spread

HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?|[0-9a-f:.]{3,39}")
"Names of hosts that a configuration may have."
MAX_SAMPLES = 12
"Messages that a finding has."
MAX_DEVICES = 200
"Names of devices that a finding lists."
RELAY_HOSTS = 3
"Hosts in the headers of one sender from which it is a relay. Two may be the members of a cluster."
LEAST_OF_A_HOST = 2
"Messages that a host needs to be counted for that, if there are enough."
ENOUGH = 20
WITH_FORMAT = frozenset(row.name for row in PRODUCTS if row.format)
"Products that have a text format. It may not be certain: their events differ, or a program runs on appliances too."
NO_HOST_BEHIND_RELAY = "the header names no host, and the sender is a relay"
NO_ADDRESS = "the header names no host, and the capture has no addresses: give the sender with --from"


@dataclass(frozen=True, slots=True)
class FindingSettings:
    """The operator's choices."""

    zones: Sequence[ZoneInfo] = field(default_factory=lambda: (ZoneInfo("UTC"),))
    "Zones of the site. The first is the default for times without a zone."
    zone_of: Callable[[str, str | None], ZoneInfo] | None = None
    "Returns the zone that is configured for a sender, or for a host behind it. It replaces the default."
    min_confidence: float = 0.6
    min_messages: int = 3
    "A sender with fewer messages is not routed."

    def zones_of(self, source: str, host: str | None) -> Sequence[ZoneInfo]:
        """Returns the zones that a sender may have, that of times without a zone first."""
        if self.zone_of is None:
            return self.zones
        configured = self.zone_of(source, host)
        return (configured, *(zone for zone in self.zones if zone.key != configured.key))


def find_all(observer: Observer, settings: FindingSettings, *, release: bool = False) -> Iterator[SenderFinding]:
    """Yields the findings of all senders, those with the most messages first.

    ``release``: the observer forgets the messages of each sender, so that their memory is free for what follows.
    """
    for source in observer.ordered(release=release):
        yield from find(source, settings)


def find_one(messages: Iterable[Received], settings: FindingSettings) -> SenderFinding:
    """Returns one finding of the messages of one sender, as if it were no relay that can be taken apart."""
    observer = Observer()
    for received in messages:
        observer.add(received)
    (source,) = observer.sources.values()
    finding = _Finder(source, settings).alone(identify(source.samples))
    hosts = tuple(name for name in source.hosts if name)
    if len(_named_hosts(source)) >= RELAY_HOSTS:
        return replace(finding, relay=True, devices=hosts)
    return finding


def find(source: ObservedSource, settings: FindingSettings) -> Iterator[SenderFinding]:
    """Yields the findings of one sender: one, or one for each host behind it, or for each product it sends."""
    finder = _Finder(source, settings)
    if not source.address:
        yield from finder.by_host(relay=False)
    elif len(hosts := _named_hosts(source)) >= RELAY_HOSTS:
        yield from finder.by_host(relay=True)
    else:
        whole = identify(source.samples)
        if whole.product is None and len(hosts) > 1 and _differ(source, hosts):
            yield from finder.by_host(relay=True)
        elif whole.product is None and (parts := distinguishing_programs(_by_shape(source))):
            yield from finder.by_program(parts)
        else:
            yield finder.alone(whole)


class _Finder:
    """Makes the findings of one sender."""

    def __init__(self, source: ObservedSource, settings: FindingSettings) -> None:
        self._source = source
        self._settings = settings
        self._transports = tuple(sorted(source.transports))

    def alone(self, identified: Identification) -> SenderFinding:
        """Returns the finding of a sender that is one device."""
        source = self._source
        text_hosts = tuple(name for name, count in source.text_hosts.items() if count >= LEAST_OF_A_HOST)
        return self._finding(
            source, identified, list(source.hosts.values()), samples=source.samples, name=_name(source),
            relay=len(text_hosts) >= RELAY_HOSTS, devices=text_hosts if len(text_hosts) > 1 else (),
        )  # fmt: skip

    def by_program(self, parts: Mapping[tuple[str, ...], Sequence[bytes]]) -> Iterator[SenderFinding]:
        """Yields a finding for each product that the programs of the header distinguish."""
        for programs, samples in parts.items():
            yield self._finding(
                self._source, identify(samples), list(self._source.hosts.values()), samples=samples,
                name=_name(self._source), app_names=programs,
            )  # fmt: skip

    def by_host(self, *, relay: bool) -> Iterator[SenderFinding]:
        """Yields a finding for each host that the headers name, and one for the messages without a host."""
        names = tuple(name for name in self._source.hosts if name)[:MAX_DEVICES] if relay else ()
        for name, host in sorted(self._source.hosts.items(), key=lambda item: (-item[1].count, item[0])):
            identified = identify(host.samples)
            named = HOST_NAME.fullmatch(name) is not None
            yield self._finding(
                host, identified, [host], samples=host.samples, host=name if named else None, relay=relay,
                name=name if named else None, devices=names,
                why="" if named else NO_HOST_BEHIND_RELAY if relay else NO_ADDRESS,
            )  # fmt: skip

    def _finding(
        self, period: ObservedPeriod, identified: Identification, hosts: Sequence[ObservedHost], *,
        samples: Sequence[bytes], host: str | None = None, relay: bool = False, name: str | None = None,
        devices: Sequence[str] = (), app_names: Sequence[str] = (), why: str = "",
    ) -> SenderFinding:  # fmt: skip
        why = why or self._doubt(identified, period.count)
        app_names = app_names or (() if why else programs_to_name(identified, samples))
        kept = list(spread(samples, MAX_SAMPLES))
        origins = {
            frame: origin for host in hosts for shape in host.shapes.values()
            for frame, origin in zip(shape.samples, shape.origins, strict=True)
        }  # fmt: skip
        return SenderFinding(
            source=self._source.address, host=host, identified=identified, route=not why, why=why, relay=relay,
            name=name, devices=devices, app_names=app_names, transports=self._transports, count=period.count,
            first=period.first, last=period.last, longest_gap=period.longest_gap, samples=kept,
            origins=[origins[frame] for frame in kept],
            shapes=tuple(dict.fromkeys(shape for each in hosts for shape in each.shapes)),
            clock=_clock(hosts, period.last, self._settings.zones_of(self._source.address, host)),
        )  # fmt: skip

    def _doubt(self, identified: Identification, count: int) -> str:
        """Returns why a sender is not routed, or an empty text."""
        if identified.product is None:
            return f"not identified: {identified.reason}"
        if identified.format is None:
            if identified.product in WITH_FORMAT:
                return f"the text format of {identified.product} is not certain here, so its intake is yours to choose"
            return f"{identified.product} has no text format, so its intake is yours to choose"
        if count < self._settings.min_messages:
            return f"only {count} of the {self._settings.min_messages} messages that are needed"
        if identified.confidence < self._settings.min_confidence:
            least = self._settings.min_confidence
            return f"the confidence of {identified.confidence:.0%} is below {least:.0%}"
        return ""


def _named_hosts(source: ObservedSource) -> list[str]:
    """Returns the hosts that the headers name. A name that occurs once may be a word of the text."""
    least = LEAST_OF_A_HOST if source.count >= ENOUGH else 1
    return [name for name, host in source.hosts.items() if name and host.count >= least]


def _differ(source: ObservedSource, hosts: Sequence[str]) -> bool:
    """Returns True if each of the hosts is another product."""
    products = [identify(source.hosts[name].samples).product for name in hosts]
    return None not in products and len(set(products)) == len(products)


def _by_shape(source: ObservedSource) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for host in source.hosts.values():
        for name, shape in host.shapes.items():
            found.setdefault(name, []).extend(shape.samples)
    return found


def _name(source: ObservedSource) -> str | None:
    """Returns the name of a device, if nearly all of its messages agree."""
    counts = {name: host.count for name, host in source.hosts.items() if name} or source.text_hosts
    if not counts:
        return None
    name, count = max(counts.items(), key=lambda item: item[1])
    return name if HOST_NAME.fullmatch(name) and count >= 0.9 * sum(counts.values()) else None


def _clock(hosts: Sequence[ObservedHost], last: float | None, zones: Sequence[ZoneInfo]) -> ClockEvidence:
    return clock_evidence(
        [offset for host in hosts for offset in host.offsets], [offset for host in hosts for offset in host.zoned],
        untimed=sum(host.untimed for host in hosts), now=utc(last), zones=zones,
    )  # fmt: skip
