"""Builds the steps of ``syslog-bridge why`` about messages held since before the start and about ended problems."""

from collections.abc import Iterator
from typing import Any

from bridge.cli.why_step import NOTE, WRONG, Step
from bridge.monitoring.problems.problem import capital, moment, read_moment
from bridge.util.counts import counted, verb

MAX_ENDED = 5
"Ended problems that are shown, the latest."
SHOWN_ELSEWHERE = frozenset(("rejected", "unrouted"))
"Kinds of problems whose end is shown by another step."

JSON = dict[str, Any]


def held_step(held: list[JSON]) -> Step:
    """Returns the step for the held messages of a source that has sent nothing since the start."""
    count = sum(row["frames"] for row in held)
    period = f"from {min(row['first'] for row in held)} to {max(row['last'] for row in held)}"
    text = f"{counted(count, 'message')} {period} matched no route and {verb(count, 'is', 'are')} held"
    if route := next((row["matching_route"] for row in held if row["matching_route"]), None):
        text += f". Route {route} matches now: run syslog-bridge reload and syslog-bridge unrouted reroute"
        return Step(NOTE, "unrouted", text)
    return Step(WRONG, "route", f"no route matches: {text}. Add the route below", "no route matches its messages")


def unrouted_text(unrouted: int, held: list[JSON] | None) -> str:
    """Describes the messages of a source that match no route.

    Those that are held, or all since the start if none is held any more. ``held`` is None if they were not read.
    """
    if held is None:
        return f"{counted(unrouted, 'message')} held"
    if not held:
        return f"{counted(unrouted, 'message')} since the start; none is held any more"
    return f"{counted(sum(row['frames'] for row in held), 'message')} held"


def ended_steps(known: JSON, status: JSON, address: str, intakes: set[str]) -> Iterator[Step]:
    """Yields the problems of a source and of its intakes that have ended, the latest first."""
    about = {address, *intakes}
    rows = [*known.get("ended_problems", []), *(row for row in status.get("ended_alarms", []) if row["about"] in about)]
    rows.sort(key=lambda row: str(row["ended"]), reverse=True)
    for row in [row for row in rows if row["kind"] not in SHOWN_ELSEWHERE][:MAX_ENDED]:
        since, ended = moment(read_moment(row["since"])), moment(read_moment(row["ended"]))
        yield Step(NOTE, "ended", f"{capital(row['text'])} (from {since} to {ended})")
