"""An explanation for people: a few lines a frame, safe for a terminal whatever the frame holds."""

from collections.abc import Iterator

from bridge.config.faults import printable
from bridge.explain.explanation import Explanation
from bridge.syslog.priorities import named

_LONGEST = 2000
"Characters of a value that are shown."


def text_of(number: int, explanation: Explanation, *, routed: bool) -> str:
    """The explanation of the ``number``-th frame, ended by an empty line."""
    lines = [f"frame {number}: {explanation.cut.how}"]
    lines += [f"  {name:<11} {_shown(value)}" for name, value in _rows(explanation, routed)]
    return "\n".join(lines) + "\n"


def _rows(explanation: Explanation, routed: bool) -> Iterator[tuple[str, str]]:
    fields = explanation.fields
    yield "from", f"{explanation.source} at listener {explanation.listener}" if routed else str(explanation.source)
    shape = "" if fields["shape"] == fields["format"] else f", shape {fields['shape']}"
    yield "format", ("no header could be read" if fields["format"] == "none" else fields["format"]) + shape
    yield "priority", "none" if fields["priority"] is None else f"{fields['priority']} = {named(fields['priority'])}"
    yield "timestamp", fields["timestamp"] or "none that can be read: the time of reception counts"
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
        yield "route", "none is asked: it is not delivered"
        return
    if routed:
        for name, why in explanation.passed_over:
            yield "not route", f"{name}: {why}"
    if disposition.kind == "drop":
        unrouted = disposition.route == "unrouted"
        yield "route", "none matches: unrouted, dropped" if unrouted else f"{disposition.route}: dropped, as it says"
        return
    if disposition.kind == "hold":
        yield "route", "none matches: unrouted, held in quarantine until a route comes"
        return
    if routed:
        yield "route", "none matches: unrouted" if disposition.route == "unrouted" else disposition.route
        yield "intake", str(disposition.intake)
    refined = f", as format {disposition.format} refines it" if disposition.refined else ""
    yield "payload", disposition.payload + refined
    if explanation.event is not None:
        yield "event", explanation.event.decode("utf-8", "backslashreplace")
        stamp = explanation.event_timestamp
        origin = "" if disposition.timestamp == "event" else f" (timestamp: {disposition.timestamp})"
        yield "event time", f"{stamp or 'none is sent'}{origin}"


def _forms(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Every payload form, where it was asked for; a star marks what looks like the intake's format."""
    if explanation.forms is None:
        return
    for form, event in explanation.forms.items():
        mark = "*" if form in explanation.body_limit else " "
        yield f"{mark} {form}", event.decode("utf-8", "backslashreplace")
    of_format = explanation.disposition.format if explanation.disposition else None
    if of_format:
        yield "* fits", f"{', '.join(explanation.body_limit) or 'no form'} like {of_format}, as its expression sees it"
    elif explanation.look_alikes:
        yield "like format", f"{', '.join(explanation.look_alikes)}: hints only, the sender's product decides"
    else:
        yield "like format", "none that is known"


def _shown(value: str) -> str:
    text = printable(value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
