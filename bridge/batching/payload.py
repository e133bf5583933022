"""Builds the payload of events: the text that the collector receives for a frame, in one of the payload forms.

========== ==========================================================
message    MSG alone, from its first non-blank
auto       ``message``, or ``structured`` if there is structured data of a vendor (``bridge.syslog.structured_data``)
content    tag and MSG: ``sshd[123]: text``
device     all after the PRI, as sent
line       ``ISO-time HOST TAG: MSG``, with MSG from its first non-blank
structured ``MSGID [SD] MSG``
raw        the whole frame
rfc5424    a normalised RFC 5424 line: resolved time, the peer if HOSTNAME is missing
json       one object with the fields that ``explain`` shows
========== ==========================================================

An event that would be empty is sent as ``structured``, or as ``raw`` if there is no structured data.

A text format may refine its form by a rule, which selects another form for some rows or edits the text (see
``bridge.formats``).
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from bridge.formats import FormatRule
from bridge.syslog import parser
from bridge.syslog.columns import Columns
from bridge.syslog.grammar import content_shown
from bridge.syslog.intake_key import without_key
from bridge.syslog.message import of_header
from bridge.syslog.structured_data import with_data
from bridge.syslog.timestamps import rfc3339

AS_READ = {"message": "text", "auto": "auto", "content": "content", "device": "device", "raw": "raw"}
"Payload forms that are a column of the read."

FORMS = (*AS_READ, "line", "structured", "rfc5424", "json")

_BLANK = b" \t"
_DEFAULT_PRIORITY = b"13"  # RFC 3164 section 4.3.3: user.notice for a message without PRI


class EventContext(NamedTuple):
    """Values of a read's events that are not in its frames."""

    times: Sequence[int]
    "Milliseconds since the epoch, one per row, for the forms that show a time. Empty for the others."
    peer: bytes
    "Replaces a missing HOSTNAME."
    zone: tzinfo
    received_ms: int
    extra_fields: dict[str, str | None]
    "Fields that are added to the ``json`` form."


def refined_events(rule: FormatRule | None, form: str, columns: Columns, context: EventContext) -> Sequence[bytes]:
    """Builds one event per row: in the form that the rule selects for the row, or else in ``form``. The rule then
    edits the text."""
    if rule is None:
        return events(form, columns, context)
    forms = rule.forms(form, columns)
    if forms.count(forms[0]) == len(forms):
        return rule.edited(events(forms[0], columns, context), columns.holds_lf)
    by_row = [b""] * len(forms)
    for chosen in set(forms):
        rows = [row for row, name in enumerate(forms) if name == chosen]
        times = [context.times[row] for row in rows] if context.times else ()
        part = events(chosen, columns.take(rows), context._replace(times=times))
        for row, event in zip(rows, part, strict=True):
            by_row[row] = event
    return rule.edited(by_row, columns.holds_lf)


def events(form: str, columns: Columns, context: EventContext) -> Sequence[bytes]:
    """Builds one event per row."""
    times, peer = context.times, context.peer
    if name := AS_READ.get(form):
        column = columns[name]
        if form == "content" and any(event[:1] in (b" ", b"\t") for event in column):
            column = [event.lstrip(_BLANK) for event in column]
        return column
    if form == "line":
        return [
            b"%s %s %s" % (rfc3339(ms).encode(), host or peer, content_shown(app, procid, text))
            for ms, host, app, procid, text in zip(
                times, columns["hostname"], columns["app_name"], columns["procid"], columns["text"], strict=True
            )
        ]
    if form == "structured":
        parts = columns["msgid"], columns["structured_data"], columns["text"]
        if not any(b"" in column for column in parts):
            return list(map(b" ".join, zip(*parts, strict=True)))
        return list(map(with_data, *parts))
    if form == "rfc5424":
        return [
            b"<%s>1 %s %s %s %s %s %s %s"
            % (pri or _DEFAULT_PRIORITY, rfc3339(ms).encode(), host or peer, app or b"-", procid or b"-", msgid or b"-",
               data or b"-", msg)
            for ms, pri, host, app, procid, msgid, data, msg in zip(
                times, columns["priority"], columns["hostname"], columns["app_name"], columns["procid"],
                columns["msgid"], columns["structured_data"], columns["msg"], strict=True,
            )
        ]  # fmt: skip
    received = datetime.fromtimestamp(context.received_ms / 1000, UTC)
    return [
        json.dumps(fields(frame, received, context.zone) | context.extra_fields, separators=(",", ":")).encode()
        for frame in columns["raw"]
    ]


def replacement_for_empty(frame: bytes) -> bytes:
    """Returns the event of a frame with an empty MSG: its structured data, or the whole frame."""
    parts = parser.read(frame)
    if parts.structured_data:
        return with_data(parts.msgid, parts.structured_data, b"")
    return frame


def fields(frame: bytes, received: datetime, zone: tzinfo) -> dict[str, object]:
    """Returns header fields and message as JSON values. Bytes that are not UTF-8 become lone surrogates."""
    message = of_header(parser.read(without_key(frame)), received=received, timezone=zone)
    return {
        "priority": message.priority,
        "facility": message.facility,
        "severity": message.severity,
        "timestamp": message.timestamp.isoformat() if message.timestamp else None,
        "hostname": message.hostname,
        "app_name": message.app_name,
        "procid": message.procid,
        "msgid": message.msgid,
        "structured_data": message.structured_data,
        "msg": message.msg.decode("utf-8", "surrogateescape"),
        "format": message.format,
        "shape": message.shape,
    }
