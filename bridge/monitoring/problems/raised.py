"""Converts active alarms to problems. Many alarms of a kind are one problem."""

from collections.abc import Iterator
from typing import Any

from bridge.monitoring.alarm_kinds import KINDS
from bridge.monitoring.problems.held import HELD_KINDS
from bridge.monitoring.problems.losses import INCIDENTS
from bridge.monitoring.problems.problem import Problem, capital, listed, read_moment
from bridge.monitoring.problems.situation import Situation
from bridge.util.counts import counted

MAX_PER_KIND = 3
"Alarms of one kind that are listed one by one."
GATEWAY_CLOCK = ("gateway", "unset")
"Alarms of the kind *clock* that concern the gateway's own clock. A *step* is over; its alarm only lasts for an hour."
COMPUTED = frozenset(("loss", "parked", "full", "waiting", "budget", *INCIDENTS, *HELD_KINDS))
"Kinds of alarms that are not converted: the problems of the same kind have their latest figures."

JSON = dict[str, Any]


def alarm_problems(situation: Situation) -> Iterator[Problem]:
    """Yields the problems that alarms report and nothing else does."""
    by_kind: dict[str, list[JSON]] = {}
    for alarm in situation.alarms:
        if is_shown(alarm):
            by_kind.setdefault(str(alarm.get("kind")), []).append(alarm)
    for kind, alarms in by_kind.items():
        if len(alarms) > MAX_PER_KIND:
            yield _merged(kind, alarms)
        else:
            yield from map(alarm_problem, alarms)


def is_shown(alarm: JSON) -> bool:
    """Returns True if an alarm is converted to a problem."""
    kind, about = alarm.get("kind"), alarm.get("about")
    return kind not in COMPUTED and (kind != "clock" or about in GATEWAY_CLOCK)


def alarm_problem(alarm: JSON) -> Problem:
    """Converts one alarm."""
    text = str(alarm.get("text"))
    return Problem(
        str(alarm.get("kind")), capital(text), str(alarm.get("remedy") or ""), str(alarm.get("state") or ""),
        since=read_moment(alarm.get("since")), affected=(str(alarm.get("about")),),
        ended=read_moment(alarm.get("ended")),
    )  # fmt: skip


def _merged(kind: str, alarms: list[JSON]) -> Problem:
    about = [str(alarm.get("about")) for alarm in alarms]
    means = KINDS[kind].meaning if kind in KINDS else kind
    starts = [since for alarm in alarms if (since := read_moment(alarm.get("since"))) is not None]
    text = f"{counted(len(alarms), 'alarm')}: {means} ({listed(about)})"
    return Problem(
        kind, text, str(alarms[0].get("remedy") or ""), since=min(starts, default=None), affected=tuple(about)
    )
