"""Tests that alarms are reported once, and that those of finished losses end by themselves."""

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.loss_monitor import ENDS_AFTER, LossMonitor
from bridge.util.alarms import A_DAY


class AlarmsFixture:
    """Alarms on a fake clock, and the self events that they sent."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events: list[str] = []
        self.alarms = Alarms(self.events.append, clock=self.clock.seconds)

    def active_after(self, seconds: float) -> list[str]:
        """Returns the texts of the active alarms after some seconds."""
        self.clock.advance(seconds)
        self.alarms.look()
        return list(self.alarms.active.values())


@pytest.fixture
def fixture() -> AlarmsFixture:
    return AlarmsFixture()


def test_alarm_with_a_span_ends_after_its_last_call_and_says_so(fixture: AlarmsFixture) -> None:
    fixture.alarms.on("damaged", "fw", "one file", lasts=A_DAY)
    assert fixture.active_after(A_DAY - 1) == ["one file"]
    fixture.alarms.on("damaged", "fw", "one file", lasts=A_DAY)
    assert len(fixture.events) == 1, "the same text is not reported again"
    assert fixture.active_after(A_DAY - 1) == ["one file"]
    assert fixture.active_after(1) == []
    assert 'state=off about="fw" message="not happened again for 24 hours: one file"' in fixture.events[-1]


def test_alarm_without_a_span_lasts_until_its_cause_is_gone(fixture: AlarmsFixture) -> None:
    fixture.alarms.on("full", "fw", "finished", lasts=10)
    fixture.alarms.on("full", "fw", "persists")
    assert fixture.active_after(1000 * A_DAY) == ["persists"]
    fixture.alarms.off("full", "fw", "room again")
    assert fixture.active_after(0) == []


def test_alarm_that_was_ended_and_raised_again_has_no_old_end(fixture: AlarmsFixture) -> None:
    fixture.alarms.on("loss", "fw", "first", lasts=10)
    fixture.alarms.off("loss", "fw", "over")
    fixture.alarms.on("loss", "fw", "second")
    assert fixture.active_after(100) == ["second"]


def test_loss_alarm_lasts_while_a_counter_increases(fixture: AlarmsFixture) -> None:
    drops = {"udp": 0}
    peers: Any = SimpleNamespace(all=list)
    monitor = LossMonitor(fixture.alarms, ledger=Ledger(), peers=peers, kernel_drops=lambda: drops)

    def look(seconds: float, new: int) -> int:
        drops["udp"] += new
        fixture.clock.advance(seconds)
        monitor.look()
        return len(fixture.active_after(0))

    assert [look(0, 0), look(5, 3), look(ENDS_AFTER - 1, 0), look(0.5, 2)] == [0, 1, 1, 1]
    assert [look(ENDS_AFTER - 1, 0), look(1, 0)] == [1, 0]
    assert ["state=on" in event for event in fixture.events] == [True, False]


def test_alarm_has_its_start_and_remedy_and_is_remembered_after_its_end() -> None:
    clock, wall, lines = Clock(), [1000.0], []
    alarms = Alarms(lines.append, clock=clock.seconds, wall=lambda: wall[0] + clock.seconds())
    clock.advance(60)
    alarms.on("full", "fw", "first")
    clock.advance(10)
    alarms.on("full", "fw", "second", remedy="free space")
    (alarm,) = alarms.current.values()
    assert (alarm.text, alarm.remedy, alarms.wall_time(alarm.since)) == ("second", "free space", 1060.0)
    assert 'message="second" remedy="free space"' in lines[-1]
    wall[0] += 3600
    assert alarms.wall_time(alarm.since) == 4660.0, "a clock that is set corrects the time of earlier alarms"
    alarms.off("full", "fw", "room again")
    (ended,) = alarms.ended()
    assert (ended.text, ended.since, ended.ended) == ("second", 60.0, 70.0)
    alarms.on("full", "fw", "third")
    assert list(alarms.ended()) == [], "an alarm that is active again has not ended"


def test_many_alarms_of_one_kind_do_not_hide_those_of_another() -> None:
    alarms = Alarms()
    for number in range(Alarms.MOST + 1):
        alarms.on("silence", str(number), "silent")
    alarms.on("spool", "disk", "the disk is full")
    assert (alarms.count("silence"), alarms.count("spool")) == (Alarms.MOST, 1)
    assert ("spool", "disk") in alarms.current
    alarms.on("silence", "0", "silent for longer")
    alarms.off("silence", "0", "sends again")
    alarms.on("silence", str(Alarms.MOST), "silent")
    assert ("silence", str(Alarms.MOST)) in alarms.current, "there is room for another one again"


def test_ended_alarms_are_bounded_for_each_kind() -> None:
    alarms = Alarms()
    alarms.on("loss", "fw", "events are dropped")
    alarms.off("loss", "fw", "over")
    for number in range(3 * Alarms.MOST_ENDED):
        alarms.on("silence", str(number), "silent")
        alarms.off("silence", str(number), "sends again")
    about = [alarm.about for alarm in alarms.ended()]
    assert about == ["fw", *(str(number) for number in range(2 * Alarms.MOST_ENDED, 3 * Alarms.MOST_ENDED))]
