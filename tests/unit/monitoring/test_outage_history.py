"""Tests that an outage of the collector is remembered with its begin and its end."""

from datetime import UTC, datetime
from typing import Any

from bridge.monitoring.outage_history import MAX_OUTAGES, OutageHistory
from bridge.monitoring.problems import summarize

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


class Outages:
    def __init__(self) -> None:
        self.now = 1000.0
        self.history = OutageHistory(lambda: self.now, lambda at: datetime.fromtimestamp(NOON + at, UTC).isoformat())

    def pass_(self, seconds: float, *failing: float | None) -> None:
        self.now += seconds
        rows: list[dict[str, Any]] = []
        for number, since in enumerate(failing):
            row: dict[str, Any] = {"name": f"i{number}", "state": "delivering", "delivered_per_second": 9.0}
            if since is not None:
                row |= {"state": "backing-off", "last_error": "no connection", "last_cause": "connection"}
                row["failing_seconds"] = since
            rows.append(row)
        self.history.note(rows)


def test_outage_that_is_over_says_when_it_began_and_ended() -> None:
    outages = Outages()
    outages.pass_(5, 2.0)
    outages.pass_(60, 62.0)
    assert outages.history.report() == []
    outages.pass_(5, None)
    (found,) = summarize({"ended_alarms": outages.history.report()})["ended"]
    assert found == {
        "state": "critical", "kind": "collector",
        "text": "Collector unreachable since 12:16 UTC (no connection)",
        "since": "2026-11-23T12:16:43Z", "ended": "2026-11-23T12:17:50Z",
    }  # fmt: skip


def test_outage_is_described_by_its_height_and_not_by_the_last_intake() -> None:
    outages = Outages()
    outages.pass_(5, 30.0, 30.0)
    outages.pass_(5, 35.0, None)
    outages.pass_(5, None, None)
    (found,) = outages.history.report()
    assert found["text"] == "Collector unreachable since 12:16 UTC (no connection)"


def test_failed_request_is_no_outage_and_the_history_is_bounded() -> None:
    outages = Outages()
    outages.pass_(5, 1.0)
    outages.pass_(5, None)
    assert outages.history.report() == []
    for _ in range(2 * MAX_OUTAGES):
        outages.pass_(5, 30.0)
        outages.pass_(5, None)
    assert len(outages.history.report()) == MAX_OUTAGES
