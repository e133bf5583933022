"""Tests the alarm for an archive that is not configured: raised with its size, cleared when deleted or configured."""

from bridge.monitoring.alarms import Alarms
from bridge.storage.orphaned_archive import OrphanedArchive


def test_alarm_for_an_unconfigured_archive_is_raised_and_cleared(tmp_path):
    alarms = Alarms()
    orphaned_archive = OrphanedArchive(tmp_path / ".archive", alarms, lambda job, done: done(job()))
    orphaned_archive.look()
    assert not alarms.active
    (tmp_path / ".archive" / "all").mkdir(parents=True)
    orphaned_archive.look()
    assert not alarms.active
    file = tmp_path / ".archive" / "all" / "pack"
    file.write_bytes(b"x" * 3_000_000)
    orphaned_archive.look()
    (text,) = alarms.active.values()
    assert "1 files (3." in text and "spool.archive" in text and str(tmp_path) in text
    orphaned_archive.in_use()
    assert not alarms.active
    orphaned_archive.look()
    assert alarms.active
    file.unlink()
    orphaned_archive.look()
    assert not alarms.active
