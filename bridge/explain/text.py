"""Formats an explanation as text, one value per line. Escapes the control characters of the frame."""

from collections.abc import Collection, Iterator
from textwrap import wrap

from bridge.config.faults import printable
from bridge.explain.decisions import DECISIONS
from bridge.explain.explanation import Explanation
from bridge.explain.field_rule import FieldRule, FieldRules
from bridge.syslog.priorities import named

_MAX_CHARACTERS = 2000
"Maximum number of characters shown of a value."
_WIDTH = 80
_INDENT = " " * 14
"Blanks before a note below a value."
_LABELS = {"structured_data": "data"}
"Labels of fields that are not their names."


def text_of(number: int, explanation: Explanation, *, routed: bool, every_rule: bool = False) -> str:
    """Formats the explanation of frame ``number``. The text ends with a line end.

    The lines below a field say which part of it is a guess or not in the frame. ``every_rule``: name the rule of every
    field, and describe the decisions.
    """
    lines = [f"frame {number}: {explanation.cut.description}"]
    lines += [_line(label, value) for label, value in _origin(explanation, routed)]
    lines += _field_lines(explanation, every_rule)
    lines += [_line(label, value) for label, value in _decision(explanation, routed)]
    lines += [_line(label, value) for label, value in _forms(explanation)]
    lines += [_line("note", note) for note in explanation.every_note]
    if every_rule:
        lines += _decisions(explanation.rules)
    return "\n".join(lines) + "\n"


def _line(label: str, value: str) -> str:
    return f"  {label:<11} {_shown(value)}"


def _origin(explanation: Explanation, routed: bool) -> Iterator[tuple[str, str]]:
    fields, origin = explanation.fields, explanation.origin
    yield "from", f"{origin.source} at listener {origin.listener.name}" if routed else str(origin.source)
    shape = "" if fields["shape"] == fields["format"] else f", shape {fields['shape']}"
    missing = "no syslog header" if shape else "no header could be read"
    yield "format", (missing if fields["format"] == "none" else fields["format"]) + shape


def _field_lines(explanation: Explanation, every_rule: bool) -> Iterator[str]:
    shown: dict[str, str] = {}
    for field, rule in explanation.rules.items():
        rows = list(_values(field, explanation))
        notes = list(_every_note(rule) if every_rule else _guesses(field, rule, shown, is_given=bool(rows)))
        if rows or notes:
            yield from (_line(label, value) for label, value in rows or [(_LABELS.get(field, field), "none")])
            yield from (line for note in notes for line in _wrapped(note))
        if field == "timestamp" and explanation.zone:
            yield _line("zone", explanation.zone)


def _values(field: str, explanation: Explanation) -> Iterator[tuple[str, str]]:
    value = explanation.fields[field]
    if field == "priority":
        yield field, "none" if value is None else f"{value} = {named(value)}"
    elif field == "timestamp":
        yield field, value or "none readable: the time of reception is used"
    elif field == "structured_data":
        for identity, pairs in value.items():
            yield _LABELS[field], " ".join([identity, *(f"{name}={text!r}" for name, text in pairs)])
    elif value is not None:
        yield field, value


def _guesses(field: str, rule: FieldRule, shown: dict[str, str], *, is_given: bool) -> Iterator[str]:
    """Yields the notes for a value that is a guess or not in the frame.

    ``shown``: the field of each text that was shown before. A text is not repeated. The lines of the timestamp and of
    its zone already show some parts that are not in the frame.
    """
    first = shown.setdefault(rule.text, field) if rule.guess else field
    if rule.guess and first == field:
        yield f"guess: {rule.text}"
    elif rule.guess and is_given:
        yield f"guess: as for {first}"
    if field != "timestamp":
        yield from _outside(rule, rule.outside.keys())
    elif rule.guess:
        yield from _outside(rule, rule.outside.keys() - {"time", "zone"})


def _every_note(rule: FieldRule) -> Iterator[str]:
    name = DECISIONS[rule.decision].name
    yield f"{'guess' if rule.guess else 'rule'}: {rule.text} (decision {rule.decision}, {name}; shape {rule.shape})"
    yield from _outside(rule, rule.outside.keys())


def _outside(rule: FieldRule, parts: Collection[str]) -> Iterator[str]:
    for part, text in rule.outside.items():
        if part in parts:
            yield f"not in the frame: {part} {text}"


def _decisions(rules: FieldRules) -> Iterator[str]:
    """Yields the description of each decision that gave a field."""
    for number in sorted({rule.decision for rule in rules.values()}):
        decision = DECISIONS[number]
        source = f" ({decision.source})" if decision.source else ""
        label = f"  {f'decision {number}':<11} "
        yield from wrap(decision.text + source, _WIDTH, initial_indent=label, subsequent_indent=_INDENT)


def _wrapped(note: str) -> list[str]:
    return wrap(_shown(note), _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT + "  ", break_long_words=False)


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
    elif forms.identified is not None and forms.identified.product:
        text_format = f", format {forms.identified.format}" if forms.identified.format else ", no format"
        yield "product", f"{forms.identified.product}{text_format} ({forms.identified.reason})"
    elif forms.identified is not None:
        yield "product", f"not identified ({forms.identified.reason})"


def _shown(value: str) -> str:
    escaped = printable(value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return escaped if len(escaped) <= _MAX_CHARACTERS else f"{escaped[:_MAX_CHARACTERS]}... ({len(escaped)} characters)"
