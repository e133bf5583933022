"""Tests when the wall clock is trusted for deleting files by age."""

from types import SimpleNamespace

from bridge.util.clock import SETTLED_AFTER, SteadyClock


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
