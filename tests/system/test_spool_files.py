"""Tests a bridge whose spool has files that cannot be read, that do not belong there, or very many files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.harness import altered
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.polling import DEADLINE_SECONDS, until
from tests.harness.process import SYSLOG_BRIDGE, Process
from tests.harness.running import bridging, collecting, running
from tests.harness.send import send_lines
from tests.harness.spool import batches

NOT_UTF8 = os.fsdecode(b"caf\xe9-\xff")
WAITS: dict[str, object] = altered.SHORT_WAITS | {
    "bridge.deliver.unreadable.SOON": [0.1, 0.1],
    "bridge.deliver.unreadable.EVERY": 0.5,
    # Each attempt reads the files. Otherwise the first takes the events from memory.
    "bridge.spool.write_cache.MAX_BYTES": 0,
}


def command(bridge: Bridge, *arguments: str) -> Process:
    """Runs a command to its end."""
    process = Process(
        [SYSLOG_BRIDGE, *arguments, "-c", str(bridge.write_configuration())], directory=bridge.directory,
        name="-".join(arguments[:2]),
    )  # fmt: skip
    process.wait(DEADLINE_SECONDS)
    assert "Traceback" not in process.stderr, process.stderr
    return process


def spool_events(bridge: Bridge, *events: str) -> None:
    """Sends events one by one, so that each has its own file, while the collector is not there."""
    for event in events:
        before = len(batches(bridge.spool))
        send_lines(bridge.tcp, [f"<30>1 - - - - - - {event}".encode()])
        until(lambda: len(batches(bridge.spool)) > before, lambda: f"a file with {event}")  # noqa: B023


def file_of(bridge: Bridge, event: str) -> Path:
    return next(path for path in batches(bridge.spool) if event.encode() in path.read_bytes())


def break_file(bridge: Bridge, event: str, outside: Path) -> tuple[Path, Path]:
    """Puts a link to a FIFO in the place of the file with an event: the bridge can rename it, but not read it, also as
    root. Returns the paths of the link and of the file, which is now in `outside`.
    """
    assert bridge.process is not None
    os.mkfifo(outside / "fifo")
    # The bridge renames its files before and after each attempt.
    with bridge.process.stopped():
        path = file_of(bridge, event)
        kept = path.rename(outside / "kept")
        path.symlink_to(outside / "fifo")
    return path, kept


def test_file_that_cannot_be_read_is_held_while_the_others_are_delivered(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector", keys=(key_of("all"),))
    with bridging(tmp_path, collector.url) as bridge:
        altered.start(bridge, constants=WAITS)
        spool_events(bridge, "first", "second", "third", "fourth")
        path, kept = break_file(bridge, "second", tmp_path)
        collector.start()
        collector.wait_for(3)
        until(lambda: "unreadable" in alarms(bridge), lambda: f"an alarm: {bridge.status()}")
        text = alarms(bridge)["unreadable"]
        sequence = path.name.partition("-")[0]
        assert f"/{sequence}-" in text
        assert "not a regular file" in text
        until(lambda: bridge.ledger()["spooled"] == 1, lambda: f"one event is held: {bridge.status()}")
        assert f"/{sequence}-" in command(bridge, "spool", "show", "--unreadable").stdout
        send_lines(bridge.tcp, [b"<30>1 - - - - - - fifth"])
        collector.wait_for(4)
        # The storage is back.
        kept.replace(next(path.parent.glob(f"{sequence}-*")))
        collector.wait_for(5)
        bridge.wait_drained()
        until(lambda: "unreadable" not in alarms(bridge), lambda: f"no alarm: {bridge.status()}")
        assert sorted(event.text for event in collector.refresh()) == ["fifth", "first", "fourth", "second", "third"]
    collector.stop()


def test_unreadable_events_can_be_purged(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector", keys=(key_of("all"),))
    with bridging(tmp_path, collector.url) as bridge:
        altered.start(bridge, constants=WAITS)
        spool_events(bridge, "first", "second", "third")
        path, _ = break_file(bridge, "second", tmp_path)
        collector.start()
        collector.wait_for(2)
        until(lambda: "unreadable" in alarms(bridge), lambda: f"an alarm: {bridge.status()}")
        assert "1 event deleted" in command(bridge, "spool", "purge", "--unreadable", "--yes").stdout
        bridge.wait_drained()
        assert bridge.ledger()["dropped"] == {"purged": 1}
        until(lambda: not list(path.parent.iterdir()), lambda: f"no file is left: {list(path.parent.iterdir())}")
        until(lambda: "unreadable" not in alarms(bridge), lambda: f"no alarm: {bridge.status()}")
    collector.stop()


def alarms(bridge: Bridge) -> dict[str, str]:
    """Returns the texts of the active alarms by kind."""
    return {row["kind"]: row["text"] for row in bridge.status()["alarms"]}


def test_foreign_files_stop_neither_the_start_nor_a_command(tmp_path: Path) -> None:
    with running(tmp_path) as (collector, bridge):
        send_lines(bridge.tcp, [b"<30>1 - - - - - - before"])
        collector.wait_for(1)
        bridge.stop()
        folders = [bridge.spool, *(path for path in bridge.spool.rglob("*") if path.is_dir()), bridge.spool / "all"]
        number = time.time_ns() // 1000
        names = [
            f"{number}-{number // 1000}-1-5.lines", f"{number}-{number // 1000}.open.lines", "1-1.jsonl",
            "2.open.jsonl", "2026-11-20.jsonl", "2026-11-21.jsonl.gz", f"{'9' * 19}-1-1-5.lines",
            f"{number}-{10**15}-1-5.lines", "5.packing", "notes.txt", NOT_UTF8, ".nfs0000000000a1b2c3",
        ]  # fmt: skip
        for folder in set(folders):
            folder.mkdir(exist_ok=True)
            for i, name in enumerate(names):
                if os.path.lexists(folder / name):
                    continue
                if i % 3:
                    os.mkfifo(folder / name)
                else:
                    (folder / name).mkdir()
        for place in (".reserve", "format", "lock"):
            (bridge.spool / place).unlink(missing_ok=True)
            os.mkfifo(bridge.spool / place)
        # A file where an intake needs its folder.
        (bridge.spool / "other").write_text("something")
        commands = (
            ("status",), ("report",), ("spool", "list"), ("spool", "show"), ("quarantine", "list"),
            ("unrouted", "list"),
        )  # fmt: skip
        for arguments in commands:
            command(bridge, *arguments)
        bridge.start()
        for arguments in commands:
            command(bridge, *arguments)
        send_lines(bridge.tcp, [b"<30>1 - - - - - - after"])
        collector.wait_for(2)
        bridge.wait_drained()
        assert bridge.process is not None
        assert "Traceback" not in bridge.process.stderr
        assert "defect" not in bridge.process.stderr
        bridge.stop()
        bridge.start()
        assert [event.text for event in collector.refresh()] == ["before", "after"]


@pytest.mark.parametrize("count", [6_000, pytest.param(150_000, marks=pytest.mark.long)])
@pytest.mark.weight(40)
def test_many_files_are_delivered_with_few_descriptors_and_live_events_first(tmp_path: Path, count: int) -> None:
    intakes = [f"intake-{n:02}" for n in range(30)]
    limit = 256 if count < 100_000 else 1024
    with (
        collecting(tmp_path, keys=tuple(map(key_of, intakes))) as collector,
        bridging(tmp_path, collector.url, intakes={name: {} for name in intakes}) as bridge,
    ):
        bridge.configuration["collector"]["max_request_rate"] = max(300, count // 20)
        # Until the live event is there, so that the backlog is not delivered before it.
        collector.stop()
        # One event every 20 ms since yesterday, each in its own file.
        begin = int(time.time()) - 86_400
        for n in range(count):
            folder = bridge.spool / intakes[n % len(intakes)]
            if n < len(intakes):
                folder.mkdir(parents=True)
            data, sequence = b"event %d\n" % n, begin * 1_000_000 + n * 20_000
            (folder / f"{sequence}-{sequence // 1000}-1-{len(data)}.lines").write_bytes(data)
        argv = ["sh", "-c", f'ulimit -n {limit}; exec "$0" run -c "$1"', SYSLOG_BRIDGE]
        process = Process([*argv, str(bridge.write_configuration())], directory=bridge.directory, name="bridge")
        bridge.process = process
        process.wait_until(lambda: bridge.get("/readyz")[0] == 200, "/readyz answers 200")
        send_lines(bridge.tcp, [b"<30>1 - - - - - - live"])
        bridge.wait_received(1)
        collector.start()
        descriptors = 0

        def drained() -> bool:
            nonlocal descriptors
            descriptors = max(descriptors, len(os.listdir(f"/proc/{process.pid}/fd")))
            return bool(bridge.ledger()["spooled"] == 0)

        until(drained, lambda: f"{bridge.ledger()}", deadline_seconds=DEADLINE_SECONDS * (1 + count // 10_000))
        texts = [event.text for event in collector.refresh()]
        assert sorted(texts) == sorted(["live", *(f"event {n}" for n in range(count))])
        assert texts.index("live") < count * 0.9, "the live event waited for the backlog"
        assert descriptors < limit // 2
        # The ledger is first, then the files are removed.
        until(lambda: not batches(bridge.spool), lambda: f"no file is left: {batches(bridge.spool)}")
