"""The road of one frame, with everything that is decided on it. The road's own four verbs; nothing is decided here."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from bridge import batching, formats
from bridge.batching import GroupLimits, Window
from bridge.batching.groups import NO_TIME
from bridge.batching.payload import fields as fields_of
from bridge.config import Config, Listener
from bridge.explain import payloads, reasons
from bridge.explain.frames import Cut
from bridge.routing import Disposition, Facts, Router
from bridge.routing.conditions import Address
from bridge.syslog import parser
from bridge.syslog.fast.columns import FIELDS, parse_all
from bridge.syslog.frames import block_of
from bridge.syslog.timestamps import TimeReader, milliseconds, rfc3339

_ALL_FIELDS = frozenset(FIELDS)


@dataclass(slots=True)
class Explanation:
    """What becomes of one frame."""

    cut: Cut
    listener: str
    source: Address | None
    fields: dict[str, Any]
    "The header and the message, as the payload form ``json`` has them."
    disposition: Disposition | None
    "None: no route was asked."
    passed_over: list[tuple[str, str]]
    "Routes before the one that matched, and why they did not."
    zone: str
    "Of the time, and where it comes from; empty where there is no time."
    event: bytes | None = None
    "As ``/plain/batch`` carries it."
    event_timestamp: str | None = None
    notes: list[str] = field(default_factory=list)
    "What is unusual about it."
    forms: dict[str, bytes] | None = None
    "The event in every payload form, where it was asked for."
    body_limit: list[str] = field(default_factory=list)
    "Those of the forms that look like the intake's format."
    look_alikes: list[str] = field(default_factory=list)
    "Where the intake has no format: formats whose event of the frame would look like them."


class Explainer:
    """Explains the frames of one sender. ``strict``: what the listener's ``allow`` refuses is refused here too;
    ``payloads``: every payload form is shown; ``client``: what the sender's certificate calls it; ``router``: the
    configuration's, where it is compiled already; ``host``: the source behind a relay, whose address ``source`` is;
    ``most_reasons``: routes passed over that are told of, None: all."""

    def __init__(
        self,
        config: Config,
        *,
        listener: Listener,
        source: Address | None,
        received: datetime,
        strict: bool,
        payloads: bool = False,
        client: tuple[str, ...] = (),
        router: Router | None = None,
        host: str | None = None,
        most_reasons: int | None = None,
    ) -> None:
        self._config = config
        self._listener = listener
        self._source = source
        self._received = received
        self._router = router or Router(
            routes=config.routes,
            intakes=config.intakes,
            listeners={known.name: known.intake for known in config.listeners},
            sources=config.sources,
            unrouted=config.unrouted,
            timezone=config.timezone,
        )
        self._client = client
        self._profile = self._router.profile(listener.name, source, client, host)
        self._refused = strict and not _allows(listener, source)
        self._payloads = payloads
        self._most_reasons = most_reasons
        self._reader = TimeReader()
        past, future = config.timestamps.max_past, config.timestamps.max_future
        self._limits = GroupLimits(
            resolution_ms=int(config.batch.timestamp_resolution.total_seconds() * 1000),
            window=Window(
                None if past is None else int(past.total_seconds() * 1000),
                None if future is None else int(future.total_seconds() * 1000),
            ),
        )

    def explain(self, cut: Cut) -> Explanation | None:
        """What becomes of one frame; None: it holds nothing, so it is none."""
        columns = parse_all(block_of([cut.frame]), _ALL_FIELDS)
        if not columns.count:
            return None
        if cut.trouble or self._refused:
            refused = f"listener {self._listener.name} refuses {self._source}: it is not in its allow"
            return self._explanation(cut, None, [], [cut.trouble or refused])
        facts = Facts(*(columns[name][0] for name in Facts._fields))
        ((disposition, part),) = self._profile.assign(columns)
        over = reasons.passed_over(
            self._config, listener=self._listener.name, address=self._source, client=self._client, facts=facts,
            route=disposition.route,
        )  # fmt: skip
        explanation = self._explanation(cut, disposition, list(islice(over, self._most_reasons)), [])
        if disposition.kind == "deliver":
            grouped = batching.group(
                part, disposition, reader=self._reader, received_ms=milliseconds(self._received),
                peer=str(self._source or "-").encode(), listener=self._listener.name, limits=self._limits,
            )  # fmt: skip
            _add_event(explanation, grouped)
        if self._payloads:
            self._add_forms(explanation, disposition)
        return explanation

    def _add_forms(self, explanation: Explanation, disposition: Disposition) -> None:
        zone = disposition.zone or self._router.zone(self._source)
        around = payloads.FrameContext(
            self._received, str(self._source or "-").encode(), zone, listener=self._listener.name,
            route=disposition.route, intake=disposition.intake, limits=self._limits,
        )  # fmt: skip
        frame = explanation.cut.frame
        explanation.forms = payloads.every_form(frame, around)
        if disposition.format is None:
            explanation.look_alikes = [one.name for one in payloads.look_alikes(frame, around)]
            return
        chosen = formats.find(disposition.format)
        explanation.body_limit = [form for form, event in explanation.forms.items() if chosen.fits(event)]

    def _explanation(
        self, cut: Cut, disposition: Disposition | None, over: list[tuple[str, str]], notes: list[str]
    ) -> Explanation:
        zone = (disposition and disposition.zone) or self._router.zone(self._source)
        return Explanation(
            cut=cut,
            listener=self._listener.name,
            source=self._source,
            fields=fields_of(cut.frame, self._received, zone),
            disposition=disposition,
            passed_over=over,
            zone=self._zone(cut.frame, str(zone), disposition),
            notes=notes,
        )

    def _zone(self, frame: bytes, zone: str, disposition: Disposition | None) -> str:
        parts = parser.read(frame)
        if not parts.second:
            return ""
        if parts.offset:
            return f"{parts.offset.decode()}, in the message"
        return f"{zone}, {reasons.origin_of_zone(self._config, self._source, disposition)}"


def _add_event(explanation: Explanation, grouped: batching.Grouped) -> None:
    for group in grouped.groups:
        explanation.event = group.events()[0]
        explanation.event_timestamp = None if group.earliest == NO_TIME else rfc3339(group.earliest)
    notes = explanation.notes
    if grouped.mismatched and explanation.disposition:
        notes.append(
            f"the event does not look like the intake's format {explanation.disposition.format}: probably nobody "
            "parses it; --payloads shows every form"
        )
    if grouped.oversize:
        notes.append("the event is longer than the collector takes (250 KiB): quarantined as oversize")
    if grouped.outside:
        notes.append("the time is outside timestamps: max_past, max_future: the time of reception instead")
    if grouped.converted:
        notes.append("the text is no UTF-8: converted")
    if grouped.emptied:
        notes.append("the message shows nothing: sent with its structured data, or whole")


def _allows(listener: Listener, source: Address | None) -> bool:
    return listener.allow is None or (
        source is not None
        and any(source.version == network.version and source in network for network in listener.allow)
    )


def as_json(explanation: Explanation, *, routed: bool = True) -> dict[str, object]:
    """The contract's fields. ``routed`` false: there is no configuration, so no route and no intake to name."""
    disposition = explanation.disposition
    delivered = disposition is not None and disposition.kind == "deliver"
    return (
        explanation.fields
        | {
            "listener": explanation.listener,
            "route": disposition.route if disposition and routed else None,
            "intake": disposition.intake if disposition and routed else None,
            "payload": disposition.payload if disposition and delivered else None,
            "event": None if explanation.event is None else explanation.event.decode("utf-8", "surrogateescape"),
            "event_timestamp": explanation.event_timestamp,
        }
        | _forms_as_json(explanation)
    )


def _forms_as_json(explanation: Explanation) -> dict[str, object]:
    if explanation.forms is None:
        return {}
    disposition = explanation.disposition
    return {
        "intake_format": disposition.format if disposition else None,
        "payloads": {form: event.decode("utf-8", "surrogateescape") for form, event in explanation.forms.items()},
        "fitting": explanation.body_limit,
        "look_alikes": explanation.look_alikes,
    }
