"""Tests that an event that waits too long raises an alarm, whatever the state of its intake."""

from typing import Any

from bridge.monitoring.alarms import Alarms
from bridge.monitoring.waiting_events import WaitingEvents


def row(oldest: float, name: str = "a", late_after: float = 34.0) -> dict[str, Any]:
    return {"name": name, "oldest_seconds": oldest, "late_after_seconds": late_after}


def test_alarm_is_raised_once_and_ends_with_its_cause() -> None:
    events, rows = list[str](), [row(601.0), row(1.0, "b"), row(700.0, "c", late_after=7230.0)]
    alarms = Alarms(events.append)
    waiting = WaitingEvents(alarms, lambda: rows)
    for age in (601.0, 700.0, 9000.0):
        rows[0] = row(age)
        waiting.look()
    ((about, text),) = alarms.active.items()
    assert about == ("waiting", "a") and "more than 10 min" in text
    del rows[0]
    waiting.look()
    assert not alarms.active and len(events) == 2
