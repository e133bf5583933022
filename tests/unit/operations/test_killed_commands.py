"""Tests commands that are killed, or fail, at any filesystem call: files, ledger and report are exact after a start.

Each run is a process of its own, which ends with no cleanup.
"""

from __future__ import annotations

import errno
import os
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report.rows import Report
from bridge.batching import Group
from bridge.cli.report import build_report
from bridge.config import Config, parse_text
from bridge.operations.commands import run_on_files
from bridge.operations.session import offline_session
from bridge.spool import Spool, inspect, transaction
from bridge.spool.archive import Archive
from bridge.spool.quarantine import QuarantineEntry
from bridge.storage.open import open_storage
from tests.harness.builders import NOON, at_once, fail
from tests.unit.operations.test_offline_commands import CONFIGURATION

PERIOD = {"intake": "fw", "from_ms": NOON * 1000, "to_ms": (NOON + 1) * 1000, "batches": 1}
KILLED = 9
CALLS = ("rename", "unlink", "mkdir", "rmdir", "write", "fsync")

COMMANDS: dict[str, tuple[str, dict[str, object]]] = {
    "reroute": ("quarantine-retry", {"reasons": ["unrouted"]}),
    "retry": ("quarantine-retry", {"reasons": ["refused"]}),
    "purge-quarantine": ("quarantine-purge", {"reasons": ["unrouted", "refused"]}),
    "purge": ("spool-purge", {"intake": "fw"}),
    "purge-some": ("spool-purge", {"intake": "fw", "containing": "gw"}),
    "move": ("spool-move", {"intake": "fw", "to": "linux"}),
    "move-some": ("spool-move", {"intake": "fw", "to": "linux", "containing": "gw"}),
    "replay": ("replay", PERIOD),
}


class StoppedGateway:
    """A stopped bridge with six events of `fw`, two archived ones, three unrouted and two refused frames."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        text = CONFIGURATION.format(key="k" * 16, directory=directory)
        self.config: Config = parse_text(text, "bridge.yaml")
        archive = Archive(directory / ".archive", max_size=10**9, max_age=None, wall=lambda: float(NOON), on_error=fail)
        storage = open_storage(
            self.config, clock=lambda: 0.0, wall=lambda: float(NOON), work=at_once, on_error=fail, archive=archive
        )
        storage.recover("sha256", fail)
        storage.ledger.receive_spooled("fw", self._fill(storage.spool))
        storage.ledger.deliver("fw", 2)
        storage.ledger.receive_quarantined(None, 3)
        storage.ledger.receive_quarantined("linux", 2)
        storage.journal.stop(storage.ledger.accounts, {})
        storage.journal.close()
        storage.spool.close()

    @staticmethod
    def _fill(spool: Spool) -> int:
        sealed: list[Any] = []
        spool.subscribe(sealed.append)
        for second, lines in enumerate((b"old 1\nold 2\n", b"gw 1\ngw 2\n", b"gw 3\nhost 4\n", b"host 5\nhost 6\n")):
            ms = (NOON + second) * 1000
            spool.append(Group("fw", "lines", NOON + second, ms, ms, 2, lines))
            spool.seal_all()
        spool.remove(sealed[:1])
        frames = [
            QuarantineEntry(NOON * 1000, "udp", peer, b"<13>frame of %b" % peer.encode(), "no route matches")
            for peer in ("192.0.2.7", "192.0.2.99", "198.51.100.1")
        ]
        spool.quarantine.add("unrouted", frames)
        for n in range(2):
            entry = QuarantineEntry(NOON * 1000, "", "", b"refused %d" % n, "400", "linux", key=(1, n), time_ms=1)
            spool.quarantine.add_once("refused", entry)
        return sum(batch.count for batch in sealed)

    def run_killed(self, command: str, given: dict[str, object], fatal_call: int) -> bool:
        """Runs a command in a process that is killed before a filesystem call. Returns False if it ended before."""
        code = self._run(command, given, fatal_call, lambda: os._exit(KILLED))
        assert code in (0, KILLED), f"{command}: the process ended with {code} before call {fatal_call}"
        return code == KILLED

    def run_failing(self, command: str, given: dict[str, object], failing_call: int) -> bool:
        """Runs a command in a process in which a call of its transaction fails. Returns False if the command succeeded.

        A failure of the journal's own calls costs lines, as the report then says.
        """

        def fail_call() -> None:
            raise OSError(errno.EIO, "Input/output error", "disk")

        return self._run(command, given, failing_call, fail_call, _in_transaction) != 0

    def _run(
        self, command: str, given: dict[str, object], number: int, interrupt: Callable[[], None],
        counts: Callable[[], bool] = lambda: True,
    ) -> int:  # fmt: skip
        process = os.fork()
        if process == 0:
            try:
                _arm(number, interrupt, counts)
                run_on_files(self.config, command, given, lambda progress: True, lambda note: None)
                os._exit(0)
            except BaseException:  # this process must not return to pytest
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def start_and_stop(self) -> None:
        """Starts a process on the spool, which recovers it, and stops it."""
        with offline_session(self.config, lambda note: None) as session:
            assert session.ledger.imbalance == 0

    def report(self) -> Report:
        journal = JournalReader(self.directory / ".ledger")
        report = build_report(journal, None, None)
        assert not journal.faults, journal.faults
        return report

    def spooled(self) -> Counter[str]:
        """Counts the events in the spool, by intake."""
        found: Counter[str] = Counter()
        for intake in inspect.intakes(self.directory):
            found[intake] = sum(len(events) for _, events in inspect.queued_batches(self.directory / intake))
        return found

    def quarantined(self) -> int:
        files = (self.directory / ".quarantine").glob("*/*.jsonl")
        return sum(len(file.read_bytes().splitlines()) for file in files)


def _in_transaction() -> bool:
    """Returns True if a method of a transaction makes the current call."""
    return any(frame.filename == transaction.__file__ for frame in traceback.extract_stack())


def _arm(number: int, interrupt: Callable[[], None], counts: Callable[[], bool]) -> None:
    """Replaces the filesystem calls so that ``interrupt`` is called before one of those that count."""
    calls = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += counts()
            if calls == number and counts():
                interrupt()
            return original(*arguments, **options)

        return wrapper

    for name in CALLS:
        setattr(os, name, counted((lambda descriptor: None) if name == "fsync" else getattr(os, name)))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[StoppedGateway]:
    yield StoppedGateway(tmp_path / "spool")


def assert_exact(gateway: StoppedGateway, where: str) -> bool:
    """Asserts that the report matches the files. Returns True if the command has changed anything."""
    spooled, report = gateway.spooled(), gateway.report()
    where, total = f"{where}: {report.rows}", report.total()
    assert {intake: row.unexplained for intake, row in report.rows.items() if row.unexplained} == {}, where
    assert (total.received, total.delivered, total.moved, total.carried) == (13, 2, 0, 0), where
    assert {intake: row.held for intake, row in report.rows.items() if row.held} == +spooled, where
    assert report.quarantine_end == gateway.quarantined(), where
    assert set(+total.dropped) <= {"purged"}, where
    kept = spooled.total() + gateway.quarantined() + total.filtered + total.dropped["purged"] - total.replayed
    assert kept == 11, where
    assert not list((gateway.directory / ".transfer").glob("*"))
    return (spooled, gateway.quarantined()) != (Counter(fw=6), 5)


@pytest.mark.parametrize("name", COMMANDS)
def test_report_is_exact_after_a_kill_at_any_call(gateway: StoppedGateway, tmp_path: Path, name: str) -> None:
    command, given = COMMANDS[name]
    before = tmp_path / "before"
    shutil.copytree(gateway.directory, before)
    assert (gateway.spooled(), gateway.quarantined()) == (Counter(fw=6), 5)
    seen_done = seen_undone = False
    for fatal_call in range(1, 1000):
        killed = gateway.run_killed(command, given, fatal_call)
        gateway.start_and_stop()
        changed = assert_exact(gateway, f"killed before call {fatal_call}")
        seen_done |= changed and killed
        seen_undone |= not changed
        if not killed:
            break
        shutil.rmtree(gateway.directory)
        shutil.copytree(before, gateway.directory)
    assert not killed and seen_done and seen_undone


@pytest.mark.parametrize("name", ["reroute", "purge", "move", "replay"])
def test_report_is_exact_after_a_failure_of_any_call(gateway: StoppedGateway, tmp_path: Path, name: str) -> None:
    """A command that fails after its commit is completed by the next start, after a clean stop."""
    command, given = COMMANDS[name]
    before = tmp_path / "before"
    shutil.copytree(gateway.directory, before)
    failures = 0
    for failing_call in range(1, 1000):
        failed = gateway.run_failing(command, given, failing_call)
        failures += failed
        gateway.start_and_stop()
        changed = assert_exact(gateway, f"call {failing_call} failed")
        # A purge whose transaction fails removes the files one by one.
        if not failed and (changed or name != "purge") and failing_call > 12:
            break
        shutil.rmtree(gateway.directory)
        shutil.copytree(before, gateway.directory)
    assert changed and (failures > 8 or name == "purge")
