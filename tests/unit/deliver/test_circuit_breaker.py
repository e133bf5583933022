"""Tests when the intakes of a base URL send again after the first request that it accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.deliver.circuit_breaker import RETURN_SPREAD, BaseUrls, CircuitBreaker
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.outcome import Verdict
from bridge.deliver.retry_state import LONGEST_WAIT, RESUME_WITHIN, RetryState
from tests.harness.builders import build_delivery_context


class UrlFixture:
    """Provides a base URL and the retry states of intakes that post to it."""

    def __init__(self, *names: str) -> None:
        self.clock = Clock()
        self.wakes: list[float] = []
        self.breaker = CircuitBreaker(self.clock, wake=lambda: self.wakes.append(self.clock.seconds()))
        base_urls, store = BaseUrls((self.breaker,)), None
        alarms: Any = AlarmsThatChangeNothing()
        context = build_delivery_context(
            self.clock, store=store, ledger=Ledger(), alarms=alarms,
            dispatcher=Dispatcher(self.clock, connections=8, rate=None),
        )  # fmt: skip
        self.states: dict[str, RetryState] = {}
        for name in names:
            self.states[name] = RetryState(name, max_in_flight=4, context=context, base_urls=base_urls)
            base_urls.change(name, previous=(), resume=self.states[name].resume)

    def fail(self, name: str, **details: Any) -> None:
        """Answers a request of an intake with an error."""
        self.breaker.started()
        self.breaker.answered(name, 0.1)
        self.breaker.ended(name, Verdict.RETRY)
        self.states[name].fail("HTTP 500", **details)

    def fail_for_long(self, *names: str) -> None:
        """Answers with errors until the next attempts are far away."""
        for _ in range(10):
            for name in names:
                self.fail(name)
            self.clock.advance(LONGEST_WAIT)
        for name in names:
            self.fail(name)
            assert self.next_in(name) >= LONGEST_WAIT / 2

    def accept(self, name: str) -> None:
        self.breaker.started()
        self.breaker.answered(name, 0.1)
        self.breaker.ended(name, Verdict.ACCEPTED)
        self.states[name].succeeded()

    def next_in(self, name: str) -> float:
        wait = self.states[name].next_in
        assert wait is not None
        return wait


class AlarmsThatChangeNothing:
    def on(self, kind: str, about: str, text: str) -> None:
        pass

    def off(self, kind: str, about: str, text: str) -> None:
        pass


@pytest.fixture
def url() -> UrlFixture:
    return UrlFixture("a", "b", "c", "d")


def test_spread_is_within_two_seconds() -> None:
    assert RESUME_WITHIN < 2 and RETURN_SPREAD < 2


def test_first_success_wakes_the_intakes_that_back_off(url: UrlFixture) -> None:
    url.fail_for_long("a", "b", "c")
    url.accept("a")
    assert url.next_in("b") <= RESUME_WITHIN
    assert url.next_in("c") <= RESUME_WITHIN


def test_success_of_an_intake_that_never_failed_wakes_the_others_too(url: UrlFixture) -> None:
    url.accept("d")
    url.clock.advance(60)
    url.fail_for_long("a")
    url.accept("d")
    assert url.next_in("a") <= RESUME_WITHIN


def test_next_recovery_wakes_an_intake_that_failed_again(url: UrlFixture) -> None:
    url.fail_for_long("a", "b", "c")
    url.accept("a")
    url.clock.advance(RESUME_WITHIN)
    url.fail_for_long("b")
    url.accept("c")
    assert url.next_in("b") <= RESUME_WITHIN


def test_intake_that_alone_fails_keeps_its_wait(url: UrlFixture) -> None:
    url.fail_for_long("a")
    url.accept("b")
    url.clock.advance(RESUME_WITHIN)
    url.fail_for_long("a")
    before = url.next_in("a")
    for _ in range(20):
        url.accept("b")
    assert url.next_in("a") == before


def _retry_after(url: UrlFixture) -> None:
    url.fail("b", at_least=300.0)


def _later_retry_after(url: UrlFixture) -> None:
    url.fail("b")
    url.fail("b", at_least=300.0)


def _parked(url: UrlFixture) -> None:
    url.fail("b")
    url.states["b"].stop()
    url.states["b"].park("HTTP 401")


@pytest.mark.parametrize("prepare", [_retry_after, _later_retry_after, _parked])
def test_retry_after_and_parked_intakes_keep_their_wait(url: UrlFixture, prepare: Callable[[UrlFixture], None]) -> None:
    url.fail_for_long("a")
    prepare(url)
    before = url.next_in("b")
    assert before > 100
    url.accept("a")
    assert url.next_in("b") == before


def test_all_intakes_may_send_soon_after_the_breaker_closes() -> None:
    names = [f"intake-{n}" for n in range(1000)]
    url = UrlFixture(*names)
    for _ in range(8):
        url.breaker.started()
        url.breaker.fault()
        url.clock.advance(60)
    assert url.breaker.state == "open"
    assert not url.wakes or url.breaker.allows("intake-1", 8)
    url.accept("intake-0")
    assert url.breaker.state == "closed"
    url.wakes.clear()
    url.clock.pump([0.001] * 2000)
    assert all(url.breaker.allows(name, 8) for name in names)
    # The intakes are not asked one by one: 1,000 rounds over 1,000 intakes would stop the reactor.
    assert 2 <= len(url.wakes) <= 20
