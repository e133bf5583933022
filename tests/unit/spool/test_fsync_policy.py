"""Which batches are forced to the disk, and when."""

import errno
import os
from pathlib import Path

import pytest

from bridge.spool.fsync_policy import FsyncPolicy


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
    made = FsyncPolicy(
        policy, directory=yard.directory, clock=lambda: yard.clocks.steady, wall=lambda: yard.clocks.wall,
        on_error=(errors if errors is not None else []).append,
    )  # fmt: skip
    yard.spool.on_sealed = lambda batch: (yard.sealed.append(batch), made.add(batch))
    return made


def test_backlog_syncs_what_is_still_there_after_a_while_in_groups(yard, synced):
    syncing = make(yard, "backlog")
    for slot in range(4):
        yard.append(b"x", slot=slot)
    first, second, sent, settled = yard.seal()
    assert syncing.due() == []
    yard.clocks.pass_(5)
    settled.unacknowledged = 0
    sent.path.unlink()
    due = syncing.due()
    assert due == [first, second, sent]
    syncing.try_sync(due)
    assert synced == [first.path.name, second.path.name, "a", "spool"]
    assert (first.synced, sent.synced, syncing.synced) == (True, False, 2)
    assert syncing.due() == []


def test_the_folder_of_the_spool_only_where_a_name_in_it_is_new(yard, synced):
    syncing = make(yard, "backlog")
    for _ in range(2):
        yard.append(b"x")
        yard.seal()
        yard.clocks.pass_(5)
        syncing.try_sync(syncing.due())
    assert synced.count("spool") == 1
    assert synced.count("a") == 2


def test_never(yard):
    syncing = make(yard, "never")
    yard.append(b"x")
    yard.seal()
    yard.clocks.pass_(60)
    assert syncing.due() == []
    syncing.before_sending(yard.sealed)
    assert syncing.synced == 0


def test_always_before_the_first_post_and_others_with_it(yard, synced):
    syncing = make(yard, "always")
    yard.append(b"x")
    yard.append(b"y", slot=1)
    first, second = yard.seal()
    syncing.before_sending([first])
    assert first.synced
    assert second.synced, "group commit"
    before = len(synced)
    syncing.before_sending([first, second])
    assert len(synced) == before, "once is enough"


def test_an_error_is_said_and_stops_the_request_that_waits_for_it(yard, monkeypatch):
    errors = []
    syncing = make(yard, "always", errors)
    yard.append(b"x")
    yard.seal()

    def broken(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        syncing.before_sending(yard.sealed)
    syncing.try_sync(yard.sealed)
    assert "cannot sync" in errors[0]


def test_what_an_earlier_process_left_long_ago_is_on_disk(yard):
    syncing = make(yard, "backlog")
    yard.append(b"x")
    yard.seal()
    yard.clocks.pass_(1000)
    found = yard.restart()
    later = make(yard, "backlog")
    for batch in found.batches:
        later.add(batch)
    yard.clocks.pass_(10)
    assert later.due() == []
    assert syncing.due() != []
