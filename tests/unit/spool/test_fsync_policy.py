"""Which batches are forced to the disk, and when."""

import errno
import os
from pathlib import Path

import pytest

from tests.harness.builders import build_fsync_policy


@pytest.fixture
def synced(monkeypatch):
    """The names of what was, files and folders."""
    found = []
    fsync = os.fsync

    def recorded(descriptor):
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    return found


def make(yard, policy, errors=None):
    made = build_fsync_policy(
        yard.directory, policy, clock=lambda: yard.clocks.steady, wall=lambda: yard.clocks.wall,
        on_error=(errors if errors is not None else []).append,
    )  # fmt: skip
    yard.spool.on_sealed = lambda batch: (yard.sealed.append(batch), made.add(batch))
    return made


def test_backlog_syncs_what_is_still_there_after_a_while_in_groups(yard, synced):
    fsync_policy = make(yard, "backlog")
    for slot in range(4):
        yard.append(b"x", slot=slot)
    first, second, sent, settled = yard.seal()
    assert fsync_policy.due() == []
    yard.clocks.pass_(5)
    settled.unacknowledged = 0
    sent.path.unlink()
    due = fsync_policy.due()
    assert due == [first, second, sent]
    fsync_policy.try_sync(due)
    assert synced == [first.path.name, second.path.name, "a", "spool"]
    assert (first.synced, sent.synced, fsync_policy.synced) == (True, False, 2)
    assert fsync_policy.due() == []


def test_the_folder_of_the_spool_only_where_a_name_in_it_is_new(yard, synced):
    fsync_policy = make(yard, "backlog")
    for _ in range(2):
        yard.append(b"x")
        yard.seal()
        yard.clocks.pass_(5)
        fsync_policy.try_sync(fsync_policy.due())
    assert synced.count("spool") == 1
    assert synced.count("a") == 2


def test_never(yard):
    fsync_policy = make(yard, "never")
    yard.append(b"x")
    yard.seal()
    yard.clocks.pass_(60)
    assert fsync_policy.due() == []
    fsync_policy.before_sending(yard.sealed)
    assert fsync_policy.synced == 0


def test_always_before_the_first_post_and_others_with_it(yard, synced):
    fsync_policy = make(yard, "always")
    yard.append(b"x")
    yard.append(b"y", slot=1)
    first, second = yard.seal()
    fsync_policy.before_sending([first])
    assert first.synced
    assert second.synced, "group commit"
    before = len(synced)
    fsync_policy.before_sending([first, second])
    assert len(synced) == before, "once is enough"


def test_an_error_is_said_and_stops_the_request_that_waits_for_it(yard, monkeypatch):
    errors = []
    fsync_policy = make(yard, "always", errors)
    yard.append(b"x")
    yard.seal()

    def broken(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        fsync_policy.before_sending(yard.sealed)
    fsync_policy.try_sync(yard.sealed)
    assert "cannot sync" in errors[0]


def test_what_an_earlier_process_left_long_ago_is_on_disk(yard):
    fsync_policy = make(yard, "backlog")
    yard.append(b"x")
    yard.seal()
    yard.clocks.pass_(1000)
    found = yard.restart()
    later = make(yard, "backlog")
    for batch in found.batches:
        later.add(batch)
    yard.clocks.pass_(10)
    assert later.due() == []
    assert fsync_policy.due() != []
