"""Routes compiled: from a peer to its profile, from a frame's facts to its disposition.

A **profile** is what routing knows of a peer before it has seen a frame: the rules that can still match, and so the
columns that must be read. Peers with the same residual rules share one profile, so a read of many peers is taken apart
only as far as the routes demand. Most profiles are *constant*: no rule looks at the frame.

Order: the routes that name the peer's listener in ``listener:`` or any route where the listener has no ``intake:``,
then the listener's own ``intake:`` ("all that comes here"), then ``unrouted``.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import NamedTuple, Protocol

from bridge import formats
from bridge.routing.conditions import (
    Address,
    Conditions,
    ConditionsLike,
    Facts,
    Network,
    globs_match,
    of_peer,
)
from bridge.routing.disposition import Disposition
from bridge.routing.networks import NetworkIndex
from bridge.syslog.fast.columns import Columns


class RouteLike(ConditionsLike, Protocol):
    """A route, as the configuration has it."""

    @property
    def name(self) -> str: ...
    @property
    def intake(self) -> str | None: ...
    @property
    def except_(self) -> ConditionsLike | None: ...
    @property
    def payload(self) -> str | None: ...
    @property
    def timestamp(self) -> str | None: ...
    @property
    def timezone(self) -> tzinfo | None: ...
    @property
    def copy_to(self) -> Sequence[object]: ...


class IntakeLike(Protocol):
    """What of an intake decides the form of its events."""

    @property
    def payload(self) -> str | None: ...
    @property
    def encoding(self) -> str: ...
    @property
    def timestamp(self) -> str | None: ...
    @property
    def format(self) -> str | None: ...
    @property
    def endpoint(self) -> str: ...


class SourceLike(Protocol):
    """What is known of senders."""

    @property
    def source(self) -> Sequence[Network]: ...
    @property
    def hostname(self) -> Sequence[str]: ...
    @property
    def timezone(self) -> tzinfo | None: ...
    @property
    def name(self) -> str | None: ...
    @property
    def relay(self) -> bool: ...
    @property
    def expect(self) -> timedelta | None: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def sequence(self) -> bool: ...


class Known(NamedTuple):
    """What the configuration says of a source."""

    name: str | None = None
    relay: bool = False
    expect: timedelta | None = None
    "A longer silence is reported."
    limit: int | None = None
    "Events a second."
    sequence: bool = False
    "Whether it numbers its messages."


class UnroutedLike(Protocol):
    """What becomes of frames that no route matches: hold, drop or intake."""

    @property
    def kind(self) -> str: ...
    @property
    def intake(self) -> str | None: ...


# The columns that each payload form is made of, besides the time.
PAYLOAD_NEEDS: Mapping[str, frozenset[str]] = {
    "message": frozenset(("text",)),
    "content": frozenset(("content",)),
    "device": frozenset(("device",)),
    "line": frozenset(("hostname", "app_name", "procid", "msg")),
    "structured": frozenset(("msgid", "structured_data", "text")),
    "raw": frozenset(("raw",)),
    "rfc5424": frozenset(("priority", "hostname", "app_name", "procid", "msgid", "structured_data", "msg")),
    "json": frozenset(("raw",)),
}


def needs_of(disposition: Disposition) -> frozenset[str]:
    """The columns that a disposition's events are made of."""
    if disposition.format is None or not disposition.refined:
        return PAYLOAD_NEEDS[disposition.payload]
    of_format = formats.find(disposition.format)
    looked_at = of_format.rule.needs if of_format.rule else frozenset()
    return looked_at.union(*(PAYLOAD_NEEDS[form] for form in of_format.forms))


class Rule(NamedTuple):
    """One residual rule of a profile."""

    conditions: Conditions
    exception: Conditions | None
    disposition: Disposition

    def matches(self, facts: Facts) -> bool:
        """Whether a frame with these facts belongs here."""
        return self.conditions.hold(facts) and not (self.exception is not None and self.exception.hold(facts))


class Profile:
    """The residual rules of a peer; the last one always matches."""

    __slots__ = ("_cache", "constant", "needs", "rules", "zone")

    CACHED = 10_000
    "Distinct (host, app, PRI) remembered; forged host names must not grow the memory."

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self.constant = rules[0].disposition if len(rules) == 1 else None
        "The disposition of every frame, where no rule looks at one."
        needs: set[str] = set()
        for rule in rules:
            needs |= rule.conditions.needs | (rule.exception.needs if rule.exception else frozenset())
            if rule.disposition.kind == "deliver":
                needs |= needs_of(rule.disposition)
            if rule.disposition.kind == "hold" or rule.disposition.copy_to:
                needs.add("raw")
        self.needs = frozenset(needs)
        "The columns that must be read."
        self._cache: dict[tuple[bytes, ...], Disposition] = {}

    def find(self, facts: Facts) -> Disposition:
        """The disposition of a frame: of the first rule that matches."""
        return next(rule.disposition for rule in self.rules if rule.matches(facts))

    def assign(self, columns: Columns) -> list[tuple[Disposition, Columns]]:
        """The read, divided by disposition; order within each is kept."""
        if self.constant is not None:
            return [(self.constant, columns)]
        blank: Sequence[bytes] = (b"",) * columns.count
        asked = [columns.fields.get(name, blank) for name in Facts._fields]
        if not any("text" in r.conditions.needs or (r.exception and "text" in r.exception.needs) for r in self.rules):
            # The message decides nothing, so equal headers need one look.
            asked[3] = blank
        rows: dict[Disposition, list[int]] = {}
        if len(self._cache) > self.CACHED:
            self._cache.clear()
        cached = self._cache.get if asked[3] is blank else None
        for i, values in enumerate(zip(*asked, strict=True)):
            disposition = cached(values) if cached else None
            if disposition is None:
                disposition = self.find(Facts(*values))
                if cached:
                    self._cache[values] = disposition
            rows.setdefault(disposition, []).append(i)
        if len(rows) == 1:
            return [(disposition, columns) for disposition in rows]
        return [(disposition, columns.take(numbers)) for disposition, numbers in rows.items()]


class Router:
    """All routes of one configuration.

    ``listeners`` maps a listener's name to its ``intake`` or None.
    """

    def __init__(
        self,
        *,
        routes: Sequence[RouteLike],
        intakes: Mapping[str, IntakeLike],
        listeners: Mapping[str, str | None],
        sources: Sequence[SourceLike] = (),
        unrouted: UnroutedLike,
        timezone: tzinfo,
    ) -> None:
        self._routes = routes
        self._intakes = intakes
        self._listeners = listeners
        self._sources = sources
        self._unrouted = unrouted
        self._timezone = timezone
        self._route_index = NetworkIndex(route.source for route in routes)
        self._source_index = NetworkIndex(entry.source for entry in sources)
        self._conditions: dict[int, tuple[Conditions, Conditions | None]] = {}
        self._profiles: dict[tuple[object, ...], Profile] = {}

    def profile(
        self, listener: str, address: Address | None, client: Sequence[str] = (), host: str | None = None
    ) -> Profile:
        """What is decided for a peer before it has sent anything. The same peer always gets the same profile.
        ``host`` is one behind the relay that the peer is."""
        zone = self.zone(address, host)
        candidates = tuple(self._candidates(listener, address, client))
        key = (candidates, zone, listener if self._listeners.get(listener) else None)
        profile = self._profiles.get(key)
        if profile is None:
            self._profiles[key] = profile = Profile(tuple(self._rules(candidates, listener, zone)))
        return profile

    def zone(self, address: Address | None, host: str | None = None) -> tzinfo:
        """The zone of a source's times: of the first entry in ``sources`` that names one, else the gateway's. A
        ``host`` behind a relay has that of the relay where it has none of its own."""
        entries = self._entries(address)
        zones = [entry.timezone for entry in entries if _about(entry, host)] if host else []
        zones += [entry.timezone for entry in entries if not entry.hostname]
        return next((zone for zone in zones if zone is not None), self._timezone)

    def known(self, address: Address | None, host: str | None = None) -> Known:
        """What is said of a source: each property by the first entry that has it."""
        entries = [entry for entry in self._entries(address) if _about(entry, host)]
        return Known(
            name=next((entry.name for entry in entries if entry.name is not None), None),
            relay=host is None and any(entry.relay for entry in entries),
            expect=next((entry.expect for entry in entries if entry.expect is not None), None),
            limit=next((entry.limit for entry in entries if entry.limit is not None), None),
            sequence=any(entry.sequence for entry in entries),
        )

    def awaited(self) -> dict[Address, Known]:
        """Sources of one address that are expected to be heard of, whether they ever were or not."""
        single = {
            network.network_address
            for entry in self._sources if entry.expect is not None and not entry.hostname
            for network in entry.source if network.prefixlen == network.max_prefixlen
        }  # fmt: skip
        return {address: self.known(address) for address in single}

    def _entries(self, address: Address | None) -> list[SourceLike]:
        return [self._sources[number] for number in self._source_index.rules_for(address)]

    def _candidates(self, listener: str, address: Address | None, client: Sequence[str]) -> Iterable[tuple[int, bool]]:
        """The routes that can match a frame of the peer, up to the first that must, and whether the route's ``except``
        can hold for this peer."""
        own = self._listeners.get(listener) is not None
        for number in self._route_index.rules_for(address):
            route = self._routes[number]
            if own and not route.listener:
                continue
            if not of_peer(route, listener, address, client):
                continue
            conditions, exception = self._compiled(number, route)
            excepted = route.except_ is not None and of_peer(route.except_, listener, address, client)
            if excepted and exception is not None and not exception.needs:
                continue
            yield number, excepted
            if not excepted and not conditions.needs:
                return

    def _compiled(self, number: int, route: RouteLike) -> tuple[Conditions, Conditions | None]:
        if number not in self._conditions:
            self._conditions[number] = (Conditions(route), Conditions(route.except_) if route.except_ else None)
        return self._conditions[number]

    def _rules(self, candidates: tuple[tuple[int, bool], ...], listener: str, zone: tzinfo) -> Iterable[Rule]:
        for number, excepted in candidates:
            route = self._routes[number]
            conditions, exception = self._compiled(number, route)
            yield Rule(conditions, exception if excepted else None, self._disposition(route, zone))
            if not excepted and not conditions.needs:
                return
        if intake := self._listeners.get(listener):
            yield Rule(_ALWAYS, None, self._deliver(f"listener {listener}", intake, zone))
        elif self._unrouted.kind == "intake" and self._unrouted.intake:
            yield Rule(_ALWAYS, None, self._deliver("unrouted", self._unrouted.intake, zone))
        else:
            kind = "drop" if self._unrouted.kind == "drop" else "hold"
            yield Rule(_ALWAYS, None, Disposition(kind, "unrouted", zone=zone))

    def _disposition(self, route: RouteLike, zone: tzinfo) -> Disposition:
        copy_to = tuple(route.copy_to)
        if route.intake is None:
            return Disposition("drop", route.name, zone=zone, copy_to=copy_to)
        return self._deliver(
            route.name, route.intake, route.timezone or zone, payload=route.payload, timestamp=route.timestamp,
            copy_to=copy_to,
        )  # fmt: skip

    def posted(self, listener: str, intake: str) -> Disposition:
        """Of events that come ready made for an intake: they are passed on as they are."""
        return self._deliver(f"listener {listener}", intake, self._timezone, payload="raw")

    def _deliver(
        self,
        route: str,
        name: str,
        zone: tzinfo,
        *,
        payload: str | None = None,
        timestamp: str | None = None,
        copy_to: tuple[object, ...] = (),
    ) -> Disposition:
        """Precedence for payload and time: route, intake, format, default."""
        intake = self._intakes[name]
        of_format = formats.find(intake.format) if intake.format else None
        given = payload or intake.payload
        return Disposition(
            kind="deliver",
            route=route,
            intake=name,
            payload=given or (of_format.payload if of_format else "message"),
            encoding=intake.encoding,
            timestamp=timestamp or intake.timestamp or (of_format.timestamp if of_format else "event"),
            zone=zone,
            copy_to=copy_to,
            format=of_format.name if of_format else None,
            endpoint=intake.endpoint,
            refined=of_format is not None and given is None,
        )


def _about(entry: SourceLike, host: str | None) -> bool:
    """Whether an entry is about a sender itself (None), or about a host behind it."""
    return globs_match(entry.hostname, host, short=True) if host is not None else not entry.hostname


class _Nothing:
    """No conditions."""

    source: Sequence[Network] = ()
    listener: Sequence[str] = ()
    client_name: Sequence[str] = ()
    hostname: Sequence[str] = ()
    app_name: Sequence[str] = ()
    min_severity: int | None = None
    message = None


_ALWAYS = Conditions(_Nothing())
