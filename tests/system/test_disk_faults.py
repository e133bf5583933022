"""Tests that the gateway heals by itself after a disk that was full, out of inodes, over a quota or read-only."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.harness.bridge import Bridge
from tests.harness.collector import Collector
from tests.harness.disk import blocks, small_disk
from tests.harness.faulty_disk import FaultyDisk
from tests.harness.gate import Gate
from tests.harness.messages import number_of, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines

MB = 1_000_000
PLENTY = [71_000 * MB, 1_000_000]
"Free bytes and inodes of a filesystem that has room."


class Gateway:
    """A bridge on a disk with faults, in front of a gate that is shut until the test opens it."""

    def __init__(self, bridge: Bridge, collector: Collector, gate: Gate) -> None:
        self.bridge, self.collector, self.gate = bridge, collector, gate
        self.disk = FaultyDisk(bridge)
        self.sent = 0

    def send(self, count: int, *, size: int = 1000) -> None:
        """Sends events over TCP and waits until they are received."""
        numbers = range(self.sent, self.sent + count)
        self.sent += count
        send_lines(self.bridge.tcp, padded(numbers, size))
        self.bridge.wait_received(self.sent)

    def spool(self) -> dict[str, Any]:
        found: dict[str, Any] = self.bridge.status()["spool"]
        return found

    def alarms(self, kind: str) -> dict[str, str]:
        return {each["about"]: each["text"] for each in self.bridge.status()["alarms"] if each["kind"] == kind}

    def dropped(self) -> int:
        return sum(self.bridge.ledger()["dropped"].values())

    def until(self, condition: Callable[[], object], what: str) -> None:
        until(condition, lambda: f"{what}: {self.bridge.status()}")

    def deliver(self) -> Counter[int]:
        """Opens the gate, and returns the numbers of all events once the spool is empty."""
        self.gate.open()
        self.bridge.wait_drained()
        ledger = self.bridge.ledger()
        events = self.collector.wait_for(ledger["delivered"])
        return Counter(number_of(event.text) for event in events)


@contextmanager
def gateway(path: Path, **spool: Any) -> Iterator[Gateway]:
    with collecting(path) as collector:
        gate = Gate(collector.port)
        with bridging(path, gate.url) as bridge:
            bridge.configuration["spool"] |= {"max_size": "1GB", "min_free": "4KiB"} | spool
            yield Gateway(bridge, collector, gate)
        gate.shut()


def padded(numbers: range, size: int) -> Iterator[bytes]:
    now = datetime.now(UTC)
    for number in numbers:
        frame = rfc5424(number, now).frame
        yield frame + b" " + b"x" * (size - len(frame) - 1)


def test_event_is_stored_although_its_first_write_fails(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        running.disk.start()
        running.send(100)
        for call in ("write", "create"):
            running.disk.set(calls={call: "ENOSPC"}, left=1, free=PLENTY)
            running.send(2000)
            running.until(lambda: running.spool()["fault"] is None, "no fault")
        assert running.dropped() == 0
        assert running.spool()["limit_bytes"] == 1000 * MB
        assert not running.alarms("spool")
        running.disk.set()
        assert running.deliver() == Counter(range(running.sent))


def test_short_fault_of_a_disk_with_room_cuts_nothing(tmp_path: Path) -> None:
    """Several writes fail in a row. Later events are stored, and no event that was stored before is dropped."""
    with gateway(tmp_path) as running:
        running.disk.start()
        running.send(3000)
        running.disk.set(calls={"write": "EDQUOT"}, left=4, free=PLENTY)
        running.send(3000)
        dropped = running.dropped()
        running.until(lambda: running.bridge.get("/readyz")[0] == 200, "ready")
        running.until(lambda: running.spool()["limit_bytes"] == 1000 * MB, "limit is the configured one")
        running.send(3000)
        assert running.dropped() == dropped
        assert set(running.bridge.ledger()["dropped"]) <= {"disk_full"}
        found = running.deliver()
        assert len(found) == found.total() == running.sent - dropped
        assert set(range(3000)) | set(range(6000, 9000)) <= set(found)


def test_quota_limits_the_spool_until_it_is_raised(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "12m") as disk, gateway(tmp_path, directory=str(disk / "spool")) as running:
        running.disk.set(free=PLENTY)
        running.bridge.configuration["batch"]["max_bytes"] = "500KB"
        running.disk.start()
        running.until(lambda: running.send(1000) or running.dropped(), "events are dropped")
        running.until(lambda: running.spool()["fault"] == "quota", "the quota is named")
        (text,) = running.alarms("spool").values()
        assert "as with a quota" in text, text
        assert f"{PLENTY[0] // 4096 * 4096:,} bytes and {PLENTY[1]:,} inodes are free" in text, text
        assert str(disk / "spool") in text, text
        assert "Raise the quota" in text, text
        # Within the quota, the oldest events make room for the newest.
        running.until(lambda: not running.bridge.get("/readyz")[1].count(b"quota"), "the spool is written")
        for _ in range(5):
            running.send(1000)
        running.until(lambda: running.bridge.ledger()["dropped"].get("spool_full"), "the oldest events are dropped")
        assert 6 * MB < running.spool()["limit_bytes"] < 12 * 2**20
        assert blocks(disk) <= 12 * 2**20
        headline = running.bridge.status()["headline"]
        assert (headline["state"], "as with a quota" in headline["text"]) == ("critical", True), headline

        subprocess.run(["mount", "-o", "remount,size=80m", str(disk)], check=True)
        running.until(lambda: running.spool()["limit_bytes"] == 1000 * MB, "limit is the configured one")
        running.until(lambda: not running.alarms("spool"), "no alarm")
        running.until(lambda: running.spool()["reserve"], "the reserve is back")
        dropped = running.dropped()
        running.send(10_000)
        assert running.dropped() == dropped
        found = running.deliver()
        assert len(found) == found.total() == running.sent - dropped
        assert set(range(running.sent - 10_000, running.sent)) <= set(found)


def test_senders_wait_for_a_quota_and_lose_nothing(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "8m") as disk,
        gateway(tmp_path, directory=str(disk / "spool"), when_full="pause") as running,
    ):
        running.disk.set(free=PLENTY)
        running.disk.start()
        count = 20_000
        sender = threading.Thread(target=send_lines, args=(running.bridge.tcp, padded(range(count), 1000)))
        sender.start()
        running.until(lambda: running.bridge.status()["held_connections"] == 1, "connection is held")
        running.until(lambda: running.spool()["fault"] == "quota", "the quota is named")
        subprocess.run(["mount", "-o", "remount,size=80m", str(disk)], check=True)
        running.until(lambda: running.bridge.ledger()["spooled"] == count, "all events are stored")
        sender.join()
        assert running.spool()["limit_bytes"] == 1000 * MB
        assert running.dropped() == 0
        assert running.deliver() == Counter(range(count))


def test_filesystem_without_inodes_is_used_again_when_it_has_some(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "80m,nr_inodes=300") as disk,
        gateway(tmp_path, directory=str(disk / "spool")) as running,
    ):
        running.disk.start()
        running.send(2000)
        others = list(fill_inodes(disk / "others"))

        def lossy() -> bool:
            running.send(200)
            return running.dropped() > 0

        running.until(lossy, "events are dropped")
        running.until(lambda: running.spool()["fault"] == "inodes", "the inodes are named")
        (text,) = running.alarms("spool").values()
        assert "no free inodes" in text, text
        assert " 0 inodes are free" in text, text
        for path in others:
            path.unlink()
        running.until(lambda: running.spool()["fault"] is None, "no fault")
        running.until(lambda: running.bridge.get("/readyz")[0] == 200, "ready")
        dropped = running.dropped()
        running.send(5000)
        assert running.dropped() == dropped
        # The alarm of a single intake ends a second or two after its writes have ceased to fail.
        running.until(lambda: not running.alarms("spool"), "no alarm")
        assert running.spool()["limit_bytes"] > 70 * MB
        found = running.deliver()
        assert len(found) == found.total() == running.sent - dropped


def fill_inodes(folder: Path) -> Iterator[Path]:
    """Creates empty files until the filesystem has no inodes."""
    folder.mkdir()
    for number in range(10_000):
        path = folder / str(number)
        try:
            path.touch()
        except OSError:
            return
        yield path
