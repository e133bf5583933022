"""Tests that commands on the files of a stopped bridge change the files and the ledger alike."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import defer

from bridge.batching import Group
from bridge.config import parse_text
from bridge.operations import spool
from bridge.operations.command import CommandError, WrongRequest
from bridge.operations.commands import on_spool
from bridge.operations.session import offline_session
from bridge.spool import inspect, pack_blocks, pack_writer
from bridge.spool.archive import Archive
from bridge.spool.quarantine_entry import QuarantineEntry
from tests.harness.builders import NOON, build_spool, fail
from tests.harness.file_errors import FileErrors

CONFIGURATION = """
collector: {{region: FRA1}}
listeners: [{{name: udp, udp: "127.0.0.1:0"}}]
intakes: {{fw: {{intake_key: {key}}}, linux: {{intake_key: {key}}}}}
routes:
  - {{name: noise, drop: true, source: 192.0.2.99}}
  - {{name: linux, intake: linux, source: 192.0.2.0/24}}
unrouted: hold
spool: {{directory: {directory}, archive: {{max_size: 10MB}}}}
"""

ALL = {"reasons": ["unrouted"]}


class Gateway:
    """Stopped bridge whose spool has six events of `fw`, two archived events and three unrouted frames."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = parse_text(CONFIGURATION.format(key="k" * 16, directory=directory), "bridge.yaml")
        opened = build_spool(directory)
        archive = Archive(directory / ".archive", max_size=10**9, max_age=None, wall=lambda: float(NOON), on_error=fail)
        opened.use_archive(archive)
        sealed: list[Any] = []
        opened.subscribe(sealed.append)
        for second, lines in enumerate((b"old 1\nold 2\n", b"gw 1\ngw 2\n", b"gw 3\nhost 4\n", b"host 5\nhost 6\n")):
            ms = (NOON + second) * 1000
            opened.append(Group("fw", "lines", NOON + second, ms, ms, 2, lines))
            opened.seal_all()
        opened.remove(sealed[:1])
        opened.quarantine.add(
            "unrouted",
            [
                QuarantineEntry(NOON * 1000, "udp", peer, b"<13>frame of %b" % peer.encode(), "no route matches")
                for peer in ("192.0.2.7", "192.0.2.99", "198.51.100.1")
            ],
        )
        opened.quarantine.close()
        opened.close()
        self.notes: list[str] = []
        self.progress: list[dict[str, object]] = []
        self.max_reports = 1000
        "Number of progress reports after which the operator no longer waits."

    def run(self, command: str, given: dict[str, object]) -> dict[str, object]:
        """Runs a command to its end, as `syslog-bridge` does without a running bridge. Raises the command's errors."""

        def progress(report: dict[str, object]) -> bool:
            self.progress.append(report)
            return len(self.progress) < self.max_reports

        with offline_session(self.config, self.notes.append, wall=lambda: float(NOON + 60)) as session:
            results: list[Any] = []
            defer.ensureDeferred(on_spool(session)[command](given, progress)).addBoth(results.append)
            (result,) = results
            if hasattr(result, "raiseException"):
                result.raiseException()
            self.ledger = session.ledger.total()
            assert session.ledger.imbalance == 0
            found: dict[str, object] = result
            return found

    def events(self, intake: str) -> list[bytes]:
        """Returns the events of an intake in the spool, in order."""
        folder = self.directory / intake
        if not folder.is_dir():
            return []
        return [event for _, events in inspect.queued_batches(folder) for _, event in events]

    def unrouted(self) -> list[str]:
        """Returns the peers whose unrouted frames are in quarantine."""
        files = sorted((self.directory / ".quarantine" / "unrouted").glob("*.jsonl"))
        entries = (QuarantineEntry.read(line) for file in files for line in file.read_bytes().splitlines())
        return [entry.peer for entry in entries if entry is not None]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    yield Gateway(tmp_path / "spool")


def test_retry_routes_unrouted_frames_by_the_current_configuration(gateway: Gateway) -> None:
    result = gateway.run("quarantine-retry", ALL)
    assert result == {"moved": {"linux": 1}, "filtered": 1, "purged": 0, "stayed": 1, "interrupted": False}
    assert gateway.events("linux") == [b"frame of 192.0.2.7"]
    assert gateway.unrouted() == ["198.51.100.1"]
    assert (gateway.ledger.quarantined, gateway.ledger.filtered) == (1, 1)


def test_journal_tells_a_command_from_a_start_of_the_bridge(gateway: Gateway) -> None:
    gateway.run("quarantine-retry", ALL)
    lines = [json.loads(line) for file in gateway.directory.glob(".ledger/*.jsonl") for line in file.open()]
    assert [line["offline"] for line in lines if line["kind"] == "start"] == [True]


def test_retry_takes_only_frames_of_the_given_source(gateway: Gateway) -> None:
    result = gateway.run("quarantine-retry", ALL | {"source": "192.0.2.99/32"})
    assert (result["moved"], result["filtered"], result["stayed"]) == ({}, 1, 2)
    assert gateway.unrouted() == ["192.0.2.7", "198.51.100.1"]


def test_quarantine_purge_counts_frames_as_dropped(gateway: Gateway) -> None:
    result = gateway.run("quarantine-purge", ALL)
    assert (result["purged"], result["stayed"]) == (3, 0)
    assert gateway.unrouted() == []
    assert gateway.ledger.dropped == {"purged": 3}


def test_nothing_changes_if_the_operator_no_longer_waits(gateway: Gateway) -> None:
    gateway.max_reports = 1
    result = gateway.run("quarantine-purge", ALL)
    assert (result["purged"], result["interrupted"]) == (0, True)
    assert len(gateway.unrouted()) == 3


def test_purge_drops_all_waiting_events_of_an_intake(gateway: Gateway) -> None:
    assert gateway.run("spool-purge", {"intake": "fw"}) == {"purged": 6, "interrupted": False}
    assert gateway.events("fw") == []
    assert gateway.ledger.dropped == {"purged": 6}


def test_purge_drops_only_events_that_contain_the_text(gateway: Gateway) -> None:
    assert gateway.run("spool-purge", {"intake": "fw", "containing": "host"})["purged"] == 3
    assert gateway.events("fw") == [b"gw 1", b"gw 2", b"gw 3"]


def test_move_assigns_waiting_events_to_another_intake(gateway: Gateway) -> None:
    assert gateway.run("spool-move", {"intake": "fw", "to": "linux"}) == {"moved": 6, "interrupted": False}
    assert gateway.events("fw") == []
    assert gateway.events("linux") == [b"gw 1", b"gw 2", b"gw 3", b"host 4", b"host 5", b"host 6"]
    assert gateway.ledger.spooled == 6


def test_move_with_a_source_leaves_the_other_events(gateway: Gateway) -> None:
    assert gateway.run("spool-move", {"intake": "fw", "to": "linux", "source": "gw"})["moved"] == 3
    assert (gateway.events("fw"), gateway.events("linux")) == (
        [b"host 4", b"host 5", b"host 6"],
        [b"gw 1", b"gw 2", b"gw 3"],
    )


def test_an_interrupted_move_leaves_the_remaining_events(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOVED_AT_ONCE", 1)
    gateway.max_reports = 1
    assert gateway.run("spool-move", {"intake": "fw", "to": "linux"}) == {"moved": 2, "interrupted": True}
    assert len(gateway.events("fw")) == 4
    assert len(gateway.events("linux")) == 2


def test_move_to_an_unknown_intake_fails(gateway: Gateway) -> None:
    with pytest.raises(CommandError, match="other is not in the configuration"):
        gateway.run("spool-move", {"intake": "fw", "to": "other"})
    assert len(gateway.events("fw")) == 6


def test_replay_queues_archived_events_again(gateway: Gateway) -> None:
    period = {"intake": "fw", "from_ms": NOON * 1000, "to_ms": (NOON + 1) * 1000}
    counted = gateway.run("replay-count", period)
    assert (counted["events"], counted["batches"]) == (2, 1)
    result = gateway.run("replay", period | {"batches": 1})
    assert result["replayed"] == 2
    assert gateway.events("fw")[-2:] == [b"old 1", b"old 2"]
    assert gateway.ledger.replayed == 2


def test_replay_fails_if_the_archive_has_fewer_batches_than_were_counted(gateway: Gateway) -> None:
    period = {"intake": "fw", "from_ms": NOON * 1000, "to_ms": (NOON + 1) * 1000, "batches": 2}
    with pytest.raises(Exception, match="Nothing was replayed"):
        gateway.run("replay", period)
    assert len(gateway.events("fw")) == 6


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("quarantine-retry", {}),
        ("quarantine-retry", {"reasons": ["nothing"]}),
        ("quarantine-purge", ALL | {"source": "gateway"}),
        ("spool-move", {"intake": "fw"}),
        ("replay", {"intake": "fw", "from_ms": "now", "to_ms": 1, "batches": 1}),
    ],
)
def test_an_invalid_request_is_rejected(gateway: Gateway, command: str, given: dict[str, object]) -> None:
    with pytest.raises(WrongRequest):
        gateway.run(command, given)
    assert len(gateway.events("fw")) == 6
    assert len(gateway.unrouted()) == 3


def test_purge_of_unreadable_events_leaves_all_others(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    second = sorted((gateway.directory / "fw").iterdir())[1]
    errors = FileErrors(monkeypatch)
    errors.fail("open", lambda path: path == str(second), errno.EIO)
    assert gateway.run("spool-purge", {"unreadable": True}) == {"purged": 2, "interrupted": False}
    assert (gateway.ledger.dropped["purged"], gateway.ledger.spooled) == (2, 4)
    assert not second.exists()
    errors.stop()
    assert gateway.events("fw") == [b"gw 1", b"gw 2", b"host 5", b"host 6"]
    assert gateway.run("spool-purge", {"unreadable": True}) == {"purged": 0, "interrupted": False}


def test_purge_of_unreadable_events_of_a_pack_leaves_its_other_blocks(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_writer, "BLOCK", 10)
    spool = build_spool(gateway.directory)
    made, _ = pack_writer.pack(spool.recover().batches, spool.removals.failed)
    spool.close()
    assert made is not None
    blocks = [found for _, found in pack_blocks.blocks(made.path)]
    assert len(blocks) == 3
    errors = FileErrors(monkeypatch)
    errors.fail("pread", lambda path: f"@{blocks[1].offset}+" in path and "+60" not in path, errno.EIO)
    assert gateway.run("spool-purge", {"unreadable": True}) == {"purged": 2, "interrupted": False}
    assert (gateway.ledger.dropped["purged"], gateway.ledger.spooled) == (2, 4)
    errors.stop()
    assert gateway.events("fw") == [b"gw 1", b"gw 2", b"host 5", b"host 6"]
    errors.fail("pread", lambda path: path.endswith(f"@{blocks[2].offset}+{pack_blocks.HEADER}"), errno.EIO)
    assert gateway.run("spool-purge", {"unreadable": True}) == {"purged": 2, "interrupted": False}
    errors.fail("pread", lambda path: ".pack@" in path, errno.EIO)
    assert gateway.run("spool-purge", {"unreadable": True}) == {"purged": 2, "interrupted": False}
    assert list((gateway.directory / "fw").iterdir()) == []


def test_unreadable_cannot_be_combined_with_a_text(gateway: Gateway) -> None:
    with pytest.raises(WrongRequest):
        gateway.run("spool-purge", {"unreadable": True, "containing": "gw"})


def test_unreadable_batch_does_not_end_a_move(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    second = sorted((gateway.directory / "fw").iterdir())[1]
    errors = FileErrors(monkeypatch)
    errors.fail("open", lambda path: path == str(second), errno.EIO)
    assert gateway.run("spool-move", {"containing": "gw", "to": "linux"})["moved"] == 2
    errors.stop()
    assert gateway.events("linux") == [b"gw 1", b"gw 2"]
    assert gateway.events("fw") == [b"gw 3", b"host 4", b"host 5", b"host 6"]
