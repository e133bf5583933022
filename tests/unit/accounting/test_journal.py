"""Tests the journal: its lines and chain, torn tails, daily files, expiry and full disks."""

import errno
import gzip
import json
import os
from collections import Counter
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.accounting import Account, journal, journal_lines
from bridge.accounting.journal import Journal
from bridge.accounting.journal_lines import BEGINNING, JournalReader, decode_line, encode_line
from bridge.accounting.receipt import Receipt
from bridge.spool import Batch
from bridge.spool.recovery import RecoveredSpool
from tests.harness.file_errors import FileErrors

DAY = 86_400
MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z
RECEIPT = Receipt("fw", [(17, 2, 5), (18, 1, 1)], 3, "ab" * 32, 200, "first", "last", confirmed=True)


class ManualClock:
    """A wall clock that a test sets."""

    def __init__(self, time=MARCH + 0.25):
        self.now = time

    def __call__(self):
        return self.now


class JournalFixture:
    """A journal in a directory. Reads the lines of its files."""

    def __init__(self, directory, keep=None):
        self.directory = directory
        self.keep = keep
        self.wall = ManualClock()
        self.errors = []

    def open_journal(self):
        new_journal = Journal(self.directory, keep=self.keep, wall=self.wall, on_error=self.errors.append)
        self.found = new_journal.open()
        return new_journal

    def start_journal(self, found=None, quarantined=0):
        new_journal = self.open_journal()
        new_journal.start(found or RecoveredSpool(), quarantined=quarantined, version="1", config_sha256="c")
        return new_journal

    def files(self):
        return sorted(path.name for path in self.directory.iterdir())

    def rows(self):
        reader = JournalReader(self.directory)
        rows = [fields for _, fields in reader]
        assert not reader.faults, reader.faults
        return rows

    def faults(self):
        reader = JournalReader(self.directory)
        for _ in reader:
            pass
        return reader.faults


@pytest.fixture
def fixture(tmp_path):
    return JournalFixture(tmp_path / ".ledger")


# --- the format -----------------------------------------------------------------------------------------------------


def test_each_line_hashes_the_chain_of_the_previous_line(fixture):
    journal_under_test = fixture.start_journal()
    journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    chain = b"0" * 64
    lines = (fixture.directory / "2026-03-01.jsonl").read_bytes().splitlines()
    assert len(lines) == 2
    for line in lines:
        body, _, link = line.rpartition(b',"chain":"')
        chain = sha256(chain + body + b"}").hexdigest().encode()
        assert link == chain + b'"}'
        assert list(json.loads(line))[:2] == ["t", "kind"]
        assert list(json.loads(line))[-1] == "chain"


def test_start_line_records_what_was_recovered(fixture):
    def batch(intake, sequence, count, *, sending):
        return Batch(intake, sequence, "lines", False, 0, 0, count, 1, Path(), 0.0, sending)

    found = RecoveredSpool(
        batches=[batch("fw", 1, 10, sending=True), batch("fw", 2, 5, sending=False), batch("x", 3, 1, sending=False)],
        sending={"fw": 10},
        damaged={"x": 4},
    )
    fixture.start_journal(found, quarantined=7)
    (row,) = fixture.rows()
    assert row == {
        "t": "2026-03-01T00:00:00.250Z", "kind": "start", "recovered": {"fw": 15, "x": 1}, "damaged": {"x": 4},
        "quarantined": 7, "unclean": False, "possible_duplicates": {"fw": 10}, "sending": {"fw": [[1, 10]]},
        "sending_more": 0, "torn": 0, "version": "1", "config_sha256": "c",
    }  # fmt: skip


def test_start_line_lists_only_the_newest_batches(fixture, monkeypatch):
    monkeypatch.setattr(journal, "MOST_SENDING", 2)
    batches = [Batch("fw", n, "lines", False, 0, 0, 1, 1, Path(), 0.0, True) for n in range(5)]
    fixture.start_journal(RecoveredSpool(batches=batches))
    assert fixture.rows()[0]["sending"] == {"fw": [[3, 1], [4, 1]]}
    assert fixture.rows()[0]["sending_more"] == 3


def test_receipt_and_refusal_lines_have_all_fields(fixture):
    journal_under_test = fixture.start_journal()
    journal_under_test.receipt(RECEIPT)
    journal_under_test.refused("fw", 17, 1, "no" * 1000, 5)
    _, receipt, refused = fixture.rows()
    assert receipt == {
        "t": "2026-03-01T00:00:00.250Z", "kind": "receipt", "intake": "fw", "batches": [[17, 2, 5], [18, 1, 1]],
        "count": 3, "sha256": "ab" * 32, "status": 200, "first": "first", "last": "last", "confirmed": True,
    }  # fmt: skip
    assert len(refused.pop("reason")) == 300
    assert refused == {
        "t": "2026-03-01T00:00:00.250Z", "kind": "refused", "intake": "fw", "sequence": 17, "count": 1,
        "batch_events": 5,
    }  # fmt: skip


@given(st.text(), st.text() | st.none())
def test_any_text_of_the_collector_fits_into_a_line(tmp_path_factory, reason, event_id):
    fixture = JournalFixture(tmp_path_factory.mktemp("history"))
    journal_under_test = fixture.start_journal()
    journal_under_test.refused("fw", 1, 1, reason, 1)
    journal_under_test.receipt(Receipt("fw", [], 1, "", 200, event_id, event_id, confirmed=False))
    journal_under_test.close()
    _, refused, receipt = fixture.rows()
    assert refused["reason"][:299] == reason[:299]
    assert receipt["first"] == (None if event_id is None else event_id[:200])


def test_minute_omits_only_unchanged_idle_accounts(fixture):
    journal_under_test = fixture.start_journal()
    accounts = {
        "busy": Account(received=3, delivered=2, dropped=Counter(why=1, never=0)),
        "holding": Account(recovered=1, spooled=1),
        "idle": Account(received=1, delivered=1),
    }
    journal_under_test.minute(accounts, {"udp": 4})
    accounts["busy"].received += 1
    journal_under_test.minute(accounts, {"udp": 5})
    _, *rows = fixture.rows()
    assert [row["intake"] for row in rows] == ["busy", "holding", "idle", None, "busy", "holding", None]
    assert rows[0] | {"t": "", "kind": ""} == {
        "t": "", "kind": "", "intake": "busy", "received": 3, "recovered": 0, "replayed": 0, "delivered": 2,
        "spooled": 0, "buffered": 0, "quarantined": 0, "filtered": 0, "dropped": {"why": 1}, "possible_duplicates": 0,
    }  # fmt: skip
    assert [row["whole"] for row in rows if row["intake"] is None] == [True, False]
    assert rows[-1]["kernel_drops"] == {"udp": 5}


def test_first_minute_of_a_day_includes_all_accounts(fixture):
    journal_under_test = fixture.start_journal()
    accounts = {"idle": Account(received=1, delivered=1)}
    for time in (MARCH, MARCH + 60, MARCH + DAY, MARCH + DAY + 60):
        fixture.wall.now = time
        journal_under_test.minute(accounts, {})
    groups = [row["intake"] for row in fixture.rows()[1:]]
    assert groups == ["idle", None, None, "idle", None, None]


def test_stop_line_ends_a_clean_run(fixture):
    journal_under_test = fixture.start_journal()
    journal_under_test.stop({"fw": Account(received=1, spooled=1)}, {"udp": 2})
    journal_under_test.close()
    assert fixture.rows()[-1]["accounts"]["fw"]["spooled"] == 1
    assert fixture.rows()[-1]["kernel_drops"] == {"udp": 2}
    assert not JournalFixture(fixture.directory).open_journal()._opened.unclean


# --- restarts -------------------------------------------------------------------------------------------------------


def test_restart_continues_the_chain_and_records_a_missing_stop(fixture):
    fixture.start_journal().close()
    fixture.start_journal().close()
    assert fixture.found.unclean
    assert [row["unclean"] for row in fixture.rows()] == [False, True]


def test_torn_last_line_is_cut_and_counted(fixture):
    journal_under_test = fixture.start_journal()
    journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    path = fixture.directory / "2026-03-01.jsonl"
    complete = path.read_bytes()
    first = complete.index(b"\n") + 1
    for end in range(first, len(complete)):
        path.write_bytes(complete[:end])
        fixture.start_journal().close()
        rows = fixture.rows()
        assert [row["kind"] for row in rows] == ["start", "start"]
        assert rows[-1]["torn"] == (end != first)
        assert bool(fixture.found.notes) == (end != first)


def test_chain_continues_from_the_previous_file_after_a_torn_first_line(fixture):
    fixture.start_journal().close()
    (fixture.directory / "2026-03-02.jsonl").write_bytes(b'{"t":"2026-')
    fixture.wall.now += DAY
    fixture.start_journal().close()
    assert len(fixture.rows()) == 2
    assert fixture.found.torn == 1


def test_last_line_longer_than_one_tail_read_is_found(fixture, monkeypatch):
    monkeypatch.setattr(journal_lines, "_TAIL", 64)
    journal_under_test = fixture.start_journal()
    journal_under_test.receipt(
        Receipt("fw", [(n, 1, 1) for n in range(1000)], 1000, "", 200, None, None, confirmed=True)
    )
    journal_under_test.close()
    fixture.start_journal()
    assert len(fixture.rows()) == 3


def test_changed_line_is_reported_at_start_with_its_place(fixture):
    journal_under_test = fixture.start_journal()
    for _ in range(3):
        journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    path = fixture.directory / "2026-03-01.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"count":3', b'"count":2')
    path.write_bytes(b"".join(lines))
    fixture.start_journal()
    assert "lines with errors: 1." in fixture.found.notes[0]
    assert fixture.faults() == [f"{path}:3: the chain does not match the previous line"]


@pytest.mark.parametrize("last", [b"nonsense\n", b"{}\n", b"\n", b'{"t":1,"chain":"' + b"0" * 64 + b'"}\n'])
def test_invalid_last_line_does_not_prevent_a_start(fixture, last):
    fixture.start_journal().close()
    path = fixture.directory / "2026-03-01.jsonl"
    path.write_bytes(path.read_bytes() + last)
    fixture.start_journal().close()
    assert fixture.found.notes
    assert fixture.faults() == [f"{path}:2: this is not a journal line"]


def test_removed_day_breaks_the_chain(fixture):
    journal_under_test = fixture.start_journal()
    for day in range(3):
        fixture.wall.now = MARCH + day * DAY
        journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    assert not fixture.faults()
    (fixture.directory / "2026-03-02.jsonl.gz").unlink()
    assert fixture.faults() == [f"{fixture.directory}/2026-03-03.jsonl:1: the chain does not match the previous line"]


def test_reader_detects_a_missing_beginning_and_ignores_an_unfinished_line(fixture):
    journal_under_test = fixture.start_journal()
    fixture.wall.now += DAY
    journal_under_test.receipt(RECEIPT)
    journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    reader = JournalReader(fixture.directory)
    assert len(list(reader)) == 3
    assert reader.from_beginning
    path = fixture.directory / "2026-03-02.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    (fixture.directory / "2026-03-01.jsonl.gz").unlink()
    (fixture.directory / "notes.txt").write_text("not ours")
    reader = JournalReader(fixture.directory)
    assert len(list(reader)) == 1
    assert (reader.faults, reader.from_beginning, reader.first) == ([], False, f"{path}:1")


# --- days -----------------------------------------------------------------------------------------------------------


def test_each_day_has_a_file_and_a_clock_set_back_continues_the_newest(fixture):
    journal_under_test = fixture.start_journal()
    for time in (MARCH + DAY - 0.001, MARCH + DAY, MARCH + 5, MARCH + 2 * DAY):
        fixture.wall.now = time
        journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    assert fixture.files() == ["2026-03-01.jsonl.gz", "2026-03-02.jsonl.gz", "2026-03-03.jsonl"]
    assert [row["t"][8:10] for row in fixture.rows()[1:]] == ["01", "02", "01", "03"]
    fixture.wall.now = MARCH
    fixture.start_journal()
    assert len(fixture.files()) == 3
    assert not fixture.faults()


def test_interrupted_compression_of_a_day_is_repeated(fixture):
    journal_under_test = fixture.start_journal()
    journal_under_test.receipt(RECEIPT)
    fixture.wall.now += DAY
    journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    rows = fixture.rows()
    compressed = fixture.directory / "2026-03-01.jsonl.gz"
    plain = gzip.decompress(compressed.read_bytes())
    # First the state after a kill that follows the rename, then the state after a kill before it.
    (fixture.directory / "2026-03-01.jsonl").write_bytes(plain)
    assert fixture.rows() == rows
    compressed.unlink()
    (fixture.directory / "2026-03-01.jsonl.gz.part").write_bytes(b"torn")
    fixture.open_journal()
    assert fixture.files() == ["2026-03-01.jsonl.gz", "2026-03-02.jsonl"]
    assert fixture.rows() == rows
    assert not fixture.faults()


@pytest.mark.parametrize("damage", ["truncated", "empty", "overwritten", "not gzip", "unreadable"])
@pytest.mark.parametrize("newest", [True, False])
def test_damaged_day_costs_its_own_lines_only(fixture, monkeypatch, damage, newest):
    journal_under_test = fixture.start_journal()
    for _ in range(300):
        journal_under_test.receipt(RECEIPT)
    fixture.wall.now += DAY
    journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    compressed = fixture.directory / "2026-03-01.jsonl.gz"
    if newest:
        (fixture.directory / "2026-03-02.jsonl").unlink()
    data = bytearray(compressed.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "empty":
        data = data[:0]
    elif damage == "overwritten":
        data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    elif damage == "not gzip":
        data = b"something else"
    compressed.write_bytes(data)
    if damage == "unreadable":
        errors = FileErrors(monkeypatch)
        errors.fail("open", lambda path: path == str(compressed), errno.EIO)
    next_journal = fixture.start_journal()
    next_journal.receipt(RECEIPT)
    next_journal.close()
    assert not next_journal.lost
    if newest:
        assert any("2026-03-01.jsonl.gz: " in note for note in fixture.found.notes) is (damage != "empty")
    faults = fixture.faults()
    assert any("2026-03-01.jsonl.gz" in fault for fault in faults) or damage == "empty"
    reader = JournalReader(fixture.directory)
    kinds = [fields["kind"] for _, fields in reader]
    assert kinds[-2:] == ["start", "receipt"]
    if damage == "truncated":
        assert kinds.count("receipt") > 100, "the lines before the damage are read"
        assert "truncated" in faults[0]


def test_unreadable_day_does_not_keep_later_days_from_compression(fixture, monkeypatch):
    journal_under_test = fixture.start_journal()
    errors = FileErrors(monkeypatch)
    errors.fail("open", lambda path: path.endswith("2026-03-01.jsonl"), errno.EIO)
    for _ in range(2):
        fixture.wall.now += DAY
        journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    assert fixture.files() == ["2026-03-01.jsonl", "2026-03-02.jsonl.gz", "2026-03-03.jsonl"]
    assert "2026-03-01.jsonl: Input/output error" in fixture.errors[0]


def test_days_beyond_keep_are_deleted_at_start_and_at_a_new_day(tmp_path):
    fixture = JournalFixture(tmp_path, keep=timedelta(days=2))
    journal_under_test = fixture.start_journal()
    for day in range(6):
        fixture.wall.now = MARCH + day * DAY
        journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    assert fixture.files() == [*(f"2026-03-0{day}.jsonl.gz" for day in (3, 4, 5)), "2026-03-06.jsonl"]
    fixture.keep = timedelta(days=1)
    fixture.open_journal()
    assert fixture.files() == ["2026-03-05.jsonl.gz", "2026-03-06.jsonl"]
    assert not fixture.faults()


def test_changed_time_to_keep_applies_on_the_next_day(tmp_path):
    fixture = JournalFixture(tmp_path, keep=None)
    journal_under_test = fixture.start_journal()
    for day in range(5):
        fixture.wall.now = MARCH + day * DAY
        journal_under_test.receipt(RECEIPT)
    journal_under_test.change(timedelta(days=1))
    fixture.wall.now += DAY
    journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    assert fixture.files() == ["2026-03-04.jsonl.gz", "2026-03-05.jsonl.gz", "2026-03-06.jsonl"]


def test_journal_survives_keep_never_and_a_clock_years_ahead(tmp_path):
    fixture = JournalFixture(tmp_path, keep=None)
    fixture.start_journal().close()
    fixture.wall.now += 1000 * DAY
    fixture.start_journal().close()
    assert len(fixture.files()) == 2
    fixture = JournalFixture(tmp_path / "other", keep=timedelta(days=400))
    fixture.start_journal().close()
    fixture.wall.now += 1000 * DAY
    fixture.start_journal().close()
    assert len(fixture.files()) == 2


def test_moment_ten_years_ahead_deletes_nothing_and_the_chain_continues_in_the_current_day(tmp_path):
    fixture = JournalFixture(tmp_path, keep=timedelta(days=400))
    journal_under_test = fixture.start_journal()
    for seconds in (1, 3650 * DAY, 3650 * DAY + 6, 8, 9):
        fixture.wall.now = MARCH + seconds
        journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    assert fixture.files() == ["2026-03-01.2.jsonl.gz", "2026-03-01.3.jsonl", "2026-03-01.jsonl.gz"]
    assert [row["t"][:4] for row in fixture.rows()[1:]] == ["2026", "2036", "2036", "2026", "2026"]
    for _ in range(2):
        fixture.wall.now += DAY
        fixture.start_journal().close()
        assert not fixture.faults()
    assert fixture.files()[3:] == ["2026-03-02.jsonl.gz", "2026-03-03.jsonl"]
    assert len(fixture.rows()) == 8


@pytest.mark.parametrize("starts_ahead", [1, 3])
def test_journal_of_a_process_that_died_with_its_clock_ahead_continues_in_the_current_day(tmp_path, starts_ahead):
    fixture = JournalFixture(tmp_path, keep=timedelta(days=30))
    for day in (0, 1, *(3650 + n for n in range(starts_ahead)), 1):
        fixture.wall.now = MARCH + day * DAY
        fixture.start_journal().close()
    closed = [f"2026-03-02.{2 + n}.jsonl.gz" for n in range(starts_ahead)]
    current = f"2026-03-02.{2 + starts_ahead}.jsonl"
    assert fixture.files() == ["2026-03-01.jsonl.gz", *closed, current, "2026-03-02.jsonl.gz"]
    assert len(fixture.rows()) == 3 + starts_ahead
    fixture.wall.now = MARCH + 2 * DAY
    fixture.start_journal().close()
    assert fixture.files()[-1] == "2026-03-03.jsonl"
    assert not fixture.faults()


def test_file_ahead_of_the_clock_becomes_the_current_day_if_that_has_no_file(fixture):
    fixture.wall.now = MARCH + 3650 * DAY
    fixture.start_journal().close()
    fixture.wall.now = MARCH
    fixture.start_journal().close()
    assert fixture.files() == ["2026-03-01.2.jsonl", "2026-03-01.jsonl.gz"]
    assert len(fixture.rows()) == 2


def test_kill_while_files_ahead_of_the_clock_are_closed_keeps_the_order(fixture, monkeypatch):
    for day in (0, 3650, 3651, 3652):
        fixture.wall.now = MARCH + day * DAY
        fixture.start_journal().close()
    # As a kill during its compression leaves a day.
    plain = gzip.decompress((fixture.directory / "2036-02-27.jsonl.gz").read_bytes())
    (fixture.directory / "2036-02-27.jsonl").write_bytes(plain)
    rows = fixture.rows()
    fixture.wall.now = MARCH
    rename, renamed = Path.rename, []

    def rename_two(path, target):
        if len(renamed) == 2:
            raise OSError(errno.EIO, "I/O error", str(path))
        renamed.append(target)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename_two)
        fixture.open_journal()
    assert "I/O error" in fixture.found.notes[0]
    assert fixture.rows() == rows
    fixture.start_journal().close()
    assert fixture.rows()[:-1] == rows
    assert not [name for name in fixture.files() if name.startswith("2036")]


# --- errors ---------------------------------------------------------------------------------------------------------


def test_unwritten_lines_are_counted_in_the_next_line(fixture, monkeypatch):
    journal_under_test = fixture.start_journal()
    write = os.write

    def full(descriptor, data):
        # A full disk writes a part of the data first.
        if len(data) > 20:
            return write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    journal_under_test.receipt(RECEIPT)
    journal_under_test.minute({"fw": Account(received=1, spooled=1)}, {})
    monkeypatch.undo()
    assert journal_under_test.lost == 3
    assert len(fixture.errors) == 1
    assert "No space left" in fixture.errors[0]
    journal_under_test.receipt(RECEIPT)
    journal_under_test.receipt(RECEIPT)
    assert [row.get("lost") for row in fixture.rows()] == [None, 3, None]
    assert not fixture.rows()[1:2][0].get("torn")
    journal_under_test.minute({"fw": Account(received=1, spooled=1)}, {})
    assert fixture.rows()[-1]["whole"]  # the minute that was not written does not count


def test_unwritable_folder_does_not_stop_the_bridge(tmp_path):
    (tmp_path / "file").write_text("in the way")
    fixture = JournalFixture(tmp_path / "file" / "ledger")
    journal_under_test = fixture.start_journal()
    assert "the journal may not be written" in fixture.found.notes[0]
    journal_under_test.receipt(RECEIPT)
    journal_under_test.stop({}, {})
    journal_under_test.close()
    assert journal_under_test.lost == 3
    assert len(fixture.errors) == 1
    (tmp_path / "file").unlink()
    journal_under_test.receipt(RECEIPT)
    assert fixture.rows()[0]["lost"] == 3


def test_receipt_after_the_stop_line_makes_the_run_unclean(fixture):
    journal_under_test = fixture.start_journal()
    journal_under_test.stop({}, {})
    journal_under_test.close()
    journal_under_test.receipt(RECEIPT)
    journal_under_test.close()
    fixture.open_journal()
    assert fixture.found.unclean


@given(st.binary(max_size=200))
def test_any_bytes_are_a_journal_line_or_none(data):
    decoded = decode_line(data)
    assert decoded is None or decoded[1][:-1] + b',"chain":"' + decoded[2].encode() + b'"}' == data
    line, chain = encode_line({"t": "", "kind": data.decode("latin-1")}, BEGINNING)
    fields, _, link = decode_line(line[:-1])
    assert (fields["kind"], link) == (data.decode("latin-1"), chain)
