"""Tests how the spool recovers from failed writes that the filesystem's figures do not explain."""

import errno
import os
from types import SimpleNamespace

import pytest

from bridge.spool.budget import RESERVED, DiskState, Full
from bridge.storage import disk_usage, probe
from bridge.storage.write_faults import PROBE_EVERY
from bridge.util.files import write_whole
from tests.unit.storage.test_disk_budget import MB, BudgetFixture

BATCH = 16 * 1024
"Bytes of a full batch of the fixture."


class Quota:
    """A quota on the bytes of the spool and its reserve that `statvfs` does not show."""

    def __init__(self, fixture, monkeypatch, capacity):
        self.fixture, self.capacity = fixture, capacity
        self.probes = []
        allocate = os.posix_fallocate

        def write(descriptor, data, size):
            self.check(len(data))
            write_whole(descriptor, data, size)

        def allocate_within(descriptor, offset, size):
            self.check(size)
            allocate(descriptor, offset, size)

        monkeypatch.setattr("bridge.spool.store.write_whole", write)
        monkeypatch.setattr(os, "posix_fallocate", allocate_within)
        monkeypatch.setattr(probe, "error_of", self.probe)

    def used(self):
        reserve = self.fixture.disk_budget.reserve_file
        return self.fixture.on_disk() + (reserve.size if reserve.held else 0)

    def check(self, size):
        if self.used() + size > self.capacity:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    def probe(self, folder, size, space):
        self.probes.append(size)
        try:
            self.check(size)
        except OSError as error:
            return error
        return None


@pytest.fixture
def fixture(tmp_path, monkeypatch):
    made = BudgetFixture(tmp_path / "spool", monkeypatch, names="a", max_size=100 * MB)
    yield made
    assert made.ledger.imbalance == 0
    made.spool._lock.release()


def fill(fixture):
    """Writes until a write fails. Returns how many succeeded."""
    count = 0
    while fixture.write("a") is None:
        count += 1
    return count


def limit(fixture):
    return fixture.disk_budget.report()["limit_bytes"]


def test_fault_that_is_gone_when_it_is_probed_changes_nothing(fixture, monkeypatch):
    for _ in range(50):
        fixture.write("a")
    fixture.look()
    before = limit(fixture)
    failing = iter(range(2))

    def write(descriptor, data, size):
        if next(failing, None) is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(descriptor, data, size)

    monkeypatch.setattr("bridge.spool.store.write_whole", write)
    assert fixture.write("a") == "disk_full"
    assert [fixture.write("a") for _ in range(100)] == [None] * 100
    fixture.look()
    assert (limit(fixture), fixture.disk_budget.evicted, fixture.alarms.active) == (before, {}, {})
    assert fixture.disk_budget.reserve_file.held
    assert fixture.disk_budget.unready() == []


def test_write_is_tried_again_before_anything_is_lost(fixture, monkeypatch):
    failing = iter([errno.ENOSPC, None, errno.EIO, None, errno.EDQUOT, None])

    def write(descriptor, data, size):
        if (number := next(failing, None)) is not None:
            raise OSError(number, os.strerror(number))
        write_whole(descriptor, data, size)

    monkeypatch.setattr("bridge.spool.store.write_whole", write)
    assert [fixture.write("a") for _ in range(3)] == [None] * 3
    assert fixture.disk_budget.report()["fault"] is None


def test_quota_is_the_limit_until_a_whole_batch_fits_beyond_it(fixture, monkeypatch):
    quota = Quota(fixture, monkeypatch, 3 * MB)
    stored = fill(fixture)
    assert stored > 100
    text = fixture.alarms.active["spool", "disk"]
    for part in (
        "Disk quota exceeded",
        "intake a",
        "as with a quota",
        "100,000,000 bytes",
        "1,000 inodes",
        "Raise the",
    ):
        assert part in text
    fixture.look()
    fixture.look()
    dropped_at_first = fixture.disk_budget.evicted["a"]
    assert dropped_at_first < 50, "only as much is dropped as the reserve needs"
    reasons = [fixture.write("a") for _ in range(200)]
    assert reasons.count(None) > 180, "drop-oldest works within the quota"
    assert quota.used() <= quota.capacity
    assert fixture.alarms.active["spool", "disk"] == text
    assert fixture.disk_budget.report()["fault"] == "quota"

    # A little room is not enough: a batch would fail again.
    quota.capacity = quota.used() + 12_000
    limited = limit(fixture)
    for _ in range(10):
        fixture.look()
    assert (limit(fixture), fixture.disk_budget.report()["fault"]) == (limited, "quota")
    assert quota.probes[-1] >= BATCH

    quota.capacity = 100 * MB
    for _ in range(3):
        fixture.look()
    assert limit(fixture) > 90 * MB, "the limit is the free space again"
    assert fixture.disk_budget.report()["fault"] is None
    evicted = fixture.disk_budget.evicted["a"]
    assert [fixture.write("a") for _ in range(200)] == [None] * 200
    assert fixture.disk_budget.evicted["a"] == evicted
    assert fixture.active_alarms("spool") == []


def test_limit_is_probed_every_few_seconds_while_the_spool_is_written(fixture, monkeypatch):
    quota = Quota(fixture, monkeypatch, 3 * MB)
    fill(fixture)
    for _ in range(3):
        fixture.look()
    assert fixture.write("a") is None
    quota.probes.clear()
    start = fixture.monotonic
    for _ in range(20):
        fixture.look()
    assert 1 <= len(quota.probes) <= (fixture.monotonic - start) / PROBE_EVERY


def test_other_fault_of_an_intake_does_not_keep_the_spool_closed(fixture, monkeypatch):
    quota = Quota(fixture, monkeypatch, 3 * MB)
    fixture.disk_budget.failed("other", OSError(errno.EACCES, os.strerror(errno.EACCES)))
    monkeypatch.setattr(
        probe, "error_of", lambda folder, size, space: OSError(errno.EACCES, "") if folder.name == "other"
        else quota.probe(folder, size, space),
    )  # fmt: skip
    fill(fixture)
    quota.capacity = 100 * MB
    for _ in range(3):
        fixture.look()
    assert fixture.write("a") is None
    assert fixture.active_alarms("spool") == ["intake other"]
    assert fixture.disk_budget.reserve_all({"other": 1}) == Full("spool_write_failed")


class FullFolder:
    """A folder of an intake on another filesystem, which is full."""

    def __init__(self, monkeypatch, name):
        self.name, self.full = name, True
        monkeypatch.setattr("bridge.spool.store.write_whole", self.write)
        monkeypatch.setattr(probe, "error_of", self.probe)

    def error(self, folder):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) if self.full and folder == self.name else None

    def write(self, descriptor, data, size):
        if error := self.error(os.path.basename(os.path.dirname(os.readlink(f"/proc/self/fd/{descriptor}")))):  # noqa: PTH115, PTH119, PTH120
            raise error
        write_whole(descriptor, data, size)

    def probe(self, folder, size, space):
        return self.error(folder.name)


def test_full_folder_of_one_intake_does_not_close_the_spool(fixture, monkeypatch):
    folder = FullFolder(monkeypatch, "b")
    assert fixture.write("b") == "disk_full", "its cause is not known yet"
    for _ in range(3):
        assert fixture.write("a") is None
        assert fixture.write("b") == "spool_write_failed"
        fixture.look()
    assert fixture.active_alarms("spool") == ["intake b"]
    text = fixture.alarms.active["spool", "intake b"]
    assert "cannot write for intake b: No space left on device. Its new events are lost" in text
    assert f"Free space on the filesystem of {fixture.spool.directory / 'b'}" in text
    assert fixture.disk_budget.reserve_file.held
    assert fixture.disk_budget.report()["fault"] is None
    assert fixture.disk_budget.reserve_all({"b": 1}) == Full("spool_write_failed")
    assert fixture.disk_budget.reserve_all({"a": 1}) is RESERVED
    folder.full = False
    fixture.look()
    assert fixture.write("b") is None
    fixture.look()
    assert (fixture.alarms.active, fixture.disk_budget.unready()) == ({}, [])


def test_full_folder_of_one_intake_does_not_keep_the_spool_closed(fixture, monkeypatch):
    """It failed while the disk was full, so no probe has told the two apart."""
    quota = Quota(fixture, monkeypatch, 3 * MB)
    fill(fixture)
    fixture.disk_budget.failed("other", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    monkeypatch.setattr(
        probe, "error_of", lambda folder, size, space: OSError(errno.ENOSPC, "") if folder.name == "other"
        else quota.probe(folder, size, space),
    )  # fmt: skip
    assert fixture.write("a") == "disk_full"
    quota.capacity = 100 * MB
    for _ in range(3):
        fixture.look()
    assert fixture.write("a") is None
    assert fixture.active_alarms("spool") == ["intake other"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EACCES, "Make {} writable for this user"), (errno.EIO, "Look for its cause in the kernel log (dmesg)")],
)
def test_alarm_of_an_intake_says_what_to_do(fixture, number, remedy):
    fixture.disk_budget.failed("a", OSError(number, os.strerror(number)))
    assert remedy.format(fixture.spool.directory / "a") in fixture.alarms.active["spool", "intake a"]


def test_read_only_filesystem_has_one_alarm_for_all_intakes(fixture, monkeypatch):
    monkeypatch.setattr(probe, "error_of", lambda *args: OSError(errno.EROFS, ""))
    for intake in ("a", "b", "c"):
        error = OSError(errno.EROFS, os.strerror(errno.EROFS))
        assert fixture.disk_budget.failed(intake, error) == "spool_write_failed"
    fixture.look()
    assert fixture.active_alarms("spool") == ["disk"]
    assert "read-only" in fixture.alarms.active["spool", "disk"]
    assert len(fixture.disk_budget.unready()) == 3
    assert fixture.disk_budget.reserve("a", 1) is RESERVED, "each write is tried"
    monkeypatch.undo()
    monkeypatch.setattr(os, "statvfs", fixture.statvfs)
    fixture.look()
    assert (fixture.alarms.active, fixture.disk_budget.unready()) == ({}, [])


def test_alarm_stays_while_writes_fail_between_successful_probes(fixture):
    """A write may fail although a small file can be written, for example on a damaged part of the disk."""
    for _ in range(5):
        fixture.disk_budget.failed("a", OSError(errno.EIO, os.strerror(errno.EIO)))
        fixture.disk_budget.sync_failed(OSError(errno.EIO, os.strerror(errno.EIO)))
        fixture.look()
        assert fixture.active_alarms("spool") == ["intake a", "sync"]
    fixture.look()
    assert fixture.active_alarms("spool") == []


def test_requests_are_refused_until_a_file_can_be_synced(fixture, monkeypatch):
    monkeypatch.setattr(probe, "can_sync", lambda folder: False)
    fixture.disk_budget.sync_failed(OSError(errno.EIO, os.strerror(errno.EIO)))
    fixture.look()
    assert fixture.disk_budget.reserve_all({"a": 1}) == Full("spool_write_failed")
    assert fixture.write("a") is None, "senders without acknowledgement are not affected"
    assert fixture.active_alarms("spool") == ["sync"]
    assert fixture.disk_budget.unready() == ["the spool cannot be synced to disk: Input/output error"]
    monkeypatch.undo()
    monkeypatch.setattr(os, "statvfs", fixture.statvfs)
    fixture.look()
    assert fixture.disk_budget.reserve_all({"a": 1}) is RESERVED
    assert (fixture.alarms.active, fixture.disk_budget.unready(), fixture.room_calls) == ({}, [], 1)


@pytest.mark.parametrize(
    ("disk", "cause"),
    [
        (None, "disk"),
        (DiskState(10**9, 1000, 10**6), "disk"),
        (DiskState(10**9, 10**8, 0), "inodes"),
        (DiskState(10**9, 0, 0), "disk"),
        (DiskState(10**9, 10**8, 10**6), None),
        (DiskState(10**9, 10**8, None), None),
    ],
)
def test_figures_explain_a_failed_write(disk, cause):
    assert disk_usage.explains_failure(disk) == cause


def test_filesystem_that_does_not_count_inodes_has_a_reserve(fixture, monkeypatch):
    found = SimpleNamespace(f_blocks=100 * MB, f_frsize=1, f_bavail=50 * MB, f_favail=0, f_files=0)
    monkeypatch.setattr(os, "statvfs", lambda path: found)
    fixture.disk_budget.reserve_file.release()
    fixture.look()
    assert fixture.disk_budget.reserve_file.held


class TestProbe:
    def test_file_in_the_root_that_a_killed_process_left_is_removed_at_start(self, fixture):
        left = fixture.spool.directory / probe.NAME
        left.write_bytes(b"left")
        assert fixture.spool.recover().notes == []
        fixture.disk_budget.begin()
        assert not left.exists()

    def test_leaves_no_file(self, fixture):
        folder = fixture.spool.directory / "a"
        assert probe.error_of(folder, 100_000, fixture.spool.probe_lock) is None
        assert probe.can_sync(folder)
        assert list(folder.iterdir()) == []

    def test_file_that_a_killed_process_left_is_replaced_and_removed_by_recovery(self, fixture):
        folder = fixture.spool.directory / "a"
        folder.mkdir()
        (folder / probe.NAME).write_bytes(b"left")
        found = fixture.spool.recover()
        assert (found.notes, list(folder.iterdir())) == ([], [])
        (folder / probe.NAME).write_bytes(b"left")
        assert probe.error_of(folder, 10, fixture.spool.probe_lock) is None
        assert list(folder.iterdir()) == []

    def test_returns_the_error_and_removes_the_file(self, fixture, monkeypatch):
        folder = fixture.spool.directory / "a"
        monkeypatch.setattr(os, "write", lambda *args: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space")))
        error = probe.error_of(folder, 10, fixture.spool.probe_lock)
        assert error.errno == errno.ENOSPC
        assert list(folder.iterdir()) == []

    def test_holds_the_lock_while_it_takes_up_space(self, fixture, monkeypatch):
        lock, write = fixture.spool.probe_lock, os.write
        locked = []
        monkeypatch.setattr(os, "write", lambda *args: (locked.append(lock.locked()), write(*args))[1])
        probe.error_of(fixture.spool.directory / "a", 10, lock)
        assert (locked, lock.locked()) == ([True], False)
