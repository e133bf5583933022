"""Finds problems of the sources and of what they send."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from bridge.monitoring.alarm_kinds import DEGRADED, NOTICE
from bridge.monitoring.problems.held import purge_text
from bridge.monitoring.problems.problem import Problem, read_moment
from bridge.monitoring.problems.rejections import rejection_problems
from bridge.monitoring.problems.situation import Situation
from bridge.util.counts import counted, verb

REFUSED_SECONDS = 7200.0
"Seconds for which a client that ``client_names`` refuses is a problem after it was seen, at a precision of an hour."
_MARGIN = timedelta(seconds=10)
"The time of a file in quarantine may be that much later than its oldest message."
MAX_MISMATCH_SHARE = 0.1
"Share of an intake's sampled events that may not match its format."

JSON = dict[str, Any]


def sender_problems(situation: Situation) -> Iterator[Problem]:
    """Yields the problems of all sources."""
    for row in situation.intakes:
        yield from _format(row, situation)
    yield from _unrouted(situation)
    yield from _unsent_data(situation)
    yield from rejection_problems(situation)
    yield from _clients(situation)
    yield from _clocks(situation)


def _name(row: JSON) -> str:
    return str(row.get("name") or row.get("address"))


def _format(row: JSON, situation: Situation) -> Iterator[Problem]:
    name = str(row.get("name"))
    # A status of an older version has only the counts since the start.
    sampled = row.get("format_latest_sampled", row.get("format_sampled")) or 0
    mismatches = row.get("format_latest_mismatches", row.get("format_mismatches")) or 0
    # The problem of a source whose messages have changed says more.
    changed = any(drift.get("intake") == name and drift.get("mismatches") for drift in situation.rows("drifts"))
    if mismatches > sampled * MAX_MISMATCH_SHARE and not changed:
        yield Problem(
            "format",
            f"Intake {name}: {mismatches:,} of the latest {sampled:,} sampled events do not match its format, so its"
            f" parser probably cannot read them",
            'run "syslog-bridge explain --payloads" to see which format fits', affected=(name,),
            about=name, past=f"Events of intake {name} did not match its format",
        )  # fmt: skip


def _unrouted(situation: Situation) -> Iterator[Problem]:
    held = (situation.status.get("quarantine") or {}).get("unrouted")
    # What was held is delivered or purged, and nothing has come since.
    if held != 0 and (rows := situation.rows("unrouted")):
        count = situation.count("unrouted", len(rows))
        if recent := _held_of(rows, situation):
            # Of the sources that are not listed, at most as many as there are further messages are held.
            unlisted = count - len(rows)
            count = len(recent) + (unlisted if held is None else min(unlisted, max(0, held - len(recent))))
            rows = recent
        senders = str(rows[0].get("address")) if count == 1 else counted(count, "source")
        kept = "" if held is None else f": {counted(held, 'message')} {verb(held, 'is', 'are')} held"
        yield Problem(
            "unrouted", f"Messages from {senders} match no route{kept}",
            f'add the route that "syslog-bridge unrouted list" and the status page show; {purge_text("unrouted")}',
            affected=tuple(map(_name, rows)), past=f"Messages from {senders} matched no route",
        )  # fmt: skip
    elif held:
        # Those sources have a route now, or have not sent since the start.
        yield Problem(
            "unrouted", f"{counted(held, 'message')} that matched no route {verb(held, 'is', 'are')} held",
            'run "syslog-bridge unrouted list"; once routes match, run "syslog-bridge unrouted reroute";'
            f" {purge_text('unrouted')}",
            NOTICE, about="held",
        )  # fmt: skip


def _held_of(rows: list[JSON], situation: Situation) -> list[JSON]:
    """Returns the sources that have sent since the oldest held message. Those of others were delivered or purged."""
    held = next((row for row in situation.rows("held") if row["reason"] == "unrouted"), None)
    if held is None or (since := read_moment(held["since"])) is None:
        return rows
    recent = [row for row in rows if (seen := read_moment(row.get("last_seen"))) is None or seen >= since - _MARGIN]
    # Busier sources may have taken all rows of the list.
    return recent or [{"address": address} for address in held["sources"]]


def _unsent_data(situation: Situation) -> Iterator[Problem]:
    """Yields one problem for the sources whose structured data is not sent, unless the configuration names the payload
    form. It is a notice: the events have their text, and many parsers expect nothing else. It is a problem if the text
    of a source is always the same, so that only its data tells its events apart."""
    rows = [row for row in situation.rows("unsent_structured_data") if not row.get("payload_chosen")]
    if not rows:
        return
    rows.sort(key=lambda row: not row.get("same_text"))
    first, count = rows[0], len(rows)
    source = _name(first)
    of = source if count == 1 else counted(count, "source")
    if len(rows) < situation.count("unsent_data", 0) and count > 1:
        of = f"at least {of}"
    product = f"format: {first['format']} if it is of that product, else " if first.get("format") else ""
    text = f"Events do not have the structured data of {of} ({', '.join(first.get('ids', []))})"
    if first.get("same_text"):
        text += f", and all texts of {source} are the same"
    yield Problem(
        "structured_data", text,
        f"set {product}payload: auto for intake {first.get('intake')}; payload: message keeps its events as they are",
        DEGRADED if first.get("same_text") else NOTICE, affected=tuple(map(_name, rows)),
    )  # fmt: skip


def _clients(situation: Situation) -> Iterator[Problem]:
    # A client that has a new certificate does not return under its old names.
    clients = situation.rows("clients_not_in_client_names")
    refused = [row for row in clients if (row.get("silent_seconds") or 0) < REFUSED_SECONDS]
    if not refused:
        return
    first, more = refused[0], len(refused) - 1
    # The status names only the latest clients of each listener.
    least = "at least " if situation.status.get("clients_not_in_client_names_count", 0) > len(clients) else ""
    names = ", ".join(first.get("names") or []) + (f" and {least}{more:,} more" if more else "")
    yield Problem(
        "client_names", f"Clients that client_names refuses: {names}",
        f'add "{first.get("pattern")}" to client_names of listener {first.get("listener")}',
        affected=tuple(", ".join(row.get("names") or []) for row in refused),
    )  # fmt: skip


def _clocks(situation: Situation) -> Iterator[Problem]:
    clocks = situation.rows("clocks")
    if not clocks:
        return
    count, affected = situation.count("clock", len(clocks)), tuple(map(_name, clocks))
    if count == 1:
        text = f"The clock of {affected[0]} is off: {clocks[0].get('text')}"
        remedy = str(clocks[0].get("remedy") or "")
        yield Problem("clock", text, remedy, affected=affected, about="sources", past=text.replace(" is ", " was ", 1))
    else:
        text, past = (f"The clocks of {count:,} sources {are} off" for are in ("are", "were"))
        remedy = '"syslog-bridge status --sources" lists each with its remedy'
        yield Problem("clock", text, remedy, affected=affected, about="sources", past=past)
