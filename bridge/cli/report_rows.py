"""Prints a report's volumes per day and its operator actions as text, CSV or JSON, and a whole report as JSON."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from bridge.accounting import UNROUTED
from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report.actions import UNFINISHED, Action
from bridge.accounting.report.rows import Report, ReportRow
from bridge.accounting.report.volumes import OTHERS
from bridge.cli.options import aligned
from bridge.config.faults import printable

BY_INTAKE, BY_SOURCE = "intake", "source"
SHOWN_SOURCES = 50
"Sources of one day that the text shows; CSV and JSON have all that the journal has."

_HEADS = {
    BY_INTAKE: ("day", "intake", "received", "delivered", "dropped", "delivered_bytes"),
    BY_SOURCE: ("day", "listener", "address", "name", "received", "estimated_bytes"),
}
_ACTION_HEADS = ("time", "ended", "user", "command", "arguments", "state", "result")

Row = Sequence[object]


def heads(by: str) -> Sequence[str]:
    """Returns the column names of the volumes per day."""
    return _HEADS[by]


def volume_rows(report: Report, by: str, intake: str | None, *, most: int | None = None) -> Iterator[Row]:
    """Yields the rows of the volumes per day, the oldest day first. ``most``: sources per day; the rest is added up."""
    volumes = report.volumes
    if by == BY_INTAKE:
        for (day, name), volume in sorted(volumes.intakes.items()):
            if intake in (None, name):
                yield str(day), name, volume.received, volume.delivered, volume.dropped, volume.size
        return
    for day in sorted(volumes.sources):
        rows = volumes.source_rows(day)
        listed = [row for row in rows if row[0] != OTHERS]
        for (listener, address, name), sent in listed[:most]:
            yield str(day), listener, address, name, sent.events, sent.size
        rest = [volume for source, volume in rows if source == OTHERS]
        rest += [] if most is None else [volume for _, volume in listed[most:]]
        if rest:
            yield str(day), "", "(others)", "", sum(each.events for each in rest), sum(each.size for each in rest)


def volumes_as_text(report: Report, by: str, intake: str | None) -> Iterator[str]:
    """Yields a table of the volumes per day."""
    rows = list(volume_rows(report, by, intake, most=SHOWN_SOURCES))
    if not rows:
        late = "; the journal gets the sources at each full hour, and when the bridge stops" if by == BY_SOURCE else ""
        yield f"no events in this period{late}"
        return
    names = [head.replace("_", " ") for head in _HEADS[by]]
    texts = 2 if by == BY_INTAKE else 4
    cells = [["(no intake)" if cell == UNROUTED else printable(str(cell)) for cell in row[:texts]] for row in rows]
    numbers = [[f"{cell:,}" for cell in row[texts:]] for row in rows]
    # The texts are aligned to the left, the numbers to the right.
    left = aligned([names[:texts], *cells])
    width = max(map(len, left))
    yield from aligned(
        [(head.ljust(width), *row) for head, row in zip(left, [names[texts:], *numbers], strict=True)], numbers=True
    )


def action_rows(report: Report) -> Iterator[Row]:
    """Yields the rows of the operator actions, the oldest first."""
    for action in report.actions.all():
        yield action.time, action.ended or "", action.who, command_name(action), _arguments(action), *_outcome(action)


def actions_as_text(report: Report) -> Iterator[str]:
    """Yields two lines for each operator action."""
    for action in report.actions.all():
        state, result = _outcome(action)
        arguments = _arguments(action)
        yield f"{action.time}  {printable(action.who)}"
        yield printable(f"    {command_name(action)}{arguments and f' {arguments}'}: {state}{result and f', {result}'}")
    if report.actions.left_out:
        yield f"{report.actions.left_out:,} older actions are left out"
    if not report.actions.all():
        yield "no operator actions in this period"


def action_heads() -> Sequence[str]:
    """Returns the column names of the operator actions."""
    return _ACTION_HEADS


def command_name(action: Action) -> str:
    """Returns a command as it is typed, such as ``spool purge``."""
    return "key set" if action.command == "key" else action.command.replace("-", " ")


def as_csv(heads: Sequence[str], rows: Iterator[Row]) -> str:
    """Returns CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return out.getvalue()


def as_json(heads: Sequence[str], rows: Iterator[Row]) -> str:
    """Returns a JSON array with one object per row."""
    return json.dumps([dict(zip(heads, row, strict=True)) for row in rows], indent=2)


def actions_as_json(report: Report) -> str:
    """Returns the operator actions as a JSON array, with all that the journal has about their users."""
    return json.dumps(list(map(_action, report.actions.all())), indent=2)


def report_as_json(
    report: Report, journal: JournalReader, *, verdict: str, limits: Sequence[str], intake: str | None
) -> str:  # fmt: skip
    """Returns the report as one JSON object. ``intake``: it has only this intake."""
    by_source = volume_rows(report, BY_SOURCE, None) if intake is None else []
    return json.dumps(
        {
            "intakes": {name: _row(row) for name, row in report.rows.items()},
            "total": _row(report.total()),
            "quarantine": {"begin": report.quarantine_begin, "end": report.quarantine_end},
            "kernel_drops": {name: count for name, count in report.kernel_drops.items() if count},
            "starts": list(map(asdict, report.starts)),
            "days_by_intake": [dict(zip(_HEADS[BY_INTAKE], row, strict=True))
                               for row in volume_rows(report, BY_INTAKE, intake)],
            "days_by_source": [dict(zip(_HEADS[BY_SOURCE], row, strict=True)) for row in by_source],
            "actions": list(map(_action, report.actions.all())),
            "chain": {"intact": not journal.fault_count, "lines": journal.lines, "last_hash": journal.last_chain,
                      "verdict": verdict},
            "limits": list(limits),
        },
        indent=2,
    )  # fmt: skip


def _row(row: ReportRow) -> dict[str, Any]:
    names = {
        "carried": "carried_over", "taken": "taken_over", "handed": "handed_over", "moved": "moved_here",
        "again": "queued_again", "twice": "sent_twice", "possible": "possible_duplicates", "size": "delivered_bytes",
        "reasons": "refused_reasons",
    }  # fmt: skip
    return {names.get(each.name, each.name): getattr(row, each.name) for each in fields(row)}


def _action(action: Action) -> dict[str, Any]:
    state, result = _outcome(action)
    return {
        "time": action.time, "ended": action.ended, "command": command_name(action), "state": state, "result": result,
        "arguments": dict(action.arguments), "who": action.who, **action.user,
    }  # fmt: skip


def _outcome(action: Action) -> tuple[str, str]:
    if action.state == UNFINISHED:
        return "not ended", "it still runs, or the process was killed or stopped"
    return action.state, action.result


def _arguments(action: Action) -> str:
    return " ".join(
        f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in action.arguments.items()
    )
