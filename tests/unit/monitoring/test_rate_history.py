"""Tests the rate history that the plots show."""

import pytest

from bridge.accounting import Ledger
from bridge.monitoring.rate_history import EVERY, FIGURES, TREND_SECONDS, RateHistory
from bridge.monitoring.runtime_metrics import DELAYS, Histogram


class ManualClock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_rates_are_differences_over_the_elapsed_time():
    ledger, delays, clock = Ledger(), Histogram(DELAYS), ManualClock()
    rate_history = RateHistory(ledger, delays, clock=clock, wall=clock)
    ledger.receive_spooled("a", 50)
    ledger.receive_filtered(10)
    clock.now += 5
    rate_history.beat({"a": 3, "b": 4}, 1.5)
    assert (rate_history.received, rate_history.delivered) == (12.0, 0.0)
    assert rate_history.rates == {"a": (10.0, 0.0)}
    ledger.deliver("a", 50)
    delays.observe(2.0)
    delays.observe(4.0)
    clock.now += 10
    rate_history.beat({"a": 3, "b": 4}, 1.5)
    assert rate_history.rates == {"a": (0.0, 5.0)}
    report = rate_history.hour.report()
    assert report["time"] == [1005.0, 1015.0]
    assert report["delay"] == [None, 3.0]
    assert report["waiting"] == [7.0, 7.0]
    assert {"step", "time", *FIGURES} == set(report)


def test_history_is_bounded_and_the_day_is_coarser():
    clock = ManualClock()
    rate_history = RateHistory(Ledger(), Histogram(DELAYS), clock=clock, wall=clock)
    for _ in range(3000):
        clock.now += EVERY
        rate_history.beat({"a": 3, "b": 4}, 1.5)
    hour, day = rate_history.hour.report(), rate_history.day.report()
    assert 640 < len(hour["time"]) <= 720
    assert len(day["time"]) == pytest.approx(3000 * EVERY / 60, abs=2)
    assert all(len(hour[name]) == len(hour["time"]) for name in FIGURES)


def test_trend_says_which_intakes_move_events_and_how_their_backlogs_change():
    ledger, clock = Ledger(), ManualClock()
    ledger.receive_spooled("a", 1000)
    ledger.receive_spooled("b", 1)
    rate_history = RateHistory(ledger, Histogram(DELAYS), clock=clock, wall=clock)
    for _ in range(int(TREND_SECONDS / EVERY)):
        ledger.receive_spooled("a", 10)
        ledger.deliver("a", 60)
        clock.now += EVERY
        rate_history.beat({}, 0.0)
    assert rate_history.changes == {"a": -10.0, "b": 0.0}
    assert rate_history.moving == {"a"}
    for _ in range(int(TREND_SECONDS / EVERY)):
        clock.now += EVERY
        rate_history.beat({}, 0.0)
    assert rate_history.moving == set()
