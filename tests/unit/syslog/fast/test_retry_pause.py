"""What was tried in vain is tried again, ever less often."""

from bridge.syslog.fast.retry_pause import RetryPause


def test_ever_more_chances_are_passed_over():
    retry_pause, passed = RetryPause(8), []
    for _ in range(6):
        retry_pause.in_vain()
        passed.append(0)
        while retry_pause.passes():
            passed[-1] += 1
    assert passed == [1, 2, 4, 8, 8, 8]
    assert retry_pause.tried


def test_a_try_that_was_worth_it_begins_anew():
    retry_pause = RetryPause(8)
    assert not retry_pause.tried and not retry_pause.passes()
    for _ in range(3):
        retry_pause.in_vain()
    retry_pause.reset()
    assert not retry_pause.tried
    retry_pause.in_vain()
    # What was passed over already is not taken back.
    assert [retry_pause.passes() for _ in range(3)] == [True, False, False]
