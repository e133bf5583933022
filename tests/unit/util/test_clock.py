"""Tests when the wall clock is trusted for deleting files by age."""

import os
from types import SimpleNamespace

from bridge.util.clock import EARLIEST, SETTLED_AFTER, SteadyClock, WallClock, last_modified


def test_clock_is_settled_after_it_has_run_evenly_and_not_after_a_step():
    now = SimpleNamespace(wall=1e9, monotonic=5.0)
    steady = SteadyClock(lambda: now.wall, lambda: now.monotonic)

    def run(seconds, step=0.0):
        now.monotonic += seconds
        now.wall += seconds + step
        return steady.settled()

    assert not run(0)
    assert not run(SETTLED_AFTER - 1)
    assert run(2, step=1.0)
    for step in (3e8, -3e8):
        assert not run(30, step=step)
        assert not run(SETTLED_AFTER - 1)
        assert run(1)


def test_clock_that_was_never_set_is_replaced_by_an_estimate():
    now = SimpleNamespace(wall=EARLIEST - 1e8, monotonic=5.0)
    known = EARLIEST + 1e6
    clock = WallClock(known, read=lambda: now.wall, monotonic=lambda: now.monotonic)
    unknown = WallClock(read=lambda: now.wall, monotonic=lambda: now.monotonic)
    assert (clock(), unknown(), clock.is_set()) == (known, EARLIEST, False)
    now.monotonic += 60
    assert (clock(), unknown()) == (known + 60, EARLIEST + 60)
    now.wall = EARLIEST + 2e6
    assert (clock(), unknown(), clock.is_set()) == (now.wall, now.wall, True)


def test_last_modification_in_a_folder(tmp_path):
    assert last_modified(tmp_path / "missing") == last_modified(tmp_path) == 0
    for time in (30, 70, 20):
        (tmp_path / str(time)).touch()
        os.utime(tmp_path / str(time), (time, time))
    assert last_modified(tmp_path) == 70
