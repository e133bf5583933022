"""Formats an explanation as text, one value per line. Escapes the control characters of the frame."""

from collections.abc import Iterator

from bridge.config.faults import printable
from bridge.explain.explanation import Explanation
from bridge.syslog.priorities import named

_MAX_CHARACTERS = 2000
"Maximum number of characters shown of a value."


def text_of(number: int, explanation: Explanation, *, routed: bool) -> str:
    """Formats the explanation of frame ``number``. The text ends with a line end."""
    lines = [f"frame {number}: {explanation.cut.description}"]
    lines += [f"  {name:<11} {_shown(value)}" for name, value in _rows(explanation, routed)]
    return "\n".join(lines) + "\n"


def _rows(explanation: Explanation, routed: bool) -> Iterator[tuple[str, str]]:
    fields = explanation.fields
    origin = explanation.origin
    yield "from", f"{origin.source} at listener {origin.listener.name}" if routed else str(origin.source)
    shape = "" if fields["shape"] == fields["format"] else f", shape {fields['shape']}"
    yield "format", ("no header could be read" if fields["format"] == "none" else fields["format"]) + shape
    yield "priority", "none" if fields["priority"] is None else f"{fields['priority']} = {named(fields['priority'])}"
    yield "timestamp", fields["timestamp"] or "none readable: the time of reception is used"
    if explanation.zone:
        yield "zone", explanation.zone
    for name in ("hostname", "app_name", "procid", "msgid"):
        if fields[name] is not None:
            yield name, fields[name]
    for identity, pairs in fields["structured_data"].items():
        yield "data", " ".join([identity, *(f"{name}={value!r}" for name, value in pairs)])
    yield "msg", fields["msg"]
    yield from _decision(explanation, routed)
    yield from _forms(explanation)
    for note in explanation.notes:
        yield "note", note


def _decision(explanation: Explanation, routed: bool) -> Iterator[tuple[str, str]]:
    disposition = explanation.disposition
    if disposition is None:
        yield "route", "not routed and not delivered; see the note"
        return
    if routed:
        for name, reason in explanation.passed_over:
            yield "no match", f"{name}: {reason}"
    if disposition.kind == "drop":
        unrouted = disposition.route == "unrouted"
        yield "route", "no route matches: dropped as unrouted" if unrouted else f"{disposition.route}: dropped"
        return
    if disposition.kind == "hold":
        yield "route", "no route matches: held in quarantine until a route matches"
        return
    if routed:
        yield "route", "no route matches: unrouted" if disposition.route == "unrouted" else disposition.route
        yield "intake", str(disposition.intake)
    refined = f", as set by format {disposition.format}" if disposition.refined else ""
    yield "payload", disposition.payload + refined
    if explanation.event is not None:
        yield "event", explanation.event.decode("utf-8", "backslashreplace")
        timestamp = explanation.event_timestamp
        setting = "" if disposition.timestamp == "event" else f" (timestamp: {disposition.timestamp})"
        yield "event time", f"{timestamp or 'not sent'}{setting}"


def _forms(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Yields the event in every payload form, if requested. A star marks the forms that match the intake's format."""
    forms = explanation.forms
    if forms is None:
        return
    for form, event in forms.events.items():
        yield f"{'*' if form in forms.matching else ' '} {form}", event.decode("utf-8", "backslashreplace")
    format_name = explanation.disposition.format if explanation.disposition else None
    if format_name:
        yield "* matches", f"{', '.join(forms.matching) or 'no payload form'}, for format {format_name}"
    elif forms.look_alikes:
        yield "may match", f"format {', '.join(forms.look_alikes)} (hints only; choose by the sender's product)"
    else:
        yield "may match", "no known format"


def _shown(value: str) -> str:
    escaped = printable(value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return escaped if len(escaped) <= _MAX_CHARACTERS else f"{escaped[:_MAX_CHARACTERS]}... ({len(escaped)} characters)"
