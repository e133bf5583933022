"""Tests that a start which cannot succeed prints one line with the place of the fault.

It exits with 2 after a configuration error, after which the unit does not restart, and with 1 after any other fault.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.harness.bridge import Bridge
from tests.harness.manager import ServiceManager
from tests.harness.polling import DEADLINE_SECONDS, until
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE, Process

# The place of a configuration fault, somewhere in the error line.
PLACE = re.compile(r"bridge\.yaml:(\d+):(\d+)")


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    bridge = Bridge(tmp_path / "bridge", collector_url=f"http://127.0.0.1:{free_port()}", intakes={"all": {}})
    yield bridge
    bridge.kill()


def error_line(process: Process, code: int = 2) -> str:
    """Waits for an exit code and returns the only line on stderr."""
    found = process.wait(DEADLINE_SECONDS)
    stderr = process.stderr
    assert found == code, f"exit code {found}; stderr:\n{stderr}"
    assert "Traceback" not in stderr, stderr
    lines = [line for line in stderr.splitlines() if line.strip()]
    assert len(lines) == 1, f"{len(lines)} lines:\n{stderr}"
    return lines[0]


def line_of(file: Path, text: str) -> int:
    """Returns the number of the first line that contains `text`."""
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


@contextmanager
def occupied(kind: socket.SocketKind, port: int) -> Iterator[None]:
    """Occupies the port from the test process."""
    with socket.socket(socket.AF_INET, kind) as blocker:
        if kind == socket.SOCK_STREAM:
            # As `free_port` does: connections of an earlier process may still end on the port.
            blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        blocker.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            blocker.listen()
        yield


@pytest.mark.parametrize("name", ["tcp", "udp", "admin"])
def test_port_in_use_is_reported_with_its_process(bridge: Bridge, name: str) -> None:
    port = {"tcp": bridge.tcp, "udp": bridge.udp, "admin": bridge.admin}[name]
    with occupied(socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM, port):
        line = error_line(bridge.launch(), 1)
    assert str(port) in line
    # Both processes have the same user, so /proc shows the owner of the port.
    assert str(os.getpid()) in line, f"does not name process {os.getpid()}: {line}"


def test_failed_start_tells_the_service_manager_that_the_process_stops(bridge: Bridge, tmp_path: Path) -> None:
    manager = ServiceManager(tmp_path / "manager")
    with closing(manager), occupied(socket.SOCK_STREAM, bridge.tcp):
        argv = [SYSLOG_BRIDGE, "run", "-c", str(bridge.write_configuration())]
        error_line(manager.launch(argv, directory=bridge.directory), 1)
        notifications = manager.receive()
    assert "STOPPING=1" in notifications
    assert "READY=1" not in notifications


def test_unwritable_spool_directory_is_reported(bridge: Bridge, tmp_path: Path) -> None:
    # A path below a regular file: not even root can write there.
    obstacle = tmp_path / "obstacle"
    obstacle.touch()
    spool = obstacle / "spool"
    bridge.configuration["spool"]["directory"] = str(spool)
    assert str(obstacle) in error_line(bridge.launch(), 1)


def test_spool_of_a_running_bridge_is_not_opened_twice(bridge: Bridge) -> None:
    bridge.start()
    second = Bridge(bridge.directory / "second", collector_url="http://127.0.0.1:9", intakes={"all": {}})
    second.configuration["spool"] = bridge.configuration["spool"]
    assert str(bridge.spool) in error_line(second.launch(), 1)
    assert bridge.get("/readyz")[0] == 200


def test_spool_without_its_lock_file_is_not_opened_twice(bridge: Bridge) -> None:
    bridge.start()
    second = Bridge(bridge.directory / "second", collector_url="http://127.0.0.1:9", intakes={"all": {}})
    second.configuration["spool"] = bridge.configuration["spool"]
    (bridge.spool / "lock").unlink()
    assert str(bridge.spool) in error_line(second.launch(), 1)
    (bridge.spool / "lock").unlink(missing_ok=True)
    assert bridge.process is not None
    owner = f"{bridge.process.pid}\n"
    until(lambda: (bridge.spool / "lock").exists() and (bridge.spool / "lock").read_text() == owner, "it is made again")
    assert f"in use by process {owner.strip()}" in error_line(second.launch(), 1)
    assert bridge.get("/readyz")[0] == 200


def test_missing_key_file_is_reported_with_its_place(bridge: Bridge) -> None:
    missing = bridge.directory / "keys" / "nowhere"
    bridge.configuration["intakes"]["all"]["intake_key"]["file"] = str(missing)
    line = error_line(bridge.launch())
    place = PLACE.search(line)
    assert place, line
    assert str(missing) in line
    assert int(place[1]) in (line_of(bridge.file, "intake_key:"), line_of(bridge.file, str(missing)))


def test_unknown_option_is_reported_with_a_suggestion(bridge: Bridge) -> None:
    bridge.configuration["listeners"][0]["recieve_buffer"] = "16MiB"
    line = error_line(bridge.launch())
    place = PLACE.search(line)
    assert place, line
    assert int(place[1]) == line_of(bridge.file, "recieve_buffer")
    assert "receive_buffer" in line, f"does not suggest the right option: {line}"


def test_yaml_error_is_reported_with_its_line(bridge: Bridge) -> None:
    bridge.file.write_text('collector: {region: FRA1}\nlisteners:\n  - {udp: "*:514"\nintakes: {}\n')
    line = error_line(
        Process([SYSLOG_BRIDGE, "run", "-c", str(bridge.file)], directory=bridge.directory, name="bridge")
    )
    place = PLACE.search(line)
    assert place, line
    # The bracket opens in line 3; a parser may see that in line 4 only.
    assert int(place[1]) in (3, 4)


def test_missing_configuration_file_is_reported(bridge: Bridge) -> None:
    nowhere = bridge.directory / "nowhere.yaml"
    line = error_line(Process([SYSLOG_BRIDGE, "run", "-c", str(nowhere)], directory=bridge.directory, name="bridge"))
    assert str(nowhere) in line
