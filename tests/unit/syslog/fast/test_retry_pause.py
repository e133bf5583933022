"""Tests that each failure doubles the pause before the next attempt."""

from bridge.syslog.fast.retry_pause import RetryPause


def test_pauses_double_up_to_the_maximum():
    retry_pause, skipped = RetryPause(8), []
    for _ in range(6):
        retry_pause.record_failure()
        skipped.append(0)
        while retry_pause.should_skip():
            skipped[-1] += 1
    assert skipped == [1, 2, 4, 8, 8, 8]


def test_reset_shortens_the_next_pause():
    retry_pause = RetryPause(8)
    assert not retry_pause.should_skip()
    for _ in range(3):
        retry_pause.record_failure()
    retry_pause.reset()
    retry_pause.record_failure()
    # The next pause is one read again.
    assert [retry_pause.should_skip() for _ in range(3)] == [True, False, False]
