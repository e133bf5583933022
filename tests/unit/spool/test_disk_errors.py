"""Tests that failed disk operations leave no partial events, lose as little as possible, and are retried."""

import errno
import os
import resource
import shutil

import pytest

from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.quarantine_file import QuarantineFile


def raise_os_error(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


def test_partial_append_is_truncated_back(spool_fixture, monkeypatch):
    spool_fixture.append(b"one")
    write, calls = os.write, []

    def short(descriptor, data):
        calls.append(data)
        if len(calls) == 1:
            return write(descriptor, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="No space"):
        spool_fixture.append(b"two is longer")
    monkeypatch.undo()
    spool_fixture.append(b"three")
    assert spool_fixture.events(spool_fixture.seal()) == [b"one", b"three"]


def test_partial_append_that_cannot_be_truncated_is_cut_when_sealing(spool_fixture, monkeypatch):
    spool_fixture.append(b"one")
    write = os.write
    calls = []

    def short(descriptor, data):
        calls.append(data)
        if len(calls) == 1:
            return write(descriptor, data[:3])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", short)
    monkeypatch.setattr(os, "ftruncate", raise_os_error(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        spool_fixture.append(b"two is longer")
    monkeypatch.undo()
    spool_fixture.append(b"three")
    spool_fixture.seal()
    spool_fixture.clocks.advance(2)
    assert sorted(spool_fixture.events(spool_fixture.seal())) == [b"one", b"three"]


def run_in_child_process(body) -> int:
    """Runs a function in a forked process, which keeps its resource limits out of the tests. Returns 0 on success."""
    child = os.fork()
    if child == 0:
        try:
            body()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_append_continues_in_a_new_file_at_the_file_size_limit(spool_fixture):
    def body():
        # Python ignores SIGXFSZ: EFBIG.
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        for i in range(5):
            spool_fixture.append(b"event%d" % i)
        with pytest.raises(OSError, match="too large"):
            spool_fixture.append(b"longer than any file may be")
        assert spool_fixture.events(spool_fixture.seal()) == [b"event%d" % i for i in range(5)]
        assert len(spool_fixture.sealed) == 5

    assert run_in_child_process(body) == 0


def test_append_works_again_when_permission_returns(spool_fixture, monkeypatch):
    spool_fixture.append(b"one")
    spool_fixture.seal()
    monkeypatch.setattr(os, "open", raise_os_error(errno.EACCES))
    with pytest.raises(PermissionError):
        spool_fixture.append(b"two")
    monkeypatch.undo()
    spool_fixture.append(b"three")
    assert spool_fixture.events(spool_fixture.seal()) == [b"one", b"three"]


def test_removed_intake_folder_is_created_again(spool_fixture):
    spool_fixture.append(b"one")
    spool_fixture.seal()
    shutil.rmtree(spool_fixture.directory / "a")
    spool_fixture.append(b"two")
    assert spool_fixture.events(spool_fixture.seal()[1:]) == [b"two"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOSPC])
def test_failed_seal_is_retried(spool_fixture, monkeypatch, number):
    spool_fixture.append(b"one")
    monkeypatch.setattr(type(spool_fixture.directory), "rename", raise_os_error(number))
    assert spool_fixture.seal() == []
    spool_fixture.clocks.advance(2)
    assert spool_fixture.seal() == []
    assert spool_fixture.spool.open_amount("a") == (1, 4)
    assert spool_fixture.spool.open_disk() == {"a": 4096}
    monkeypatch.undo()
    spool_fixture.clocks.advance(2)
    assert spool_fixture.events(spool_fixture.seal()) == [b"one"]
    assert spool_fixture.spool.open_disk() == {}


def test_failed_removal_is_retried(spool_fixture, monkeypatch):
    spool_fixture.append(b"one")
    batches = spool_fixture.seal()
    monkeypatch.setattr(type(spool_fixture.directory), "unlink", raise_os_error(errno.EACCES))
    spool_fixture.spool.remove(batches)
    assert "cannot remove" in spool_fixture.errors[0]
    monkeypatch.undo()
    spool_fixture.clocks.advance(2)
    spool_fixture.spool.seal_due()
    assert spool_fixture.names() == []


def test_sealed_batches_have_their_allocated_size(spool_fixture):
    spool_fixture.append(b"x" * 5000)
    (batch,) = spool_fixture.seal()
    assert batch.disk == batch.path.stat().st_blocks * 512
    (found,) = spool_fixture.restart().batches
    assert found.disk == batch.disk


def test_quarantine_entries_expire(spool_fixture):
    quarantine = spool_fixture.spool.quarantine
    entry = QuarantineEntry(0, "udp", "192.0.2.1", b"frame", "why")
    quarantine.add("oversize", [entry, entry])
    quarantine.add("unrouted", [entry])
    day = 86400
    for reason in ("oversize", "unrouted"):
        (path,) = (quarantine.directory / reason).iterdir()
        os.utime(path, (spool_fixture.clocks.wall, spool_fixture.clocks.wall))
    assert quarantine.expire("oversize", 30 * day) == 0
    spool_fixture.clocks.advance(4 * day)
    assert quarantine.expire("oversize", 30 * day) == 0
    quarantine.add("oversize", [entry])
    names = sorted(path.name for path in (quarantine.directory / "oversize").iterdir())
    assert len(names) == 2, "the first file was closed, so that its frames can expire"
    spool_fixture.clocks.advance(27 * day)
    os.utime(quarantine.directory / "oversize" / names[1], (spool_fixture.clocks.wall, spool_fixture.clocks.wall))
    assert quarantine.expire("oversize", 30 * day) == 2
    assert quarantine.expire("unrouted", None) == 0
    assert dict(quarantine.counts) == {"oversize": 1, "unrouted": 1}
    assert dict(quarantine.by_intake) == {("-", "oversize"): 1, ("-", "unrouted"): 1}


@pytest.mark.parametrize("days", [-20_000, 20_000])
def test_entries_with_a_wrong_time_that_may_not_be_changed_do_not_expire(spool_fixture, monkeypatch, days):
    """Only the owner of a file may set its times."""
    quarantine, wall = spool_fixture.spool.quarantine, spool_fixture.clocks.wall
    quarantine.add("oversize", [QuarantineEntry(0, "udp", "192.0.2.1", b"frame", "why")])
    spool_fixture.clocks.advance(40 * 86400)
    quarantine.expire("oversize", 30 * 86400 * 1000)
    (path,) = (quarantine.directory / "oversize").iterdir()
    os.utime(path, (0, max(0, wall + days * 86400)))

    def forbid(*args, **options):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", forbid)
        assert quarantine.expire("oversize", 30 * 86400) == 0
    assert quarantine.counts["oversize"] == 1
    assert len(list((quarantine.directory / "oversize").iterdir())) == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_entries_whose_age_cannot_be_read_do_not_expire(tmp_path, monkeypatch, number):
    file = QuarantineFile(tmp_path / "1-1.jsonl", 1, count=1)
    assert file.is_older(1, 0), "it is missing"

    def fail(path, **options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        assert not file.is_older(1, 0)


def test_damaged_files_are_bounded_by_size_and_age(make_spool_fixture, tmp_path):
    spool_fixture = make_spool_fixture()
    spool_fixture.bounds["damaged"] = 2500
    spool_fixture.restart()
    quarantine = spool_fixture.spool.quarantine
    for i in range(4):
        path = tmp_path / f"foreign-{i}"
        path.write_bytes(bytes(1000))
        quarantine.move_aside(path, events=i)
        spool_fixture.clocks.advance(100)
    assert [(path.name[-1], events) for path, _, events in quarantine.trim_damaged(None)] == [("0", 0), ("1", 1)]
    assert [(path.name[-1], intake) for path, intake, _ in quarantine.trim_damaged(150)] == [("2", tmp_path.name)]
    assert list(quarantine.trim_damaged(150)) == []
