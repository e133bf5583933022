"""Describes frames that are held in quarantine: the number, the fault, whose they are, since when, and what to do.

``unrouted`` frames are described with their sources (``senders``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bridge.monitoring.alarm_kinds import DEGRADED, NOTICE
from bridge.monitoring.problems.problem import Problem, clock_time, listed, named, read_moment
from bridge.monitoring.problems.situation import Situation
from bridge.util.counts import counted

SERIOUS_SECONDS = 86_400.0
"Seconds after the latest frame in which held frames are more than a notice. An operator looks at least once a day."

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeldReason:
    """Describes a reason. ``kind`` is the kind of its problem, ``noun`` what is held."""

    kind: str
    what_to_do: str
    noun: str = "message"
    state: str = DEGRADED
    all_faults: bool = False
    "True if the text lists all faults that are known, as each has its own remedy. False: the latest."


HELD = {
    "unredacted": HeldReason(
        "unredacted",
        "simplify the regex of the rule and reload, then run"
        ' "syslog-bridge quarantine retry --reason unredacted"',
        all_faults=True,
    ),
    "refused": HeldReason(
        "refused",
        'run "syslog-bridge quarantine list --reason refused"; correct the format or payload form of the intake, then'
        ' run "syslog-bridge quarantine retry --reason refused"',
        noun="event",
    ),
    "oversize": HeldReason(
        "oversize",
        "shorten the messages at their source, or raise max_frame_size (an event has at most 250 KiB);"
        ' "syslog-bridge quarantine retry --reason oversize" delivers what is held of them',
    ),
    "damaged": HeldReason(
        "incomplete",
        'check the sender and the network to it; "syslog-bridge quarantine list --reason damaged" shows the messages',
        noun="incomplete message", state=NOTICE,
    ),
}  # fmt: skip
"The reasons of the quarantine but ``unrouted``."
HELD_KINDS = frozenset(reason.kind for reason in HELD.values())


def held_problems(situation: Situation) -> Iterator[Problem]:
    """Yields a problem for each reason for which frames are held."""
    for row in situation.rows("held"):
        if (reason := HELD.get(row["reason"])) is not None:
            yield _problem(row, reason, situation)


def remedy_of(code: str) -> str:
    """Returns what to do about frames that are held for a reason, and how to give them up."""
    return f"{HELD[code].what_to_do}; {purge_text(code)}"


def purge_text(code: str) -> str:
    """Returns the command that deletes the frames that are held for a reason."""
    return f'"syslog-bridge quarantine purge --reason {code}" deletes what is held'


def faults_text(row: JSON) -> str:
    """Returns the faults of a row of ``held``, with a colon; empty if none is known."""
    reason, faults = HELD[row["reason"]], list(reversed(row["faults"]))
    shown = faults if reason.all_faults else faults[:1]
    return f": {listed(shown)}" if shown else ""


def owner_text(row: JSON) -> str:
    """Returns whose frames are held: their sources, or their intakes if the sources are not known."""
    for preposition, noun, names in (("from", "source", row["sources"]), ("of", "intake", row["intakes"])):
        if names:
            return f" {preposition} {named(noun, names)}"
    return ""


def _problem(row: JSON, reason: HeldReason, situation: Situation) -> Problem:
    since, latest, now = read_moment(row["since"]), read_moment(row["latest"]), situation.taken
    is_recent = latest is not None and now - latest < timedelta(seconds=SERIOUS_SECONDS)
    what, at = f"{counted(row['events'], reason.noun)}{owner_text(row)}", ""
    if since is not None:
        at = f" since {clock_time(since, now)}"
    is_, was = ("is", "was") if row["events"] == 1 else ("are", "were")
    fault = faults_text(row)
    return Problem(
        reason.kind, f"{what} {is_} held and not sent{at}{fault}", remedy_of(row["reason"]),
        reason.state if is_recent else NOTICE, since, (*row["sources"], *row["intakes"]),
        past=f"{what} {was} held{fault}",
    )  # fmt: skip
