"""Sockets that outlive the process: a service manager holds them, and a restart loses nothing that the kernel holds."""

from __future__ import annotations

import re
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.bridge import Bridge
from tests.harness.manager import Manager
from tests.harness.polling import until
from tests.harness.process import SYSLOG_BRIDGE, Process
from tests.harness.running import collecting
from tests.harness.send import tcp, udp

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def managed(directory: Path, collector_url: str, *, stores: bool = True) -> Iterator[tuple[Manager, Bridge]]:
    """A bridge that `start` has started; it is stopped at the end."""
    manager = Manager(directory / "manager", stores=stores)
    bridge = Bridge(directory / "bridge", collector_url=collector_url, intakes={"all": {}})
    bridge.configuration["batch"] = {"max_age": "200ms"}
    try:
        yield manager, bridge
    except BaseException:
        print(bridge.process.stderr if bridge.process else "not running")
        bridge.kill()
        raise
    finally:
        manager.close()
    bridge.stop()


def start(manager: Manager, bridge: Bridge, **environment: str) -> Process:
    """Start it, and wait as systemd does: until it says that it is ready."""
    argv = [SYSLOG_BRIDGE, "run", "-c", str(bridge.write_configuration())]
    bridge.process = process = manager.launch(argv, directory=bridge.directory, environment=environment)
    process.wait_until(lambda: "READY=1" in manager.listen(), "READY=1")
    return process


def restart(manager: Manager, bridge: Bridge) -> None:
    assert bridge.process is not None
    assert bridge.process.terminate() == 0, bridge.process.stderr
    said = manager.listen()
    assert "STOPPING=1" in said
    start(manager, bridge)


def flood_and_restart(directory: Path, *, rate: int, restarts: int) -> None:
    """No datagram of a steady flood is lost, whatever restarts meanwhile."""
    with collecting(directory) as collector, managed(directory, collector.url) as (manager, bridge):
        bridge.configuration["listeners"][0]["receive_buffer"] = "512MiB"
        start(manager, bridge)
        flood = Process(
            [sys.executable, "-m", "tests.harness.blaster", str(bridge.udp), str(rate)],
            directory=directory, name="flood", env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        for _ in range(restarts):
            # Under way before each, and with room for what comes while nobody reads: what the kernel cannot hold, it
            # loses, and on a busy machine a start takes a while.
            bridge.wait_received(rate // 20)
            until(
                lambda: kernel_holds(manager) < 32 << 20, lambda: f"read: {kernel_holds(manager)}", deadline_seconds=240
            )
            restart(manager, bridge)
            assert bridge.status()["kernel_drops"] == {"udp": 0}, "the kernel could hold it all"
        bridge.wait_received(rate)
        assert flood.terminate() == 0, flood.stderr
        count = int(flood.stdout)
        until(
            lambda: len(collector.refresh()) >= count,
            lambda: f"{count} of the flood: {len(collector.arrived)} arrived; {bridge.status()}",
            deadline_seconds=240,
        )
        bridge.wait_drained()
        arrived = Counter(int(found[1]) for text in collector.texts() if (found := re.match(r"number (\d+) ", text)))
        assert len(arrived) == count, f"{count - len(arrived)} lost"
        assert set(arrived) == set(range(count))


def kernel_holds(manager: Manager) -> int:
    """Bytes that wait in the UDP socket's buffer (SO_MEMINFO, SK_MEMINFO_RMEM_ALLOC)."""
    manager.listen()  # what is not heard fills the manager's own queue
    counters = struct.unpack("9I", manager.held["udp"].getsockopt(socket.SOL_SOCKET, 55, 36))
    return int(counters[0])


def test_no_datagram_is_lost_by_a_restart(tmp_path: Path) -> None:
    flood_and_restart(tmp_path, rate=2_000, restarts=2)


@pytest.mark.long
def test_no_datagram_is_lost_by_ten_restarts_under_20_000_a_second(tmp_path: Path) -> None:
    flood_and_restart(tmp_path, rate=20_000, restarts=10)


def test_what_waits_while_nobody_runs_is_received_then(tmp_path: Path) -> None:
    """Datagrams and connections between two lives; also after a kill, whose sockets the manager holds as well."""
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url) as (manager, bridge):
        process = start(manager, bridge)
        for mark in ("terminate", "kill"):
            bridge.wait_drained()
            getattr(process, mark)()
            with udp() as origin, tcp(bridge.tcp) as connection:
                origin.sendto(f"<13>Nov 24 00:00:00 gw app: datagram {mark}".encode(), ("127.0.0.1", bridge.udp))
                connection.sendall(f"<13>Nov 24 00:00:00 gw app: line {mark}\n".encode())
            process = start(manager, bridge)
            # By text: what was accepted just before a kill may come again.
            waited = {f"datagram {mark}", f"line {mark}"}
            until(
                lambda waited=waited: collector.refresh() and waited <= set(collector.texts()),
                lambda: f"what waited has come: {collector.texts()}",
            )
            assert "listener udp: reuses the socket that the service manager passed" in process.stderr


def test_the_configuration_says_where_ports_are(tmp_path: Path) -> None:
    """A socket for a port that is not in it any more is closed, and the manager told; a renamed listener keeps its."""
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url) as (manager, bridge):
        start(manager, bridge)
        assert set(manager.held) == {"udp", "tcp"}
        gone = bridge.tcp
        bridge.configuration["listeners"][0]["name"] = "datagrams: all"
        del bridge.configuration["listeners"][1]
        restart(manager, bridge)
        assert bridge.process is not None
        stderr = bridge.process.stderr
        assert f"the socket tcp (stream, 127.0.0.1 port {gone}) was inherited, but no listener" in stderr
        until(lambda: manager.listen() and set(manager.held) == {"datagrams%3A all"}, lambda: str(set(manager.held)))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", gone), timeout=5).close()


def test_a_manager_without_a_store_and_a_socket_unit(tmp_path: Path) -> None:
    """Sockets that a socket unit opened are taken by their address, whatever its name for them."""
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url, stores=False) as (manager, bridge):
        with socket.create_server(("127.0.0.1", bridge.tcp)) as unit:
            manager.held["syslog-bridge.socket"] = unit
            process = start(manager, bridge, WATCHDOG_USEC="900000")
            manager.held.clear()
        with tcp(bridge.tcp) as connection:
            connection.sendall(b"<13>Nov 24 00:00:00 gw app: by the unit's socket\n")
        collector.wait_for(1)
        process.wait_until(lambda: manager.listen().count("WATCHDOG=1") >= 3, "it says that it lives")
        assert any(line.startswith("STATUS=1 received") for line in manager.said)
        process.signal(signal.SIGHUP)
        process.wait_until(lambda: manager.listen().count("READY=1") == 2, "ready again after SIGHUP")
        said = [line for line in manager.said if line in ("READY=1", "RELOADING=1")]
        assert said == ["READY=1", "RELOADING=1", "READY=1"]


def test_each_loss_is_counted_once_whoever_runs(tmp_path: Path) -> None:
    """The kernel counts what a socket lost from its first day; each life counts what was lost since the one before."""
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url) as (manager, bridge):
        bridge.configuration["listeners"][0]["receive_buffer"] = "8KiB"
        process = start(manager, bridge)

        def lost() -> int:
            return int(bridge.status()["kernel_drops"]["udp"])

        assert lost() == 0
        assert process.terminate() == 0
        with udp() as origin:
            for _ in range(500):
                origin.sendto(b"<13>more than the buffer holds", ("127.0.0.1", bridge.udp))
        start(manager, bridge)
        until(lambda: lost() + bridge.ledger()["received"] == 500, lambda: str(bridge.status()))
        assert lost() > 100
        restart(manager, bridge)
        assert lost() == 0


def test_a_reload_tells_the_manager_what_to_hold(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url) as (manager, bridge):
        process = start(manager, bridge)
        bridge.configuration["listeners"][0]["name"] = "renamed"
        del bridge.configuration["listeners"][1]
        bridge.write_configuration()
        process.signal(signal.SIGHUP)
        process.wait_until(lambda: manager.listen().count("READY=1") == 2, "ready again after SIGHUP")
        assert set(manager.held) == {"renamed"}
        restart(manager, bridge)
        assert bridge.status()["listeners"] == {"renamed": bridge.udp}
