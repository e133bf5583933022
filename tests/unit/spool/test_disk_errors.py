"""Writes that fail: nothing half, nothing lost that need not be, tried again."""

import errno
import os
import resource
import shutil

import pytest

from bridge.spool.quarantine import QuarantineEntry


def failing(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_short_write_is_cut_back(yard, monkeypatch):
    yard.append(b"one")
    write, calls = os.write, []

    def short(descriptor, data):
        calls.append(data)
        if len(calls) == 1:
            return write(descriptor, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="No space"):
        yard.append(b"two is longer")
    monkeypatch.undo()
    yard.append(b"three")
    assert yard.events(yard.seal()) == [b"one", b"three"]


def test_a_torn_piece_that_cannot_be_cut_is_cut_when_sealing(yard, monkeypatch):
    yard.append(b"one")
    write = os.write
    calls = []

    def short(descriptor, data):
        calls.append(data)
        if len(calls) == 1:
            return write(descriptor, data[:3])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", short)
    monkeypatch.setattr(os, "ftruncate", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        yard.append(b"two is longer")
    monkeypatch.undo()
    yard.append(b"three")
    yard.seal()
    yard.clocks.pass_(2)
    assert sorted(yard.events(yard.seal())) == [b"one", b"three"]


def in_a_child(body) -> int:
    """Run something in a process of its own; 0 if it did not raise. What it limits must not limit the tests' output."""
    child = os.fork()
    if child == 0:
        try:
            body()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_file_that_may_not_grow_is_followed_by_another(yard):
    def body():
        # Python ignores SIGXFSZ: EFBIG.
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        for i in range(5):
            yard.append(b"event%d" % i)
        with pytest.raises(OSError, match="too large"):
            yard.append(b"longer than any file may be")
        assert yard.events(yard.seal()) == [b"event%d" % i for i in range(5)]
        assert len(yard.sealed) == 5

    assert in_a_child(body) == 0


def test_permission_lost_and_given_back(yard, monkeypatch):
    yard.append(b"one")
    yard.seal()
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    with pytest.raises(PermissionError):
        yard.append(b"two")
    monkeypatch.undo()
    yard.append(b"three")
    assert yard.events(yard.seal()) == [b"one", b"three"]


def test_a_folder_that_somebody_removed_is_made_again(yard):
    yard.append(b"one")
    yard.seal()
    shutil.rmtree(yard.directory / "a")
    yard.append(b"two")
    assert yard.events(yard.seal()[1:]) == [b"two"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOSPC])
def test_a_seal_that_failed_is_tried_again(yard, monkeypatch, number):
    yard.append(b"one")
    monkeypatch.setattr(type(yard.directory), "rename", failing(number))
    assert yard.seal() == []
    yard.clocks.pass_(2)
    assert yard.seal() == []
    assert yard.spool.open_amount("a") == (1, 4)
    assert yard.spool.open_disk() == {"a": 4096}
    monkeypatch.undo()
    yard.clocks.pass_(2)
    assert yard.events(yard.seal()) == [b"one"]
    assert yard.spool.open_disk() == {}


def test_a_removal_that_failed_is_tried_again(yard, monkeypatch):
    yard.append(b"one")
    batches = yard.seal()
    monkeypatch.setattr(type(yard.directory), "unlink", failing(errno.EACCES))
    yard.spool.remove(batches)
    assert "cannot remove" in yard.errors[0]
    monkeypatch.undo()
    yard.clocks.pass_(2)
    yard.spool.seal_due()
    assert yard.names() == []


def test_sealed_batches_know_their_blocks(yard):
    yard.append(b"x" * 5000)
    (batch,) = yard.seal()
    assert batch.disk == batch.path.stat().st_blocks * 512
    (found,) = yard.restart().batches
    assert found.disk == batch.disk


def test_what_is_too_old_leaves_quarantine(yard):
    quarantine = yard.spool.quarantine
    entry = QuarantineEntry(0, "udp", "192.0.2.1", b"frame", "why")
    quarantine.add("oversize", [entry, entry])
    quarantine.add("unrouted", [entry])
    day = 86400
    for reason in ("oversize", "unrouted"):
        (path,) = (quarantine.directory / reason).iterdir()
        os.utime(path, (yard.clocks.wall, yard.clocks.wall))
    assert quarantine.expire("oversize", 30 * day) == 0
    yard.clocks.pass_(4 * day)
    assert quarantine.expire("oversize", 30 * day) == 0
    quarantine.add("oversize", [entry])
    names = sorted(path.name for path in (quarantine.directory / "oversize").iterdir())
    assert len(names) == 2, "the first was closed, so that its frames can go in time"
    yard.clocks.pass_(27 * day)
    os.utime(quarantine.directory / "oversize" / names[1], (yard.clocks.wall, yard.clocks.wall))
    assert quarantine.expire("oversize", 30 * day) == 2
    assert quarantine.expire("unrouted", None) == 0
    assert dict(quarantine.counts) == {"oversize": 1, "unrouted": 1}


def test_files_that_were_moved_aside_are_bounded_too(make_yard, tmp_path):
    yard = make_yard()
    yard.bounds["damaged"] = 2500
    yard.restart()
    quarantine = yard.spool.quarantine
    for i in range(4):
        path = tmp_path / f"foreign-{i}"
        path.write_bytes(bytes(1000))
        quarantine.move_aside(path, events=i)
        yard.clocks.pass_(100)
    assert [(path.name[-1], events) for path, _, events in quarantine.trim_damaged(None)] == [("0", 0), ("1", 1)]
    assert [(path.name[-1], intake) for path, intake, _ in quarantine.trim_damaged(150)] == [("2", tmp_path.name)]
    assert list(quarantine.trim_damaged(150)) == []
