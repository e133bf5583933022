"""Tests that recovery counts what the spool holds in the ledger and begins a process run in the journal."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bridge.accounting.journal_lines import JournalReader
from bridge.batching import Group
from bridge.cluster.terms import node_name
from bridge.config import parse_text
from bridge.storage.open import Storage, make_archive, open_storage
from tests.harness.builders import NOON, at_once, fail
from tests.harness.killed_calls import killed_after

CONFIGURATION = """
collector: {{region: FRA1}}
listeners: [{{name: udp, udp: "127.0.0.1:0"}}]
intakes: {{fw: {{intake_key: kkkkkkkkkkkkkkkk}}}}
unrouted: {{intake: fw}}
spool: {{directory: {directory}}}
"""


def open_in(directory: Path) -> Storage:
    config = parse_text(CONFIGURATION.format(directory=directory), "bridge.yaml")
    return open_storage(config, clock=lambda: 0.0, wall=lambda: float(NOON), work=at_once, on_error=fail, archive=None)


def test_recovery_counts_events_and_possible_duplicates_and_reports_damage(tmp_path: Path) -> None:
    notes: list[str] = []
    storage = open_in(tmp_path)
    storage.recover("sha", notes.append)
    storage.spool.append(Group("fw", "lines", NOON, NOON * 1000, NOON * 1000, 2, b"one\ntwo\n"))
    storage.spool.seal_all()
    storage.spool.close()
    (batch,) = (tmp_path / "fw").iterdir()
    batch.rename(batch.with_name(batch.name.replace(".lines", ".sending.lines")))
    (journal,) = (tmp_path / ".ledger").iterdir()
    with journal.open("ab") as file:
        file.write(b'{"t": "torn')
    storage = open_in(tmp_path)
    found = storage.recover("sha", notes.append)
    account = storage.ledger.of("fw")
    assert (account.recovered, account.spooled, account.possible_duplicates) == (2, 2, 2)
    assert storage.ledger.imbalance == 0
    assert len(found.batches) == 1
    assert any(note.startswith("journal: ") and "incomplete" in note for note in notes)
    assert [fields["kind"] for _, fields in JournalReader(tmp_path / ".ledger")] == ["start", "start"]
    storage.spool.close()
    storage = open_in(tmp_path)
    storage.recover("sha", notes.append)
    assert storage.ledger.of("fw").possible_duplicates == 0, "counted again without another request"
    storage.spool.close()


def test_archive_of_an_earlier_configuration_is_opened_only_on_request(tmp_path: Path) -> None:
    config = parse_text(CONFIGURATION.format(directory=tmp_path), "bridge.yaml")
    assert make_archive(config, wall=lambda: 0.0, on_error=fail) is None
    assert make_archive(config, wall=lambda: 0.0, on_error=fail, earlier=True) is not None


def test_start_succeeds_after_a_kill_at_each_filesystem_call_of_the_first_start(tmp_path: Path) -> None:
    def start(spool: Path) -> None:
        storage = open_in(spool)
        storage.recover("sha", lambda note: None)
        node_name(spool)
        storage.spool.close()

    calls = 1
    while killed_after(calls, partial(start, tmp_path / str(calls))):
        start(tmp_path / str(calls))
        calls += 1
    assert calls > 10, "few filesystem calls were counted"


def test_empty_format_of_a_killed_first_start_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "format").touch()
    open_in(tmp_path).spool.close()
    assert (tmp_path / "format").read_text() == "1\n"
