"""Summarises ``/api/status`` in one sentence with remedies. Status page and terminal show the same text."""

from collections.abc import Iterator
from typing import Any

from bridge.monitoring.alarm_kinds import CRITICAL, DEGRADED, HEALTHY, KINDS

MAX_TRANSIT_SECONDS = 15.0
"Seconds after which a waiting event is mentioned; younger events are still in normal transit."
LATE_SECONDS = 60.0
"Age in seconds from which a waiting event is late, unless its batch may be open for longer."
OVERDUE_SECONDS = 600.0
"""Age in seconds from which a waiting event is a problem whatever the state and pace of its intake, unless its batch
may be open for longer."""
CATCH_UP_SECONDS = 3600.0
"Seconds in which the backlog of an intake may shrink to nothing before this is a problem."
GATEWAY_CLOCK = ("gateway", "unset")
"Alarms of the kind *clock* that concern the gateway's own clock. A *step* is over; its alarm only lasts for an hour."
MAX_ALARMS_PER_KIND = 3
"Alarms of one kind that are listed one by one."
MAX_AFFECTED = 100
"Names that a problem lists as affected."
MAX_ENDED = 20
"Ended alarms that are listed, the latest."
REFUSED_SECONDS = 7200.0
"Seconds for which a client that ``client_names`` refuses is a problem after it was seen, at a precision of an hour."
MAX_MISMATCH_SHARE = 0.1
"Share of an intake's sampled events that may not match its format."

_SPACE = {
    "disk": "free disk space",
    "inodes": "delete small files on the spool's filesystem: it has no free inodes",
    "quota": "raise the quota of the spool's filesystem",
}
"Remedies for a full intake while a fault of the filesystem limits the spool."

_OVERDUE_REMEDY = (
    "no action is needed while the number falls, as after an outage; if the age of the oldest event grows, run"
    ' "syslog-bridge check --connect"'
)

_CHECK_CONNECTION = 'run "syslog-bridge check --connect": it names the step that fails (DNS, firewall, proxy)'
_CHECK_TLS = 'run "syslog-bridge check --connect"; if a proxy inspects TLS, add its CA as extra_ca_file'

JSON = dict[str, Any]


def of(status: JSON) -> JSON:
    """Returns ``state``, ``text``, ``problems``, the worst first, and the latest ended alarms."""
    alarms = [alarm for alarm in status.get("alarms", []) if alarm.get("kind") != "spool"]
    # A spool that cannot be written loses events, and is often the reason for the problems of intakes.
    spool_alarms = [alarm for alarm in status.get("alarms", []) if alarm.get("kind") == "spool"]
    problems = [
        *_alarm_problems(spool_alarms), *_intake_problems(status), *_alarm_problems(alarms), *_source_problems(status),
    ]  # fmt: skip
    problems.sort(key=lambda problem: problem["state"] != CRITICAL)
    if not problems:
        losses = _losses(status)
        since_start = f" Since start: {losses}." if losses else ""
        text = f"Healthy: {_figures(status)}.{since_start}"
        return {"state": HEALTHY, "text": text, "problems": [], "ended": _ended(status)}
    first, others = problems[0], len(problems) - 1
    more = f" And {_number(others, 'more problem')} below." if others else ""
    end = "" if first["text"].endswith((".", "!", "?")) else "."
    text = f"{first['text']}{end}{more}"
    return {"state": first["state"], "text": text, "problems": problems, "ended": _ended(status)}


def _ended(status: JSON) -> list[JSON]:
    """Returns the alarms that have ended, the latest first."""
    rows = [
        {"state": _state(alarm["kind"]), **{key: alarm[key] for key in ("kind", "text", "since", "ended")}}
        for alarm in status.get("ended_alarms", [])
    ]
    return sorted(rows, key=lambda row: str(row["ended"]), reverse=True)[:MAX_ENDED]


def _state(kind: str) -> str:
    return KINDS[kind].state if kind in KINDS else DEGRADED


def _figures(status: JSON) -> str:
    intakes = status.get("intakes", [])
    sources = status.get("sources_count", {}).get("total", len(status.get("sources", [])))
    rates = status.get("rates", {})
    late = [row for row in intakes if (row.get("oldest_seconds") or 0) > MAX_TRANSIT_SECONDS]
    waiting = sum(row.get("backlog_events") or 0 for row in late)
    parts = [_number(sources, "source"), _number(len(intakes), "intake")]
    if "received" in rates:
        parts.append(f"{rates['received']:,.0f} events/s")
    parts.append(f"{_number(waiting, 'event')} waiting" if waiting else "no events waiting")
    return ", ".join(parts)


def _losses(status: JSON) -> str:
    """Returns all losses since the start, for a status without problems; the log has the time of each."""
    kernel_dropped = sum((status.get("kernel_drops") or {}).values())
    dropped = sum(status.get("ledger", {}).get("dropped", {}).values())
    parts = [f"{_number(dropped, 'event')} dropped"] * bool(dropped)
    parts += [f"{_number(kernel_dropped, 'datagram')} dropped by the kernel"] * bool(kernel_dropped)
    return " and ".join(parts)


def _intake_problems(status: JSON) -> Iterator[JSON]:
    for row in status.get("intakes", []):
        name, state, error = row.get("name"), row.get("state"), row.get("last_error")
        # Remove "; check the ..." from the end of the error: the remedy says it.
        error = error and str(error).partition("; check the ")[0]
        events = row.get("backlog_events") or 0
        waiting = f"{_number(events, 'event')} waiting in the spool"
        if error == "not in the configuration":
            yield _problem(
                "unconfigured", f"Intake {name} is not in the configuration: {waiting}",
                "add the intake to the configuration again, or move its events to another intake", [name],
            )  # fmt: skip
        elif state == "parked":
            yield _problem("parked", f"Intake {name} is parked: {error}; {waiting}", _remedy(error), [name])
        elif state == "full":
            why = f": {error}" if error else ""
            fault = status.get("spool", {}).get("fault")
            remedy = _SPACE.get(str(fault), "fix its delivery first, then increase spool.max_size")
            yield _problem("full", f"Intake {name} has used its share of the spool{why}", remedy, [name])
        elif error and state == "backing-off":
            yield _problem("collector", f"Intake {name} cannot deliver: {error}; {waiting}", _remedy(error), [name])
        elif _falls_behind(row):
            text = f"Intake {name} falls behind: {_pace(row)}; {waiting}"
            yield _problem("late", text, _pace_remedy(row, error), [name])
        elif is_overdue(row):
            text = f"Intake {name} has overdue events: {_pace(row)}; {waiting}"
            yield _problem("waiting", text, _OVERDUE_REMEDY, [name])
        elif error:
            yield _problem("delivery", f"Intake {name}: {error}", "", [name])
        sampled, mismatches = row.get("format_sampled") or 0, row.get("format_mismatches") or 0
        if mismatches > sampled * MAX_MISMATCH_SHARE:
            yield _problem(
                "format",
                f"Intake {name}: {mismatches:,} of {sampled:,} sampled events do not match its format, so its parser"
                f" probably cannot read them",
                'run "syslog-bridge explain --payloads" to see which format fits',
                [name],
            )  # fmt: skip


def _falls_behind(row: JSON) -> bool:
    """Returns True if the oldest event of an intake is late, and at the current rates its backlog will not be gone
    within ``CATCH_UP_SECONDS``."""
    if (row.get("oldest_seconds") or 0) <= (row.get("late_after_seconds") or LATE_SECONDS):
        return False
    gained = (row.get("delivered_per_second") or 0) - (row.get("received_per_second") or 0)
    return bool(gained * CATCH_UP_SECONDS < (row.get("backlog_events") or 0))


def overdue_after(row: JSON) -> float:
    """Returns the age in seconds from which an event of an intake is overdue."""
    return max(OVERDUE_SECONDS, float(row.get("late_after_seconds") or 0))


def is_overdue(row: JSON) -> bool:
    """Returns True if the oldest event of an intake is overdue. No state of the intake hides that."""
    return float(row.get("oldest_seconds") or 0) > overdue_after(row)


def _pace(row: JSON) -> str:
    delivered, received = row.get("delivered_per_second") or 0, row.get("received_per_second") or 0
    text = f"it delivers {delivered:,.0f} events/s and receives {received:,.0f}, the oldest event is"
    text = f"{text} {row['oldest_seconds']:,.0f} s old"
    if size := row.get("body_limit_bytes"):
        text += f", and requests are limited to {size:,} bytes because larger ones were refused (413) or cut off"
    return text


def _pace_remedy(row: JSON, error: str | None) -> str:
    if row.get("body_limit_bytes"):
        return "check the limit of request bodies of a proxy in front of the collector, and the line to it"
    if error:
        return _remedy(error)
    return "raise max_request_rate, max_bandwidth or connections_per_intake if they are the limit"


def _remedy(error: str) -> str:
    for sign, remedy in (
        ("answered 401", "put the right intake key into its file"),
        ("answered 403", "put the right intake key into its file"),
        ("answered 404", "check url: and endpoint: of the intake"),
        ("legacy_ciphers", "let the server offer TLS 1.3 or AES-GCM, or set legacy_ciphers: true for the collector"),
        ("no connection within", _CHECK_CONNECTION),
        ("untrusted issuer", _CHECK_TLS),
        ("proxy", "allow this gateway to reach the collector through the proxy"),
        ("not from the collector", "something else answers instead of the collector: allow this gateway to reach it"),
        ("broken off", "something else answers instead of the collector: check the URL and any proxy in between"),
        ("resolve", 'run "syslog-bridge check --connect" and check the DNS settings of this gateway'),
        ("certificate", _CHECK_TLS),
        ("connect", _CHECK_CONNECTION),
        ("progress", _CHECK_CONNECTION),
        ("answered 413", "check the limit of request bodies of a proxy in front of the collector"),
        ("answered 5", "the collector has a fault; delivery resumes by itself when it is back"),
        ("answered 429", "no action needed: delivery is retried; lower max_request_rate if this persists"),
    ):
        if sign in error:
            return remedy
    return "see the log"


def _alarm_problems(alarms: list[JSON]) -> Iterator[JSON]:
    by_kind: dict[str, list[JSON]] = {}
    for alarm in alarms:
        kind = str(alarm.get("kind"))
        # The problems of intakes and sources cover these alarms and those of source clocks, with more detail.
        if kind in ("parked", "full", "waiting") or (kind == "clock" and alarm.get("about") not in GATEWAY_CLOCK):
            continue
        by_kind.setdefault(kind, []).append(alarm)
    for kind, found in by_kind.items():
        for alarm in found[:MAX_ALARMS_PER_KIND]:
            text = str(alarm.get("text"))
            about = [str(alarm.get("about"))]
            remedy = str(alarm.get("remedy") or "")
            yield _problem(kind, text[:1].upper() + text[1:], remedy, about, alarm.get("since"))
        if more := found[MAX_ALARMS_PER_KIND:]:
            text = f"{_number(len(more), 'further alarm')} of this kind: {kind}"
            yield _problem(kind, text, "", [str(alarm.get("about")) for alarm in more])


def _source_problems(status: JSON) -> Iterator[JSON]:
    if unrouted := status.get("unrouted"):
        count = status.get("sources_count", {}).get("unrouted", len(unrouted))
        single = f"Messages from {unrouted[0].get('address')} match no route"
        yield _problem(
            "unrouted", single if count == 1 else f"Messages from {count:,} sources match no route",
            "add a route: the status page has one ready to copy", [str(row.get("address")) for row in unrouted],
        )  # fmt: skip
    # If the configuration names the payload form, the operator has decided.
    if unsent := [row for row in status.get("unsent_structured_data", []) if not row.get("payload_chosen")]:
        yield _unsent_data(unsent, least=len(unsent) < status.get("sources_count", {}).get("unsent_data", 0))
    # A client that has a new certificate does not return under its old names.
    clients = status.get("clients_not_in_client_names", [])
    if refused := [row for row in clients if (row.get("silent_seconds") or 0) < REFUSED_SECONDS]:
        first, more = refused[0], len(refused) - 1
        # The status names only the latest clients of each listener.
        least = "at least " if status.get("clients_not_in_client_names_count", 0) > len(clients) else ""
        names = ", ".join(first.get("names") or []) + (f" and {least}{more:,} more" if more else "")
        yield _problem(
            "client_names", f"Clients that client_names refuses: {names}",
            f'add "{first.get("pattern")}" to client_names of listener {first.get("listener")}',
            [", ".join(row.get("names") or []) for row in refused],
        )  # fmt: skip
    if clocks := status.get("clocks"):
        count = status.get("sources_count", {}).get("clock", len(clocks))
        first, names_of = clocks[0], [str(row.get("name") or row.get("address")) for row in clocks]
        if count == 1:
            text = f"The clock of {first.get('name') or first.get('address')} is off: {first.get('text')}"
            yield _problem("clock", text, str(first.get("remedy") or ""), names_of)
        else:
            text = f"The clocks of {count:,} sources are off"
            yield _problem("clock", text, "see the remedy of each source below", names_of)


def _unsent_data(rows: list[JSON], *, least: bool) -> JSON:
    first, count = rows[0], len(rows)
    source = str(first.get("name") or first.get("address"))
    of = source if count == 1 else f"{'at least ' * least}{_number(count, 'source')}"
    product = f"format: {first['format']} if it is of that product, else " if first.get("format") else ""
    return _problem(
        "structured_data", f"Events do not have the structured data of {of} ({', '.join(first.get('ids', []))})",
        f"set {product}payload: auto for intake {first.get('intake')}; payload: message keeps its events as they are",
        [str(row.get("name") or row.get("address")) for row in rows],
    )  # fmt: skip


def _problem(kind: str, text: str, remedy: str, affected: list[str], since: str | None = None) -> JSON:
    return {
        "state": _state(kind), "kind": kind, "text": text, "remedy": remedy, "since": since,
        "affected": affected[:MAX_AFFECTED],
    }  # fmt: skip


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
