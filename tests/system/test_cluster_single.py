"""Tests a bridge that cannot reach its brokers: it delivers alone and reports it. `sh tests/cluster` uses real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.harness.cli import cli
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines

SECRET = "a-secret-that-nobody-sees"


def broker_options(directory: Path, port: int, **terms: object) -> dict[str, Any]:
    password = directory / "password"
    password.write_text(f"{SECRET}\n")
    return {
        "amqp": f"amqp://127.0.0.1:{port}", "username": "bridge", "password": {"file": str(password)},
        "fallback_after": "1s",
    } | terms  # fmt: skip


def test_bridge_without_broker_delivers_alone(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration["cluster"] = broker_options(tmp_path, free_port())
        bridge.start()
        send_lines(bridge.tcp, [b"<13>message %d" % i for i in range(1000)])
        collector.wait_for(1000)
        bridge.wait_drained()
        status = bridge.status()
        assert status["ledger"]["delivered"] == 1000 and status["ledger"]["handed_over"] == 0
        assert status["fleet"]["alone"] == ["all"] and not status["fleet"]["broker_up"]
        until(
            lambda: "Connection refused" in bridge.status()["headline"]["text"], "status reports the refused connection"
        )
        assert "shared backlog: no broker answers" in cli(bridge, "status", "--sources").stdout
        metrics = bridge.get("/metrics")[1].decode()
        assert "syslog_bridge_fleet_broker_up 0.0" in metrics and "syslog_bridge_fleet_alone 1.0" in metrics
        assert bridge.get("/readyz")[0] == 200
        assert bridge.process is not None and SECRET not in bridge.process.stderr + cli(bridge, "config", "show").stdout


def test_gateway_without_broker_keeps_its_backlog_over_a_restart(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration["cluster"] = broker_options(tmp_path, free_port(), role="gateway")
        bridge.start()
        send_lines(bridge.tcp, [b"<13>message %d" % i for i in range(1000)])
        bridge.wait_received(1000)
        until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", "intake waits for a broker")
        bridge.stop()
        bridge.start()
        assert bridge.ledger()["recovered"] == bridge.ledger()["spooled"] == 1000
        assert not collector.refresh()
        # Without `cluster` it delivers what it had kept for others.
        bridge.stop()
        bridge.configuration["cluster"] = None
        bridge.start()
        assert len(collector.wait_for(1000)) == 1000
        assert bridge.status()["possible_duplicates"] == {}


def test_cluster_needs_restart_to_change_but_its_password_only_a_reload(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        port = free_port()
        bridge.configuration["cluster"] = broker_options(tmp_path, port)
        bridge.start()
        bridge.configuration["cluster"] = broker_options(tmp_path, port, queue_prefix="other")
        stderr = cli(bridge, "reload", code=1).stderr
        assert "cluster.queue_prefix cannot change while the bridge runs" in stderr
        bridge.configuration["cluster"] = None
        assert "needs restart" in cli(bridge, "reload", code=1).stderr
        bridge.configuration["cluster"] = broker_options(tmp_path, port)
        (tmp_path / "password").write_text("another\n")
        cli(bridge, "reload")
        intakes = bridge.configuration["intakes"]
        bridge.configuration["intakes"] = intakes | {"second": intakes["all"]}
        cli(bridge, "reload")
        assert [each["intake"] for each in bridge.status()["fleet"]["queues"]] == ["all", "second"]
