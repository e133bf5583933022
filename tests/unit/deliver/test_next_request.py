"""Tests the join width of requests while an intake catches up."""

from bridge.deliver.next_request import MOST_MS, WIDEN_AFTER, JoinWidth


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
    resets = []
    for second in range(5 * int(WIDEN_AFTER)):
        if width.ms == 60_000:
            break
        resets.append(width.rate_suffices(now + second))
    assert width.ms == 60_000
    assert resets[-1] and not any(resets[:-1])
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
