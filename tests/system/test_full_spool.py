"""Tests a spool filled by its budget, the disk or one parked intake: others are unaffected and losses are counted."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness.asserting import assert_same
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.disk import blocks, fill, small_disk
from tests.harness.gate import Gate
from tests.harness.messages import number_of, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging, collecting
from tests.harness.send import send_datagrams, send_lines

MB = 1_000_000


def padded(numbers: range, size: int) -> Iterator[bytes]:
    """Yields messages of about `size` bytes."""
    now = datetime.now(UTC)
    for number in numbers:
        frame = rfc5424(number, now).frame
        yield frame + b" " + b"x" * (size - len(frame))


def state(bridge: Bridge, intake: str) -> dict[str, object]:
    return next(found for found in bridge.status()["intakes"] if found["name"] == intake)


def by_source(*intakes: str) -> list[dict[str, str]]:
    return [{"intake": name, "source": f"127.0.1.{i}"} for i, name in enumerate(intakes, start=1)]


def test_parked_intake_fills_only_its_share_of_the_spool(tmp_path: Path) -> None:
    names = ["parked", *(f"other-{letter}" for letter in "abcdefghijklmnopqrs")]
    collector = Collector(tmp_path / "collector", keys=tuple(map(key_of, names[1:])))
    collector.start()
    with bridging(
        tmp_path, collector.url, intakes={name: {} for name in names}, routes=by_source(*names), unrouted="hold"
    ) as bridge:
        bridge.configuration["spool"] |= {"max_size": "8MB", "min_free": "1MB"}
        bridge.start()
        send_lines(bridge.tcp, padded(range(100), 200), source="127.0.1.1")
        until(lambda: state(bridge, "parked")["state"] == "parked", lambda: f"parked: {state(bridge, 'parked')}")
        devices = [
            threading.Thread(target=send_lines, args=(bridge.tcp, padded(range(6000), 1000)), kwargs={"source": source})
            for source in ("127.0.1.1", "127.0.1.1")
        ]
        for device in devices:
            device.start()
        others = [rfc5424(number, datetime.now(UTC)) for number in range(1000)]
        for i in range(2, 21):
            send_lines(bridge.tcp, (message.frame for message in others), source=f"127.0.1.{i}")
        for device in devices:
            device.join()
        bridge.wait_received(100 + 2 * 6000 + 19 * 1000)
        # The state is `full` only while more comes in than fits. Dropped events show that it was full.
        until(lambda: bridge.ledger()["dropped"], lambda: f"events dropped: {state(bridge, 'parked')}")
        assert bridge.get("/readyz")[0] == 200
        assert blocks(bridge.spool) <= 8 * MB
        collector.wait_for(19 * 1000)
        until(lambda: bridge.ledger()["delivered"] == 19 * 1000, lambda: f"other intakes delivered: {bridge.status()}")
        ledger, parked = bridge.ledger(), state(bridge, "parked")
        assert set(ledger["dropped"]) == {"spool_full"}, ledger
        assert ledger["spooled"] == parked["backlog_events"] == 12_100 - ledger["dropped"]["spool_full"]
        assert 2 * MB < int(str(parked["backlog_bytes"])) <= 4.2 * MB, parked
        assert bridge.process is not None
        # The alarm may have ended, as the other intakes have drained. The log shows that it was raised.
        assert "intake parked has no room left in the spool" in bridge.process.stderr
    collector.stop()
    for name in names[1:]:
        assert_same(collector.texts(key_of(name)), (message.text for message in others), name)


def test_pause_holds_only_the_senders_of_the_full_intake(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        with bridging(
            tmp_path,
            collector.url,
            intakes={"full": {"url": gate.url}, "free": {}},
            routes=by_source("full", "free"),
        ) as bridge:
            bridge.configuration["unrouted"] = "hold"
            bridge.configuration["spool"] |= {"max_size": "4MB", "min_free": "1MB", "when_full": "pause"}
            bridge.start()
            count = 10_000
            sender = threading.Thread(
                target=send_lines, args=(bridge.tcp, padded(range(count), 2000)), kwargs={"source": "127.0.1.1"}
            )
            sender.start()
            until(lambda: bridge.status()["held_connections"] == 1, lambda: f"connection is held: {bridge.status()}")
            assert state(bridge, "full")["state"] == "full"
            held = bridge.ledger()
            assert held["buffered"] > 0
            assert not held["dropped"]

            def dropped() -> int:
                return int(bridge.ledger()["dropped"].get("spool_full", 0))

            datagrams = [("127.0.1.1", rfc5424(number, datetime.now(UTC)).frame) for number in range(300)]
            send_datagrams(
                bridge.udp,
                datagrams,
                wait_received=lambda n: until(lambda: dropped() >= n, lambda: f"{n} dropped datagrams counted"),
            )
            others = [rfc5424(number, datetime.now(UTC)) for number in range(2000)]
            send_lines(bridge.tcp, (message.frame for message in others), source="127.0.1.2")
            until(
                lambda: state(bridge, "free")["delivered"] == len(others),
                lambda: f"the other intake delivers: {bridge.status()}",
            )
            assert sender.is_alive()
            assert dropped() == len(datagrams)
            assert blocks(bridge.spool) <= 4 * MB

            gate.open()
            sender.join()
            bridge.wait_received(count + len(datagrams) + len(others))
            bridge.wait_drained()
            ledger = bridge.ledger()
        gate.shut()
        assert (ledger["delivered"], ledger["buffered"]) == (count + len(others), 0), ledger
        collector.refresh()
        numbers = Counter(number_of(text) for text in collector.texts(key_of("full")))
        assert numbers == Counter(range(count))


def test_held_frames_are_in_the_spool_after_a_stop(tmp_path: Path) -> None:
    with bridging(tmp_path, "http://127.0.0.1:1") as bridge:
        bridge.configuration["spool"] |= {"max_size": "1MB", "min_free": "1MB", "when_full": "pause"}
        bridge.start()
        sender = threading.Thread(target=_send_until_cut, args=(bridge.tcp,), daemon=True)
        sender.start()
        until(lambda: bridge.status()["held_connections"] == 1, lambda: f"connection is held: {bridge.status()}")
        before = bridge.ledger()
        bridge.stop()
        sender.join()
        # The spool is full, so the bridge is not ready, but it answers.
        bridge.launch().wait_until(lambda: bridge.get("/api/status")[0] == 200, "/api/status answers 200")
        assert bridge.ledger()["recovered"] >= before["received"]


def _send_until_cut(port: int) -> None:
    try:
        send_lines(port, padded(range(100_000), 1000))
    except OSError:
        return


def test_bridge_recovers_when_a_disk_filled_by_others_has_room_again(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, small_disk(tmp_path / "disk", "16m") as disk:
        gate = Gate(collector.port)
        with bridging(tmp_path, gate.url) as bridge:
            bridge.configuration["spool"] = {
                "directory": str(disk / "spool"), "max_size": "100%", "min_free": "4KiB",
                "quarantine": {"max_size": "1MB"},
            }  # fmt: skip
            bridge.start()
            sent = 0

            def send(count: int) -> None:
                nonlocal sent
                send_lines(bridge.tcp, padded(range(sent, sent + count), 1000))
                sent += count
                bridge.wait_received(sent)

            send(2000)
            assert not bridge.ledger()["dropped"]
            fill(disk / "ballast")

            def lossy() -> bool:
                send(500)
                return bool(bridge.ledger()["dropped"])

            until(lossy, lambda: f"events are dropped: {bridge.status()}")
            assert set(bridge.ledger()["dropped"]) <= {"spool_full", "disk_full"}
            # The dropped events made room, and the bridge is ready while that lasts.
            until(lambda: lossy() and bridge.get("/readyz")[0] == 503, lambda: f"not ready: {bridge.get('/readyz')}")
            assert bridge.status()["alarms"]

            (disk / "ballast").unlink()
            # It may be ready by itself for a moment. The limit shows that it has found the room.
            until(
                lambda: bridge.get("/readyz")[0] == 200 and bridge.status()["spool"]["limit_bytes"] > 8 * MB,
                lambda: f"ready again: {bridge.get('/readyz')}, {bridge.status()['spool']}",
            )
            dropped = sum(bridge.ledger()["dropped"].values())
            send(500)
            gate.open()
            bridge.wait_drained()
            ledger = bridge.ledger()
            assert sum(ledger["dropped"].values()) == dropped, "no event is dropped while there is room"
            assert ledger["delivered"] == ledger["received"] - dropped
            assert (disk / "spool" / ".reserve").exists()
        gate.shut()
        numbers = [number_of(text) for text in collector.refresh() and collector.texts()]
        assert len(numbers) == len(set(numbers)) == sent - dropped
        assert set(range(sent - 500, sent)) <= set(numbers)


@pytest.mark.parametrize("megabytes", [50, pytest.param(1000, marks=pytest.mark.long)])
def test_backlog_drains_in_bounded_memory_and_live_events_come_first(tmp_path: Path, megabytes: int) -> None:
    count, fresh = megabytes * 500, 20
    with collecting(tmp_path) as collector:
        gate = Gate(collector.port)
        with bridging(tmp_path, gate.url) as bridge:
            bridge.configuration["collector"] |= {"connections_per_intake": 1, "max_request_rate": 4}
            bridge.configuration["batch"] |= {"max_bytes": "1MB"}
            bridge.start()
            send_lines(bridge.tcp, padded(range(count), 2000))
            bridge.wait_received(count)
            until(lambda: state(bridge, "all")["oldest_seconds"] > 12, "the backlog is older than 12 seconds")  # type: ignore[operator]
            gate.open()
            until(collector.refresh, lambda: f"the backlog drains: {bridge.status()}")
            send_lines(bridge.tcp, padded(range(count, count + fresh), 2000))
            until(
                lambda: len(collector.refresh()) >= count + fresh,
                lambda: f"all arrive: {len(collector.arrived)}, {bridge.status()}",
                deadline_seconds=180 + megabytes,
            )
            bridge.wait_drained()
            assert bridge.process is not None
            memory = Path(f"/proc/{bridge.process.pid}/status").read_text()
            (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", memory)
            assert int(peak) * 1024 < 150 * MB, f"resident memory at its peak: {peak} kB"
        gate.shut()
        numbers = [number_of(event.text) for event in collector.arrived]
        assert sorted(numbers) == list(range(count + fresh))
        last_live = max(i for i, number in enumerate(numbers) if number >= count)
        assert last_live < len(numbers) - count // 5, "live events waited for the backlog"
