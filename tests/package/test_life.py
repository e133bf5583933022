"""Tests the package on a fresh machine: installed, run by its unit, upgraded, removed, purged."""

from __future__ import annotations

import http.client
import re
import socket
from pathlib import Path

import pytest

from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.package.conftest import version_of
from tests.package.machine import Machine
from tests.package.manager import UnitManager, free_low_port

KEY = "abcdefgh12345678"


def configure(machine: Machine, collector: Collector, *, udp: int, tcp: int, more: str = "") -> None:
    """Configures the bridge as a user would: runs setup, then adds what it does not ask for."""
    machine.run(
        "syslog-bridge", "setup", "--non-interactive", "--key-file", "-", "--region", collector.url, "--send-test",
        "--listen", f"udp://127.0.0.1:{udp} tcp://127.0.0.1:{tcp}", stdin=KEY,
    )  # fmt: skip
    file = machine.root / "etc/syslog-bridge/bridge.yaml"
    file.write_text(f"{file.read_text()}\nadmin: {{listen: 127.0.0.1:{free_port()}}}\n{more}")
    machine.run("syslog-bridge", "check")


@pytest.fixture
def collector(tmp_path: Path):
    one = Collector(tmp_path / "collector", keys=(KEY,))
    one.start()
    yield one
    one.kill()


@pytest.fixture
def manager(machine: Machine, package: Path):
    machine.install(package)
    one = UnitManager(machine)
    yield one
    one.close()


def texts(collector: Collector) -> list[str]:
    collector.refresh()
    return [event.text for event in collector.arrived]


def test_package_installs_runs_and_purges_without_a_trace(machine, package, collector):
    before = machine.files()
    output = machine.install(package)
    assert "sudo syslog-bridge setup" in output
    manager = UnitManager(machine)
    port = free_low_port()
    try:
        configure(machine, collector, udp=port, tcp=port)
        manager.start()
        assert machine.run("ps", "-o", "user:32=", "-p", str(manager.pid)).strip() == "syslog-bridge"
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(b"<13>Nov 25 10:00:00 host app: over tcp\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(b"<13>Nov 25 10:00:00 host app: over udp", ("127.0.0.1", port))
        until(
            lambda: {"over tcp", "over udp"} <= set(texts(collector)), lambda: f"{texts(collector)} {manager.journal}"
        )
        assert "delivering" in machine.run("syslog-bridge", "status") or "idle" in machine.run(
            "syslog-bridge", "status"
        )
        # Every user may run the program; only its own user and root may read the keys.
        assert "Permission denied" in machine.run(
            "setpriv", "--reuid=nobody", "--clear-groups", "cat", "/etc/syslog-bridge/keys/all", code=1
        )
        manager.reload()
        assert manager.stop() == 0
    finally:
        manager.close()
    machine.run("dpkg", "-r", "syslog-bridge")
    assert (machine.root / "etc/syslog-bridge/keys/all").exists()
    machine.run("dpkg", "-P", "syslog-bridge")
    assert machine.files() - before == set()
    assert before - machine.files() == set()
    assert machine.run("getent", "passwd", "syslog-bridge", code=2) == ""


def test_upgrade_and_rollback_keep_administrator_changes(machine, package, newer_package):
    machine.install(package)
    default = machine.root / "etc/default/syslog-bridge"
    default.write_text("TOKEN=mine\n")
    keys = machine.root / "etc/syslog-bridge/keys"
    (keys / "all").write_text(KEY)
    keys.chmod(0o700)
    machine.install(newer_package)
    assert default.read_text() == "TOKEN=mine\n"
    assert (keys / "all").read_text() == KEY
    assert keys.stat().st_mode & 0o777 == 0o700
    assert version_of(newer_package) in machine.run("dpkg-query", "-W", "syslog-bridge")
    machine.install(package)  # and back
    assert version_of(package) in machine.run("dpkg-query", "-W", "syslog-bridge")
    assert (default.read_text(), (keys / "all").read_text()) == ("TOKEN=mine\n", KEY)


def test_unit_starts_only_with_a_configuration(manager):
    assert manager.unit.get("Unit", "ConditionPathExists") == "/etc/syslog-bridge/bridge.yaml"


def test_unit_does_not_restart_after_a_configuration_error(machine, manager):
    (machine.root / "etc/syslog-bridge/bridge.yaml").write_text("listeners: [{udp: 514}\n")
    output = machine.run("syslog-bridge", "run", code=int(manager.service("RestartPreventExitStatus")))
    assert "/etc/syslog-bridge/bridge.yaml:1:" in output


# Stands in for systemd, which does not run in a chroot: the service is active, and each command is recorded.
SYSTEMCTL = """#!/bin/sh
echo "$@" >>/tmp/systemctl
case "$*" in *is-enabled*) echo enabled ;; *is-active*) echo active ;; esac
"""


def test_upgrade_restarts_only_with_a_configuration_that_the_new_version_accepts(
    machine, package, newer_package, collector
):
    machine.install(package)
    configure(machine, collector, udp=free_port(), tcp=free_port())
    stub = machine.root / "usr/bin/systemctl"
    stub.unlink(missing_ok=True)
    stub.write_text(SYSTEMCTL)
    stub.chmod(0o755)
    (machine.root / "run/systemd/system").mkdir(parents=True)
    file, commands = machine.root / "etc/syslog-bridge/bridge.yaml", machine.root / "tmp/systemctl"
    accepted = file.read_text()
    file.write_text(f"{accepted}\nno_such_key: 1\n")
    output = machine.install(newer_package)
    line = accepted.count("\n") + 2
    assert f"/etc/syslog-bridge/bridge.yaml:{line}:1: " in output
    assert "the new version does not accept the configuration" in output
    assert "sudo syslog-bridge check && sudo systemctl restart syslog-bridge" in output
    assert not re.search("(stop|restart)", commands.read_text()), commands.read_text()
    file.write_text(accepted)
    output = machine.install(package)  # and back
    assert "does not accept" not in output
    assert re.search("restart syslog-bridge.service", commands.read_text()), commands.read_text()
    assert "stop" not in commands.read_text()


def test_healthz_answers_while_the_service_runs(machine, manager, collector):
    port, admin = free_port(), free_port()
    configure(machine, collector, udp=port, tcp=port)
    file = machine.root / "etc/syslog-bridge/bridge.yaml"
    file.write_text(file.read_text().rpartition("admin:")[0] + f"admin: {{listen: 127.0.0.1:{admin}}}\n")
    manager.start()
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
