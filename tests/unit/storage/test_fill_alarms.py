"""Tests when the alarms for a nearly full spool begin and end."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from bridge.monitoring.alarms import Alarms
from bridge.storage.fill_alarms import ENDS_AFTER, FillAlarms


class Filling:
    def __init__(self) -> None:
        self.clock = Clock()
        self.alarms = Alarms(clock=self.clock.seconds, wall=self.clock.seconds)
        self.fill_alarms = FillAlarms(self.alarms, self.clock.seconds)

    def use(self, percent: int, *, left: float | None = None, seconds: float = 1) -> list[str]:
        """Lets time pass. Returns which alarms are active then."""
        self.clock.advance(seconds)
        self.fill_alarms.update(percent * 10_000, 1_000_000, left)
        return [about for _, about in self.alarms.active]


@pytest.fixture
def spool() -> Filling:
    return Filling()


def test_alarms_begin_at_their_shares(spool: Filling) -> None:
    assert spool.use(69) == []
    assert spool.use(70, left=56.0) == ["70 %"]
    assert spool.use(90, left=0.0) == ["70 %", "90 %"]
    texts = list(spool.alarms.active.values())
    assert texts == [
        "spool: 70 % of its limit (1.0 MB) is used; at the present rate it is full in about 56 s",
        "spool: 90 % of its limit (1.0 MB) is used",
    ]


def test_use_that_swings_by_much_is_one_alarm(spool: Filling) -> None:
    """In a small spool, each dropped batch is an eighth of it."""
    for _ in range(10):
        assert spool.use(97) == ["70 %", "90 %"]
        assert spool.use(80, seconds=ENDS_AFTER - 1) == ["70 %", "90 %"]
    assert list(spool.alarms.ended()) == []


def test_alarm_ends_when_there_was_room_for_a_minute(spool: Filling) -> None:
    spool.use(95)
    assert spool.use(86, seconds=ENDS_AFTER) == ["70 %", "90 %"], "too near"
    assert spool.use(84, seconds=1) == ["70 %", "90 %"]
    assert spool.use(84, seconds=ENDS_AFTER - 1) == ["70 %"]
    assert [alarm.about for alarm in spool.alarms.ended()] == ["90 %"]


def test_empty_spool_ends_the_alarms_at_once(spool: Filling) -> None:
    spool.use(95)
    assert spool.use(0) == []


def test_spool_without_a_known_limit_has_no_alarm(spool: Filling) -> None:
    spool.fill_alarms.update(100, 0, None)
    assert spool.alarms.active == {}
