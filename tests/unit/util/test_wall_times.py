"""Tests that a moment is shown with the same time each time, unless the clock was set."""

from bridge.util.wall_times import WallTimes


def test_one_moment_has_one_time() -> None:
    readings = iter((1_000_000.0, 1_000_060.004, 1_000_119.997))
    monotonic = iter((0.0, 60.0, 120.0))
    times = WallTimes(lambda: next(monotonic), lambda: next(readings))
    assert times.of(30.0) == times.of(30.0) == times.of(30.0) == 1_000_030.0


def test_clock_that_is_set_corrects_the_time() -> None:
    now, ahead = 10.0, 0.0
    times = WallTimes(lambda: now, lambda: 1_000_000.0 + now + ahead)
    assert times.of(5.0) == 1_000_005.0
    ahead = 3600.0
    assert times.of(5.0) == 1_003_605.0
