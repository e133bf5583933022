"""Tests that an event that waits too long is reported, whatever the state of its intake."""

import pytest

from bridge.monitoring import headline
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.status import STATES
from bridge.monitoring.waiting_events import WaitingEvents

ROW = {
    "name": "a", "backlog_events": 100, "last_error": None, "delivered_per_second": 1000.0, "received_per_second": 0.0,
    "late_after_seconds": 60.0,
}  # fmt: skip


def row(oldest, state="delivering", **fields):
    return ROW | {"oldest_seconds": oldest, "state": state} | fields


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("error", [None, "no progress for 30 s"])
def test_headline_is_never_healthy_while_an_event_is_overdue(state, error):
    # The pace alone would be no problem: the backlog will be gone in a moment.
    reason = "the collector answered 401" if state == "parked" else error
    overdue = row(headline.OVERDUE_SECONDS + 1, state, last_error=reason)
    result = headline.of({"intakes": [overdue]})
    assert result["state"] != headline.HEALTHY
    assert all(problem["text"] for problem in result["problems"])


def test_overdue_event_is_named_with_its_age_and_what_to_do():
    (problem,) = headline.of({"intakes": [row(4000.0)]})["problems"]
    assert "Intake a has overdue events" in problem["text"] and "the oldest event is 4,000 s old" in problem["text"]
    assert "check --connect" in problem["remedy"]


@pytest.mark.parametrize(("oldest", "fields"), [(599.0, {}), (None, {}), (1800.0, {"late_after_seconds": 3600.0})])
def test_event_within_the_bound_is_no_problem(oldest, fields):
    assert headline.of({"intakes": [row(oldest, **fields)]})["state"] == headline.HEALTHY


def test_alarm_is_raised_once_and_ends_with_its_cause():
    events, rows = [], [row(601.0), row(1.0, name="b")]
    alarms = Alarms(events.append)
    waiting = WaitingEvents(alarms, lambda: rows)
    for age in (601.0, 700.0, 9000.0):
        rows[0] = row(age)
        waiting.look()
    ((about, text),) = alarms.active.items()
    assert about == ("waiting", "a") and "more than 10 minutes" in text
    # The row of the intake shows the problem once.
    status = {"intakes": rows, "alarms": [{"kind": "waiting", "about": "a", "text": text}]}
    assert len(headline.of(status)["problems"]) == 1
    del rows[0]
    waiting.look()
    assert not alarms.active and len(events) == 2
