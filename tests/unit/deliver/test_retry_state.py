"""Tests when the next request of an intake may start: back-off, parking, requests in flight."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.deliver import retry_state
from bridge.deliver.cause import Cause
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.retry_state import RetryState
from bridge.monitoring.alarms import Alarms
from tests.harness.builders import build_delivery_context


class BaseUrls:
    """Stands for `count` base URLs whose circuit breaker is in the state `state`."""

    def __init__(self, count: int = 1) -> None:
        self.state, self.retry_at, self.count = "closed", 0.0, count

    def __len__(self) -> int:
        return self.count


class RetryFixture:
    def __init__(self, max_in_flight: int = 8, urls: int = 1) -> None:
        self.clock, self.urls = Clock(), BaseUrls(urls)
        self.alarms = Alarms(clock=self.clock.seconds, wall=self.clock.seconds)
        dispatcher = Dispatcher(self.clock, connections=8, rate=None)
        store: Any = None
        context = build_delivery_context(
            self.clock, store=store, ledger=Ledger(), dispatcher=dispatcher, alarms=self.alarms
        )
        self.retry_state = RetryState("fw", max_in_flight=max_in_flight, context=context, base_urls=self.urls)  # type: ignore[arg-type]

    def fail_and_wait(self) -> float:
        """Fails once and lets the wait pass. Returns its seconds."""
        self.retry_state.fail("HTTP 503")
        wait = self.retry_state.next_in
        assert wait is not None
        self.clock.advance(wait + 0.1)
        assert not self.retry_state.waiting
        return wait


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> RetryFixture:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    return RetryFixture()


def test_waits_double_up_to_the_longest(intake: RetryFixture) -> None:
    waits = [intake.fail_and_wait() for _ in range(10)]
    assert waits == sorted(waits)
    assert waits[0] <= 2 * retry_state.FIRST_WAIT
    assert waits[-1] == waits[-2] <= 1.5 * retry_state.LONGEST_WAIT


def test_success_resets_the_wait(intake: RetryFixture) -> None:
    first, *_ = [intake.fail_and_wait() for _ in range(4)]
    intake.retry_state.succeeded()
    assert intake.fail_and_wait() == first


def test_requests_that_fail_together_are_one_failure(intake: RetryFixture) -> None:
    for _ in range(5):
        intake.retry_state.fail("HTTP 503")
    assert intake.retry_state.failures == 1


def test_retry_after_is_honoured(intake: RetryFixture) -> None:
    intake.retry_state.fail("HTTP 429", at_least=300.0)
    assert intake.retry_state.next_in == 300.0


def test_requests_in_flight_double_with_success_up_to_the_limit(intake: RetryFixture) -> None:
    windows = []
    for _ in range(5):
        intake.retry_state.succeeded()
        windows.append(intake.retry_state.window)
    assert windows == [2, 4, 8, 8, 8]
    intake.retry_state.fail("HTTP 503")
    assert intake.retry_state.window == 1


def test_parked_intake_is_tried_every_few_minutes_and_raises_an_alarm(intake: RetryFixture) -> None:
    intake.retry_state.park("HTTP 401")
    assert intake.retry_state.next_in == pytest.approx(1.1 * retry_state.PARKED_WAIT)
    assert "HTTP 401" in intake.alarms.active["parked", "fw"]
    assert intake.retry_state.last_error == "HTTP 401"


def test_acceptance_unparks_an_intake_and_clears_the_alarm(intake: RetryFixture) -> None:
    intake.retry_state.park("HTTP 401")
    intake.retry_state.succeeded()
    assert intake.retry_state.parked is None
    assert intake.retry_state.last_error is None
    assert intake.alarms.active == {}


def test_network_failure_waits_for_an_open_circuit_breaker(intake: RetryFixture) -> None:
    intake.urls.state, intake.urls.retry_at = "open", 12.0
    intake.retry_state.fail("no connection", network=True)
    # The breaker wakes the intake; it sets no timer of its own.
    assert not intake.retry_state.waiting


def test_network_failure_with_another_url_does_not_wait() -> None:
    intake = RetryFixture(urls=2)
    intake.retry_state.fail("no connection", network=True)
    assert not intake.retry_state.waiting
    assert intake.retry_state.failures == 0


def test_retired_intake_makes_no_attempt_until_it_is_configured_again(intake: RetryFixture) -> None:
    intake.retry_state.retire("not in the configuration")
    intake.retry_state.fail("HTTP 503")
    assert not intake.retry_state.waiting
    assert intake.retry_state.parked == "not in the configuration"
    intake.retry_state.change(intake.urls, max_in_flight=4)  # type: ignore[arg-type]
    assert intake.retry_state.parked is None
    assert intake.fail_and_wait() > 0


def test_reload_ends_the_wait(intake: RetryFixture) -> None:
    intake.retry_state.fail("HTTP 503", at_least=300.0)
    intake.retry_state.change(intake.urls, max_in_flight=4)  # type: ignore[arg-type]
    assert not intake.retry_state.waiting
    assert intake.retry_state.failures == 0


def test_failures_have_their_begin_and_cause_until_a_request_is_accepted(intake: RetryFixture) -> None:
    state = intake.retry_state
    assert (state.failing_since, state.last_cause) == (None, None)
    intake.clock.advance(10)
    state.fail("HTTP 503", Cause.SERVER)
    intake.clock.advance(5)
    state.park("HTTP 401", Cause.KEY)
    assert (state.failing_since, state.last_cause) == (10.0, Cause.KEY)
    state.succeeded()
    assert (state.failing_since, state.last_error) == (None, None)


def test_second_wrong_key_does_not_begin_a_new_alarm(intake: RetryFixture) -> None:
    state, alarms = intake.retry_state, intake.alarms
    intake.clock.advance(10)
    state.park("HTTP 401")
    intake.clock.advance(60)
    state.change(intake.urls, max_in_flight=4)  # type: ignore[arg-type]
    assert state.parked is None, "the new key is tried at once"
    intake.clock.advance(1)
    state.park("HTTP 401")
    assert alarms.current["parked", "fw"].since == state.failing_since == 10.0
    assert list(alarms.ended()) == []
    intake.clock.advance(2 * retry_state.PARKED_WAIT)
    alarms.look()
    assert ("parked", "fw") in alarms.active


@pytest.mark.parametrize("result", ["accepted", "another error", "no attempt"])
def test_alarm_of_a_parked_intake_ends_after_a_right_key(intake: RetryFixture, result: str) -> None:
    state = intake.retry_state
    state.park("HTTP 401")
    state.change(intake.urls, max_in_flight=4)  # type: ignore[arg-type]
    if result == "accepted":
        state.succeeded()
    elif result == "another error":
        state.fail("HTTP 503")
    else:
        intake.clock.advance(retry_state.PARKED_WAIT)
        intake.alarms.look()
    assert intake.alarms.active == {}
    assert [alarm.kind for alarm in intake.alarms.ended()] == ["parked"]


def test_nothing_fails_while_no_events_are_left(intake: RetryFixture) -> None:
    state = intake.retry_state
    state.fail("no connection", Cause.CONNECTION)
    state.nothing_waits()
    assert (state.failures, state.failing_since, state.last_error, state.last_cause) == (0, None, None, None)
    state.park("HTTP 401")
    state.nothing_waits()
    assert (state.parked, state.last_error) == ("HTTP 401", "HTTP 401")


def test_parked_intake_keeps_its_cause_while_the_network_fails(intake: RetryFixture) -> None:
    state = intake.retry_state
    state.park("HTTP 401", Cause.KEY)
    intake.clock.advance(1000)
    state.fail("no connection", Cause.CONNECTION)
    assert (state.parked, state.last_error, state.last_cause) == ("HTTP 401", "HTTP 401", Cause.KEY)
