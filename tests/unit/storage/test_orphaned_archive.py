"""An archive without a configuration is told once, with its size, and no more when it is gone or configured again."""

from bridge.monitoring.alarms import Alarms
from bridge.storage.orphaned_archive import OrphanedArchive


def test_an_archive_that_was_switched_off(tmp_path):
    alarms = Alarms()
    left = OrphanedArchive(tmp_path / ".archive", alarms, lambda job, done: done(job()))
    left.look()
    assert not alarms.active
    (tmp_path / ".archive" / "all").mkdir(parents=True)
    left.look()
    assert not alarms.active
    file = tmp_path / ".archive" / "all" / "pack"
    file.write_bytes(b"x" * 3_000_000)
    left.look()
    (text,) = alarms.active.values()
    assert "1 files (3." in text and "spool.archive" in text and str(tmp_path) in text
    left.in_use()
    assert not alarms.active
    left.look()
    assert alarms.active
    file.unlink()
    left.look()
    assert not alarms.active
