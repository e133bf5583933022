"""Tests that a rejected sender, its end by a reload, and health checks are shown alike by `why`, status and metrics."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from tests.harness.bridge import Bridge
from tests.harness.pki import Authority
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE
from tests.harness.running import bridging, collecting
from tests.harness.send import tcp

SENDER = "127.0.5.7"


def run_command(bridge: Bridge, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SYSLOG_BRIDGE, *arguments, "-c", str(bridge.file)], capture_output=True, text=True, timeout=120
    )


def metric(bridge: Bridge, name: str) -> float:
    lines = bridge.get("/metrics")[1].decode().splitlines()
    return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"syslog_bridge_{name} ")))


def send_plain_text(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=120, source_address=(SENDER, 0)) as sender:
        sender.sendall(b"<13>plain text\n")
        try:
            sender.recv(1)
        except ConnectionResetError:
            pass


def rejected(bridge: Bridge) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = bridge.status()["rejected_sources"]
    return rows


def problems(bridge: Bridge) -> list[dict[str, Any]]:
    return [each for each in bridge.status()["headline"]["problems"] if each["kind"] == "rejected"]


def test_rejected_sender_is_shown_until_a_reload_fixes_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    issued = authority.issue("localhost")
    port = free_port()
    path = tmp_path / "log"
    secure = {"name": "secure", "tls": f"127.0.0.1:{port}", "cert_file": str(issued.certificate),
              "key_file": str(issued.private_key)}  # fmt: skip
    with (
        collecting(tmp_path) as collector,
        bridging(tmp_path, collector.url, routes=[{"intake": "fw"}], intakes={"fw": {}}) as bridge,
    ):
        bridge.configuration["listeners"] += [secure, {"name": "local", "unix_datagram": str(path)}]
        bridge.configuration["sources"] = [{"source": SENDER, "name": "fw-lyon"}]
        bridge.start()
        assert_health_checks_are_not_rejections(bridge, port, str(authority.ca))
        for _ in range(4):
            send_plain_text(port)
        until(lambda: sum(row["count"] for row in rejected(bridge)) == 4, "the status counts the rejections")
        (row,) = rejected(bridge)
        assert (row["address"], row["name"], row["listener"], row["reason"]) == (
            SENDER,
            "fw-lyon",
            "secure",
            "plain_text",
        )
        (problem,) = problems(bridge)
        assert problem["text"] == f"Listener secure rejects fw-lyon ({SENDER}): plain text on a TLS port, 4 times"
        assert "use TLS" in problem["remedy"]
        assert metric(bridge, 'problems{kind="rejected",state="degraded"}') == 1
        assert metric(bridge, 'connections_refused_total{listener="secure",reason="plain_text"}') == 4
        for sender in (SENDER, "fw-lyon"):
            found = run_command(bridge, "why", sender).stdout
            assert (
                f"{SENDER}: rejected by listener secure: plain text on a TLS port, 4 times, last at {row['last']}"
                in found
            )
        nagios = run_command(bridge, "status", "--output", "nagios")
        assert nagios.returncode == 1
        assert nagios.stdout.startswith(f"SYSLOG-BRIDGE WARNING - {problem['text']}")

        # A listener of another kind on the same port takes what the sender sends.
        bridge.configuration["listeners"][-2] = {"name": "secure", "tcp": f"127.0.0.1:{port}"}
        bridge.write_configuration()
        assert run_command(bridge, "reload").returncode == 0
        assert len(rejected(bridge)) == 1, "the sender has not sent since"
        with tcp(port, source=SENDER) as sender_socket:
            sender_socket.sendall(b"<13>plain text\n")
            until(lambda: not rejected(bridge), "the sender is accepted")
        assert problems(bridge) == []
        found = run_command(bridge, "why", "fw-lyon").stdout
        assert f"{SENDER} (fw-lyon) at listener secure: healthy" in found
        assert f"until {row['last']} by listener secure: plain text on a TLS port, 4 times; accepted since" in found

        assert_unix_socket_is_explained(bridge, path)
        assert run_command(bridge, "status", "--output", "nagios").returncode == 0


def assert_health_checks_are_not_rejections(bridge: Bridge, port: int, authority: str) -> None:
    context = ssl.create_default_context(cafile=authority)
    for _ in range(3):
        socket.create_connection(("127.0.0.1", port)).close()
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost"),
    ):
        pass
    socket.create_connection(("127.0.0.1", bridge.tcp)).close()
    until(lambda: bridge.status()["health_checks"] == {"tcp": 1, "secure": 4}, "the health checks are counted")
    assert metric(bridge, 'health_checks_total{listener="secure"}') == 4
    assert sum(bridge.status()["refused_connections"].values()) == 0
    assert bridge.status()["headline"]["problems"] == []


def assert_unix_socket_is_explained(bridge: Bridge, path: Path) -> None:
    found = run_command(bridge, "why", str(path)).stdout
    assert "at listener local: nothing received" in found
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<13>app: from a program", str(path))
    until(lambda: "at listener local: healthy" in run_command(bridge, "why", "unix").stdout, "the program is shown")
