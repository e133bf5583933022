"""The ledger history: its lines and chain, torn tails, days, age, full disks."""

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

from bridge.accounting import Account, journal
from bridge.accounting.journal import Journal, Receipt
from bridge.accounting.journal_lines import (
    BEGINNING,
    JournalReader,
    encode_line,
    split_line,
)
from bridge.spool import Batch
from bridge.spool.recovery import RecoveredSpool

DAY = 86_400
MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z
RECEIPT = Receipt("fw", [(17, 2, 5), (18, 1, 1)], 3, "ab" * 32, 200, "first", "last", confirmed=True)


class Wall:
    def __init__(self, now=MARCH + 0.25):
        self.now = now

    def __call__(self):
        return self.now


class Here:
    """A history in a directory, and what stands in its files."""

    def __init__(self, directory, keep=None):
        self.directory = directory
        self.keep = keep
        self.wall = Wall()
        self.errors = []

    def opened(self):
        made = Journal(self.directory, keep=self.keep, wall=self.wall)
        made.on_error = self.errors.append
        self.found = made.open()
        return made

    def started(self, found=None, quarantined=0):
        made = self.opened()
        made.start(found or RecoveredSpool(), quarantined=quarantined, version="1", config_sha256="c")
        return made

    def files(self):
        return sorted(path.name for path in self.directory.iterdir())

    def rows(self):
        walk = JournalReader(self.directory)
        rows = [line.fields for line in walk]
        assert not walk.faults, walk.faults
        return rows

    def faults(self):
        walk = JournalReader(self.directory)
        for _ in walk:
            pass
        return walk.faults


@pytest.fixture
def here(tmp_path):
    return Here(tmp_path / ".ledger")


# --- the format -----------------------------------------------------------------------------------------------------


def test_the_chain_is_what_the_specification_says(here):
    written = here.started()
    written.receipt(RECEIPT)
    written.close()
    chain = b"0" * 64
    lines = (here.directory / "2026-03-01.jsonl").read_bytes().splitlines()
    assert len(lines) == 2
    for line in lines:
        body, _, link = line.rpartition(b',"chain":"')
        chain = sha256(chain + body + b"}").hexdigest().encode()
        assert link == chain + b'"}'
        assert list(json.loads(line))[:2] == ["t", "kind"]
        assert list(json.loads(line))[-1] == "chain"


def test_start_says_what_was_found(here):
    def batch(intake, sequence, count, *, sending):
        return Batch(intake, sequence, "lines", False, 0, 0, count, 1, Path(), 0.0, sending)

    found = RecoveredSpool(
        batches=[batch("fw", 1, 10, sending=True), batch("fw", 2, 5, sending=False), batch("x", 3, 1, sending=False)],
        sending={"fw": 10},
        damaged={"x": 4},
    )
    here.started(found, quarantined=7)
    (row,) = here.rows()
    assert row == {
        "t": "2026-03-01T00:00:00.250Z", "kind": "start", "recovered": {"fw": 15, "x": 1}, "damaged": {"x": 4},
        "quarantined": 7, "unclean": False, "possible_duplicates": {"fw": 10}, "sending": {"fw": [[1, 10]]},
        "sending_more": 0, "torn": 0, "version": "1", "config_sha256": "c",
    }  # fmt: skip


def test_only_the_newest_batches_are_named_at_start(here, monkeypatch):
    monkeypatch.setattr(journal, "MOST_SENDING", 2)
    batches = [Batch("fw", n, "lines", False, 0, 0, 1, 1, Path(), 0.0, True) for n in range(5)]
    here.started(RecoveredSpool(batches=batches))
    assert here.rows()[0]["sending"] == {"fw": [[3, 1], [4, 1]]}
    assert here.rows()[0]["sending_more"] == 3


def test_a_receipt_and_a_refusal(here):
    written = here.started()
    written.receipt(RECEIPT)
    written.refused("fw", 17, 1, "no" * 1000, 5)
    _, receipt, refused = here.rows()
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
def test_any_words_of_a_stranger_fit_a_line(tmp_path_factory, reason, event_id):
    here = Here(tmp_path_factory.mktemp("history"))
    written = here.started()
    written.refused("fw", 1, 1, reason, 1)
    written.receipt(Receipt("fw", [], 1, "", 200, event_id, event_id, confirmed=False))
    written.close()
    _, refused, receipt = here.rows()
    assert refused["reason"][:299] == reason[:299]
    assert receipt["first"] == (None if event_id is None else event_id[:200])


def test_a_minute_leaves_out_only_what_is_idle(here):
    written = here.started()
    accounts = {
        "busy": Account(received=3, delivered=2, dropped=Counter(why=1, never=0)),
        "holding": Account(recovered=1, spooled=1),
        "idle": Account(received=1, delivered=1),
    }
    written.minute(accounts, {"udp": 4})
    accounts["busy"].received += 1
    written.minute(accounts, {"udp": 5})
    _, *rows = here.rows()
    assert [row["intake"] for row in rows] == ["busy", "holding", "idle", None, "busy", "holding", None]
    assert rows[0] | {"t": "", "kind": ""} == {
        "t": "", "kind": "", "intake": "busy", "received": 3, "recovered": 0, "replayed": 0, "delivered": 2,
        "spooled": 0, "buffered": 0, "quarantined": 0, "filtered": 0, "dropped": {"why": 1}, "possible_duplicates": 0,
    }  # fmt: skip
    assert [row["whole"] for row in rows if row["intake"] is None] == [True, False]
    assert rows[-1]["kernel_drops"] == {"udp": 5}


def test_the_first_minute_of_a_day_leaves_nothing_out(here):
    written = here.started()
    accounts = {"idle": Account(received=1, delivered=1)}
    for now in (MARCH, MARCH + 60, MARCH + DAY, MARCH + DAY + 60):
        here.wall.now = now
        written.minute(accounts, {})
    groups = [row["intake"] for row in here.rows()[1:]]
    assert groups == ["idle", None, None, "idle", None, None]


def test_stop_is_the_end_of_a_clean_life(here):
    written = here.started()
    written.stop({"fw": Account(received=1, spooled=1)}, {"udp": 2})
    written.close()
    assert here.rows()[-1]["accounts"]["fw"]["spooled"] == 1
    assert here.rows()[-1]["kernel_drops"] == {"udp": 2}
    assert not Here(here.directory).opened()._opened.unclean


# --- restarts -------------------------------------------------------------------------------------------------------


def test_the_chain_goes_on_after_a_restart_and_knows_that_there_was_no_stop(here):
    here.started().close()
    here.started().close()
    assert here.found.unclean
    assert [row["unclean"] for row in here.rows()] == [False, True]


def test_whatever_a_kill_leaves_of_the_last_line_is_cut_and_counted(here):
    written = here.started()
    written.receipt(RECEIPT)
    written.close()
    path = here.directory / "2026-03-01.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        path.write_bytes(whole[:end])
        here.started().close()
        rows = here.rows()
        assert [row["kind"] for row in rows] == ["start", "start"]
        assert rows[-1]["torn"] == (end != first)
        assert bool(here.found.notes) == (end != first)


def test_a_file_with_nothing_but_a_torn_line_leads_back_to_the_one_before(here):
    here.started().close()
    (here.directory / "2026-03-02.jsonl").write_bytes(b'{"t":"2026-')
    here.wall.now += DAY
    here.started().close()
    assert len(here.rows()) == 2
    assert here.found.torn == 1


def test_a_last_line_longer_than_the_tail_that_is_read(here, monkeypatch):
    monkeypatch.setattr(journal, "_TAIL", 64)
    written = here.started()
    written.receipt(Receipt("fw", [(n, 1, 1) for n in range(1000)], 1000, "", 200, None, None, confirmed=True))
    written.close()
    here.started()
    assert len(here.rows()) == 3


def test_a_changed_line_is_a_note_at_start_and_has_its_place(here):
    written = here.started()
    for _ in range(3):
        written.receipt(RECEIPT)
    written.close()
    path = here.directory / "2026-03-01.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"count":3', b'"count":2')
    path.write_bytes(b"".join(lines))
    here.started()
    assert "chain errors in 1 lines" in here.found.notes[0]
    assert here.faults() == [f"{path}:3: the chain does not match the previous line"]


@pytest.mark.parametrize("last", [b"nonsense\n", b"{}\n", b"\n", b'{"t":1,"chain":"' + b"0" * 64 + b'"}\n'])
def test_a_last_line_that_is_none_does_not_stop_a_start(here, last):
    here.started().close()
    path = here.directory / "2026-03-01.jsonl"
    path.write_bytes(path.read_bytes() + last)
    here.started().close()
    assert here.found.notes
    assert here.faults() == [f"{path}:2: this is not a journal line"]


def test_a_line_taken_out_or_a_day_removed_breaks_the_chain(here):
    written = here.started()
    for day in range(3):
        here.wall.now = MARCH + day * DAY
        written.receipt(RECEIPT)
    written.close()
    assert not here.faults()
    (here.directory / "2026-03-02.jsonl.gz").unlink()
    assert here.faults() == [f"{here.directory}/2026-03-03.jsonl:1: the chain does not match the previous line"]


def test_a_walk_knows_whether_it_saw_the_beginning_and_ignores_a_line_being_written(here):
    written = here.started()
    here.wall.now += DAY
    written.receipt(RECEIPT)
    written.receipt(RECEIPT)
    written.close()
    walk = JournalReader(here.directory)
    assert len(list(walk)) == 3
    assert walk.from_beginning
    path = here.directory / "2026-03-02.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    (here.directory / "2026-03-01.jsonl.gz").unlink()
    (here.directory / "notes.txt").write_text("not ours")
    walk = JournalReader(here.directory)
    assert len(list(walk)) == 1
    assert (walk.faults, walk.from_beginning, walk.first) == ([], False, f"{path}:1")


# --- days -----------------------------------------------------------------------------------------------------------


def test_a_file_a_day_and_a_clock_set_back_goes_on_with_the_newest(here):
    written = here.started()
    for now in (MARCH + DAY - 0.001, MARCH + DAY, MARCH + 5, MARCH + 2 * DAY):
        here.wall.now = now
        written.receipt(RECEIPT)
    written.close()
    assert here.files() == ["2026-03-01.jsonl.gz", "2026-03-02.jsonl.gz", "2026-03-03.jsonl"]
    assert [row["t"][8:10] for row in here.rows()[1:]] == ["01", "02", "01", "03"]
    here.wall.now = MARCH
    here.started()
    assert len(here.files()) == 3
    assert not here.faults()


def test_compressing_a_day_that_was_cut_off_is_done_again(here):
    written = here.started()
    written.receipt(RECEIPT)
    here.wall.now += DAY
    written.receipt(RECEIPT)
    written.close()
    rows = here.rows()
    packed = here.directory / "2026-03-01.jsonl.gz"
    plain = gzip.decompress(packed.read_bytes())
    # As a process leaves it that dies behind the rename, and one that dies before.
    (here.directory / "2026-03-01.jsonl").write_bytes(plain)
    assert here.rows() == rows
    packed.unlink()
    (here.directory / "2026-03-01.jsonl.gz.part").write_bytes(b"torn")
    here.opened()
    assert here.files() == ["2026-03-01.jsonl.gz", "2026-03-02.jsonl"]
    assert here.rows() == rows
    assert not here.faults()


def test_days_beyond_keep_go_at_start_and_at_a_new_day(tmp_path):
    here = Here(tmp_path, keep=timedelta(days=2))
    written = here.started()
    for day in range(6):
        here.wall.now = MARCH + day * DAY
        written.receipt(RECEIPT)
    written.close()
    assert here.files() == [*(f"2026-03-0{day}.jsonl.gz" for day in (3, 4, 5)), "2026-03-06.jsonl"]
    here.keep = timedelta(days=1)
    here.opened()
    assert here.files() == ["2026-03-05.jsonl.gz", "2026-03-06.jsonl"]
    assert not here.faults()


def test_never_keeps_all_and_a_clock_years_ahead_costs_no_history(tmp_path):
    here = Here(tmp_path, keep=None)
    here.started().close()
    here.wall.now += 1000 * DAY
    here.started().close()
    assert len(here.files()) == 2
    here = Here(tmp_path / "other", keep=timedelta(days=400))
    here.started().close()
    here.wall.now += 1000 * DAY
    here.started().close()
    assert len(here.files()) == 2


# --- trouble --------------------------------------------------------------------------------------------------------


def test_lines_that_cannot_be_written_are_counted_in_the_next(here, monkeypatch):
    written = here.started()
    write = os.write

    def full(descriptor, data):
        # A full disk takes a part first.
        if len(data) > 20:
            return write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    written.receipt(RECEIPT)
    written.minute({"fw": Account(received=1, spooled=1)}, {})
    monkeypatch.undo()
    assert written.lost == 3
    assert len(here.errors) == 1
    assert "No space left" in here.errors[0]
    written.receipt(RECEIPT)
    written.receipt(RECEIPT)
    assert [row.get("lost") for row in here.rows()] == [None, 3, None]
    assert not here.rows()[1:2][0].get("torn")
    written.minute({"fw": Account(received=1, spooled=1)}, {})
    assert here.rows()[-1]["whole"]  # the one that was lost does not count


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    here = Here(tmp_path / "file" / "ledger")
    written = here.started()
    assert "the journal may not be written" in here.found.notes[0]
    written.receipt(RECEIPT)
    written.stop({}, {})
    written.close()
    assert written.lost == 3
    assert len(here.errors) == 1
    (tmp_path / "file").unlink()
    written.receipt(RECEIPT)
    assert here.rows()[0]["lost"] == 3


def test_a_receipt_after_the_stop_makes_the_end_unclean(here):
    written = here.started()
    written.stop({}, {})
    written.close()
    written.receipt(RECEIPT)
    written.close()
    here.opened()
    assert here.found.unclean


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_or_none(data):
    parts = split_line(data)
    assert parts is None or parts[0][:-1] + b',"chain":"' + parts[1].encode() + b'"}' == data
    line, chain = encode_line({"t": "", "kind": data.decode("latin-1")}, BEGINNING)
    assert split_line(line[:-1])[1] == chain
