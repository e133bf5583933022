"""What was tried in vain is tried again, ever less often."""

from bridge.syslog.fast.retry_pause import RetryPause


def test_ever_more_chances_are_passed_over():
    patience, passed = RetryPause(8), []
    for _ in range(6):
        patience.in_vain()
        passed.append(0)
        while patience.passes():
            passed[-1] += 1
    assert passed == [1, 2, 4, 8, 8, 8]
    assert patience.tried


def test_a_try_that_was_worth_it_begins_anew():
    patience = RetryPause(8)
    assert not patience.tried and not patience.passes()
    for _ in range(3):
        patience.in_vain()
    patience.reset()
    assert not patience.tried
    patience.in_vain()
    # What was passed over already is not taken back.
    assert [patience.passes() for _ in range(3)] == [True, False, False]
