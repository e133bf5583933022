"""Tests that a file that could not be read at start is named, and recovered once it can be read."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.monitoring.alarms import Alarms
from bridge.spool import Batch, Pack, batch_names, pack_writer
from bridge.storage.unrecovered import ABOUT, LONGEST, PATIENCE, RARELY, UnrecoveredFiles
from tests.harness.builders import NOON, at_once, build_spool, fail
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
    assert list(found.unreadable) == [path]
    assert f"{path}: Input/output error" in found.notes[0]
    sealed: list[Any] = []
    spool.subscribe(sealed.append)
    unrecovered = UnrecoveredFiles(spool, ledger, alarms, at_once, lambda: 0.0)
    unrecovered.begin(found.unreadable, fail)
    assert f"{path}, which an earlier process left: Input/output error" in alarms.active["unreadable", ABOUT]
    for _ in range(PATIENCE + RARELY):
        unrecovered.look()
    assert len(errors.calls) == 1 + PATIENCE + 1
    errors.stop()
    for _ in range(RARELY):
        unrecovered.look()
    assert [batch.count for batch in sealed] == [2]
    assert not batch_names.is_intake(ABOUT)
    assert sealed[0].path.read_bytes() == b"one\ntwo\n"
    assert (ledger.total().recovered, ledger.total().spooled, ledger.imbalance) == (2, 2, 0)
    assert alarms.active == {}
    unrecovered.look()
    assert len(sealed) == 1


class Recovery:
    """A spool whose files cannot all be read at start, and what tries them again."""

    def __init__(self, directory: Path) -> None:
        self.ledger, self.alarms, self.wall, self.clock = Ledger(), Alarms(), float(NOON), 0.0
        self.sealed: list[Batch] = []
        self.packs: list[Pack] = []
        self.spool = build_spool(directory, recover=False, wall=lambda: self.wall)
        self.spool.subscribe(self.sealed.append)
        self.found = self.spool.recover()
        self.unrecovered = UnrecoveredFiles(self.spool, self.ledger, self.alarms, at_once, lambda: self.clock)
        self.unrecovered.begin(self.found.unreadable, self.packs.append)

    def append(self) -> None:
        """Seals one event of this process."""
        self.spool.append(Group("fw", "lines", NOON, NOON * 1000, NOON * 1000, 1, b"new\n"))
        self.spool.seal_all()


def write_files(folder: Path, count: int, state: str = "") -> list[Path]:
    """Writes batch files of an earlier process, which must be read because they are shorter than their names say."""
    folder.mkdir(parents=True)
    sequences = range((NOON - 100) * 1_000_000, (NOON - 100) * 1_000_000 + count)
    paths = [folder / f"{sequence}-{NOON}000-2-8{state}.lines" for sequence in sequences]
    for path in paths:
        path.write_bytes(b"one\n")
    return paths


@pytest.mark.parametrize("call", ["listdir", "stat"])
@pytest.mark.parametrize("set_back", [0, 50, 259_200])
def test_folder_is_recovered_once_it_can_be_listed_without_files_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_back: int, call: str
) -> None:
    folder, errors = tmp_path / "spool/fw", FileErrors(monkeypatch)
    write_files(folder, 2, ".sending")
    write_files(tmp_path / "spool/other", 1)
    batch = build_batch(folder)
    new_pack, _ = pack_writer.pack([batch], fail)
    assert new_pack is not None
    errors.fail("listdir", lambda path: path == str(folder), errno.EACCES)
    if call == "stat":
        errors.fail("stat", lambda path: path == str(folder), errno.EIO)
    recovery = Recovery(tmp_path / "spool")
    assert [each.intake for each in recovery.found.stored] == ["other"]
    assert f"{folder}, which an earlier process left: Permission denied" in recovery.alarms.active["unreadable", ABOUT]
    recovery.append()
    recovery.wall -= set_back
    recovery.append()
    recovery.spool.sequences(1)
    recovery.wall += set_back
    recovery.append()
    recovery.unrecovered.look()
    assert len(recovery.sealed) == 3
    errors.stop()
    recovery.unrecovered.look()
    earlier = recovery.sealed[3:]
    if set_back == 259_200:
        # Their sequences cannot be told from those of this process. The next start recovers them.
        assert (earlier, recovery.packs) == ([], [])
        return
    assert [(each.count, each.name.state) for each in earlier] == [(1, "sent")] * 2
    assert [(pack.count, pack.name) for pack in recovery.packs] == [(1, new_pack.name)]
    total = recovery.ledger.total()
    assert (total.recovered, total.spooled, total.possible_duplicates) == (3, 3, 2)
    assert recovery.alarms.active == {}
    assert len(list(folder.iterdir())) == 6


def build_batch(folder: Path) -> Batch:
    """Writes one more batch of an earlier process."""
    sequence = (NOON - 99) * 1_000_000
    batch = Batch("fw", sequence, "lines", False, NOON * 1000, NOON * 1000, 1, 4, folder, 0.0)
    batch.path.write_bytes(b"old\n")
    return batch


def test_file_of_a_recovered_folder_that_cannot_be_read_waits_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, errors = tmp_path / "spool/fw", FileErrors(monkeypatch)
    path, other = write_files(folder, 2)
    errors.fail("listdir", lambda listed: listed == str(folder), errno.EACCES, times=1)
    errors.fail("open", lambda opened: opened == str(path), errno.EIO)
    recovery = Recovery(tmp_path / "spool")
    recovery.unrecovered.look()
    assert [batch.sequence for batch in recovery.sealed] == [int(other.name.split("-")[0])]
    assert f"{path}, which an earlier process left: Input/output error" in recovery.alarms.active["unreadable", ABOUT]
    errors.stop()
    recovery.unrecovered.look()
    assert (len(recovery.sealed), recovery.alarms.active) == (2, {})


def test_possible_duplicates_of_a_file_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = FileErrors(monkeypatch)
    (path,) = write_files(tmp_path / "spool/fw", 1, ".sending")
    errors.fail("open", lambda opened: opened == str(path), errno.EIO)
    recovery = Recovery(tmp_path / "spool")
    errors.stop()
    recovery.unrecovered.look()
    assert recovery.ledger.of("fw").possible_duplicates == 1
    assert recovery.sealed[0].doubtful
    recovery.spool.close()
    found = build_spool(tmp_path / "spool", recover=False).recover()
    assert ([batch.count for batch in found.batches], dict(found.sending)) == ([1], {})


def test_slow_read_ends_a_job_and_the_other_files_are_tried_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, paths = FileErrors(monkeypatch), write_files(tmp_path / "spool/fw", 3)
    errors.fail("open", lambda opened: "/fw/" in opened, errno.EIO)
    recovery = Recovery(tmp_path / "spool")
    errors.stop()
    errors.calls.clear()

    def slow(opened: str) -> bool:
        recovery.clock += LONGEST + 1
        return opened in broken

    broken = [str(path) for path in paths[:2]]
    errors.fail("open", lambda opened: "/fw/" in opened and slow(opened), errno.EIO)
    recovery.unrecovered.look()
    assert errors.calls == [("open", paths[0].name)]
    recovery.unrecovered.look()
    assert errors.calls == [("open", paths[0].name), ("open", paths[1].name)]
    broken.clear()
    # After a success, the next file is tried without waiting.
    recovery.unrecovered.look()
    assert (len(recovery.sealed), recovery.alarms.active) == (3, {})


def test_alarm_names_another_file_once_the_named_one_is_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, paths = FileErrors(monkeypatch), write_files(tmp_path / "spool/fw", 2)
    errors.fail("open", lambda opened: opened == str(paths[0]), errno.EIO, times=1)
    errors.fail("open", lambda opened: opened == str(paths[1]), errno.EIO)
    recovery = Recovery(tmp_path / "spool")
    assert f"{paths[0]} and 1 other place" in recovery.alarms.active["unreadable", ABOUT]
    recovery.unrecovered.look()
    assert f"{paths[1]}, which" in recovery.alarms.active["unreadable", ABOUT]


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
