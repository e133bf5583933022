"""Tests the report of a node that hands batches over and takes batches over, also after a kill."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.receipt import Receipt
from bridge.cli.report import build_report
from bridge.spool import Batch
from bridge.spool.recovery import RecoveredSpool
from tests.harness.builders import fail

MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z


class ProcessRun:
    """Ledger and journal of one process run of a node."""

    def __init__(self, directory, now, waiting=0):
        self.now = now
        self.ledger = Ledger()
        self.borrowing = self.ledger.borrowing()
        self.journal = Journal(directory, keep=None, wall=lambda: self.now, on_error=fail)
        self.journal.open()
        found = RecoveredSpool()
        if waiting:
            found.batches = [Batch("a", 1, "lines", False, 0, 0, waiting, 9, Path(), 0.0)]
            self.ledger.recover_spooled("a", waiting)
        self.journal.start(found, quarantined=0, version="1", config_sha256="")

    def minute(self):
        self.now += 60
        self.journal.minute(self.accounts(), {})

    def accounts(self):
        return {name: replace(each, dropped=each.dropped.copy()) for name, each in self.ledger.accounts.items()}

    def accept(self, count, *, taken):
        (self.borrowing if taken else self.ledger).deliver("a", count)
        self.journal.receipt(Receipt("a", [(7, count, count)], count, "", 200, None, None, True, taken))

    def hand_over(self, count):
        self.ledger.hand_over("a", count)
        self.journal.handed("a", 5, count, count)


def row_of(directory):
    reader = JournalReader(directory)
    report = build_report(reader, None, None)
    assert reader.fault_count == 0
    row = report.rows["a"]
    left = row.carried + row.received + row.replayed + row.taken + row.moved + row.again + row.unexplained
    right = row.delivered + row.twice + row.quarantined + row.filtered + row.handed + row.dropped.total() + row.held
    assert left == right and row.carried == 0 and row.unexplained == row.dropped.total() == 0
    return row


def test_stopped_run_balances_in_the_report(tmp_path):
    run = ProcessRun(tmp_path, MARCH)
    run.ledger.receive_spooled("a", 10)
    run.hand_over(10)
    run.borrowing.take_over("a", 7)
    run.accept(4, taken=True)
    run.minute()
    run.borrowing.hand_over("a", 1)
    # Two events are in flight until the end.
    run.journal.stop(run.accounts(), {})
    row = row_of(tmp_path)
    assert (row.received, row.handed, row.taken, row.delivered, row.held) == (10, 13, 7, 4, 0)
    ProcessRun(tmp_path, run.now + 5).journal.stop({}, {})
    assert row_of(tmp_path).unexplained == 0


@pytest.mark.parametrize("taken_since", [0, 5])
def test_killed_run_balances_in_the_report(tmp_path, taken_since):
    run = ProcessRun(tmp_path, MARCH)
    run.ledger.receive_spooled("a", 10)
    run.borrowing.take_over("a", 6)
    run.minute()
    # Events after the last minute line of the journal.
    run.hand_over(8)
    run.ledger.receive_spooled("a", 3)
    if taken_since:
        run.borrowing.take_over("a", taken_since)
    run.accept(4 + taken_since, taken=True)
    restarted = ProcessRun(tmp_path, run.now + 5, waiting=5)
    restarted.journal.stop(restarted.accounts(), {})
    row = row_of(tmp_path)
    assert (row.received, row.delivered, row.held) == (13, 4 + taken_since, 5)
    # The kill returned two events to the queue. Of later hand-overs only the difference is known.
    assert row.taken - row.handed == (6 + taken_since) - (8 + 2)
