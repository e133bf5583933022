"""Tests how reactor stalls are measured: the longest turn, and the delay of a tick."""

from bridge.monitoring.runtime_metrics import RuntimeMetrics


def test_stall_is_the_longest_turn_of_the_last_minutes():
    now, turns = [0.0], [0.0]
    metrics = RuntimeMetrics(lambda: now[0], lambda: turns[0])
    for second in range(200):
        now[0], turns[0] = second * RuntimeMetrics.TICK, 0.0
        metrics.tick()
    assert metrics.stall == 0.0
    # It began just after a tick was due, so that the next tick is hardly late.
    turns[0], now[0] = 0.4, now[0] + 0.45
    metrics.tick()
    assert metrics.stall == 0.4
    turns[0] = 0.0
    for _ in range(200):
        now[0] += RuntimeMetrics.TICK
        metrics.tick()
    assert metrics.stall == 0.4
    for _ in range(300):
        now[0] += RuntimeMetrics.TICK
        metrics.tick()
    assert metrics.stall == 0.0


def test_process_that_was_stopped_has_a_stall():
    now = [0.0]
    metrics = RuntimeMetrics(lambda: now[0])
    metrics.tick()
    now[0] = 10.0
    metrics.tick()
    assert metrics.stall == 10.0 - RuntimeMetrics.TICK
