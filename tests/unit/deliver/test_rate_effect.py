"""Tests the alarm that ``max_request_rate`` limits delivery."""

from types import SimpleNamespace
from typing import Any

from bridge.deliver.rate_effect import MIN_WIDENED, OLD, WINDOW, RateEffect
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.problems import summarize


def pieces(*seconds: int, sealed: float = 0.0) -> Any:
    batch = SimpleNamespace(sealed=sealed)
    return [SimpleNamespace(batch=batch, earliest=1000 * at, latest=1000 * at + 500) for at in seconds]


class Effect(RateEffect):
    def __init__(self) -> None:
        super().__init__()
        self.alarms, self.now = Alarms(clock=lambda: self.now), 0.0
        self.look()

    def look(self, rate: float | None = 20.0, *, joins: bool = False) -> str | None:
        self.check(self.now, rate, self.alarms, joins=joins)
        return self.alarms.active.get(("request_rate", "collector"))

    def minute(self, narrow: int, wide: int, *, limited: bool = True, sealed: float = 0.0) -> None:
        for _ in range(narrow):
            self.record(pieces(1), 1000, limited=limited, now=self.now)
        for _ in range(wide):
            self.record(pieces(1, 2, sealed=sealed), 1000, limited=limited, now=self.now)
        self.now += WINDOW


def test_alarm_says_that_the_rate_limits_and_what_to_do() -> None:
    effect = Effect()
    effect.minute(75, 25)
    text = effect.look() or ""
    assert "the request rate limits delivery (max_request_rate is 20): in 25 % of the latest requests" in text
    assert "raise collector.max_request_rate, up to 50" in text
    assert "small_batches: array" in text
    shown = summarize({"alarms": [{"kind": "request_rate", "about": "collector", "text": text}]})
    assert (shown["state"], shown["text"][:16]) == ("degraded", "The request rate")
    effect.minute(100, 0)
    assert effect.look() is None


def test_alarm_names_only_remedies_that_are_left() -> None:
    effect = Effect()
    effect.minute(0, 100)
    text = effect.look(50.0, joins=True) or ""
    assert "raise" not in text and "small_batches" not in text
    assert "ask the vendor" in text


def test_few_widened_requests_are_no_alarm() -> None:
    effect = Effect()
    effect.minute(0, MIN_WIDENED - 1)
    assert effect.look() is None
    effect.minute(1000, 10)
    assert effect.look() is None


def test_requests_that_the_rate_does_not_delay_are_not_counted() -> None:
    effect = Effect()
    effect.minute(0, 100, limited=False)
    assert effect.look() is None


def test_backlog_that_drains_is_not_counted() -> None:
    effect = Effect()
    effect.now = OLD
    effect.minute(0, 100, sealed=0.0)
    assert effect.look() is None


def test_batches_of_one_second_are_not_widened() -> None:
    effect = Effect()
    for _ in range(100):
        effect.record(pieces(1, 1), 1000, limited=True, now=0.0)
    assert (effect.total, effect.widened) == (100, 0)
