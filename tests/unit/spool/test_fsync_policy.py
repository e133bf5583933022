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


def build_policy(spool_fixture, policy, errors=None):
    policy_under_test = build_fsync_policy(
        spool_fixture.directory, policy, clock=lambda: spool_fixture.clocks.monotonic,
        wall=lambda: spool_fixture.clocks.wall, on_error=(errors if errors is not None else []).append,
    )  # fmt: skip
    spool_fixture.spool.subscribe(policy_under_test.add)
    return policy_under_test


def test_backlog_syncs_the_batches_that_still_exist_after_5_seconds(spool_fixture, synced):
    fsync_policy = build_policy(spool_fixture, "backlog")
    for slot in range(4):
        spool_fixture.append(b"x", slot=slot)
    first, second, sent_batch, settled_batch = spool_fixture.seal()
    assert fsync_policy.due() == []
    spool_fixture.clocks.advance(5)
    settled_batch.unacknowledged = 0
    sent_batch.path.unlink()
    due = fsync_policy.due()
    assert due == [first, second, sent_batch]
    fsync_policy.try_sync(due)
    assert synced == [first.path.name, second.path.name, "a", "spool"]
    assert (first.synced, sent_batch.synced, fsync_policy.synced) == (True, False, 2)
    assert fsync_policy.due() == []


def test_spool_folder_is_synced_only_for_a_new_intake_folder(spool_fixture, synced):
    fsync_policy = build_policy(spool_fixture, "backlog")
    for _ in range(2):
        spool_fixture.append(b"x")
        spool_fixture.seal()
        spool_fixture.clocks.advance(5)
        fsync_policy.try_sync(fsync_policy.due())
    assert synced.count("spool") == 1
    assert synced.count("a") == 2


def test_never_syncs_nothing(spool_fixture):
    fsync_policy = build_policy(spool_fixture, "never")
    spool_fixture.append(b"x")
    spool_fixture.seal()
    spool_fixture.clocks.advance(60)
    assert fsync_policy.due() == []
    fsync_policy.before_sending(spool_fixture.sealed)
    assert fsync_policy.synced == 0


def test_changed_policy_applies_to_the_next_batch(spool_fixture):
    fsync_policy = build_policy(spool_fixture, "never")
    spool_fixture.append(b"x")
    spool_fixture.seal()
    fsync_policy.change("backlog")
    spool_fixture.append(b"y")
    spool_fixture.seal()
    spool_fixture.clocks.advance(60)
    assert fsync_policy.due() == spool_fixture.sealed[1:]


def test_always_syncs_all_waiting_batches_before_the_first_post(spool_fixture, synced):
    fsync_policy = build_policy(spool_fixture, "always")
    spool_fixture.append(b"x")
    spool_fixture.append(b"y", slot=1)
    first, second = spool_fixture.seal()
    fsync_policy.before_sending([first])
    assert first.synced
    assert second.synced, "group commit"
    before = len(synced)
    fsync_policy.before_sending([first, second])
    assert len(synced) == before, "a batch is synced once"


def test_sync_error_is_reported_and_fails_the_waiting_request(spool_fixture, monkeypatch):
    errors = []
    fsync_policy = build_policy(spool_fixture, "always", errors)
    spool_fixture.append(b"x")
    spool_fixture.seal()

    def broken(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        fsync_policy.before_sending(spool_fixture.sealed)
    fsync_policy.try_sync(spool_fixture.sealed)
    assert "cannot sync" in errors[0]


def test_old_batches_of_an_earlier_process_are_not_synced(spool_fixture):
    fsync_policy = build_policy(spool_fixture, "backlog")
    spool_fixture.append(b"x")
    spool_fixture.seal()
    spool_fixture.clocks.advance(1000)
    synced_names = spool_fixture.restart()
    later_policy = build_policy(spool_fixture, "backlog")
    for batch in synced_names.batches:
        later_policy.add(batch)
    spool_fixture.clocks.advance(10)
    assert later_policy.due() == []
    assert fsync_policy.due() != []
