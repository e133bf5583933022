"""Summarises a status in one sentence, its problems, and what is over. All surfaces show this summary."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from bridge.monitoring.alarm_kinds import HEALTHY, NOTICE
from bridge.monitoring.problems.deliveries import delivery_problems
from bridge.monitoring.problems.held import held_problems
from bridge.monitoring.problems.losses import ended_losses, loss_problems
from bridge.monitoring.problems.problem import Problem, capital, moment, most_harmful, read_moment
from bridge.monitoring.problems.raised import alarm_problem, alarm_problems, is_shown
from bridge.monitoring.problems.senders import sender_problems
from bridge.monitoring.problems.situation import Situation
from bridge.monitoring.problems.space import filling
from bridge.util.counts import counted
from bridge.util.spans import span

MAX_ENDED = 20
"Ended problems that are listed: the most harmful, so that harmless ones cannot hide them."

JSON = dict[str, Any]


StartOf = Callable[[Problem], str | None]
"Returns when a problem began that has no time of its own, as RFC 3339."


def computed_problems(status: JSON) -> list[Problem]:
    """Returns the problems that are computed from the figures of a status."""
    situation = Situation(status)
    return [*delivery_problems(situation), *filling(situation), *sender_problems(situation), *held_problems(situation)]


def find_problems(status: JSON, start_of: StartOf = lambda problem: None) -> list[Problem]:
    """Returns the problems of a status, the most harmful first."""
    situation = Situation(status)
    computed = [
        problem if problem.since is not None else replace(problem, since=read_moment(start_of(problem)))
        for problem in computed_problems(status)
    ]
    found = [*loss_problems(situation), *alarm_problems(situation), *computed]
    return sorted(found, key=lambda problem: problem.order)


def summarize(status: JSON, start_of: StartOf = lambda problem: None) -> JSON:
    """Returns ``state``, ``text``, the ``problems``, and those that have ``ended``, the latest first."""
    problems, situation = find_problems(status, start_of), Situation(status)
    ended = {
        "problems": [problem.to_json() for problem in problems],
        "ended": [
            {"state": each.severity, "kind": each.kind, "text": each.text, "since": moment(each.since),
             "ended": moment(each.ended)}
            for each in _ended(situation)
        ],
    }  # fmt: skip
    serious = [problem for problem in problems if problem.severity != NOTICE]
    if not serious:
        notices = f" {capital(counted(len(problems), 'notice'))} below." if problems else ""
        return {"state": HEALTHY, "text": f"Healthy: {_figures(situation)}.{_losses(situation)}{notices}", **ended}
    first, others = serious[0], len(problems) - 1
    more = f" And {counted(others, 'more problem')} below." if others else ""
    end = "" if first.text.endswith((".", "!", "?")) else "."
    return {"state": first.severity, "text": f"{first.text}{end}{more}", **ended}


def headline_of(status: JSON) -> JSON:
    """Returns the summary that a status contains. Computes it if the status is of an older version."""
    headline = status.get("headline") or {}
    return headline if "ended" in headline else summarize(status)


def _ended(situation: Situation) -> list[Problem]:
    alarms = [
        alarm_problem(alarm) for alarm in situation.rows("ended_alarms")
        if is_shown(alarm) or alarm.get("kind") in ("parked", "full", "budget")
    ]  # fmt: skip
    computed = map(alarm_problem, situation.rows("ended_problems"))
    found: Iterator[tuple[datetime, Problem]] = (
        (each.ended, each) for each in (*alarms, *computed, *ended_losses(situation)) if each.ended is not None
    )
    return most_harmful(found, MAX_ENDED, lambda each: each.rank)


def _figures(situation: Situation) -> str:
    intakes, status = situation.intakes, situation.status
    rates = status.get("rates", {})
    waiting = sum(row.get("backlog_events") or 0 for row in intakes)
    oldest = max((row.get("oldest_seconds") or 0 for row in intakes), default=0)
    sources = situation.count("total", len(situation.rows("sources")))
    parts = [counted(sources, "source"), counted(len(intakes), "intake")]
    if "received" in rates:
        parts.append(f"{rates['received']:,.0f} events/s")
    # A few events always wait for their batch to be sealed and answered: their age says whether that is normal.
    age = f"waiting for up to {span(max(1, oldest))}"
    parts.append(f"{counted(waiting, 'event')} {age}" if waiting else "no events waiting")
    return ", ".join(parts)


def _losses(situation: Situation) -> str:
    """Returns all losses since the start, for a status without problems."""
    kernel_dropped = sum((situation.status.get("kernel_drops") or {}).values())
    dropped = sum(situation.status.get("ledger", {}).get("dropped", {}).values())
    parts = [f"{counted(dropped, 'event')} dropped"] * bool(dropped)
    parts += [f"{counted(kernel_dropped, 'datagram')} dropped by the kernel"] * bool(kernel_dropped)
    return f" Since start: {' and '.join(parts)}." if parts else ""
