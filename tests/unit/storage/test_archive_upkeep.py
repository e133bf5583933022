"""Tests the alarm for an archive that is not configured: raised with its size, cleared when deleted or configured."""

from types import SimpleNamespace

from bridge.monitoring.alarms import Alarms
from bridge.storage.archive_upkeep import ArchiveUpkeep
from tests.harness.builders import at_once


def test_alarm_for_an_unconfigured_archive_is_raised_and_cleared(tmp_path):
    alarms = Alarms()
    spool, tidied = SimpleNamespace(directory=tmp_path, archive=None), []
    upkeep = ArchiveUpkeep(spool, alarms, at_once)
    upkeep.look()
    assert not alarms.active
    (tmp_path / ".archive" / "all").mkdir(parents=True)
    upkeep.look()
    assert not alarms.active
    file = tmp_path / ".archive" / "all" / "pack"
    file.write_bytes(b"x" * 3_000_000)
    upkeep.look()
    (text,) = alarms.active.values()
    assert "1 file (3." in text and "spool.archive" in text and str(tmp_path) in text
    spool.archive = SimpleNamespace(tidy=lambda: tidied.append(1))
    upkeep.look()
    assert tidied
    assert not alarms.active
    spool.archive = None
    upkeep.look()
    assert alarms.active
    file.unlink()
    upkeep.look()
    assert not alarms.active
