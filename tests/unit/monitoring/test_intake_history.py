"""Tests the history of each intake that its plots show."""

from __future__ import annotations

from math import isnan
from typing import Any

import pytest

from bridge.accounting import Ledger
from bridge.monitoring import intake_history
from bridge.monitoring.intake_history import FIGURES, IntakeRing
from bridge.monitoring.rate_history import EVERY, RateHistory
from bridge.monitoring.runtime_metrics import DELAYS, Histogram


def ring(step: float = 20.0, max_readings: int = 180) -> IntakeRing:
    made = IntakeRing(step, max_readings)
    made.begin(0.0, {"fw": (100, 40)})
    return made


def columns(made: IntakeRing, name: str) -> Any:
    found: Any = made.report([name])["intakes"]
    return found[name]


def test_rates_are_means_over_the_step() -> None:
    made = ring()
    made.add(5.0, 1005.0, {"fw": (100, 40)}, {"fw": 60})
    assert made.report(["fw"])["time"] == []
    made.add(20.0, 1020.0, {"fw": (300, 140)}, {"fw": 160})
    made.add(45.0, 1045.0, {"fw": (350, 340)}, {"fw": 10})
    assert made.report(["fw"]) == {
        "step": 20.0,
        "time": [1020.0, 1045.0],
        "intakes": {"fw": {"received": [10.0, 2.0], "delivered": [5.0, 8.0], "waiting": [160.0, 10.0]}},
    }


def test_intake_that_was_added_has_no_values_before_and_a_removed_one_none_at_all() -> None:
    made = ring()
    made.add(20.0, 1020.0, {"fw": (100, 40)}, {"fw": 0})
    made.add(40.0, 1040.0, {"fw": (100, 40), "web": (40, 0)}, {"fw": 0, "web": 40})
    assert columns(made, "web") == {"received": [None, 2.0], "delivered": [None, 0.0], "waiting": [None, 40.0]}
    made.add(60.0, 1060.0, {"web": (40, 0)}, {"web": 40})
    assert made.report(["fw", "web", "never"])["intakes"] == {"web": columns(made, "web")}
    assert len(columns(made, "web")["waiting"]) == 3


def test_readings_and_intakes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_history, "MAX_INTAKES", 2)
    made = ring(step=1.0, max_readings=20)
    for second in range(1, 100):
        made.add(float(second), float(second), {}, {"a": 1, "b": 2, "c": 3})
    report = made.report(["a", "b", "c"])
    times: Any = report["time"]
    found: Any = report["intakes"]
    assert list(found) == ["a", "b"]
    assert 18 <= len(times) <= 20
    assert times[-1] == 99.0
    for name in found:
        assert {len(found[name][figure]) for figure in FIGURES} == {len(times)}


def test_rate_history_feeds_both_spans() -> None:
    now = 1000.0
    ledger = Ledger()
    history = RateHistory(ledger, Histogram(DELAYS), clock=lambda: now, wall=lambda: now)
    for _ in range(120):
        ledger.receive_spooled("fw", 50)
        now += EVERY
        history.beat({"fw": 7}, 1.5)
    hour, day = columns(history.intakes_hour, "fw"), columns(history.intakes_day, "fw")
    assert hour["received"] == [10.0] * 30
    assert day["received"] == [10.0] * 2
    assert day["waiting"] == [7.0] * 2
    assert not any(isnan(value) for value in hour["delivered"])
