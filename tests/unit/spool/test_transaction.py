"""Tests commands that are killed at any call: after the next start each event is in quarantine or spool once."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from bridge.batching import Group, GroupLimits
from bridge.config import parse_text
from bridge.ingest import from_config as ingest_config
from bridge.routing import Router
from bridge.spool import BatchLimits, Pack, Spool, inspect, pack_writer
from bridge.spool.partition import EventFilter, divide, reassign, sequences_needed
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.reprocess import Reprocessor, Selection
from bridge.spool.transaction import Transaction, UnfinishedTransaction
from tests.harness.builders import build_spool

NOON = 1_795_435_200
REASONS = ("refused", "oversize", "damaged", "unrouted")


@pytest.fixture(autouse=True)
def _without_fsync(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class ProcessKilled(BaseException):
    """Stands for the end of the process."""


def spool_at(directory: Path) -> Spool:
    opened_spool = build_spool(directory, recover=False, bounds=dict.fromkeys(REASONS, 10**7))
    opened_spool.found = opened_spool.recover()  # type: ignore[attr-defined]
    for transaction in opened_spool.found.transactions:  # type: ignore[attr-defined]
        transaction.close()
    return opened_spool


def router(**intakes: str) -> Router:
    """Returns a router; `name=network` sends events of that network to that intake."""
    keys = ", ".join(f"{name}: {{intake_key: {'k' * 16}}}" for name in intakes)
    routes = ", ".join(f"{{intake: {name}, source: {network}}}" for name, network in intakes.items())
    return ingest_config.router(
        parse_text(
            f"collector: {{region: FRA1}}\nlisteners: [{{name: udp, udp: '127.0.0.1:5514'}}]\nintakes: {{{keys}}}\n"
            f"routes: [{routes}]\nspool: {{directory: x}}\n"
        )
    )


def count_all_events(directory: Path) -> Counter[bytes]:
    """Counts every event in the queues and in the quarantine of a spool."""
    found: Counter[bytes] = Counter()
    for name in inspect.intakes(directory):
        for _, events in inspect.queued_batches(directory / name):
            found.update(event for _, event in events)
    for reason in REASONS:
        for path in (directory / ".quarantine" / reason).glob("*.jsonl"):
            entries = map(QuarantineEntry.read, path.read_bytes().splitlines())
            found.update(entry.frame.removeprefix(b"<13>") for entry in entries if entry is not None)
    return found


def spool_with_frames(directory: Path) -> Spool:
    spool = spool_at(directory)
    for n in range(40):
        frame = b"<13>frame %d" % n
        spool.quarantine.add(
            "unrouted", [QuarantineEntry(NOON * 1000 + 7000 * n, "udp", f"10.0.{n % 2}.1", frame, "no route")]
        )
    spool.quarantine.close()
    return spool


def spool_with_batches(directory: Path, *, packed: bool, count: int = 3) -> Spool:
    spool = spool_at(directory)
    sealed = []
    spool.subscribe(sealed.append)
    for n in range(count):
        at = (NOON + n) * 1000
        spool.append(Group("a", "lines", NOON + n, at, at, 2, b"from one %d\nfrom two %d\n" % (n, n)))
    spool.seal_all()
    if packed:
        pack_writer.pack(sealed, spool.removals.failed)
    return spool


def reroute_quarantine(spool: Spool) -> None:
    routes = Reprocessor(router(a="10.0.0.0/24"), GroupLimits(), BatchLimits())
    for file in spool.quarantine.claim("unrouted"):
        outcome = routes.retry(spool, "unrouted", file, Selection(), spool.sequences(100))
        assert (sum(outcome.moves.values()), outcome.stayed) == (20, 20)
        assert outcome.transaction is not None
        assert outcome.transaction.changes == [("release", None, "a", 20)]
        outcome.transaction.close()


def recovered_files(spool: Spool) -> list:
    return [*spool.found.batches, *spool.found.packs]  # type: ignore[attr-defined]


def move_matching_events(spool: Spool) -> None:
    for recovered in recovered_files(spool):
        divided = divide(
            recovered,
            EventFilter(source="two"),
            spool.directory,
            spool.sequences(sequences_needed(recovered)),
            to="b",
        )
        assert divided.events and divided.transaction is not None
        assert divided.transaction.changes == [("move", "a", "b", divided.events)]
        divided.transaction.close()


def move_all_events(spool: Spool) -> None:
    backlog = [(recovered, recovered.count) for recovered in recovered_files(spool)]
    (number,) = spool.sequences(1)
    moved = reassign(backlog, "b", spool.directory, number)
    assert {each.intake for each in moved.taken} == {"b"} and moved.transaction is not None
    assert moved.transaction.changes == [("move", "a", "b", moved.events)]
    moved.transaction.close()


CASES = [
    pytest.param(spool_with_frames, reroute_quarantine, id="reroute"),
    pytest.param(lambda path: spool_with_batches(path, packed=False), move_matching_events, id="some-of-batches"),
    pytest.param(lambda path: spool_with_batches(path, packed=True), move_matching_events, id="some-of-a-pack"),
    pytest.param(lambda path: spool_with_batches(path, packed=False), move_all_events, id="batches"),
    pytest.param(lambda path: spool_with_batches(path, packed=True), move_all_events, id="a-pack"),
]


@pytest.mark.parametrize(("prepare", "command"), CASES)
def test_kill_at_any_call_loses_and_duplicates_no_event(tmp_path, monkeypatch, prepare, command):
    """Kills the command before each call that changes names or files, in one run per call."""
    prepare(tmp_path / "before").close()
    expected = count_all_events(tmp_path / "before")
    assert set(expected.values()) == {1}
    calls = 0
    for fatal_call in range(1, 500):
        directory = tmp_path / "spool"
        shutil.copytree(tmp_path / "before", directory)
        spool = spool_at(directory)
        with monkeypatch.context() as patch:
            calls = 0

            def counted(original, fatal_call=fatal_call):
                def wrapper(*args, **kwargs):
                    nonlocal calls
                    calls += 1
                    if calls == fatal_call:
                        raise ProcessKilled
                    return original(*args, **kwargs)

                return wrapper

            for name in ("rename", "unlink", "mkdir", "rmdir", "write"):
                patch.setattr(os, name, counted(getattr(os, name)))
            patch.setattr(os, "fsync", counted(lambda descriptor: None))
            try:
                command(spool)
            except ProcessKilled:
                pass
            completed = calls < fatal_call
        if not completed:
            # A killed process runs no cleanup. What an except clause removed here was not committed.
            spool.close()
            spool = spool_at(directory)
        assert count_all_events(directory) == expected, f"killed before call {fatal_call}"
        assert not list((directory / ".transfer").glob("*"))
        spool.close()
        if completed:
            break
        shutil.rmtree(directory)
    assert completed and calls > 1
    moved = [path for path in (tmp_path / "spool").glob("[ab]/*") if path.stat().st_size]
    assert moved


def test_second_retry_moves_nothing(tmp_path):
    spool = spool_with_frames(tmp_path)
    spool.close()
    spool = spool_at(tmp_path)
    reroute_quarantine(spool)
    before = count_all_events(tmp_path)
    routes = Reprocessor(router(a="10.0.0.0/24"), GroupLimits(), BatchLimits())
    spool.close()
    spool = spool_at(tmp_path)
    for file in spool.quarantine.claim("unrouted"):
        outcome = routes.retry(spool, "unrouted", file, Selection(), spool.sequences(100))
        assert outcome.remaining is file and not outcome.moves
    assert count_all_events(tmp_path) == before
    spool.close()


def test_rerouted_frames_keep_their_times(tmp_path):
    spool = spool_with_frames(tmp_path)
    spool.close()
    spool = spool_at(tmp_path)
    reroute_quarantine(spool)
    times = {event: ms for _, events in inspect.queued_batches(tmp_path / "a") for ms, event in events}
    assert times == {b"frame %d" % n: NOON * 1000 + 7000 * n for n in range(0, 40, 2)}
    spool.close()


def test_rerouted_frames_of_one_read_keep_their_different_times(tmp_path):
    """A read whose times lie far apart becomes a batch with the times in its lines."""
    spool = spool_at(tmp_path)
    lines = [b"<13>Nov 23 12:0%d:00 gw app: at minute %d" % (n, n) for n in range(6)]
    spool.quarantine.add(
        "unrouted", [QuarantineEntry(NOON * 1000, "udp", "10.0.0.1", line, "no route") for line in lines]
    )
    routes = Reprocessor(router(a="10.0.0.0/24"), GroupLimits(), BatchLimits())
    for file in spool.quarantine.claim("unrouted"):
        routes.retry(spool, "unrouted", file, Selection(), spool.sequences(100))
    times = {event: ms for _, events in inspect.queued_batches(tmp_path / "a") for ms, event in events}
    first = min(times.values())
    assert times == {b"at minute %d" % n: first + 60_000 * n for n in range(6)}
    spool.close()


def test_unfinished_transaction_is_completed_by_the_next_start(tmp_path, monkeypatch):
    spool = spool_at(tmp_path)
    transfer = Transaction(tmp_path, 7)
    transfer.write(tmp_path / "a" / "1-0-1-2.lines", b"x\n")
    transfer.commit()
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(UnfinishedTransaction, match="next start"):
        transfer.finish()
    (tmp_path / "a").unlink()
    spool.close()
    spool_at(tmp_path).close()
    assert (tmp_path / "a" / "1-0-1-2.lines").read_bytes() == b"x\n"


@pytest.mark.parametrize(
    ("host", "text", "matches"),
    [
        ("10.0.0.1", b"<13>10.0.0.1 said", True),
        ("10.0.0.1", b"from 110.0.0.1", False),
        ("10.0.0.1", b"from 10.0.0.12", False),
        ("10.0.0.1", b"it was 10.0.0.1.", True),
        ("fw", b"FW: deny", True),
        ("fw", b"fw-2: deny", False),
        ("10.0.0.1", b"src:10.0.0.1 dst:10.0.0.2", True),
        ("10.0.0.1", b"10.0.0.1:514 connected", True),
        ("::1", b"2001:db8::1 x", False),
        ("2001:db8::1", b"2001:db8::1 x", True),
        ("2001:db8::1", b"2001:db8::12 x", False),
    ],
)
def test_source_filter_matches_whole_words(host, text, matches):
    assert EventFilter(source=host).matches(text) is matches


def test_rewound_pack_is_read_again_from_its_beginning(tmp_path):
    spool = spool_with_batches(tmp_path, packed=True, count=20)
    spool.close()
    spool = spool_at(tmp_path)
    (pack,) = spool.found.packs  # type: ignore[attr-defined]
    result = pack.read(most_batches=100, most_bytes=10**6, sealed=0.0)
    pack.begin(result.batches[:3])
    pack.settle(result.batches[:2])
    rewound = pack.rewound()
    assert isinstance(rewound, Pack) and rewound.count == 36
    reread = rewound.read(most_batches=1000, most_bytes=10**9, sealed=0.0)
    assert reread.exhausted and sum(batch.count for batch in reread.batches) == 36
    spool.close()


@pytest.mark.parametrize("packed", [False, True])
def test_moving_events_back_and_forth_keeps_each_once(tmp_path, packed):
    """No folder may get a sequence twice, because a start would take one of the files for a leftover."""
    spool_with_batches(tmp_path, packed=packed, count=20).close()
    expected = count_all_events(tmp_path)
    for turn in range(6):
        spool = spool_at(tmp_path)
        origin, target = ("a", "b") if turn % 2 == 0 else ("b", "a")
        for recovered in recovered_files(spool):
            if recovered.intake == origin:
                event_filter = EventFilter(containing=str(turn))
                numbers = spool.sequences(sequences_needed(recovered), exact=False)
                divide(recovered, event_filter, tmp_path, numbers, to=target)
        spool.close()
        assert count_all_events(tmp_path) == expected
    spool = spool_at(tmp_path)
    assert sum(recovered.count for recovered in recovered_files(spool)) == 40
    spool.close()
