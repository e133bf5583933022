"""Tests that a spool written by version 0.1 is read: batches, a pack, quarantine, archive, journal.

`written_by_0_1/` is a copy of such a spool, with a batch whose request had begun and an open file with a torn end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report.totals import ReportBuilder
from bridge.spool import Spool, batch_reader
from bridge.spool.archive import Archive
from bridge.spool.inspect import last_entries
from tests.harness.builders import NOON, build_spool, fail

WRITTEN = Path(__file__).with_name("written_by_0_1")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    shutil.copytree(WRITTEN, tmp_path / "spool")
    made = build_spool(tmp_path / "spool", recover=False)
    yield made
    made.close()


def test_batches_and_packs_are_recovered(spool: Spool) -> None:
    found = spool.recover()
    events = {batch.intake: b"" for batch in found.batches}
    for batch in found.batches:
        events[batch.intake] += batch_reader.content(batch)
    assert events == {
        "plain": b'first\nsecond\n"with \\n line end"\n',
        "sending": b"perhaps accepted\n",
        "torn": b"whole\n",
    }
    assert dict(found.sending) == {"sending": 1}
    (pack,) = found.packs
    assert (pack.intake, pack.count) == ("packed", 3)
    assert [entry.lines for entry in pack.entries()] == [b"packed 0\n", b"packed 1\n", b"packed 2\n"]


def test_quarantine_is_recovered(spool: Spool) -> None:
    spool.recover()
    assert spool.quarantine.counts == {"refused": 1, "unrouted": 1}
    entries = last_entries(spool.quarantine.directory)
    assert sorted((entry["address"], entry["why"]) for entry in entries) == [
        ("192.0.2.7", "no route matches"),
        ("192.0.2.8", "HTTP 400"),
    ]


def test_archive_is_recovered(spool: Spool) -> None:
    archive = Archive(
        spool.directory / ".archive", max_size=10**9, max_age=None, wall=lambda: float(NOON), on_error=fail
    )
    archive.recover()
    (batch,) = archive.read("kept", 0, 1 << 60)
    assert batch_reader.content(batch) == b"delivered\n"


def test_journal_is_read_and_its_chain_is_complete(spool: Spool) -> None:
    reader = JournalReader(spool.directory / ".ledger")
    builder = ReportBuilder(None, None)
    for _, fields in reader:
        builder.take(fields)
    assert reader.fault_count == 0
    rows = builder.finish().rows
    assert (rows["kept"].delivered, rows["plain"].received, rows["plain"].quarantined) == (1, 4, 1)
