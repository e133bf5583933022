"""Tests a spool that turns read-only, and one whose files cannot be synced: nothing unsafe is acknowledged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness.agent import Agent
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.faulty_disk import READ_ONLY, FaultyDisk
from tests.harness.gate import Gate
from tests.harness.messages import number_of, rfc5424
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.relp import RelpClient
from tests.harness.running import bridging, collecting
from tests.harness.send import send_datagrams, send_lines
from tests.system.test_https_listener import add_https_listener
from tests.system.test_relp import add_relp_listener


class Gateway:
    """A bridge with TCP, UDP, RELP and HTTPS listeners on a disk with faults."""

    def __init__(self, bridge: Bridge, collector: Collector, authority: Authority) -> None:
        self.bridge, self.collector = bridge, collector
        self.gate = Gate(collector.port)
        self.relp_port, https = add_relp_listener(bridge), add_https_listener(bridge, authority)
        self.disk = FaultyDisk(bridge)
        self._https, self._ca = https, authority.ca
        self._number = 0
        self.owed: set[int] = set()

    def frames(self, count: int) -> list[bytes]:
        first, self._number = self._number, self._number + count
        return [rfc5424(number, datetime.now(UTC)).frame for number in range(first, first + count)]

    def owe(self, frames: list[bytes]) -> None:
        self.owed |= {number_of(frame.decode().partition("] ")[2]) for frame in frames}

    def send_lines(self, count: int) -> list[bytes]:
        before, frames = self.bridge.ledger()["received"], self.frames(count)
        send_lines(self.bridge.tcp, frames)
        self.bridge.wait_received(before + count)
        return frames

    def post(self) -> int:
        """Posts ten events and returns the status; accepted events must arrive."""
        frames = self.frames(10)
        agent = Agent(self._https, self._ca)
        body = [frame.decode().partition("] ")[2] for frame in frames]
        status, headers, _ = agent.post("/jsons", body, X_SEKOIAIO_INTAKE_KEY=key_of("all"))
        if status == 200:
            self.owe(frames)
        else:
            assert (status, headers["retry-after"]) == (503, "10")
        return status

    def relp(self) -> bool:
        """Sends ten messages over RELP. Returns True if they are acknowledged; then they must arrive."""
        frames = self.frames(10)
        client = RelpClient(self.relp_port)
        try:
            client.send(frames)
            client.wait_acknowledged(10)
        except OSError:
            assert not client.acknowledged
            return False
        finally:
            client.close()
        self.owe(frames)
        return True

    def ready(self) -> bool:
        return self.bridge.get("/readyz")[0] == 200

    def alarms(self) -> list[str]:
        return [each["text"] for each in self.bridge.status()["alarms"] if each["kind"] == "spool"]

    def log(self) -> str:
        assert self.bridge.process is not None
        return self.bridge.process.stderr

    def until(self, condition: Any, what: str) -> None:
        until(condition, lambda: f"{what}: {self.bridge.status()}\n{self.log()}")

    def finish(self) -> Counter[int]:
        """Waits until the spool is empty. Returns the numbers of the events that arrived, which are those owed."""
        self.bridge.wait_drained()
        ledger = self.bridge.ledger()
        arrived = Counter(number_of(event.text) for event in self.collector.wait_for(ledger["delivered"]))
        assert ledger["delivered"] + sum(ledger["dropped"].values()) == ledger["received"]
        assert self.owed <= set(arrived), sorted(self.owed - set(arrived))[:10]
        self.until(lambda: not list(self.bridge.spool.glob("all/*-*")), "delivered files are removed")
        return arrived


@contextmanager
def gateway(path: Path, **spool: Any) -> Iterator[Gateway]:
    authority = Authority(path / "pki")
    with collecting(path) as collector, bridging(path, "") as bridge:
        running = Gateway(bridge, collector, authority)
        bridge.configuration["collector"]["url"] = running.gate.url
        bridge.configuration["spool"] |= spool
        running.disk.start()
        yield running
        assert "Traceback" not in running.log(), running.log()
    running.gate.shut()


@pytest.mark.parametrize("seconds", [0, pytest.param(120, marks=pytest.mark.long)])
def test_read_only_filesystem_is_used_again_after_a_remount(tmp_path: Path, seconds: int) -> None:
    with gateway(tmp_path) as running:
        bridge = running.bridge
        running.owe(running.send_lines(1000))
        running.until(lambda: not list(bridge.spool.glob("all/*.open.*")), "all files are sealed")

        running.disk.set(calls=READ_ONLY)
        datagrams = [("127.0.0.1", frame) for frame in running.frames(100)]

        def dropped() -> int:
            return int(bridge.ledger()["dropped"].get("spool_write_failed", 0))

        send_datagrams(bridge.udp, datagrams, wait_received=lambda n: running.until(lambda: dropped() >= n, "dropped"))
        running.send_lines(100)
        assert dropped() == 200
        running.until(lambda: not running.ready(), "not ready")
        (text,) = running.alarms()
        assert "the filesystem is read-only" in text, text
        assert str(bridge.spool) in text, text
        assert not running.relp()
        assert running.post() == 503

        # Stored events are delivered although their files cannot be renamed or removed.
        running.gate.open()
        running.until(lambda: bridge.ledger()["delivered"] == 1000, "stored events are delivered")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            running.send_lines(10)
            assert (running.relp(), running.post(), running.ready()) == (False, 503, False)
            time.sleep(1)
        assert running.log().count("the filesystem is read-only") == 1
        assert running.log().count("spool: cannot write for intake all") == 1

        running.disk.set()
        running.until(running.ready, "ready")
        running.until(lambda: not running.alarms(), "no alarm")
        running.owe(running.send_lines(1000))
        assert running.relp()
        assert running.post() == 200
        arrived = running.finish()
        assert len(arrived) == arrived.total(), "no event is delivered twice"


def test_senders_wait_for_a_read_only_filesystem(tmp_path: Path) -> None:
    """With `pause`, what TCP connections have sent is stored after the remount, also of connections that have ended."""
    with gateway(tmp_path, when_full="pause") as running:
        running.disk.set(calls=READ_ONLY)
        running.owe(running.send_lines(500))
        ledger = running.bridge.ledger()
        assert (ledger["buffered"], ledger["dropped"]) == (500, {})
        running.disk.set()
        running.until(lambda: running.bridge.ledger()["spooled"] == 500, "all events are stored")
        running.until(running.ready, "ready")
        running.gate.open()
        assert running.finish().total() == 500


def test_failed_sync_acknowledges_nothing_and_is_reported_once(tmp_path: Path) -> None:
    with gateway(tmp_path, fsync="always") as running:
        running.gate.open()
        running.owe(running.send_lines(100))
        running.until(lambda: running.bridge.ledger()["delivered"] == 100, "delivered")
        running.disk.set(calls={"fsync": "EIO"})
        assert running.post() == 503
        running.until(lambda: not running.ready(), "not ready")
        before = running.bridge.ledger()["received"]
        for _ in range(5):
            assert running.post() == 503
        assert running.bridge.ledger()["received"] == before, "a repeated request is not stored again"
        (text,) = running.alarms()
        assert "cannot sync files to disk: Input/output error" in text, text
        # Senders without acknowledgement are not affected, and stored events are delivered.
        running.owe(running.send_lines(100))
        running.until(lambda: running.bridge.ledger()["delivered"] == before + 100, "delivered")
        assert running.log().count("cannot sync files to disk") == 1

        running.disk.set()
        running.until(running.ready, "ready")
        running.until(lambda: not running.alarms(), "no alarm")
        assert running.post() == 200
        assert running.relp()
        running.finish()


def test_failed_sync_closes_a_relp_connection_and_others_wait(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        client = RelpClient(running.relp_port)
        running.disk.set(calls={"fsync": "EIO"})
        assert not running.relp()
        assert 0 < running.bridge.ledger()["spooled"] <= 10
        running.until(lambda: not running.ready(), "not ready")
        frames = running.frames(10)
        client.send(frames)
        running.until(lambda: running.bridge.ledger()["buffered"], "held")
        assert running.log().count("cannot sync files to disk") == 1
        running.disk.set()
        client.wait_acknowledged(10)
        client.close()
        running.owe(frames)
        running.until(running.ready, "ready")
        running.gate.open()
        running.finish()


def test_bridge_stops_and_starts_again_on_a_read_only_filesystem(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        bridge = running.bridge
        bridge.configuration["unrouted"] = "hold"
        bridge.configuration["routes"] = [{"intake": "all", "hostname": ["gw"]}]
        bridge.stop()
        running.disk.start()
        running.owe(running.send_lines(100))
        send_lines(bridge.tcp, [b"<13>no route matches"])
        running.until(lambda: bridge.ledger()["quarantined"] == 1, "quarantined")
        running.disk.set(calls=READ_ONLY)
        assert bridge.process is not None
        process = bridge.process
        bridge.stop()
        assert "Traceback" not in process.stderr, process.stderr
        running.disk.set()
        running.disk.start()
        ledger = bridge.ledger()
        assert (ledger["spooled"], ledger["quarantined"]) == (100, 1)
        running.gate.open()
        bridge.wait_drained()
        assert {number_of(event.text) for event in running.collector.wait_for(100)} == running.owed
