"""Explains each decision of the pipeline about one frame.

The explanation uses the functions of the pipeline: parse, route, group and encode. This module decides nothing itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from bridge import batching, formats
from bridge.batching.groups import NO_TIME
from bridge.batching.payload import fields as fields_of
from bridge.config import Config, Listener
from bridge.explain import payloads, reasons, time_rules
from bridge.explain.field_rule import FieldRules, Reception
from bridge.explain.frames import Cut
from bridge.explain.products import Identification, identify
from bridge.explain.rules import rules_of
from bridge.ingest import from_config as ingest_config
from bridge.ingest.unsent_data import EXAMINED, unsent_data
from bridge.routing import Disposition, Facts, Router
from bridge.routing.conditions import Address
from bridge.syslog import parser
from bridge.syslog.columns import FIELDS
from bridge.syslog.frames import block_of, list_of
from bridge.syslog.intake_key import masked, without_key
from bridge.syslog.message import of_header
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import rfc3339

_ALL_FIELDS = frozenset(FIELDS)
_KEYED = "the text has an intake key, which is masked here and removed from every payload but raw"


@dataclass(frozen=True, slots=True)
class Origin:
    """The sender of a frame, as the pipeline knows it."""

    listener: Listener
    source: Address | None
    "Address of the sender, or of the relay that it is behind."
    client: tuple[str, ...] = ()
    "Names in the sender's certificate."
    host: str | None = None
    "Host behind the relay."

    @property
    def peer(self) -> bytes:
        """The sender as the events of the payload form ``json`` name it."""
        return str(self.source or "-").encode()

    @property
    def allowed(self) -> bool:
        """True if the listener's ``allow`` accepts the address."""
        source, allow = self.source, self.listener.allow
        return allow is None or (
            source is not None and any(source.version == network.version and source in network for network in allow)
        )


@dataclass(frozen=True, slots=True)
class PayloadForms:
    """The event of a frame in every payload form."""

    events: dict[str, bytes]
    matching: list[str]
    "Payload forms whose event matches the intake's format."
    identified: Identification | None
    "The product of the frame, if the intake has no format."


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decisions of the pipeline about one frame."""

    cut: Cut
    origin: Origin
    fields: dict[str, Any]
    "The header fields and the message, as in the payload form ``json``."
    rules: FieldRules
    "The rule that gave each field."
    disposition: Disposition | None
    "None if the frame is rejected or quarantined before routing."
    zone: str
    "Time zone of the timestamp and where it is set; empty if there is no timestamp."
    passed_over: Sequence[tuple[str, str]] = ()
    "Routes before the matching one, each with the reason why it did not match."
    event: bytes | None = None
    "The event as sent to ``/plain/batch``."
    event_timestamp: str | None = None
    notes: Sequence[str] = ()
    "Texts for the operator about anything unusual in the frame."
    forms: PayloadForms | None = None
    "None if not requested."
    unsent_data: str = ""
    "A text for the operator about structured data that the event does not have. ``why`` has a step of its own for it."

    @property
    def every_note(self) -> list[str]:
        """All texts for the operator, with that about structured data."""
        return [*self.notes, *filter(None, (self.unsent_data,))]


class Explainer:
    """Explains the frames of one sender.

    ``strict``: reject senders that the listener's ``allow`` rejects. ``payloads``: add every payload form. ``router``:
    the router of the configuration, if it is already compiled. ``max_reasons``: maximum number of unmatched routes to
    give a reason for; None means all.
    """

    def __init__(
        self, config: Config, origin: Origin, *, received: datetime, strict: bool, payloads: bool = False,
        router: Router | None = None, max_reasons: int | None = None,
    ) -> None:  # fmt: skip
        self._config = config
        self._origin = origin
        self._received = received
        self._router = router or ingest_config.router(config)
        self._profile = self._router.profile(origin.listener.name, origin.source, origin.client, origin.host)
        self._rejected = strict and not origin.allowed
        self._payloads = payloads
        self._max_reasons = max_reasons
        self._limits = ingest_config.group_limits(config)

    def explain(self, cut: Cut) -> Explanation | None:
        """Explains one frame. Returns None if the frame is empty and therefore not a message.

        Intake keys are masked in everything that the explanation shows.
        """
        cut = cut._replace(frame=masked(cut.frame))
        redacted = self._profile.redactor.redact([cut.frame]) if self._profile.redactor is not None else None
        if redacted is not None and redacted.failed:
            return self._unredacted(cut, redacted.failed[0][1])
        if redacted is not None:
            cut = cut._replace(frame=list_of(redacted.frames)[0])
        columns = read_columns(block_of([cut.frame]), _ALL_FIELDS)
        if not columns.count:
            return None
        origin = self._origin
        if cut.quarantine_reason or self._rejected:
            rejected = f"listener {origin.listener.name} rejects {origin.source}, which is not in its allow: list"
            fields, rules, zone = self._read(cut.frame, None)
            return Explanation(cut, origin, fields, rules, None, zone, notes=[cut.quarantine_reason or rejected])
        facts = Facts(*(columns[name][0] for name in Facts._fields))
        with self._profile.not_counting():
            ((disposition, assigned),) = self._profile.assign(columns)
        skipped = reasons.passed_over(
            self._config, listener=origin.listener.name, address=origin.source, client=origin.client, facts=facts,
            route=disposition.route,
        )  # fmt: skip
        fields, rules, zone = self._read(cut.frame, disposition)
        context = payloads.FrameContext(
            self._received, origin.peer, disposition.zone or self._router.zone(origin.source),
            listener=origin.listener.name, route=disposition.route, intake=disposition.intake, limits=self._limits,
        )  # fmt: skip
        event, timestamp, unsent, notes = None, None, "", [_KEYED] * bool(columns.keyed)
        if redacted is not None and redacted.counts:
            notes.append(f"redacted: {', '.join(f'{rule} ({count})' for rule, count in redacted.counts.items())}")
        if disposition.kind == "deliver":
            grouped = payloads.grouped(assigned, disposition, context)
            notes += _notes(grouped, disposition)
            unsent = self._unsent_data(cut.frame)
            for group in grouped.groups:
                event = group.events()[0]
                timestamp = None if group.earliest == NO_TIME else rfc3339(group.earliest)
        return Explanation(
            cut, origin, fields, rules, disposition, zone, list(islice(skipped, self._max_reasons)), event, timestamp,
            notes, _forms(cut.frame, context, disposition) if self._payloads else None, unsent,
        )  # fmt: skip

    def _unredacted(self, cut: Cut, rule: str) -> Explanation:
        """Explains a frame that a rule of ``redact:`` gave up on, without its text."""
        text = f"redact rule {rule} exceeded its match limit: quarantined as unredacted, not sent"
        cut = cut._replace(frame=b"")
        fields, rules, zone = self._read(cut.frame, None)
        return Explanation(cut, self._origin, fields, rules, None, zone, notes=[text])

    def _unsent_data(self, frame: bytes) -> str:
        """Returns a text if the event does not have the structured data that a vendor's device has written."""
        found = unsent_data(frame, parser.read(frame[:EXAMINED]), self._profile, None, examined=EXAMINED)
        if found is None:
            return ""
        fitting = f"format: {found.format} if the intake is of that product, else " if found.format else ""
        ids, remedy = ", ".join(found.ids), f"set {fitting}payload: auto for the intake to send it"
        return f"the event does not have the structured data ({ids}), because the payload is {found.payload}: {remedy}"

    def _read(self, frame: bytes, disposition: Disposition | None) -> tuple[dict[str, Any], FieldRules, str]:
        """Returns the fields of a frame, their rules, and the zone of the timestamp with its origin."""
        origin, text = self._origin, without_key(frame)
        zone = (disposition and disposition.zone) or self._router.zone(origin.source)
        configured = f"{zone}, {reasons.origin_of_zone(self._config, origin.source, disposition)}"
        header = parser.read(text)
        when = of_header(header, received=self._received, timezone=zone).timestamp
        reception = Reception(
            str(origin.host or origin.source or "unknown"), configured, self._received, origin.peer.decode(),
            disposition.payload if disposition and disposition.kind == "deliver" else "",
        )  # fmt: skip
        rules = rules_of(header, text, when, reception)
        return fields_of(frame, self._received, zone), rules, time_rules.zone_shown(header, configured)


def _forms(frame: bytes, context: payloads.FrameContext, disposition: Disposition) -> PayloadForms:
    events = payloads.every_form(frame, context)
    if disposition.format is None:
        return PayloadForms(events, [], identify([frame]))
    text_format = formats.find(disposition.format)
    return PayloadForms(events, [form for form, event in events.items() if text_format.fits(event)], None)


def _notes(grouped: batching.Grouped, disposition: Disposition) -> list[str]:
    found = (
        (
            grouped.mismatched,
            f"the event does not match the intake's format {disposition.format}, so its parser probably"
            " cannot read it. `syslog-bridge explain --payloads` shows every payload form",
        ),
        (grouped.oversize, "the event is longer than the collector accepts (250 KiB): quarantined as oversize"),
        (
            grouped.outside,
            "the timestamp is out of range (timestamps: max_past, max_future): the time of reception is used instead",
        ),
        (grouped.converted, "the text is not UTF-8: converted to UTF-8"),
        (grouped.emptied, "the message has no visible text: sent with its structured data, or as the whole frame"),
    )
    return [text for applies, text in found if applies]


def as_json(explanation: Explanation, *, routed: bool = True) -> dict[str, object]:
    """Returns the JSON object that ``explain --output json`` prints.

    Route and intake are None if ``routed`` is false, that is, without a configuration.
    """
    disposition = explanation.disposition
    delivered = disposition is not None and disposition.kind == "deliver"
    result = explanation.fields | {
        "listener": explanation.origin.listener.name,
        "route": disposition.route if disposition and routed else None,
        "intake": disposition.intake if disposition and routed else None,
        "payload": disposition.payload if disposition and delivered else None,
        "event": None if explanation.event is None else explanation.event.decode("utf-8", "surrogateescape"),
        "event_timestamp": explanation.event_timestamp,
        "rules": {field: rule.as_json() for field, rule in explanation.rules.items()},
    }
    if (forms := explanation.forms) is not None:
        result |= {
            "intake_format": disposition.format if disposition else None,
            "payloads": {form: event.decode("utf-8", "surrogateescape") for form, event in forms.events.items()},
            "fitting": forms.matching,
            "look_alikes": [forms.identified.format] if forms.identified and forms.identified.format else [],
            "product": forms.identified.product if forms.identified else None,
            "product_reason": forms.identified.reason if forms.identified else None,
        }
    return result
