"""Tests which batches the fsync policies sync, and when."""

import errno
import os
from pathlib import Path

import pytest

from tests.harness.builders import build_fsync_policy


@pytest.fixture
def synced(monkeypatch):
    """Returns the names of the files and folders that were synced."""
    synced_names = []
    fsync = os.fsync

    def recording_fsync(descriptor):
        synced_names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    return synced_names


def before_sending(fsync_policy, batches):
    """Raises the error with which the policy answers."""
    answers = []
    fsync_policy.before_sending(batches, answers.append)
    (error,) = answers
    if error is not None:
        raise error


def build_policy(spool_fixture, policy, errors=None, found=(), **overrides):
    policy_under_test = build_fsync_policy(
        spool_fixture.directory, policy, clock=lambda: spool_fixture.clocks.monotonic,
        wall=lambda: spool_fixture.clocks.wall, on_error=(errors if errors is not None else []).append, **overrides,
    )  # fmt: skip
    spool_fixture.spool.subscribe(policy_under_test.add)
    for batch in found:
        policy_under_test.add(batch)
    policy_under_test.end_recovery()
    return policy_under_test


def test_backlog_syncs_the_batches_that_still_exist_after_5_seconds(spool_fixture, synced):
    fsync_policy = build_policy(spool_fixture, "backlog")
    for slot in range(4):
        spool_fixture.append(b"x", slot=slot)
    first, second, sent_batch, settled_batch = spool_fixture.seal()
    fsync_policy.look()
    assert synced == []
    spool_fixture.clocks.advance(5)
    settled_batch.unacknowledged = 0
    sent_batch.path.unlink()
    fsync_policy.look()
    assert synced == [first.path.name, second.path.name, "a", "spool"]
    assert (first.synced, sent_batch.synced, fsync_policy.synced) == (True, False, 2)
    synced.clear()
    fsync_policy.look()
    assert synced == []


def test_spool_folder_is_synced_only_for_a_new_intake_folder(spool_fixture, synced):
    fsync_policy = build_policy(spool_fixture, "backlog")
    for _ in range(2):
        spool_fixture.append(b"x")
        spool_fixture.seal()
        spool_fixture.clocks.advance(5)
        fsync_policy.look()
    assert synced.count("spool") == 1
    assert synced.count("a") == 2


def test_large_backlog_is_synced_in_small_jobs(spool_fixture, synced):
    """Group commits use the same thread, so they must not wait for a whole backlog."""
    jobs = []
    fsync_policy = build_policy(spool_fixture, "backlog", sync_work=lambda job, done: jobs.append((job, done)))
    for slot in range(20):
        spool_fixture.append(b"x", slot=slot)
    batches = spool_fixture.seal()
    spool_fixture.clocks.advance(5)
    fsync_policy.look()
    fsync_policy.look()
    sizes = []
    while jobs:
        assert len(jobs) == 1
        job, done = jobs.pop()
        before = fsync_policy.synced
        done(job())
        sizes.append(fsync_policy.synced - before)
    assert sizes == [8, 8, 4]
    assert all(batch.synced for batch in batches)


def test_never_syncs_nothing(spool_fixture, synced):
    fsync_policy = build_policy(spool_fixture, "never")
    spool_fixture.append(b"x")
    spool_fixture.seal()
    spool_fixture.clocks.advance(60)
    fsync_policy.look()
    before_sending(fsync_policy, spool_fixture.sealed)
    assert synced == []


def test_changed_policy_applies_to_the_next_batch(spool_fixture):
    fsync_policy = build_policy(spool_fixture, "never")
    spool_fixture.append(b"x")
    spool_fixture.seal()
    fsync_policy.change("backlog")
    spool_fixture.append(b"y")
    spool_fixture.seal()
    spool_fixture.clocks.advance(60)
    fsync_policy.look()
    assert [batch.synced for batch in spool_fixture.sealed] == [False, True]


def test_always_syncs_all_waiting_batches_before_the_first_post(spool_fixture, synced):
    fsync_policy = build_policy(spool_fixture, "always")
    spool_fixture.append(b"x")
    spool_fixture.append(b"y", slot=1)
    first, second = spool_fixture.seal()
    before_sending(fsync_policy, [first])
    assert first.synced
    assert second.synced, "group commit"
    before = len(synced)
    before_sending(fsync_policy, [first, second])
    assert len(synced) == before, "a batch is synced once"


def test_requests_that_wait_share_a_sync(spool_fixture):
    jobs, answers = [], []
    fsync_policy = build_policy(spool_fixture, "always", sync_work=lambda job, done: jobs.append((job, done)))
    for slot in range(3):
        spool_fixture.append(b"x", slot=slot)
    for batch in spool_fixture.seal():
        fsync_policy.before_sending([batch], answers.append)
    job, done = jobs.pop()
    done(job())
    assert answers[0] is None
    while jobs:
        job, done = jobs.pop()
        done(job())
    assert answers == [None] * 3
    assert fsync_policy.synced == 3


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_sync_error_fails_the_requests_that_wait_for_the_file_and_is_tried_again(spool_fixture, monkeypatch, call):
    errors = []
    fsync_policy = build_policy(spool_fixture, "always", errors)
    spool_fixture.append(b"x")
    spool_fixture.append(b"y", slot=1)
    bad, good = spool_fixture.seal()
    original = getattr(os, call)

    def broken(target, *rest):
        path = target if call == "open" else Path(f"/proc/self/fd/{target}").readlink()
        if Path(path).name == bad.path.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(target, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, broken)
        before_sending(fsync_policy, [good])
        with pytest.raises(OSError, match="Input/output"):
            before_sending(fsync_policy, [bad])
    assert "cannot sync" in errors[0] and bad.path.name in errors[0]
    assert (good.synced, bad.synced) == (True, False)
    spool_fixture.clocks.advance(5)
    fsync_policy.look()
    assert bad.synced


def test_queue_holds_each_batch_once_while_syncs_fail(spool_fixture, monkeypatch):
    fsync_policy = build_policy(spool_fixture, "always", [])
    disk_errors = []
    fsync_policy.subscribe(disk_errors.append)
    for slot in range(5):
        spool_fixture.append(b"x", slot=slot)
    batches = spool_fixture.seal()

    def fail(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        for _ in range(20):
            fsync_policy.before_sending(batches[:1], lambda error: None)
    assert len(fsync_policy._queue) == 5
    assert disk_errors
    before_sending(fsync_policy, batches[:1])
    assert all(batch.synced for batch in batches)


def test_file_that_cannot_be_opened_is_no_fault_of_the_disk(spool_fixture, monkeypatch):
    errors, disk_errors = [], []
    fsync_policy = build_policy(spool_fixture, "backlog", errors)
    fsync_policy.subscribe(disk_errors.append)
    spool_fixture.append(b"x")
    spool_fixture.seal()
    spool_fixture.clocks.advance(6)

    def refuse(path, *rest):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        fsync_policy.look()
    assert "Permission denied" in errors[0]
    assert disk_errors == []


def test_batch_that_is_sealed_after_the_clock_was_set_ahead_is_synced(spool_fixture):
    fsync_policy = build_policy(spool_fixture, "backlog")
    spool_fixture.append(b"x")
    spool_fixture.clocks.wall += 3650 * 86_400
    (batch,) = spool_fixture.seal()
    spool_fixture.clocks.advance(6)
    fsync_policy.look()
    assert batch.synced


def test_old_batches_of_an_earlier_process_are_not_synced(spool_fixture):
    fsync_policy = build_policy(spool_fixture, "backlog")
    spool_fixture.append(b"x")
    spool_fixture.seal()
    spool_fixture.clocks.advance(1000)
    later_policy = build_policy(spool_fixture, "backlog", found=spool_fixture.restart().batches)
    spool_fixture.clocks.advance(10)
    later_policy.look()
    assert later_policy.synced == 0
    fsync_policy.look()
    assert fsync_policy.synced == 1
