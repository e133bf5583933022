"""Tests which quarantine entries are listed as the newest."""

from bridge.spool import inspect, newest_entries
from bridge.spool.quarantine import REASONS, Quarantine
from bridge.spool.quarantine_entry import QuarantineEntry


def quarantine_with(directory, count, reason="unrouted"):
    bounds = dict.fromkeys(REASONS, 10**9)
    quarantine = Quarantine(directory, wall=lambda: 1_795_418_640.0, bounds=bounds)
    quarantine.recover()
    entries = [
        QuarantineEntry(1000 + n, "udp", "192.0.2.7", b"<13>frame %d" % n, "no route matches") for n in range(count)
    ]
    quarantine.add(reason, entries)
    return quarantine


def test_newest_entries_of_each_reason_come_first(tmp_path):
    quarantine_with(tmp_path, 50)
    quarantine_with(tmp_path, 3, "refused")
    found = inspect.last_entries(tmp_path)
    assert len(found) == newest_entries.MAX_ENTRIES + 3
    assert found[0]["sample"] == "<13>frame 49"
    assert {row["reason"] for row in found} == {"unrouted", "refused"}
    assert found[0]["why"] == "no route matches"


def test_frames_that_could_not_be_redacted_have_no_sample(tmp_path):
    quarantine_with(tmp_path, 1, "unredacted")
    (found,) = inspect.last_entries(tmp_path)
    assert (found["reason"], found["sample"], found["bytes"]) == ("unredacted", None, 11)


def test_unreadable_lines_are_skipped(tmp_path):
    quarantine_with(tmp_path, 2).close()
    (file,) = (tmp_path / "unrouted").iterdir()
    original = file.read_bytes()
    file.write_bytes(b"garbage\n{}\n" + original + b'{"received_ms": 1, "frame": "AAAA')
    assert [row["sample"] for row in inspect.last_entries(tmp_path)] == ["<13>frame 1", "<13>frame 0"]
    assert inspect.last_entries(tmp_path / "nowhere") == []


def test_only_the_tail_of_a_long_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(newest_entries, "TAIL_BYTES", 2000)
    quarantine_with(tmp_path, 1000)
    found = inspect.last_entries(tmp_path)
    assert found[0]["sample"] == "<13>frame 999"
    assert 0 < len(found) <= newest_entries.MAX_ENTRIES
