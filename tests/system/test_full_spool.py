"""A spool that is full: by its budget, by its disk, by one parked intake. Nobody else notices, all is counted."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.harness.admin_server import Gate

from tests.harness.asserting import assert_same
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.disk import blocks, fill, small_disk
from tests.harness.messages import number_of, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging, collecting
from tests.harness.send import send_datagrams, send_lines

MB = 1_000_000


def padded(numbers: range, size: int) -> Iterator[bytes]:
    """Messages of about `size` bytes."""
    now = datetime.now(UTC)
    for number in numbers:
        frame = rfc5424(number, now).frame
        yield frame + b" " + b"x" * (size - len(frame))


def state(bridge: Bridge, intake: str) -> dict[str, object]:
    return next(found for found in bridge.status()["intakes"] if found["name"] == intake)


def by_source(*intakes: str) -> list[dict[str, str]]:
    return [{"intake": name, "source": f"127.0.1.{i}"} for i, name in enumerate(intakes, start=1)]


def test_one_parked_intake_fills_its_part_and_nineteen_never_notice(tmp_path: Path) -> None:
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
        # The state is `full` only while more comes in than may stay; that something had to go says it was.
        until(lambda: bridge.ledger()["dropped"], lambda: f"full: {state(bridge, 'parked')}")
        assert bridge.get("/readyz")[0] == 200
        assert blocks(bridge.spool) <= 8 * MB
        collector.wait_for(19 * 1000)
        until(lambda: bridge.ledger()["delivered"] == 19 * 1000, lambda: f"the others: {bridge.status()}")
        ledger, parked = bridge.ledger(), state(bridge, "parked")
        assert set(ledger["dropped"]) == {"spool_full"}, ledger
        assert ledger["spooled"] == parked["backlog_events"] == 12_100 - ledger["dropped"]["spool_full"]
        assert 2 * MB < int(str(parked["backlog_bytes"])) <= 4.2 * MB, parked
        assert bridge.process is not None
        # The alarm may have ended: the others' having drained leaves room. That it was raised is in the log.
        assert "intake parked has used its share of the spool" in bridge.process.stderr
    collector.stop()
    for name in names[1:]:
        assert_same(collector.texts(key_of(name)), (message.text for message in others), name)


def test_pause_makes_the_senders_of_the_full_intake_wait_and_nobody_else(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        admin_server = Gate(collector.port)
        with bridging(
            tmp_path,
            collector.url,
            intakes={"full": {"url": admin_server.url}, "free": {}},
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
            until(lambda: bridge.status()["held_connections"] == 1, lambda: f"it is held: {bridge.status()}")
            assert state(bridge, "full")["state"] == "full"
            held = bridge.ledger()
            assert held["buffered"] > 0
            assert not held["dropped"]

            def dropped() -> int:
                return int(bridge.ledger()["dropped"].get("spool_full", 0))

            datagrams = [("127.0.1.1", rfc5424(number, datetime.now(UTC)).frame) for number in range(300)]
            send_datagrams(
                bridge.udp, datagrams, wait_received=lambda n: until(lambda: dropped() >= n, lambda: f"{n} counted")
            )
            others = [rfc5424(number, datetime.now(UTC)) for number in range(2000)]
            send_lines(bridge.tcp, (message.frame for message in others), source="127.0.1.2")
            until(
                lambda: state(bridge, "free")["delivered"] == len(others), lambda: f"the other goes: {bridge.status()}"
            )
            assert sender.is_alive()
            assert dropped() == len(datagrams)
            assert blocks(bridge.spool) <= 4 * MB

            admin_server.open()
            sender.join()
            bridge.wait_received(count + len(datagrams) + len(others))
            bridge.wait_drained()
            ledger = bridge.ledger()
        admin_server.shut()
        assert (ledger["delivered"], ledger["buffered"]) == (count + len(others), 0), ledger
        collector.refresh()
        numbers = Counter(number_of(text) for text in collector.texts(key_of("full")))
        assert numbers == Counter(range(count))


def test_what_is_held_at_the_end_is_in_the_spool(tmp_path: Path) -> None:
    with bridging(tmp_path, "http://127.0.0.1:1") as bridge:
        bridge.configuration["spool"] |= {"max_size": "1MB", "min_free": "1MB", "when_full": "pause"}
        bridge.start()
        sender = threading.Thread(target=_send_until_cut, args=(bridge.tcp,), daemon=True)
        sender.start()
        until(lambda: bridge.status()["held_connections"] == 1, lambda: f"it is held: {bridge.status()}")
        before = bridge.ledger()
        bridge.stop()
        sender.join()
        # It is full, so not ready; but it answers.
        bridge.launch().wait_until(lambda: bridge.get("/api/status")[0] == 200, "it says how it is")
        assert bridge.ledger()["recovered"] >= before["received"]


def _send_until_cut(port: int) -> None:
    try:
        send_lines(port, padded(range(100_000), 1000))
    except OSError:
        return


def test_a_disk_that_others_fill_and_free_again(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, small_disk(tmp_path / "disk", "16m") as disk:
        admin_server = Gate(collector.port)
        with bridging(tmp_path, admin_server.url) as bridge:
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
            # What was dropped made room: it is ready again for as long as that lasts.
            until(lambda: lossy() and bridge.get("/readyz")[0] == 503, lambda: f"not ready: {bridge.get('/readyz')}")
            assert bridge.status()["alarms"]

            (disk / "ballast").unlink()
            until(lambda: bridge.get("/readyz")[0] == 200, lambda: f"ready again: {bridge.get('/readyz')}")
            dropped = sum(bridge.ledger()["dropped"].values())
            send(500)
            admin_server.open()
            bridge.wait_drained()
            ledger = bridge.ledger()
            assert sum(ledger["dropped"].values()) == dropped, "with room nothing is lost"
            assert ledger["delivered"] == ledger["received"] - dropped
            assert (disk / "spool" / ".reserve").exists()
        admin_server.shut()
        numbers = [number_of(text) for text in collector.refresh() and collector.texts()]
        assert len(numbers) == len(set(numbers)) == sent - dropped
        assert set(range(sent - 500, sent)) <= set(numbers)


@pytest.mark.parametrize("megabytes", [50, pytest.param(1000, marks=pytest.mark.long)])
def test_a_backlog_drains_in_little_memory_and_the_news_come_first(tmp_path: Path, megabytes: int) -> None:
    count, fresh = megabytes * 500, 20
    with collecting(tmp_path) as collector:
        admin_server = Gate(collector.port)
        with bridging(tmp_path, admin_server.url) as bridge:
            bridge.configuration["collector"] |= {"connections_per_intake": 1, "max_request_rate": 10}
            bridge.configuration["batch"] |= {"max_bytes": "1MB"}
            bridge.start()
            send_lines(bridge.tcp, padded(range(count), 2000))
            bridge.wait_received(count)
            until(lambda: state(bridge, "all")["oldest_seconds"] > 12, "the backlog is one")  # type: ignore[operator]
            admin_server.open()
            until(collector.refresh, lambda: f"it drains: {bridge.status()}")
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
        admin_server.shut()
        numbers = [number_of(event.text) for event in collector.arrived]
        assert sorted(numbers) == list(range(count + fresh))
        last_of_fresh = max(i for i, number in enumerate(numbers) if number >= count)
        assert last_of_fresh < len(numbers) - count // 5, "the news waited for the backlog"
