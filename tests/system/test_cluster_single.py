"""A bridge whose brokers are away: it goes on by itself, says so, and its share changes only with a restart. With real
brokers `sh tests/cluster` goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.harness.bridge import Bridge
from tests.harness.cli import cli
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting
from tests.harness.send import send_lines

SECRET = "a-secret-that-nobody-sees"


def share(directory: Path, port: int, **terms: object) -> dict[str, Any]:
    password = directory / "password"
    password.write_text(f"{SECRET}\n")
    return {
        "amqp": f"amqp://127.0.0.1:{port}", "username": "bridge", "password": {"file": str(password)},
        "alone_after": "1s",
    } | terms  # fmt: skip


def spooling(bridge: Bridge, shared: dict[str, Any] | None) -> dict[str, Any]:
    own = {"directory": str(bridge.spool)}
    return {"spool": own if shared is None else own | {"share": shared}}


def test_without_a_broker_a_bridge_delivers_by_itself(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration |= spooling(bridge, share(tmp_path, free_port()))
        bridge.start()
        send_lines(bridge.tcp, [b"<13>message %d" % i for i in range(1000)])
        collector.wait_for(1000)
        bridge.wait_drained()
        status = bridge.status()
        assert status["ledger"]["delivered"] == 1000 and status["ledger"]["handed_over"] == 0
        assert status["fleet"]["alone"] == ["all"] and not status["fleet"]["broker_up"]
        until(lambda: "Connection refused" in bridge.status()["headline"]["text"], "the trouble is told")
        assert "shared backlog: no broker answers" in cli(bridge, "status").stdout
        metrics = bridge.get("/metrics")[1].decode()
        assert "syslog_bridge_fleet_broker_up 0.0" in metrics and "syslog_bridge_fleet_alone 1.0" in metrics
        assert bridge.get("/readyz")[0] == 200
        assert bridge.process is not None and SECRET not in bridge.process.stderr + cli(bridge, "config", "show").stdout


def test_a_gateway_keeps_what_it_has_over_a_restart(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.configuration |= spooling(bridge, share(tmp_path, free_port(), role="gateway"))
        bridge.start()
        send_lines(bridge.tcp, [b"<13>message %d" % i for i in range(1000)])
        bridge.wait_received(1000)
        until(lambda: bridge.status()["intakes"][0]["state"] == "backing-off", "it waits for a broker")
        bridge.stop()
        bridge.start()
        assert bridge.ledger()["recovered"] == bridge.ledger()["spooled"] == 1000
        assert not collector.refresh()
        # Without a share it delivers what it had kept for others.
        bridge.stop()
        bridge.configuration |= spooling(bridge, None)
        bridge.start()
        assert len(collector.wait_for(1000)) == 1000
        assert bridge.status()["possible_duplicates"] == {}


def test_a_share_changes_with_a_restart_but_its_password_does_not_need_one(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        port = free_port()
        bridge.configuration |= spooling(bridge, share(tmp_path, port))
        bridge.start()
        bridge.configuration |= spooling(bridge, share(tmp_path, port, queue_prefix="other"))
        said = cli(bridge, "reload", code=1).stderr
        assert "spool.share.queue_prefix cannot change while the bridge runs" in said
        bridge.configuration |= spooling(bridge, None)
        assert "needs restart" in cli(bridge, "reload", code=1).stderr
        bridge.configuration |= spooling(bridge, share(tmp_path, port))
        (tmp_path / "password").write_text("another\n")
        cli(bridge, "reload")
        intakes = bridge.configuration["intakes"]
        bridge.configuration["intakes"] = intakes | {"second": intakes["all"]}
        cli(bridge, "reload")
        assert [each["intake"] for each in bridge.status()["fleet"]["queues"]] == ["all", "second"]
