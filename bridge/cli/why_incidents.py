"""Builds the steps of ``syslog-bridge why`` about messages that are held, truncated, not matched or not mirrored."""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.cli.why_step import NOTE, WRONG, Step
from bridge.config import Config
from bridge.monitoring.problems import headline_of
from bridge.monitoring.problems.held import HELD_KINDS
from bridge.monitoring.problems.losses import INCIDENTS

STEPS = {"match_limit": "match", "truncated": "truncated", "mirror": "mirror"}
"The names of the steps about incidents, by kind of problem."

JSON = dict[str, Any]


def incident_steps(config: Config, row: JSON, status: JSON) -> Iterator[Step]:
    """Yields the problems of a source with what happened to its messages, in the words of the status.

    Incidents are counted by route, listener or target, so they may concern other sources only.
    """
    passed_over = [each["route"] for each in (row.get("messages") or [{}])[0].get("passed_over") or []]
    names: Mapping[str, set[object]] = {
        "route": {row.get("route"), *passed_over},
        "listener": {row["listener"]},
        "target": {
            str(target) for route in config.routes if route.name == row.get("route") for target in route.mirror_to
        },
    }
    yield from held_steps(row["address"], status, row.get("intake"), stops=not row.get("route"))
    for problem in headline_of(status)["problems"]:
        noun = INCIDENTS.get(problem["kind"])
        if noun is not None and names[noun].intersection(problem["affected"]):
            yield Step(NOTE, STEPS[problem["kind"]], _text(problem, ", of this or other sources"))


def held_steps(address: str, status: JSON, intake: str | None = None, *, stops: bool = False) -> Iterator[Step]:
    """Yields the problems with held messages of an address, or with refused events of its intake.

    ``stops``: True if none of its messages was routed.
    """
    for problem in headline_of(status)["problems"]:
        name = intake if problem["kind"] == "refused" else address
        if problem["kind"] in HELD_KINDS and name in problem["affected"]:
            yield Step(WRONG if stops else NOTE, "held", _text(problem), "its messages are held in quarantine")


def _text(problem: JSON, whose: str = "") -> str:
    return f"{problem['text']}{whose}. To do: {problem['remedy']}"
