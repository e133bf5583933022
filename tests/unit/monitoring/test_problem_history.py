"""Tests that a computed problem says when it began and ended, for the gateway and for each source."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.monitoring.alarm_kinds import NOTICE
from bridge.monitoring.problem_history import MAX_AFFECTED, MAX_ENDED, MERGED_SECONDS, MIN_SECONDS, ProblemHistory
from bridge.monitoring.problems import Problem, computed_problems, find_problems, summarize

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
UNROUTED = Problem("unrouted", "Messages match no route", affected=("a",), past="Messages matched no route")


class Gateway:
    def __init__(self) -> None:
        self.now = 1000.0
        self.history = ProblemHistory(lambda: self.now, self.moment)

    def moment(self, at: float) -> str:
        return datetime.fromtimestamp(NOON + at, UTC).isoformat()

    def pass_(self, seconds: float, *problems: Problem) -> None:
        self.now += seconds
        self.history.note(problems)

    def fail(self, seconds: float, *failing: float | None) -> None:
        """Lets some seconds pass; each number is the time for which an intake has failed, None if it delivers."""
        self.now += seconds
        rows: list[dict[str, Any]] = []
        for number, since in enumerate(failing):
            row: dict[str, Any] = {"name": f"i{number}", "state": "delivering", "delivered_per_second": 9.0}
            if since is not None:
                row |= {"state": "backing-off", "last_error": "no connection", "last_cause": "connection"}
                row["failing_seconds"] = since
            rows.append(row)
        self.history.note(computed_problems({"taken": self.moment(self.now), "intakes": rows}))

    def ended(self) -> list[tuple[Any, ...]]:
        return [(row["text"], row["since"], row["ended"]) for row in self.history.ended()]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


# --- outages ----------------------------------------------------------------------------------------------------------


def test_outage_that_is_over_says_when_it_began_and_ended(gateway: Gateway) -> None:
    gateway.fail(5, 2.0)
    gateway.fail(60, 62.0)
    assert gateway.history.ended() == []
    gateway.fail(5, None)
    (found,) = summarize({"ended_problems": gateway.history.ended()})["ended"]
    assert found == {
        "state": "critical", "kind": "collector",
        "text": "Collector unreachable since 12:16 UTC (no connection)",
        "since": "2026-11-23T12:16:43Z", "ended": "2026-11-23T12:17:50Z",
    }  # fmt: skip


def test_ended_outage_has_its_whole_error(gateway: Gateway) -> None:
    error = "the server rejected the client certificate (bad certificate); set client_cert_file to one that it accepts"
    row = {
        "name": "a", "state": "backing-off", "last_error": error, "last_cause": "client_certificate",
        "failing_seconds": 60,
    }  # fmt: skip
    (problem,) = computed_problems({"taken": gateway.moment(gateway.now), "intakes": [row]})
    assert problem.past == f"Collector unreachable since 12:15 UTC ({error})"
    assert problem.text.startswith(f"{problem.past}; intake a, ")


def test_outage_is_described_by_its_height_and_not_by_the_last_intake(gateway: Gateway) -> None:
    gateway.fail(5, 30.0, 30.0)
    gateway.fail(5, 35.0, None)
    gateway.fail(5, None, None)
    (found,) = gateway.history.ended()
    assert found["text"] == "Collector unreachable since 12:16 UTC (no connection)"


def test_intake_that_has_not_tried_does_not_replace_the_text(gateway: Gateway) -> None:
    """Its events were moved to it from an intake that knew the error."""
    gateway.fail(5, 30.0)
    gateway.now += 5
    row = {"name": "i1", "state": "backing-off", "last_error": None, "last_cause": None, "failing_seconds": None}
    gateway.history.note(computed_problems({"taken": gateway.moment(gateway.now), "intakes": [row]}))
    gateway.fail(5, None)
    (found,) = gateway.history.ended()
    assert found["text"] == "Collector unreachable since 12:16 UTC (no connection)"


def test_failed_request_is_no_outage_and_the_history_is_bounded(gateway: Gateway) -> None:
    gateway.fail(5, 1.0)
    gateway.fail(5, None)
    assert gateway.history.ended() == []
    for _ in range(2 * MAX_ENDED):
        gateway.fail(5, 30.0)
        gateway.fail(5, None)
    assert len(gateway.history.ended()) == MAX_ENDED


# --- problems without a time of their own -----------------------------------------------------------------------------


def test_problem_without_a_time_says_since_when_it_is_observed_and_when_it_ended(gateway: Gateway) -> None:
    gateway.pass_(5, UNROUTED)
    status = {"unrouted": [{"address": "a"}]}
    gateway.pass_(60, UNROUTED)
    (problem,) = find_problems(status, gateway.history.start_of)
    assert problem.since == datetime.fromtimestamp(NOON + 1005, UTC)
    gateway.pass_(5)
    assert gateway.ended() == [("Messages matched no route", gateway.moment(1005), gateway.moment(1070))]
    assert summarize({"ended_problems": gateway.history.ended()})["ended"][0]["kind"] == "unrouted"


@pytest.mark.parametrize("kind", ["waiting", "clock"])
def test_end_is_listed_of_kinds_whose_alarms_are_not(gateway: Gateway, kind: str) -> None:
    gateway.pass_(5, Problem(kind, "text"))
    gateway.pass_(60)
    assert [row["kind"] for row in summarize({"ended_problems": gateway.history.ended()})["ended"]] == [kind]


def test_problem_that_returns_soon_goes_on(gateway: Gateway) -> None:
    gateway.pass_(5, UNROUTED)
    gateway.pass_(60)
    gateway.pass_(MERGED_SECONDS - 1, UNROUTED)
    assert gateway.history.ended() == []
    assert gateway.history.start_of(UNROUTED) == gateway.moment(1005)
    gateway.pass_(5)
    gateway.pass_(MERGED_SECONDS, UNROUTED)
    assert len(gateway.history.ended()) == 1
    assert gateway.history.start_of(UNROUTED) == gateway.moment(gateway.now)


def test_notice_is_not_listed_as_ended_unless_it_was_more(gateway: Gateway) -> None:
    notice = replace(UNROUTED, state=NOTICE)
    gateway.pass_(5, notice)
    gateway.pass_(60)
    assert gateway.history.ended() == [] == gateway.history.ended_for("a")
    gateway.pass_(60, UNROUTED)
    gateway.pass_(60, notice)
    gateway.pass_(60)
    assert len(gateway.history.ended()) == 1


@pytest.mark.parametrize("kind", ["loss", "parked", "full", "budget"])
def test_problem_whose_end_an_alarm_tells_is_not_listed_twice(gateway: Gateway, kind: str) -> None:
    gateway.pass_(5, Problem(kind, "text"))
    gateway.pass_(60)
    assert gateway.history.ended() == []


# --- each source ------------------------------------------------------------------------------------------------------


def test_problem_ends_for_each_source_at_its_own_time(gateway: Gateway) -> None:
    gateway.pass_(5, replace(UNROUTED, affected=("a",)))
    gateway.pass_(20, replace(UNROUTED, affected=("a", "b")))
    gateway.pass_(20, replace(UNROUTED, affected=("b",)))
    (found,) = gateway.history.ended_for("a", "x")
    assert (found["since"], found["ended"]) == (gateway.moment(1005), gateway.moment(1045))
    assert gateway.history.ended_for("b") == [] == gateway.ended()
    gateway.pass_(20)
    (found,) = gateway.history.ended_for("b")
    assert (found["since"], found["ended"]) == (gateway.moment(1025), gateway.moment(1065))


def test_sources_of_ended_problems_are_bounded(gateway: Gateway) -> None:
    names = tuple(f"s{number}" for number in range(MAX_AFFECTED + 5))
    gateway.pass_(5, replace(UNROUTED, affected=names))
    gateway.pass_(MIN_SECONDS)
    assert sum(bool(gateway.history.ended_for(name)) for name in names) == MAX_AFFECTED
