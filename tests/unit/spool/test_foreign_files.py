"""Tests that files that do not belong in a spool, anywhere in it, stop neither a start nor delivery, and are named."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.accounting.journal import Journal
from bridge.accounting.journal_lines import JournalReader
from bridge.batching import Group
from bridge.operations import spool_owner, spool_summary
from bridge.spool import Batch, SpoolError, batch_names, inspect
from bridge.spool.archive import Archive
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.recovery import RecoveredSpool
from tests.harness.builders import NOON, build_spool
from tests.harness.polling import DEADLINE_SECONDS

MS = NOON * 1000
SEQUENCE = NOON * 1_000_000


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """Ends a test that waits for ever, as one does that opens a FIFO."""

    def give_up(*args: object) -> None:
        raise TimeoutError("the test waits for ever")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(DEADLINE_SECONDS))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("something\n")


def make_socket(path: Path) -> None:
    # The path of a socket may have 107 bytes.
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{folder}/s")
    os.close(folder)
    (path.parent / "s").rename(path)


KINDS: dict[str, Callable[[Path], None]] = {
    "folder": make_folder,
    "fifo": os.mkfifo,
    "socket": make_socket,
    "loop": lambda path: path.symlink_to(path.name),
    "dangling link": lambda path: path.symlink_to("nowhere"),
}
NOT_UTF8 = os.fsdecode(b"caf\xe9-\xff")
BATCH = f"{SEQUENCE - 1}-{MS}-1-5.lines"
PACK = f"{SEQUENCE - 9}-{SEQUENCE - 8}-{MS}-{MS}-2-2-9-0.pack"
NAMES = {
    "fw": [
        BATCH, f"{SEQUENCE - 2}-{MS}-1-5.sending.timed.json", f"{SEQUENCE - 3}-{MS}.open.lines", PACK, "5.packing",
        "notes.txt", NOT_UTF8, "x" * 255,
    ],
    "": ["notes.txt", "core", NOT_UTF8, ".hidden", "lost+found", "other"],
    ".quarantine": ["notes.txt", NOT_UTF8],
    ".quarantine/refused": ["5-1.jsonl", "6.open.jsonl", "notes.txt", NOT_UTF8, f"{'9' * 30}-1.jsonl"],
    ".quarantine/unrouted": ["5-1.jsonl", "6.open.jsonl", NOT_UTF8],
    ".quarantine/damaged": ["6.open.jsonl"],
    ".quarantine/damaged/files": ["1-fw-x", NOT_UTF8],
    ".quarantine/evidence": ["1-fw.lines", NOT_UTF8],
    ".archive": ["notes.txt", "replayed-1-2x", NOT_UTF8],
    ".archive/fw": [BATCH, f"{SEQUENCE - 2}-{MS}-1-5.timed.lines", f"20261123T07.{PACK}", "5.packing", NOT_UTF8],
    ".ledger": ["2026-11-23.jsonl", "2026-11-22.jsonl", "2026-11-21.jsonl.gz", "9999-12-31.jsonl", NOT_UTF8],
    ".transfer": ["5", "6.partial", "notes.txt", NOT_UTF8],
}  # fmt: skip


class Gateway:
    """A spool with its archive and journal, as a process opens them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.errors: list[str] = []
        self.sealed: list[Batch] = []
        self.found: RecoveredSpool | None = None
        self.notes = ""
        self.starts = 0

    def wall(self) -> float:
        return float(NOON + self.starts)

    def start(self) -> None:
        self.starts += 1
        self.archive = Archive(
            self.directory / ".archive", max_size=1 << 30, max_age=None, wall=self.wall, on_error=self.errors.append
        )
        self.spool = build_spool(
            self.directory, recover=False, on_error=self.errors.append, archive=self.archive, wall=self.wall
        )
        self.spool.subscribe(self.sealed.append)
        self.found = self.spool.recover()
        self.journal = Journal(
            self.directory / ".ledger", keep=timedelta(365), wall=self.wall, on_error=self.errors.append
        )
        opened = self.journal.open()
        self.journal.start(self.found, quarantined=0, version="1", config_sha256="x")
        self.notes = "\n".join([*self.found.notes, *opened.notes, *self.errors])

    def use(self) -> None:
        """Does what a running gateway does: append, seal, quarantine, archive, write the journal."""
        spool = self.spool
        for intake in ("fw", "other"):
            spool.append(Group(intake, "lines", NOON, MS, MS, 1, b"event\n"))
        spool.seal_all()
        spool.remove([self.sealed.pop()])
        entry = QuarantineEntry(MS, "udp", "192.0.2.1", b"frame", "why", "fw", key=(self.starts, 0))
        assert spool.quarantine.add_once("refused", entry) == 0
        spool.quarantine.add("unrouted", [entry])
        spool.quarantine.keep_evidence("fw", 5, b"body")
        list(spool.quarantine.trim_damaged(1.0))
        self.archive.tidy()
        list(self.archive.read("other", 0, MS + 1))
        self.journal.minute({}, {})
        assert not self.journal.lost

    def stop(self) -> None:
        self.journal.stop({}, {})
        self.journal.close()
        self.spool.close()

    def look(self) -> dict[str, Any]:
        """Reads the files as `status`, `spool list`, `spool show`, `quarantine list` and `report` do."""
        spool_owner.owner(self.directory)
        for intake in inspect.intakes(self.directory):
            list(inspect.queued_batches(self.directory / intake))
        inspect.last_entries(self.directory / ".quarantine")
        list(JournalReader(self.directory / ".ledger"))
        return spool_summary.read_status(self.directory)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    """A gateway that has run, with one waiting event."""
    gateway = Gateway(tmp_path / "spool")
    gateway.start()
    gateway.use()
    gateway.stop()
    gateway.sealed.clear()
    return gateway


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_files_in_all_folders(gateway: Gateway, kind: str) -> None:
    made = []
    for folder, names in NAMES.items():
        parent = gateway.directory / folder
        parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not os.path.lexists(parent / name):
                KINDS[kind](parent / name)
                made.append((folder, name))
    assert len(made) > 30
    gateway.look()
    gateway.start()
    gateway.use()
    status = gateway.look()
    gateway.stop()
    gateway.look()
    gateway.errors.clear()
    assert gateway.found is not None
    assert [batch.count for batch in gateway.found.batches] == [1], "only the event that waited"
    assert status["foreign_files"] == 0
    for folder, name in made:
        if folder == "fw":
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            assert f"{gateway.directory}/fw/{shown}: not a batch file, moved to" in gateway.notes
    gateway.notes.encode("utf-8")
    moved = [path.name for path in (gateway.directory / ".quarantine/damaged/files").iterdir()]
    assert len(moved) >= len(NAMES["fw"])
    # The next start has nothing to move.
    gateway.start()
    gateway.use()
    gateway.stop()
    assert "moved to" not in gateway.notes


PLACES = [
    "lock", "format", ".reserve", ".quarantine", ".quarantine/refused", ".quarantine/damaged/files", ".archive",
    ".ledger", ".transfer", "control.sock", ".quota.json", "other",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [*KINDS, "file"])
def test_foreign_file_in_a_place_that_the_spool_needs(tmp_path: Path, kind: str, place: str) -> None:
    gateway = Gateway(tmp_path / "spool")
    path = gateway.directory / place
    path.parent.mkdir(parents=True)
    file_belongs = place in ("lock", "format", ".reserve", "control.sock", ".quota.json")
    if kind == "file":
        path.write_text("" if file_belongs else "something\n")
    else:
        KINDS[kind](path)
    gateway.look()
    gateway.start()
    gateway.use()
    gateway.look()
    gateway.stop()
    correct = (kind == "file") == file_belongs if kind in ("file", "folder") else False
    replaced_anyway = place == "control.sock" and kind != "folder"
    if not correct and not replaced_anyway:
        assert any(
            place.rpartition("/")[2] in line for line in (gateway.notes + "\n".join(gateway.errors)).splitlines()
        )
        assert list(path.parent.glob(".foreign-*")), "it was renamed, not deleted"
    # Its own files are in place now.
    gateway.start()
    gateway.stop()


FOREIGN_NAMES = [
    f"{'9' * 30}-{MS}-1-5.lines",
    f"{'9' * 19}-{MS}-1-5.lines",
    f"{batch_names.LAST_SEQUENCE + 1}-{MS}.open.lines",
    f"{SEQUENCE}-{10**18}-1-5.lines",
    f"{SEQUENCE}-{10**15}-1-5.lines",
    f"{SEQUENCE}-{MS}-0-5.lines",
    f"{SEQUENCE}-{MS}-0-0.lines",
    f"{SEQUENCE}-{MS}-9999999999-5.lines",
    f"{'9' * 19}-{'9' * 19}-{MS}-{MS}-2-2-9-0.pack",
    f"{SEQUENCE}-{SEQUENCE}-{10**15}-{10**15}-2-2-9-0.pack",
    f"{SEQUENCE}-{SEQUENCE}-{MS}-{MS}-1-0-9-0.pack",
]


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_file_with_a_name_that_no_batch_can_have(gateway: Gateway, name: str) -> None:
    (gateway.directory / "fw" / name).write_bytes(b"five\n")
    gateway.look()
    gateway.start()
    assert gateway.found is not None
    assert [batch.count for batch in gateway.found.batches] == [1]
    assert f"{name}: not a batch file, moved to" in gateway.notes
    gateway.use()
    assert len(str(gateway.sealed[-1].sequence)) == 16, "later sequences are not poisoned"
    gateway.stop()
    gateway.start()
    assert len(gateway.found.batches) == 2
    gateway.stop()


def test_files_that_nfs_leaves_are_neither_counted_nor_touched(gateway: Gateway) -> None:
    left = [
        gateway.directory / folder / ".nfs0000000000a1b2c3"
        for folder in ("", "fw", ".quarantine/refused", ".archive/fw", ".ledger", ".transfer")
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"five\n")
    status = gateway.look()
    assert status["foreign_files"] == 0
    gateway.start()
    gateway.use()
    gateway.stop()
    assert all(path.read_bytes() == b"five\n" for path in left)
    assert ".nfs" not in gateway.notes
    assert not list((gateway.directory / ".quarantine").rglob("*nfs*fw*"))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_start_is_refused_where_the_filesystem_has_no_locks(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(SpoolError) as caught:
        gateway.start()
    assert f"cannot lock {gateway.directory / 'lock'}: {os.strerror(number)}" in str(caught.value)
    assert "set spool.directory to a local disk" in str(caught.value)
    assert "in use" not in str(caught.value)


def test_empty_version_of_the_layout_is_written_again(gateway: Gateway) -> None:
    version = gateway.directory / "format"
    version.write_bytes(b"")
    gateway.start()
    gateway.stop()
    assert version.read_text() == "1\n"


@pytest.mark.parametrize("content", [b"2\n", b"\xff\xfe"])
def test_unknown_version_of_the_layout_is_named(gateway: Gateway, content: bytes) -> None:
    (gateway.directory / "format").write_bytes(content)
    with pytest.raises(SpoolError, match="layout version"):
        gateway.start()
