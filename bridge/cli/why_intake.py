"""Builds the steps of ``syslog-bridge why`` about the intake that a sender's messages go to."""

from collections.abc import Iterator
from typing import Any

from bridge.cli.status_text import age
from bridge.cli.why_step import NOTE, OK, WRONG, Step
from bridge.monitoring.problems import headline_of
from bridge.monitoring.problems.remedies import fault_and_remedy
from bridge.util.counts import counted


def intake_steps(intake: dict[str, Any] | None, name: str) -> Iterator[Step]:
    """Yields the state of an intake, and the response to its latest accepted request. ``intake``: its status row."""
    if intake is None:
        text = f"{name} is no longer in the configuration"
        yield Step(WRONG, "intake", text, f"intake {text}")
        return
    healthy = intake["state"] in ("idle", "delivering")
    waiting = f"{counted(intake['backlog_events'], 'event')} waiting, the oldest for {age(intake['oldest_seconds'])}"
    text = f"{name} is {intake['state']}; {waiting if intake['backlog_events'] else 'no events waiting'}"
    if error := intake.get("last_error"):
        fault, remedy = fault_and_remedy(str(error), intake.get("last_cause"), name)
        text += f"; {error}" if healthy else f"; {fault}. To do: {remedy}"
    yield Step(OK if healthy else WRONG, "intake", text, f"intake {name} is {intake['state']}")
    if accepted := intake.get("last_acceptance"):
        yield Step(
            OK, "response", f"{counted(accepted['accepted'], 'event')} accepted at {accepted['at']}{_ids(accepted)}"
        )
    else:
        yield Step(NOTE, "response", "no events accepted since the bridge started")


def _ids(accepted: dict[str, Any]) -> str:
    """Returns the event ids of an accepted request, if it has any."""
    first, last = accepted.get("first_id"), accepted.get("last_id")
    if not first:
        return ""
    return f", event id {first}" if first == last else f", event ids {first} to {last}"


def loss_steps(intake: str, status: dict[str, Any]) -> Iterator[Step]:
    """Yields the losses of an intake that go on. The events of one source may or may not be among them."""
    for problem in headline_of(status)["problems"]:
        if problem["kind"] == "loss" and not problem["ended"] and intake in problem["affected"]:
            text = f"{problem['text']}. To do: {problem['remedy']}"
            yield Step(WRONG, "loss", text, f"intake {intake} loses events")
