"""Explains each decision of the pipeline about one frame.

The explanation uses the functions of the pipeline: parse, route, group and encode. This module decides nothing itself.
"""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from bridge import batching, formats
from bridge.batching.groups import NO_TIME
from bridge.batching.payload import fields as fields_of
from bridge.config import Config, Listener
from bridge.explain import payloads, reasons
from bridge.explain.frames import Cut
from bridge.ingest import from_config as ingest_config
from bridge.routing import Disposition, Facts, Router
from bridge.routing.conditions import Address
from bridge.syslog import parser
from bridge.syslog.columns import FIELDS
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader, milliseconds, rfc3339

_ALL_FIELDS = frozenset(FIELDS)


@dataclass(slots=True)
class Explanation:
    """The decisions of the pipeline about one frame."""

    cut: Cut
    listener: str
    source: Address | None
    fields: dict[str, Any]
    "The header fields and the message, as in the payload form ``json``."
    disposition: Disposition | None
    "None if the frame is rejected or quarantined before routing."
    passed_over: list[tuple[str, str]]
    "Routes before the matching one, each with the reason why it did not match."
    zone: str
    "Time zone of the timestamp and where it is set; empty if there is no timestamp."
    event: bytes | None = None
    "The event as sent to ``/plain/batch``."
    event_timestamp: str | None = None
    notes: list[str] = field(default_factory=list)
    "Texts for the operator about anything unusual in the frame."
    forms: dict[str, bytes] | None = None
    "The event in every payload form, if requested."
    matching_forms: list[str] = field(default_factory=list)
    "Payload forms whose event matches the intake's format."
    look_alikes: list[str] = field(default_factory=list)
    "Names of the formats that the frame's event would match, if the intake has no format."


class Explainer:
    """Explains the frames of one sender.

    ``strict``: reject senders that the listener's ``allow`` rejects. ``payloads``: add every payload form. ``client``:
    the names in the sender's certificate. ``router``: the router of the configuration, if it is already compiled.
    ``host``: the host behind a relay; then ``source`` is the address of the relay. ``max_reasons``: maximum number of
    unmatched routes to give a reason for; None means all.
    """

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
        max_reasons: int | None = None,
    ) -> None:
        self._config = config
        self._listener = listener
        self._source = source
        self._received = received
        self._router = router or ingest_config.router(config)
        self._client = client
        self._profile = self._router.profile(listener.name, source, client, host)
        self._rejected = strict and not _allows(listener, source)
        self._payloads = payloads
        self._max_reasons = max_reasons
        self._reader = TimeReader()
        self._limits = ingest_config.group_limits(config)

    def explain(self, cut: Cut) -> Explanation | None:
        """Explains one frame. Returns None if the frame is empty and therefore not a message."""
        columns = read_columns(block_of([cut.frame]), _ALL_FIELDS)
        if not columns.count:
            return None
        if cut.quarantine_reason or self._rejected:
            rejected = f"listener {self._listener.name} rejects {self._source}, which is not in its allow: list"
            return self._explanation(cut, None, [], [cut.quarantine_reason or rejected])
        facts = Facts(*(columns[name][0] for name in Facts._fields))
        ((disposition, assigned),) = self._profile.assign(columns)
        skipped = reasons.passed_over(
            self._config, listener=self._listener.name, address=self._source, client=self._client, facts=facts,
            route=disposition.route,
        )  # fmt: skip
        explanation = self._explanation(cut, disposition, list(islice(skipped, self._max_reasons)), [])
        if disposition.kind == "deliver":
            grouped = batching.group(
                assigned, disposition, reader=self._reader, received_ms=milliseconds(self._received),
                peer=str(self._source or "-").encode(), listener=self._listener.name, limits=self._limits,
            )  # fmt: skip
            _add_event(explanation, grouped)
        if self._payloads:
            self._add_forms(explanation, disposition)
        return explanation

    def _add_forms(self, explanation: Explanation, disposition: Disposition) -> None:
        zone = disposition.zone or self._router.zone(self._source)
        context = payloads.FrameContext(
            self._received, str(self._source or "-").encode(), zone, listener=self._listener.name,
            route=disposition.route, intake=disposition.intake, limits=self._limits,
        )  # fmt: skip
        frame = explanation.cut.frame
        explanation.forms = payloads.every_form(frame, context)
        if disposition.format is None:
            explanation.look_alikes = [candidate.name for candidate in payloads.look_alikes(frame, context)]
            return
        text_format = formats.find(disposition.format)
        explanation.matching_forms = [form for form, event in explanation.forms.items() if text_format.fits(event)]

    def _explanation(
        self, cut: Cut, disposition: Disposition | None, skipped: list[tuple[str, str]], notes: list[str]
    ) -> Explanation:
        zone = (disposition and disposition.zone) or self._router.zone(self._source)
        return Explanation(
            cut=cut,
            listener=self._listener.name,
            source=self._source,
            fields=fields_of(cut.frame, self._received, zone),
            disposition=disposition,
            passed_over=skipped,
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
            f"the event does not match the intake's format {explanation.disposition.format}, so its parser probably"
            " cannot read it. Use --payloads to see every payload form"
        )
    if grouped.oversize:
        notes.append("the event is longer than the collector accepts (250 KiB): quarantined as oversize")
    if grouped.outside:
        notes.append(
            "the timestamp is out of range (timestamps: max_past, max_future): the time of reception is used instead"
        )
    if grouped.converted:
        notes.append("the text is not UTF-8: converted to UTF-8")
    if grouped.emptied:
        notes.append("the message has no visible text: sent with its structured data, or as the whole frame")


def _allows(listener: Listener, source: Address | None) -> bool:
    return listener.allow is None or (
        source is not None
        and any(source.version == network.version and source in network for network in listener.allow)
    )


def as_json(explanation: Explanation, *, routed: bool = True) -> dict[str, object]:
    """Returns the JSON object that ``explain --json`` prints.

    Route and intake are None if ``routed`` is false, that is, without a configuration.
    """
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
        "fitting": explanation.matching_forms,
        "look_alikes": explanation.look_alikes,
    }
