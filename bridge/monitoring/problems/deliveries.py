"""Finds what keeps events from being delivered. Intakes that suffer from the same cause are one problem."""

from collections.abc import Iterable, Iterator
from typing import Any

from bridge.deliver.cause import Cause
from bridge.monitoring.alarm_kinds import DEGRADED
from bridge.monitoring.problems.problem import Problem, capital, clock_time, named, read_moment
from bridge.monitoring.problems.remedies import fault_and_remedy, remedy_for
from bridge.monitoring.problems.situation import Situation
from bridge.monitoring.problems.space import full_in, limit_text, remedy_for_space
from bridge.util.counts import counted
from bridge.util.spans import size, span

LATE_SECONDS = 60.0
"Age in seconds from which a waiting event is late, if the status does not name another."
PATIENCE_SECONDS = 3600.0
"Seconds in which a backlog that drains should be gone."

LATELY_SECONDS = 15.0
"Seconds since the latest accepted request within which an intake counts as delivering, whatever its rates."

JSON = dict[str, Any]
_UNREACHABLE = frozenset(cause.value for cause in Cause if cause.unreachable)


def delivery_problems(situation: Situation) -> Iterator[Problem]:
    """Yields the problems of all intakes."""
    rows = situation.intakes
    yield from _full(situation)
    for (kind, _, cause), group in _by_cause(rows).items():
        yield _suspended(kind, cause, group, situation)
    for row in rows:
        if not _fails(row):
            yield from _slow(row, situation)


def is_late(row: JSON) -> bool:
    """Returns True if the oldest event of an intake waits for longer than twice ``max_age`` and a request's time."""
    return float(row.get("oldest_seconds") or 0) > float(row.get("late_after_seconds") or LATE_SECONDS)


def _fails(row: JSON) -> bool:
    """Returns True if the latest requests of an intake have failed, or it is parked."""
    return (row.get("delivery") or row.get("state")) in ("backing-off", "parked")


def _by_cause(rows: Iterable[JSON]) -> dict[tuple[str, str, str | None], list[JSON]]:
    """Groups the intakes that do not deliver by kind of problem, server and cause."""
    groups: dict[tuple[str, str, str | None], list[JSON]] = {}
    unexplained: list[tuple[str, JSON]] = []
    for row in rows:
        if not _fails(row):
            continue
        state, cause, server = row.get("delivery") or row.get("state"), row.get("last_cause"), _server(row)
        if cause == Cause.RETIRED.value:
            groups.setdefault(("unconfigured", "", cause), []).append(row)
        elif state == "parked":
            groups.setdefault(("parked", server, cause or str(row.get("last_error"))), []).append(row)
        elif not row.get("last_error"):
            # It has not tried: the circuit breaker of its URL was opened by another intake.
            unexplained.append((server, row))
        else:
            shared = "unreachable" if cause in _UNREACHABLE else cause or str(row.get("last_error"))
            groups.setdefault(("collector", server, shared), []).append(row)
    for server, row in unexplained:
        found = next((key for key in groups if key[:2] == ("collector", server)), ("collector", server, "unreachable"))
        groups.setdefault(found, []).append(row)
    return groups


def _server(row: JSON) -> str:
    return str(row.get("server") or "")


def _suspended(kind: str, cause: str | None, rows: list[JSON], situation: Situation) -> Problem:
    """Describes intakes that deliver nothing for one cause."""
    worst = max(rows, key=lambda row: row.get("failing_seconds") or 0)
    shown = next((row for row in (worst, *rows) if row.get("last_error")), worst)
    cause_shown = shown.get("last_cause") or (Cause.CONNECTION.value if cause == "unreachable" else None)
    names = [str(row.get("name")) for row in rows]
    error, remedy = fault_and_remedy(str(shown.get("last_error") or "no request was accepted"), cause_shown, *names)
    since = situation.before(worst["failing_seconds"]) if worst.get("failing_seconds") else None
    at = f" since {clock_time(since, situation.taken)}" if since else ""
    waiting, which, verb = _safe(rows, situation), capital(named("intake", names)), "is" if len(rows) == 1 else "are"
    if kind == "unconfigured":
        past = f"{which} {verb} not in the configuration"
        return Problem(kind, f"{past}: {waiting}", remedy_for(cause), affected=tuple(names), past=past)
    if kind == "parked":
        past = f"{which} {verb} parked{at}: {error}"
        text = f"{past}; {waiting}"
    elif cause == "unreachable" and not _is_reached(_server(worst), situation):
        servers = {_server(row) for row in situation.intakes if _server(row)}
        server = f" {_server(worst)}" if len(servers) > 1 else ""
        # Intakes that have not tried know no error: the circuit breaker of their URL is open.
        why = f" ({error})" if shown.get("last_error") else ""
        past = f"Collector{server} unreachable{at}{why}"
        affected = f"intake {names[0]}" if len(rows) == 1 else counted(len(rows), "intake")
        text = f"{past}; {affected}, {waiting}"
    else:
        text = f"{which} cannot deliver{at}: {error}; {waiting}"
        past = text.partition(";")[0]
    return Problem(kind, text, remedy, "", since, tuple(names), about=_server(worst), past=past)


def _is_reached(server: str, situation: Situation) -> bool:
    """Returns True if a server accepts the events of another intake."""
    return any(
        _server(row) == server and not _fails(row) and (row.get("delivered_per_second") or 0) > 0
        for row in situation.intakes
    )


def _safe(rows: list[JSON], situation: Situation) -> str:
    """Describes what waits, and when there is no more room for it."""
    events = sum(row.get("backlog_events") or 0 for row in rows)
    text = f"{counted(events, 'event')} safe on disk"
    if any(row.get("state") == "full" for row in rows):
        return f"{text}; full"
    times = [row["full_in_seconds"] for row in rows if row.get("full_in_seconds") is not None]
    if (spool := situation.spool.get("full_in_seconds")) is not None and not times:
        times.append(spool)
    return f"{text}; {full_in(min(times, default=None))}"


def _full(situation: Situation) -> Iterator[Problem]:
    """Yields a problem for the intakes without room, unless a loss says it already."""
    spool = situation.spool
    losing: set[str] = set()
    for row in situation.losses:
        if row["reason"] in ("spool_full", "disk_full") and row["ended_seconds"] is None:
            losing |= set(row["names"])
    names = [str(row["name"]) for row in situation.intakes if row.get("state") == "full" and row["name"] not in losing]
    if names:
        effect = (
            "senders that can wait are paused, and datagrams are dropped" if spool.get("when_full") == "pause"
            else "the oldest events are dropped for new ones"
        )  # fmt: skip
        has = "has" if len(names) == 1 else "have"
        room = f"{size(spool.get('bytes') or 0)} of {size(spool.get('limit_bytes') or 0)} are used; {limit_text(spool)}"
        text = f"{capital(named('intake', names))} {has} no room left in the spool ({room}): {effect}"
        remedy = f"restore delivery, then {remedy_for_space(spool)}"
        yield Problem("full", text, remedy, affected=tuple(names), past=text.partition(" (")[0])


def _slow(row: JSON, situation: Situation) -> Iterator[Problem]:
    """Yields a problem for an intake that delivers, but too late, or with errors."""
    name, error = str(row.get("name")), row.get("last_error")
    if is_late(row):
        yield _late(row, name, situation)
    elif error and row.get("backlog_events"):
        # Without waiting events nothing fails any more: a refused event is held, which is a problem of its own.
        remedy = remedy_for(row.get("last_cause"), name)
        yield Problem("delivery", f"Intake {name}: {error}", remedy, DEGRADED, affected=(name,), about=name)


def _late(row: JSON, name: str, situation: Situation) -> Problem:
    events, oldest = row.get("backlog_events") or 0, float(row.get("oldest_seconds") or 0)
    delivered, received = row.get("delivered_per_second") or 0, row.get("received_per_second") or 0
    age = f"the oldest event has waited for {span(oldest)}"
    since, past = situation.before(oldest), f"Intake {name} drained its backlog"
    falls = max(delivered - received, -(row.get("backlog_change_per_second") or 0.0))
    if falls > 0 and delivered > 0:
        text = f"Intake {name} drains its backlog: {counted(events, 'event')}, gone in {span(events / falls)}; {age}"
        slow = events > falls * PATIENCE_SECONDS
        remedy = (
            "no action is needed" if not slow else f"no action is needed, unless it is too slow: {_pace_remedy(row)}"
        )
        return Problem("draining", text, remedy, since=since, affected=(name,), about=name, past=past)
    if not delivered and _accepted_lately(row, situation):
        # After an outage, the rates of the last seconds are not known yet.
        text = f"Intake {name} drains its backlog: {counted(events, 'event')}; {age}"
        remedy = "no action is needed"
        return Problem("draining", text, remedy, since=since, affected=(name,), about=name, past=past)
    safe = _safe([row], situation)
    if not delivered:
        cause = f": {row['last_error']}" if row.get("last_error") else ""
        text = f"Intake {name} has delivered nothing lately{cause}; {age}; {safe}"
        remedy, past = _pace_remedy(row, stalled=True), f"Intake {name} delivered nothing{cause}"
        return Problem("waiting", text, remedy, since=since, affected=(name,), about=name, past=past)
    limited = ""
    if limit := row.get("body_limit_bytes"):
        limited = f", and requests are limited to {limit:,} bytes because larger ones were refused (413) or cut off"
    text = f"Intake {name} falls behind: it delivers {delivered:,.0f} events/s and receives {received:,.0f}{limited}"
    return Problem(
        "late", f"{text}; {age}; {safe}", _pace_remedy(row), since=since, affected=(name,), about=name,
        past=f"Intake {name} delivered less than it received",
    )  # fmt: skip


def _accepted_lately(row: JSON, situation: Situation) -> bool:
    accepted = read_moment((row.get("last_acceptance") or {}).get("at"))
    return accepted is not None and (situation.taken - accepted).total_seconds() < LATELY_SECONDS


def _pace_remedy(row: JSON, *, stalled: bool = False) -> str:
    if row.get("body_limit_bytes"):
        return "check the limit of request bodies of a proxy in front of the collector, and the line to it"
    if row.get("last_error"):
        return remedy_for(row.get("last_cause"), str(row.get("name")))
    if stalled:
        return remedy_for(Cause.CONNECTION.value)
    return "raise max_request_rate, max_bandwidth or connections_per_intake if they are the limit"
