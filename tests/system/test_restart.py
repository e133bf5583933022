"""Tests restarts with sockets that a service manager stores: nothing that the kernel has queued is lost."""

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
from tests.harness.manager import ServiceManager
from tests.harness.polling import until
from tests.harness.process import SYSLOG_BRIDGE, Process
from tests.harness.running import collecting
from tests.harness.send import tcp, udp

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def managed(directory: Path, collector_url: str, *, fd_store: bool = True) -> Iterator[tuple[ServiceManager, Bridge]]:
    """Yields a service manager and a bridge for `start`; the bridge is stopped at the end."""
    manager = ServiceManager(directory / "manager", fd_store=fd_store)
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


def start(manager: ServiceManager, bridge: Bridge, **environment: str) -> Process:
    """Starts the bridge and waits for READY=1, as systemd does."""
    argv = [SYSLOG_BRIDGE, "run", "-c", str(bridge.write_configuration())]
    bridge.process = process = manager.launch(argv, directory=bridge.directory, environment=environment)
    process.wait_until(lambda: "READY=1" in manager.receive(), "READY=1")
    return process


def restart(manager: ServiceManager, bridge: Bridge) -> None:
    assert bridge.process is not None
    assert bridge.process.terminate() == 0, bridge.process.stderr
    notifications = manager.receive()
    assert "STOPPING=1" in notifications
    start(manager, bridge)


def flood_and_restart(directory: Path, *, rate: int, restarts: int) -> None:
    """Asserts that restarts lose no datagram of a steady flood."""
    with collecting(directory) as collector, managed(directory, collector.url) as (manager, bridge):
        bridge.configuration["listeners"][0]["receive_buffer"] = "512MiB"
        start(manager, bridge)
        flood = Process(
            [sys.executable, "-m", "tests.harness.blaster", str(bridge.udp), str(rate)],
            directory=directory, name="flood", env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        for _ in range(restarts):
            # Before each restart, the flood is running and the socket buffer has room for what arrives meanwhile: the
            # kernel drops what does not fit, and on a busy machine a start takes a while.
            bridge.wait_received(rate // 20)
            until(
                lambda: unread_bytes(manager) < 32 << 20,
                lambda: f"datagrams are read: {unread_bytes(manager)}",
                deadline_seconds=240,
            )
            restart(manager, bridge)
            assert bridge.status()["kernel_drops"] == {"udp": 0}, "the kernel dropped datagrams"
        bridge.wait_received(rate)
        assert flood.terminate() == 0, flood.stderr
        count = int(flood.stdout)
        until(
            lambda: len(collector.refresh()) >= count,
            lambda: f"{count} datagrams: {len(collector.arrived)} arrived; {bridge.status()}",
            deadline_seconds=240,
        )
        bridge.wait_drained()
        arrived = Counter(int(found[1]) for text in collector.texts() if (found := re.match(r"number (\d+) ", text)))
        assert len(arrived) == count, f"{count - len(arrived)} lost"
        assert set(arrived) == set(range(count))


def unread_bytes(manager: ServiceManager) -> int:
    """Returns the bytes in the UDP socket's receive buffer (SO_MEMINFO, SK_MEMINFO_RMEM_ALLOC)."""
    manager.receive()  # unread notifications would fill the manager's socket
    counters = struct.unpack("9I", manager.stored["udp"].getsockopt(socket.SOL_SOCKET, 55, 36))
    return int(counters[0])


def test_restart_loses_no_datagram(tmp_path: Path) -> None:
    flood_and_restart(tmp_path, rate=2_000, restarts=2)


@pytest.mark.long
def test_ten_restarts_at_20_000_datagrams_a_second_lose_none(tmp_path: Path) -> None:
    flood_and_restart(tmp_path, rate=20_000, restarts=10)


def test_data_sent_while_the_bridge_is_down_is_received_later(tmp_path: Path) -> None:
    """Datagrams and connections between two process runs are received; also after a kill, as the sockets are stored."""
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url) as (manager, bridge):
        process = start(manager, bridge)
        for mark in ("terminate", "kill"):
            bridge.wait_drained()
            getattr(process, mark)()
            with udp() as origin, tcp(bridge.tcp) as connection:
                origin.sendto(f"<13>Nov 24 00:00:00 gw app: datagram {mark}".encode(), ("127.0.0.1", bridge.udp))
                connection.sendall(f"<13>Nov 24 00:00:00 gw app: line {mark}\n".encode())
            process = start(manager, bridge)
            # By text: events accepted just before a kill may arrive again.
            waited = {f"datagram {mark}", f"line {mark}"}
            until(
                lambda waited=waited: collector.refresh() and waited <= set(collector.texts()),
                lambda: f"data of the downtime has arrived: {collector.texts()}",
            )
            assert "listener udp: reuses the socket that the service manager passed" in process.stderr


def test_inherited_socket_without_a_listener_is_closed(tmp_path: Path) -> None:
    """A stored socket whose port is no longer configured is closed and removed; a renamed listener keeps its socket."""
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url) as (manager, bridge):
        start(manager, bridge)
        assert set(manager.stored) == {"udp", "tcp"}
        gone = bridge.tcp
        bridge.configuration["listeners"][0]["name"] = "datagrams: all"
        del bridge.configuration["listeners"][1]
        restart(manager, bridge)
        assert bridge.process is not None
        stderr = bridge.process.stderr
        assert f"the socket tcp (stream, 127.0.0.1 port {gone}) was inherited, but no listener" in stderr
        until(
            lambda: manager.receive() and set(manager.stored) == {"datagrams%3A all"}, lambda: str(set(manager.stored))
        )
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", gone), timeout=5).close()


def test_sockets_of_a_socket_unit_are_matched_by_address(tmp_path: Path) -> None:
    """The bridge uses the sockets of a socket unit by their address, whatever their names."""
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url, fd_store=False) as (manager, bridge):
        with socket.create_server(("127.0.0.1", bridge.tcp)) as unit:
            manager.stored["syslog-bridge.socket"] = unit
            process = start(manager, bridge, WATCHDOG_USEC="900000")
            manager.stored.clear()
        with tcp(bridge.tcp) as connection:
            connection.sendall(b"<13>Nov 24 00:00:00 gw app: by the unit's socket\n")
        collector.wait_for(1)
        process.wait_until(lambda: manager.receive().count("WATCHDOG=1") >= 3, "three watchdog notifications")
        # Those may all be older than the event.
        process.wait_until(
            lambda: any(line.startswith("STATUS=1 received") for line in manager.receive()), "a status with the event"
        )
        process.signal(signal.SIGHUP)
        process.wait_until(lambda: manager.receive().count("READY=1") == 2, "ready again after SIGHUP")
        states = [line for line in manager.notifications if line in ("READY=1", "RELOADING=1")]
        assert states == ["READY=1", "RELOADING=1", "READY=1"]


def test_kernel_drops_are_counted_once_over_restarts(tmp_path: Path) -> None:
    """The kernel counts drops since a socket was opened; each process run reports only those since the run before."""
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url) as (manager, bridge):
        bridge.configuration["listeners"][0]["receive_buffer"] = "8KiB"
        process = start(manager, bridge)

        def drops() -> int:
            return int(bridge.status()["kernel_drops"]["udp"])

        assert drops() == 0
        assert process.terminate() == 0
        with udp() as origin:
            for _ in range(500):
                origin.sendto(b"<13>more than the buffer holds", ("127.0.0.1", bridge.udp))
        start(manager, bridge)
        until(lambda: drops() + bridge.ledger()["received"] == 500, lambda: str(bridge.status()))
        assert drops() > 100
        restart(manager, bridge)
        assert drops() == 0


def test_reload_updates_the_stored_sockets(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, managed(tmp_path, collector.url) as (manager, bridge):
        process = start(manager, bridge)
        bridge.configuration["listeners"][0]["name"] = "renamed"
        del bridge.configuration["listeners"][1]
        bridge.write_configuration()
        process.signal(signal.SIGHUP)
        process.wait_until(lambda: manager.receive().count("READY=1") == 2, "ready again after SIGHUP")
        assert set(manager.stored) == {"renamed"}
        restart(manager, bridge)
        assert bridge.status()["listeners"] == {"renamed": bridge.udp}
