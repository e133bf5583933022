"""Tests that the journal records what operators change: command, arguments, user, time and result, and no secret."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.harness.bridge import Bridge, key_of
from tests.harness.cli import cli, cli_process
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import bridging, collecting, parked_bridge
from tests.harness.send import send_lines


def actions(bridge: Bridge) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cli(bridge, "report", "--actions", "--output", "json").stdout)
    return found


def outcomes(bridge: Bridge) -> list[tuple[str, str]]:
    return [(action["command"], action["state"]) for action in actions(bridge)]


def journal(bridge: Bridge) -> str:
    return "".join(path.read_text() for path in sorted((bridge.spool / ".ledger").glob("*.jsonl")))


def test_actions_of_a_running_bridge_survive_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    with parked_bridge(tmp_path) as (_, bridge, _file):
        send_lines(bridge.tcp, [b"<13>waits"])
        bridge.wait_received(1)
        cli(bridge, "status")
        cli(bridge, "spool", "list")
        cli(bridge, "key", "set", "all", "--no-test", stdin="x" * 16)
        assert "not in the configuration" in cli(bridge, "spool", "move", "--intake", "all", "--to", "x", code=1).stderr
        cli(bridge, "spool", "purge", "--intake", "all", "--containing", "nothing like it", "--yes")
        cli(bridge, "quarantine", "retry", "--reason", "refused")
        cli(bridge, "quarantine", "purge", "--reason", "refused", "--yes")
        cli(bridge, "reload")
        bridge.kill()
        expected = [
            ("key set", "done"), ("spool move", "refused"), ("spool purge", "done"), ("quarantine retry", "done"),
            ("quarantine purge", "done"), ("reload", "done"),
        ]  # fmt: skip
        assert outcomes(bridge) == expected
        found = {action["command"]: action for action in actions(bridge)}
        assert found["key set"]["arguments"] == {"intake": "all"}
        assert "x" * 16 not in journal(bridge)
        assert found["spool purge"]["arguments"] == {"intake": "all", "containing": "nothing like it"}
        assert json.loads(found["spool purge"]["result"]) == {"purged": 0}
        assert "intake x is not in the configuration" in found["spool move"]["result"]
        assert "1 intake," in found["reload"]["result"]
        for action in found.values():
            assert (action["via"], action["uid"], action["pid"]) == ("socket", os.getuid(), os.getpid())
            assert action["said"] == {"uid": os.getuid(), "user": action["user"], "sudo_user": "alice"}
            assert action["time"] <= action["ended"]
        text = cli(bridge, "report", "--actions").stdout
        assert "spool purge intake=all containing=nothing like it: done" in text
        assert "operator actions: 6" in cli(bridge, "report").stdout
        bridge.start()


def test_action_on_a_stopped_bridge_is_recorded(tmp_path: Path) -> None:
    with parked_bridge(tmp_path) as (_, bridge, _file):
        bridge.stop()
        cli(bridge, "spool", "purge", "--intake", "all", "--yes")
        cli(bridge, "key", "set", "all", "--no-test", stdin=key_of("all") + "\n")
        cli_process(bridge, "drain")
        assert outcomes(bridge) == [("spool purge", "done"), ("key set", "done"), ("drain", "done")]
        assert {action["via"] for action in actions(bridge)} == {"files"}
        assert key_of("all") not in journal(bridge)
        bridge.start()


def test_signal_and_refused_reload_are_recorded(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url) as bridge:
        bridge.start()
        assert bridge.process is not None
        bridge.process.signal(signal.SIGHUP)
        until(lambda: outcomes(bridge) == [("reload", "done")], "the reload is recorded")
        assert actions(bridge)[0]["who"] == "unknown (SIGHUP)"
        before = bridge.configuration["admin"]["listen"]
        bridge.configuration["admin"]["listen"] = f"127.0.0.1:{free_port()}"
        bridge.write_configuration()
        bridge.process.signal(signal.SIGHUP)
        until(lambda: outcomes(bridge)[1:] == [("reload", "refused")], "the refused reload is recorded")
        assert "needs restart" in actions(bridge)[1]["result"]
        bridge.configuration["admin"]["listen"] = before
