"""Tests that a file that could not be read at start is named, and recovered once it can be read."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from bridge.accounting import Ledger
from bridge.monitoring.alarms import Alarms
from bridge.storage.unrecovered import PATIENCE, RARELY, UnrecoveredFiles
from tests.harness.builders import NOON, at_once, build_spool
from tests.harness.file_errors import FileErrors


@pytest.mark.parametrize("name", ["open.lines", "3-12.lines"])
def test_file_of_an_earlier_process_is_recovered_once_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "spool/fw"
    folder.mkdir(parents=True)
    separator = "." if name.startswith("open") else "-"
    path = folder / f"{NOON}000000-{NOON}000{separator}{name}"
    # The sealed one is shorter than its name says, so it must be read too.
    path.write_bytes(b"one\ntwo\nthr")
    good = folder / f"{NOON}000001-{NOON}000-1-5.lines"
    good.write_bytes(b"good\n")
    errors, ledger, alarms = FileErrors(monkeypatch), Ledger(), Alarms()
    errors.fail("open", lambda opened: opened == str(path), errno.EIO)
    spool = build_spool(tmp_path / "spool", recover=False)
    found = spool.recover()
    assert [batch.count for batch in found.batches] == [1]
    assert found.unreadable == [path]
    assert f"{path}: Input/output error" in found.notes[0]
    sealed: list[Any] = []
    spool.subscribe(sealed.append)
    unrecovered = UnrecoveredFiles(spool, ledger, alarms, at_once)
    unrecovered.begin(found.unreadable)
    assert str(path) in alarms.active["unreadable", "spool"]
    for _ in range(PATIENCE + RARELY):
        unrecovered.look()
    assert len(errors.calls) == 1 + PATIENCE + 1
    errors.stop()
    for _ in range(RARELY):
        unrecovered.look()
    assert [batch.count for batch in sealed] == [2]
    assert sealed[0].path.read_bytes() == b"one\ntwo\n"
    assert (ledger.total().recovered, ledger.total().spooled, ledger.imbalance) == (2, 2, 0)
    assert alarms.active == {}
    unrecovered.look()
    assert len(sealed) == 1


def test_sealed_file_whose_size_cannot_be_read_is_recovered_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "spool/fw"
    folder.mkdir(parents=True)
    path = folder / f"{NOON}000001-{NOON}000-1-5.lines"
    path.write_bytes(b"good\n")
    errors = FileErrors(monkeypatch)
    errors.fail("stat", lambda of: of == str(path), errno.EIO)
    found = build_spool(tmp_path / "spool", recover=False).recover()
    assert [(batch.count, batch.path) for batch in found.batches] == [(1, path)]
    assert errors.calls
