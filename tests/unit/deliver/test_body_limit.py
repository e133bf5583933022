"""Tests how the limit of request bodies is learned, and that it returns to normal once its cause is gone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from twisted.internet.task import Clock

from bridge.deliver.body_limit import PROBE_EVERY, SMALLEST_BODY, BodyLimit

MAX_BYTES = 5_000_000


class Collector:
    """Answers requests of one intake, and learns from each answer. Each request takes a tenth of a second."""

    def __init__(self, largest: int) -> None:
        self.clock = Clock()
        self.largest = largest
        self.refused_at: list[float] = []
        self.body_limit = BodyLimit(MAX_BYTES, self.clock.seconds)

    def full_body(self) -> int:
        return min(MAX_BYTES, self.body_limit.limit)

    def send(self, size: int) -> bool:
        """Sends a body. Returns True if it is accepted."""
        self.body_limit.sending(size)
        self.clock.advance(0.1)
        return self.answer(size)

    def answer(self, size: int) -> bool:
        self.body_limit.answered(size, cut_off=False)
        if size > self.largest:
            self.refused_at.append(self.clock.seconds())
            self.body_limit.too_large(size)
        else:
            self.body_limit.accepted(size)
        return size <= self.largest

    def send_until(self, done: Callable[[], bool], size: Callable[[], int] | None = None) -> int:
        """Sends full bodies, or those of ``size``, until ``done``. Returns their number."""
        for sent in range(100_000):
            if done():
                return sent
            self.send((size or self.full_body)())
        raise AssertionError(f"limit {self.body_limit.limit}")


def test_limit_is_just_below_what_the_collector_accepts_and_a_minute_has_one_refusal() -> None:
    collector = Collector(largest=1_000_000)
    collector.send_until(lambda: collector.clock.seconds() > 600)
    learning, later = collector.refused_at[:4], collector.refused_at[4:]
    assert learning[-1] < 1.0
    assert later and all(b - a >= PROBE_EVERY for a, b in pairwise(later))
    assert 0.95 * collector.largest <= collector.body_limit.limit <= 1.05 * collector.largest


def test_limit_ends_after_a_burst_of_refusals() -> None:
    collector = Collector(largest=0)
    collector.send_until(lambda: collector.body_limit.limit == SMALLEST_BODY)
    collector.send_until(lambda: collector.clock.seconds() > 6)
    collector.largest = MAX_BYTES
    collector.clock.advance(PROBE_EVERY)
    assert collector.send_until(lambda: collector.body_limit.learned is None) <= 100
    assert collector.full_body() == MAX_BYTES


def test_limit_doubles_below_the_last_refused_size_and_then_grows_by_a_twentieth() -> None:
    collector = Collector(largest=4_000_000)
    assert not collector.send(5_000_000)
    collector.largest = 200_000
    collector.send_until(lambda: collector.body_limit.limit <= 200_000)
    collector.largest = MAX_BYTES
    collector.clock.advance(PROBE_EVERY)
    sizes = []
    while collector.body_limit.learned is not None:
        sizes.append(collector.full_body())
        collector.send(sizes[-1])
    factors = [round(b / a, 2) for a, b in pairwise(sizes)]
    assert set(factors) <= {2.0, 1.05}
    assert factors == sorted(factors, reverse=True)


def test_batches_that_fill_half_of_the_limit_raise_it() -> None:
    collector = Collector(largest=600_000)
    collector.send_until(lambda: collector.body_limit.learned is not None)
    collector.largest = MAX_BYTES

    def whole_batches() -> int:
        return max(1, collector.full_body() // 190_000) * 190_000

    assert collector.send_until(lambda: collector.body_limit.learned is None, whole_batches) < 1000


def test_only_one_probe_is_in_flight() -> None:
    collector = Collector(largest=1_000_000)
    collector.send_until(lambda: collector.clock.seconds() > PROBE_EVERY + 1)
    collector.clock.advance(PROBE_EVERY)
    collector.send(collector.full_body())
    probe = collector.full_body()
    collector.body_limit.sending(probe)
    assert collector.full_body() < probe
    collector.body_limit.accepted(probe)
    assert collector.full_body() > probe


def test_late_refusals_of_larger_bodies_in_flight_change_nothing() -> None:
    collector = Collector(largest=0)
    collector.answer(400_000)
    before = collector.body_limit.limit
    collector.answer(5_000_000)
    assert collector.body_limit.limit == before


def test_small_accepted_bodies_do_not_become_the_limit() -> None:
    collector = Collector(largest=1000)
    assert collector.send(200)
    collector.send(4_000_000)
    assert collector.body_limit.limit == 2_500_000


@pytest.mark.parametrize("size", [1, 55, SMALLEST_BODY])
def test_refusal_of_a_small_body_teaches_nothing(size: int) -> None:
    collector = Collector(largest=0)
    assert not collector.send(size)
    assert collector.body_limit.learned is None


def test_two_bodies_in_a_row_that_are_cut_off_halve_the_limit_and_acceptances_restore_it() -> None:
    collector = Collector(largest=MAX_BYTES)
    limit = collector.body_limit
    limit.answered(4_000_000, cut_off=True)
    limit.answered(1000, cut_off=False)
    limit.answered(4_000_000, cut_off=True)
    assert limit.learned is None
    limit.answered(4_000_000, cut_off=True)
    assert limit.limit == 2_000_000
    for _ in range(10):
        limit.answered(limit.limit, cut_off=True)
    assert limit.limit >= SMALLEST_BODY
    collector.clock.advance(PROBE_EVERY)
    for _ in range(10):
        limit.accepted(limit.limit)
    assert limit.learned is None


def test_size_that_was_cut_off_is_tried_again_after_a_minute() -> None:
    collector = Collector(largest=MAX_BYTES)
    limit = collector.body_limit
    for size in (4_000_000, 4_000_000, 2_000_000, 2_000_000):
        limit.answered(size, cut_off=True)
    for _ in range(100):
        limit.accepted(limit.limit)
    assert limit.limit == 1_000_000
    collector.clock.advance(PROBE_EVERY)
    limit.accepted(limit.limit)
    assert limit.limit == 2_000_000


def test_another_collector_starts_without_a_limit() -> None:
    collector = Collector(largest=1_000_000)
    collector.send_until(lambda: collector.body_limit.learned is not None)
    collector.body_limit.forget()
    assert collector.body_limit.learned is None
