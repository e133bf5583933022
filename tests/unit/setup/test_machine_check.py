"""Tests the check of this machine: ports with their holders, and the spool's directory with the rights of its user."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bridge.config import MachineFinding, parse_text
from bridge.host.privileges import User
from bridge.listen.sockets import Holder
from bridge.setup import machine_check, service_user
from bridge.setup.machine_check import is_own, read_only_faults, sandbox_findings, spool_faults, taken_ports
from tests.harness.polling import until
from tests.harness.ports import free_port

USER = User(54_321, 54_321, (), "'#54321'")


def found_ports(tmp_path: Path, *listeners: str, admin: int = 0) -> list[tuple[MachineFinding, Holder | None]]:
    config = parse_text(
        f"collector: {{region: FRA1}}\nlisteners: [{', '.join(listeners)}]\n"
        f"intakes: {{all: {{intake_key: {'k' * 16}}}}}\nunrouted: {{intake: all}}\n"
        f"spool: {{directory: {tmp_path}}}\nadmin: {{listen: 127.0.0.1:{admin or free_port()}}}\n"
    )
    return list(taken_ports(config))


def test_port_in_use_is_found_with_its_place_and_its_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stream, socket.socket(type=socket.SOCK_DGRAM) as plain:
        plain.bind(("127.0.0.1", 0))
        tcp, udp = stream.getsockname()[1], plain.getsockname()[1]
        found = found_ports(
            tmp_path,
            f"{{udp: '127.0.0.1:{free_port()}'}}",
            f"{{tcp: '127.0.0.1:{tcp}'}}",
            f"{{udp: '127.0.0.1:{udp}'}}",
        )
        by_admin = found_ports(tmp_path, f"{{udp: '127.0.0.1:{free_port()}'}}", admin=tcp)
    assert [finding.path for finding, _ in found] == [("listeners", 1, "tcp"), ("listeners", 2, "udp")]
    assert [holder and holder.pid for _, holder in found] == [os.getpid()] * 2
    for (finding, _), kind, port in zip(found, ("tcp", "udp"), (tcp, udp), strict=True):
        assert f"{kind} port {port} is in use by " in finding.text and f"(process {os.getpid()})" in finding.text
        assert not finding.error
    ((finding, _),) = by_admin
    assert (finding.path, finding.text.split(":")[0]) == (("admin", "listen"), "admin.listen")


def test_address_of_another_machine_is_found(tmp_path: Path) -> None:
    ((finding, holder),) = found_ports(tmp_path, "{tcp: '203.0.113.9:5514'}")
    assert "this machine has no address 203.0.113.9" in finding.text
    assert holder is None


def test_free_ports_of_both_families_are_not_reported(tmp_path: Path) -> None:
    port = free_port()
    assert found_ports(tmp_path, f"{{tcp: '0.0.0.0:{port}'}}", f"{{name: six, tcp: '[::]:{port}'}}") == []


@pytest.mark.parametrize(
    ("holder", "owner", "own"),
    [
        (Holder(7, "python"), "7", True),
        (Holder(1, "systemd"), None, True),
        (Holder(7, "rsyslogd"), "8", False),
        (Holder(7, "rsyslogd"), None, False),
        (None, "unknown", True),
        (None, None, False),
    ],
)
def test_own_ports_are_those_of_the_bridge_and_of_the_service_manager(
    holder: Holder | None, owner: str | None, own: bool
) -> None:
    assert is_own(holder, owner) is own


def texts(findings: Sequence[MachineFinding]) -> list[str]:
    assert all(finding.path == ("spool", "directory") for finding in findings)
    return [finding.text for finding in findings]


def test_spool_that_its_user_cannot_write_is_an_error_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(spool_faults(tmp_path, USER)) == list(spool_faults(tmp_path / "a" / "b", USER)) == []
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (fault,) = spool_faults(tmp_path, USER)
    assert fault.error
    assert f"Run: sudo chown 54321:54321 {tmp_path} && sudo chmod u+rwx {tmp_path}." in fault.text
    (text,) = texts(list(spool_faults(tmp_path / "a" / "b", USER)))
    assert f"{tmp_path}/a/b does not exist, and user 54321 may not create it" in text
    assert f"sudo install -d -o 54321 -g 54321 -m 0750 {tmp_path}/a/b" in text


def test_spool_on_a_read_only_filesystem_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(read_only_faults(tmp_path / "spool")) == []
    mounted = os.statvfs(tmp_path)
    read_only = os.statvfs_result([*mounted[:8], mounted.f_flag | os.ST_RDONLY, mounted.f_namemax])
    monkeypatch.setattr(os, "statvfs", lambda path: read_only)
    (text,) = texts(list(read_only_faults(tmp_path / "spool")))
    assert text.startswith(f"directory: the filesystem of {tmp_path}/spool is read-only. Mount it read-write")


def test_file_in_place_of_the_spool_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (text,) = texts(list(spool_faults(tmp_path / "file" / "spool", USER)))
    assert f"{tmp_path}/file is not a directory" in text


@pytest.mark.parametrize(
    ("shown", "reported"),
    [
        ("ProtectSystem=strict\nReadWritePaths=\n", True),
        ("ProtectSystem=strict\nReadWritePaths=/srv -/opt\n", False),
        ("ProtectSystem=no\nReadWritePaths=\n", False),
    ],
)
def test_spool_outside_the_sandbox_of_the_unit_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, reported: bool
) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\nprintf '{shown}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(machine_check, "_SYSTEMD", tmp_path)
    assert list(sandbox_findings(Path("/var/lib/syslog-bridge/spool"))) == []
    found = texts(list(sandbox_findings(Path("/srv/spool"))))
    assert [("ReadWritePaths=/srv/spool" in text) for text in found] == [True] * reported


# --- the user of the service ------------------------------------------------------------------------------------------


def test_service_user_owns_the_spool_or_is_the_user_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = User(998, 998, (998,), "syslog-bridge")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(service_user, "user_named", lambda name: packaged)
    monkeypatch.setattr(service_user, "other_owner", lambda path: USER)
    assert service_user.service_user(tmp_path, packaged=True) is USER
    # Root has made the folder of the spool.
    monkeypatch.setattr(service_user, "other_owner", lambda path: None)
    assert service_user.service_user(tmp_path, packaged=True) is packaged
    assert service_user.service_user(tmp_path, packaged=False) is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert service_user.service_user(tmp_path, packaged=True) is None


def test_environments_are_those_of_the_processes_of_a_user() -> None:
    child = subprocess.Popen(["sleep", "60"], env={"SYSLOG_BRIDGE_TEST": "a = b"})
    try:
        found = service_user.environments(User(os.getuid(), os.getgid(), (), "me"))
        # Until the child runs its program, it has the environment of this process.
        until(lambda: b"SYSLOG_BRIDGE_TEST=" in Path(f"/proc/{child.pid}/environ").read_bytes(), lambda: str(found))
        found = service_user.environments(User(os.getuid(), os.getgid(), (), "me"))
    finally:
        child.kill()
        child.wait()
    assert found[str(child.pid)] == {"SYSLOG_BRIDGE_TEST": "a = b"}
    assert str(child.pid) not in service_user.environments(USER)
