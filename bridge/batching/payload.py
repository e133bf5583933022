"""The payload forms: what text the collector gets for a frame (DESIGN, "Payload forms").

========== ==========================================================
message    MSG alone, from its first non-blank
content    tag and MSG: ``sshd[123]: text``
device     all after the PRI, as sent
line       ``ISO-time HOST TAG: MSG``
structured ``MSGID [SD] MSG``
raw        the whole frame
rfc5424    a clean RFC 5424 line: resolved time, the peer where there is no host
json       one object of the fields that ``explain`` shows
========== ==========================================================

An event that would be empty is sent as ``structured`` and, without structured data, as ``raw``.

A text format may refine its form by a rule: rows that take another form, and edits of the text (``bridge.formats``).
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from bridge.formats import FormatRule
from bridge.syslog import parser
from bridge.syslog.fast.columns import Columns
from bridge.syslog.message import of_header
from bridge.syslog.timestamps import rfc3339

AS_READ = {"message": "text", "content": "content", "device": "device", "raw": "raw"}
"Forms that are one column of the read."

FORMS = (*AS_READ, "line", "structured", "rfc5424", "json")

_BLANK = b" \t"
_DEFAULT_PRIORITY = b"13"  # RFC 3164 section 4.3.3: user.notice for a message without PRI


def refined(
    rule: FormatRule,
    form: str,
    columns: Columns,
    *,
    times: Sequence[int],
    peer: bytes,
    zone: tzinfo,
    received_ms: int,
    about: dict[str, str | None],
) -> Sequence[bytes]:
    """One event per row, in the form that the rule chooses for it, else in ``form``, and edited."""
    forms = rule.forms(form, columns)
    made: Sequence[bytes]
    if forms.count(forms[0]) == len(forms):
        made = events(forms[0], columns, times=times, peer=peer, zone=zone, received_ms=received_ms, about=about)
    else:
        by_row = [b""] * len(forms)
        for chosen in set(forms):
            rows = [row for row, name in enumerate(forms) if name == chosen]
            part = events(
                chosen, columns.take(rows), times=[times[row] for row in rows] if times else (), peer=peer, zone=zone,
                received_ms=received_ms, about=about,
            )  # fmt: skip
            for row, event in zip(rows, part, strict=True):
                by_row[row] = event
        made = by_row
    return rule.edited(made, columns.holds_lf)


def events(
    form: str,
    columns: Columns,
    *,
    times: Sequence[int],
    peer: bytes,
    zone: tzinfo,
    received_ms: int,
    about: dict[str, str | None],
) -> Sequence[bytes]:
    """One event per row. ``times`` (ms since the epoch, one per row) is looked at by the forms that show a time;
    ``peer`` stands in for a missing host; ``about`` goes into the ``json`` form."""
    if name := AS_READ.get(form):
        column = columns[name]
        if form == "content" and any(event[:1] in (b" ", b"\t") for event in column):
            column = [event.lstrip(_BLANK) for event in column]
        return column
    if form == "line":
        return [
            b"%s %s %s" % (rfc3339(ms).encode(), host or peer, parser.content_shown(app, procid, msg))
            for ms, host, app, procid, msg in zip(
                times, columns["hostname"], columns["app_name"], columns["procid"], columns["msg"], strict=True
            )
        ]
    if form == "structured":
        return [
            structured(msgid, data, text)
            for msgid, data, text in zip(columns["msgid"], columns["structured_data"], columns["text"], strict=True)
        ]
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
    received = datetime.fromtimestamp(received_ms / 1000, UTC)
    return [
        json.dumps(fields(frame, received, zone) | about, ensure_ascii=True, separators=(",", ":")).encode()
        for frame in columns["raw"]
    ]


def structured(msgid: bytes, data: bytes, text: bytes) -> bytes:
    """``MSGID [SD] MSG``, less what is absent."""
    return b" ".join(part for part in (msgid, data, text) if part)


def instead_of_empty(frame: bytes) -> bytes:
    """The event of a frame whose MSG shows nothing."""
    parts = parser.read(frame)
    if parts.structured_data:
        return structured(parts.msgid, parts.structured_data, b"")
    return frame


def fields(frame: bytes, received: datetime, zone: tzinfo) -> dict[str, object]:
    """The header fields and the message as JSON values; bytes that are no UTF-8 show as lone surrogates."""
    message = of_header(parser.read(frame), received=received, timezone=zone)
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
