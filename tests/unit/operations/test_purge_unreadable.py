"""Tests that the purge of unreadable events is one transaction: files, ledger and report agree after a kill at any
filesystem call, and readable events stay as they are."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.spool import batch_reader, pack_blocks, pack_writer, transaction
from bridge.spool.partition import remove_unreadable
from bridge.util.files import read_regular
from tests.harness.builders import build_spool
from tests.harness.file_errors import FileErrors
from tests.unit.operations.test_killed_commands import StoppedGateway

PURGE: tuple[str, dict[str, object]] = ("spool-purge", {"unreadable": True})


@pytest.fixture
def gateway(tmp_path: Path) -> StoppedGateway:
    return StoppedGateway(tmp_path / "spool")


def make_unreadable(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    def read(found: Path) -> bytes:
        if found == path:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read_regular(found)

    monkeypatch.setattr(batch_reader, "read_regular", read)


def commands(gateway: StoppedGateway) -> list[object]:
    """Returns the changes of all commands in the journal."""
    lines = (path.read_text().splitlines() for path in sorted((gateway.directory / ".ledger").glob("*.jsonl")))
    rows = [json.loads(line) for part in lines for line in part]
    return [row["changes"] for row in rows if row["kind"] == "command" and "action" not in row]


def test_readable_batches_get_no_line_in_the_journal(gateway: StoppedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not gateway.run_killed(*PURGE, 10_000)
    assert commands(gateway) == []
    make_unreadable(monkeypatch, sorted((gateway.directory / "fw").iterdir())[1])
    assert not gateway.run_killed(*PURGE, 10_000)
    assert commands(gateway) == [[["purge", "fw", None, 2]]]


def test_lines_in_the_write_cache_stay_there(gateway: StoppedGateway) -> None:
    spool = build_spool(gateway.directory, recover=False)
    batch = spool.recover().batches[0]
    batch.fresh = [b"gw 1\n", b"gw 2\n"]
    batch.path.unlink()
    result = remove_unreadable(batch, gateway.directory, 1, spool.discard)
    assert (result.events, result.kept, result.transaction) == (0, [batch], None)
    assert batch.take_fresh() == [b"gw 1\n", b"gw 2\n"]
    spool.close()


def test_report_is_exact_after_a_kill_at_any_call(
    gateway: StoppedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = sorted((gateway.directory / "fw").iterdir())[1]
    make_unreadable(monkeypatch, broken)
    seen = kills_until_the_end(gateway, tmp_path / "before", lambda: 0 if broken.exists() else 2)
    assert seen == {0, 2}


def test_report_is_exact_after_a_kill_at_any_call_for_a_pack(
    gateway: StoppedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_writer, "BLOCK", 10)
    spool = build_spool(gateway.directory)
    made, _ = pack_writer.pack(spool.recover().batches, spool.removals.failed)
    spool.close()
    assert made is not None
    blocks = [found for _, found in pack_blocks.blocks(made.path)]
    errors = FileErrors(monkeypatch)
    errors.fail("pread", lambda path: f"@{blocks[1].offset}+" in path and "+60" not in path, errno.EIO)
    seen = kills_until_the_end(gateway, tmp_path / "before", lambda: 0 if made.path.exists() else 2)
    assert seen == {0, 2}


def kills_until_the_end(gateway: StoppedGateway, before: Path, gone: Callable[[], int]) -> set[int]:
    """Kills the purge before each of its calls in turn. Returns the numbers of purged events that were seen."""
    shutil.copytree(gateway.directory, before)
    seen: set[int] = set()
    for fatal_call in range(1, 1000):
        killed = gateway.run_killed(*PURGE, fatal_call)
        gateway.start_and_stop()
        report = gateway.report()
        purged = report.total().dropped["purged"]
        where = f"killed before call {fatal_call}: {report.rows}"
        assert {intake: row.unexplained for intake, row in report.rows.items() if row.unexplained} == {}, where
        assert purged == gone(), where
        assert sum(row.held for row in report.rows.values()) == 6 - purged, where
        assert not list((gateway.directory / ".transfer").glob("*"))
        seen.add(purged)
        if not killed:
            return seen
        shutil.rmtree(gateway.directory)
        shutil.copytree(before, gateway.directory)
    raise AssertionError("the command does not end")


def test_folder_that_cannot_be_written_is_left_alone(gateway: StoppedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = sorted((gateway.directory / "fw").iterdir())[1]
    make_unreadable(monkeypatch, broken)
    spool = build_spool(gateway.directory, recover=False)
    batch = spool.recover().batches[1]
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError):
        remove_unreadable(batch, gateway.directory, 1, spool.discard)
    assert broken.exists() and not list(gateway.directory.glob(".transfer/*"))
    spool.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_does_not_stop_the_removal_of_a_whole_file(
    gateway: StoppedGateway, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    broken = sorted((gateway.directory / "fw").iterdir())[1]
    make_unreadable(monkeypatch, broken)
    fail_transactions(monkeypatch, number)
    assert not gateway.run_killed(*PURGE, 10_000)
    assert not broken.exists()
    assert commands(gateway) == [[["purge", "fw", None, 2]]]


def test_other_error_of_a_transaction_keeps_the_file(gateway: StoppedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = sorted((gateway.directory / "fw").iterdir())[1]
    make_unreadable(monkeypatch, broken)
    fail_transactions(monkeypatch, errno.EROFS)
    with pytest.raises(AssertionError, match="ended with 1"):
        gateway.run_killed(*PURGE, 10_000)
    assert broken.exists()


def fail_transactions(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(path: Path, *rest: object, **options: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(transaction, "write_new", fail)
