"""Our clock against the collector's ``Date``."""

from email.utils import formatdate

import pytest

from bridge.monitoring.alarms import Alarms
from bridge.monitoring.gateway_clock import GatewayClock

NOW = 1_795_418_640.4


def keeping(ours=NOW):
    alarms = Alarms()
    return GatewayClock(alarms, wall=lambda: ours), alarms


def answers(gateway_clock, theirs, took=0.2):
    for _ in range(3):
        gateway_clock.answered(formatdate(theirs, usegmt=True), took)


@pytest.mark.parametrize("offset", [-4.0, -0.5, 0.0, 0.9, 4.0])
def test_clocks_that_agree_as_far_as_seconds_can_tell(offset):
    gateway_clock, alarms = keeping()
    answers(gateway_clock, NOW - offset)
    assert abs(gateway_clock.offset) <= abs(offset) + 1
    assert not alarms.active


@pytest.mark.parametrize(("offset", "words"), [(-180.0, "behind"), (7200.0, "ahead of")])
def test_a_wrong_clock_is_an_alarm_with_its_remedy(offset, words):
    gateway_clock, alarms = keeping()
    answers(gateway_clock, NOW - offset)
    assert abs(gateway_clock.offset - offset) < 1.5
    text = alarms.active["clock", "gateway"]
    assert f"{words} the collector's" in text
    assert "NTP" in text


def test_a_slow_answer_is_no_wrong_clock():
    gateway_clock, alarms = keeping()
    answers(gateway_clock, NOW - 20, took=25.0)
    assert gateway_clock.offset == 0
    assert not alarms.active


def test_it_ends_when_the_clock_is_set():
    gateway_clock, alarms = keeping()
    answers(gateway_clock, NOW + 3600)
    assert alarms.active
    answers(gateway_clock, NOW)
    assert not alarms.active
    assert gateway_clock.offset == 0


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Nov 2026 07:24:00 GMT", "\x00" * 100])
def test_no_date_says_nothing(date):
    gateway_clock, _ = keeping()
    gateway_clock.answered(date, 0.1)
    assert gateway_clock.offset is None
