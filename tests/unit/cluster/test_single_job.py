"""Tests that a job runs once at a time, and that its defect is logged."""

from twisted.internet import defer
from twisted.logger import globalLogPublisher

from bridge.cluster.single_job import SingleJob


def test_job_is_busy_until_it_has_ended():
    job, waiting, ended = SingleJob("testing"), defer.Deferred(), []
    job.start(waiting, lambda: ended.append(job.busy))
    assert job.busy and not ended
    waiting.callback(None)
    assert ended == [False]


def test_defect_is_logged_and_the_next_job_may_start():
    job, events, ended = SingleJob("testing"), [], []
    globalLogPublisher.addObserver(events.append)
    try:
        job.start(defer.fail(ZeroDivisionError()), lambda: ended.append(job.busy))
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert ended == [False]
    assert [event["what"] for event in events if "log_failure" in event] == ["testing"]
