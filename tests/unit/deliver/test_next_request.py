"""Tests the join width of requests while an intake catches up."""

from pathlib import Path
from typing import Any

from bridge.deliver.next_request import MOST_MS, WIDEN_AFTER, JoinWidth
from tests.unit.deliver.test_unreadable import Fixture


def widened(steps: int) -> tuple[JoinWidth, float]:
    """Returns a width that has doubled ``steps`` times, and the time."""
    width, now = JoinWidth(60_000), 0.0
    for _ in range(steps + 1):
        width.falls_behind(now, waiting=100)
        now += WIDEN_AFTER
    return width, now


def test_width_doubles_up_to_ten_minutes_while_the_rate_is_the_limit() -> None:
    assert widened(1)[0].ms == 120_000
    assert widened(9)[0].ms == MOST_MS


def test_width_halves_each_minute_in_which_the_rate_suffices() -> None:
    width, now = widened(9)
    shrank = []
    for second in range(5 * int(WIDEN_AFTER)):
        if width.ms == 60_000:
            break
        if width.rate_suffices(now + second):
            shrank.append(width.ms)
    assert shrank == [300_000, 150_000, 75_000, 60_000]
    assert width.is_reset
    assert not width.rate_suffices(now + 10 * WIDEN_AFTER)


def test_requests_at_the_rate_limit_do_not_count_towards_the_return() -> None:
    width, now = widened(2)
    for _ in range(100):
        width.rate_suffices(now)
        width.limited_elsewhere()
        now += WIDEN_AFTER
    assert width.ms == 240_000


def test_width_is_reset_once_there_is_no_backlog() -> None:
    width, _ = widened(3)
    assert width.caught_up()
    assert (width.ms, width.caught_up()) == (60_000, False)


def test_alarm_names_the_width_that_applies(tmp_path: Path) -> None:
    fixture: Any = Fixture(tmp_path / "spool", rate=0.5, in_flight=1)
    seconds = iter(range(10**6))

    def next_text() -> str | None:
        """Receives an event each second, far apart in time, until the alarm has another text. Returns it."""
        before = text()
        for _ in range(3000):
            fixture.seal(b"event", ms=next(seconds) * 700_000)
            fixture.clock.advance(1)
            if fixture.posted:
                fixture.accept()
            if text() != before:
                return text()
        raise AssertionError(before)

    def text() -> str | None:
        return fixture.active.get(("width", "a"))

    assert "may now differ by 120 s" in (next_text() or "")
    assert "may now differ by 240 s" in (next_text() or "")
    fixture.dispatcher.change(connections=8, rate=None, bandwidth=None)
    assert next_text() == "intake a catches up: the times in one request still differ by up to 120 s"
    assert next_text() is None
