"""Compiles routes: from a peer to its profile, and from a frame's fields to its disposition.

Order: first the routes, then the listener's own ``intake:`` (which takes all other frames of that listener), then
``unrouted``. For a listener with an ``intake:``, only routes that name it in ``listener:`` apply.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta, tzinfo
from functools import partial
from typing import NamedTuple, Protocol

from bridge import formats
from bridge.redaction.redactor import RedactionRule, Redactor
from bridge.routing.conditions import Address, Conditions, ConditionsLike, Network, globs_match, peer_matches
from bridge.routing.network_index import NetworkIndex
from bridge.routing.profile import Disposition, Profile, Rule


class RouteLike(ConditionsLike, Protocol):
    """Declares a route, as the configuration has it."""

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
    def mirror_to(self) -> Sequence[object]: ...


class IntakeLike(Protocol):
    """Declares the settings of an intake that affect the form of its events."""

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


class PercentLike(Protocol):
    """Declares a share in percent."""

    @property
    def percent(self) -> int: ...


class SourceLike(Protocol):
    """Declares an entry of ``sources:``, as the configuration has it."""

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
    def alert_if_silent_for(self) -> timedelta | None: ...
    @property
    def alert_if_rate_below(self) -> PercentLike | None: ...
    @property
    def rate_limit(self) -> int | None: ...
    @property
    def detect_gaps(self) -> bool: ...


class Known(NamedTuple):
    """The configured properties of a source."""

    name: str | None = None
    relay: bool = False
    alert_if_silent_for: timedelta | None = None
    "Longest silence that is not reported."
    rate_limit: int | None = None
    "Events per second."
    detect_gaps: bool = False
    "True if the source numbers its messages."
    listed: bool = False
    "True if an entry applies to the source."
    rate_below: int | None = None
    "Percent of its usual rate below which its rate is reported."


class UnroutedLike(Protocol):
    """Declares the handling of frames that no route matches: hold, drop or intake."""

    @property
    def kind(self) -> str: ...
    @property
    def intake(self) -> str | None: ...


class SourceRules(NamedTuple):
    """The rules of an entry of ``redact:``, for the senders in ``source``; no network means every sender."""

    source: Sequence[Network]
    rules: Sequence[RedactionRule]


class TextRules(NamedTuple):
    """Holds the rules of ``redact:``, and what is called when an expression of a route exceeds its match limit."""

    redact: Sequence[SourceRules] = ()
    on_limit: Callable[[str], None] | None = None
    """Called with the name of a route for each message on which one of its expressions exceeds its match limit. Such a
    message does not match."""


class Router:
    """Holds all routes of one configuration.

    ``listeners`` maps a listener's name to its ``intake``, or to None.
    """

    def __init__(
        self, *, routes: Sequence[RouteLike], intakes: Mapping[str, IntakeLike], listeners: Mapping[str, str | None],
        sources: Sequence[SourceLike] = (), unrouted: UnroutedLike, timezone: tzinfo,
        text_rules: TextRules | None = None,
    ) -> None:  # fmt: skip
        self._routes = routes
        self._intakes = intakes
        self._listeners = listeners
        self._sources = sources
        self._unrouted = unrouted
        self._timezone = timezone
        self._route_index = NetworkIndex(route.source for route in routes)
        self._source_index = NetworkIndex(entry.source for entry in sources)
        text_rules = text_rules or TextRules()
        self._redact = text_rules.redact
        self._redact_index = NetworkIndex(entry.source for entry in text_rules.redact)
        self._redactors: dict[tuple[int, ...], Redactor | None] = {(): None}
        self._on_limit = self._counted = text_rules.on_limit
        self._conditions: dict[int, tuple[Conditions, Conditions | None]] = {}
        self._profiles: dict[tuple[object, ...], Profile] = {}

    def profile(
        self, listener: str, address: Address | None, client: Sequence[str] = (), host: str | None = None
    ) -> Profile:
        """Returns the profile of a peer. The same peer always gets the same profile.

        ``host`` is the name of a source behind the relay that the peer is.
        """
        zone = self.zone(address, host)
        candidates = tuple(self._candidates(listener, address, client))
        redactor = self.redactor(address)
        key = (candidates, zone, listener if self._listeners.get(listener) else None, redactor)
        profile = self._profiles.get(key)
        if profile is None:
            rules = tuple(self._rules(candidates, listener, zone))
            self._profiles[key] = profile = Profile(rules, redactor, self.not_counting)
        return profile

    def redactor(self, address: Address | None) -> Redactor | None:
        """Returns what redacts the messages from an address; None if no entry of ``redact:`` applies to it."""
        numbers = tuple(self._redact_index.rules_for(address))
        if numbers not in self._redactors:
            self._redactors[numbers] = Redactor([rule for number in numbers for rule in self._redact[number].rules])
        return self._redactors[numbers]

    def zone(self, address: Address | None, host: str | None = None) -> tzinfo:
        """Returns the time zone of a source: from the first ``sources`` entry that names one, else the gateway's.

        A ``host`` behind a relay without an entry of its own has the relay's zone.
        """
        entries = self._entries(address)
        zones = [entry.timezone for entry in entries if _entry_applies(entry, host)] if host else []
        zones += [entry.timezone for entry in entries if not entry.hostname]
        return next((zone for zone in zones if zone is not None), self._timezone)

    def known(self, address: Address | None, host: str | None = None) -> Known:
        """Returns the configured properties of a source, each from the first entry that sets it."""
        entries = [entry for entry in self._entries(address) if _entry_applies(entry, host)]
        return Known(
            name=next((entry.name for entry in entries if entry.name is not None), None),
            relay=host is None and any(entry.relay for entry in entries),
            alert_if_silent_for=next(
                (entry.alert_if_silent_for for entry in entries if entry.alert_if_silent_for is not None), None
            ),
            rate_limit=next((entry.rate_limit for entry in entries if entry.rate_limit is not None), None),
            detect_gaps=any(entry.detect_gaps for entry in entries),
            listed=bool(entries),
            rate_below=next(
                (entry.alert_if_rate_below.percent for entry in entries if entry.alert_if_rate_below is not None), None
            ),
        )

    def expected_sources(self) -> dict[Address, Known]:
        """Returns the single-address sources with ``alert_if_silent_for``, including those that never sent anything."""
        single = {
            network.network_address
            for entry in self._sources if entry.alert_if_silent_for is not None and not entry.hostname
            for network in entry.source if network.prefixlen == network.max_prefixlen
        }  # fmt: skip
        return {address: self.known(address) for address in single}

    def _entries(self, address: Address | None) -> list[SourceLike]:
        return [self._sources[number] for number in self._source_index.rules_for(address)]

    def _candidates(self, listener: str, address: Address | None, client: Sequence[str]) -> Iterable[tuple[int, bool]]:
        """Yields the routes that can match a frame of the peer, up to the first route that always matches.

        Each comes with a flag: True if the route's ``except`` can apply to this peer.
        """
        has_intake = self._listeners.get(listener) is not None
        for number in self._route_index.rules_for(address):
            route = self._routes[number]
            if has_intake and not route.listener:
                continue
            if not peer_matches(route, listener, address, client):
                continue
            conditions, exception = self._compiled(number, route)
            excepted = route.except_ is not None and peer_matches(route.except_, listener, address, client)
            if excepted and exception is not None and not exception.needs:
                continue
            yield number, excepted
            if not excepted and not conditions.needs:
                return

    def _compiled(self, number: int, route: RouteLike) -> tuple[Conditions, Conditions | None]:
        if number not in self._conditions:
            on_limit = None if self._on_limit is None else partial(self._note_limit, route.name)
            exception = Conditions(route.except_, on_limit) if route.except_ else None
            self._conditions[number] = (Conditions(route, on_limit), exception)
        return self._conditions[number]

    @contextmanager
    def not_counting(self) -> Iterator[None]:
        """Calls ``on_limit`` for no message until the end of the block, because they were counted as they arrived."""
        self._counted = None
        try:
            yield
        finally:
            self._counted = self._on_limit

    def _note_limit(self, route: str) -> None:
        if self._counted is not None:
            self._counted(route)

    def _rules(self, candidates: tuple[tuple[int, bool], ...], listener: str, zone: tzinfo) -> Iterable[Rule]:
        for number, excepted in candidates:
            route = self._routes[number]
            conditions, exception = self._compiled(number, route)
            yield Rule(self._disposition(route, zone), conditions, exception if excepted else None)
            if not excepted and not conditions.needs:
                return
        if intake := self._listeners.get(listener):
            yield Rule(self._deliver(f"listener {listener}", intake, zone))
        elif self._unrouted.kind == "intake" and self._unrouted.intake:
            yield Rule(self._deliver("unrouted", self._unrouted.intake, zone))
        else:
            kind = "drop" if self._unrouted.kind == "drop" else "hold"
            yield Rule(Disposition(kind, "unrouted", zone=zone))

    def _disposition(self, route: RouteLike, zone: tzinfo) -> Disposition:
        mirror_to = tuple(route.mirror_to)
        if route.intake is None:
            return Disposition("drop", route.name, zone=zone, mirror_to=mirror_to)
        return self._deliver(
            route.name, route.intake, route.timezone or zone, payload=route.payload, timestamp=route.timestamp,
            mirror_to=mirror_to,
        )  # fmt: skip

    def keyed_disposition(self, listener: str, intake: str) -> Disposition:
        """Returns the disposition of events that an HTTPS client addresses to an intake by its key.

        They are passed on unchanged.
        """
        return self._deliver(f"listener {listener}", intake, self._timezone, payload="raw")

    def _deliver(
        self, route: str, name: str, zone: tzinfo, *,
        payload: str | None = None, timestamp: str | None = None, mirror_to: tuple[object, ...] = (),
    ) -> Disposition:  # fmt: skip
        """Builds a delivery disposition. Precedence of payload and timestamp: route, intake, format, default.

        ``auto`` is for senders of unknown products, so a format of the intake takes precedence over it.
        """
        intake = self._intakes[name]
        text_format = formats.find(intake.format) if intake.format else None
        explicit_payload = payload or intake.payload
        if text_format is not None and explicit_payload == "auto":
            explicit_payload = None
        return Disposition(
            kind="deliver",
            route=route,
            intake=name,
            payload=explicit_payload or (text_format.payload if text_format else "message"),
            encoding=intake.encoding,
            timestamp=timestamp or intake.timestamp or (text_format.timestamp if text_format else "event"),
            zone=zone,
            mirror_to=mirror_to,
            format=text_format.name if text_format else None,
            endpoint=intake.endpoint,
            refined=text_format is not None and explicit_payload is None,
            chosen=explicit_payload is not None,
        )


def _entry_applies(entry: SourceLike, host: str | None) -> bool:
    """Returns True if an entry is about a sender itself (``host`` is None) or about this host behind it."""
    return globs_match(entry.hostname, host, short=True) if host is not None else not entry.hostname
