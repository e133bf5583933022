"""Tests SIGHUP: the configuration changes under load without loss, and an invalid one changes nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.harness.asserting import assert_same
from tests.harness.bridge import Bridge, key_of
from tests.harness.cli import cli
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import parked_bridge, running
from tests.harness.send import send_lines, tcp
from tests.harness.traffic import Traffic


def reload(bridge: Bridge, *, good: bool = True) -> str:
    """Writes the configuration, sends SIGHUP, waits for the result in the log, and returns the new log lines."""
    assert bridge.process is not None
    before = len(bridge.process.stderr)
    bridge.write_configuration()
    bridge.process.signal(signal.SIGHUP)
    end = "the pause was" if good else "error app: reload:"
    until(lambda: end in bridge.process.stderr[before:], lambda: f"{end!r} in {bridge.process.stderr[before:]}")
    # A faulty configuration is logged in a line for each fault. The bridge answers once all are written.
    bridge.status()
    return bridge.process.stderr[before:]


def metric(bridge: Bridge, name: str) -> str:
    text = bridge.get("/metrics")[1].decode()
    return next(line.split()[-1] for line in text.splitlines() if line.startswith(f"syslog_bridge_{name} "))


def intake(bridge: Bridge, name: str) -> dict[str, Any]:
    return next(each for each in bridge.status()["intakes"] if each["name"] == name)


def test_reload_changes_routes_and_listeners_without_loss(tmp_path: Path) -> None:
    """A connection stays open while its intake changes, a listener is removed and another added."""
    with running(tmp_path, intakes={"all": {}, "other": {}}) as (collector, bridge):
        devices = [Traffic(bridge.tcp, first=1_000_000 * i, per_write=20, pause_seconds=0.002) for i in range(3)]
        for device in devices:
            device.start()
        second = free_port()
        listeners = bridge.configuration["listeners"]
        for turn in range(4):
            taken = bridge.ledger()["received"]
            bridge.configuration["unrouted"] = {"intake": ("other", "all")[turn % 2]}
            bridge.configuration["listeners"] = listeners + [{"tcp": f"127.0.0.1:{second}"}] * (turn % 2 == 0)
            log = reload(bridge)
            assert "3 listeners" in log if turn % 2 == 0 else "removed" in log
            bridge.wait_received(taken + 500)
            if turn % 2 == 0:
                send_lines(second, [b"<13>a line to the new listener"])
        for device in devices:
            device.stop()
        sent = [message.text for device in devices for message in device.sent]
        bridge.wait_received(len(sent) + 2)
        bridge.wait_drained()
        arrived = collector.refresh()
    texts = [event.text for event in arrived if "to the new listener" not in event.text]
    assert_same(texts, sent)
    assert len(arrived) == len(sent) + 2
    assert set(collector.per_key()) == {key_of("all"), key_of("other")}


def test_invalid_configuration_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as (collector, bridge):
        sha = bridge.status()["config_sha256"]
        good = dict(bridge.configuration)
        bridge.configuration = good | {"routes": [{"intake": "nobody"}], "timezone": "Nowhere/Land"}
        log = reload(bridge, good=False)
        assert "nobody" in log and "Nowhere/Land" in log, "every fault is reported"
        bridge.configuration = good | {"admin": {"listen": f"127.0.0.1:{free_port()}"}}
        assert "admin.listen cannot change while the bridge runs" in reload(bridge, good=False)
        bridge.configuration = good | {"spool": {"directory": str(tmp_path / "elsewhere")}}
        assert "needs restart" in reload(bridge, good=False)
        with tcp(bridge.tcp):
            bridge.configuration = good | {"listeners": [*good["listeners"], {"tcp": f"127.0.0.1:{collector.port}"}]}
            assert f"port {collector.port} is in use by" in reload(bridge, good=False)
        status = bridge.status()
        assert status["config_sha256"] == sha
        assert [alarm["kind"] for alarm in status["alarms"]] == ["reload"]
        assert metric(bridge, "config_last_reload_success") == "0.0"
        send_lines(bridge.tcp, [b"<13>still here"])
        collector.wait_for(1)
        bridge.configuration = good | {"timezone": "Europe/Paris"}
        reload(bridge)
        status = bridge.status()
        assert status["config_sha256"] != sha and not status["alarms"]
        assert metric(bridge, "config_last_reload_success") == "1.0"


def test_reload_reads_the_key_file_again(tmp_path: Path) -> None:
    """A parked intake delivers at once when its key is right."""
    with parked_bridge(tmp_path) as (collector, bridge, file):
        file.write_text(key_of("all") + "\n")
        reload(bridge)
        collector.wait_for(1)
        # It counts as delivering for a minute if the bridge has looked at its rates meanwhile.
        until(
            lambda: intake(bridge, "all")["state"] in ("idle", "delivering"),
            lambda: f"not parked: {intake(bridge, 'all')}",
        )


def test_events_of_a_removed_intake_are_delivered_when_it_returns(tmp_path: Path) -> None:
    with running(tmp_path, intakes={"all": {}, "gone": {"url": f"http://127.0.0.1:{free_port()}"}}) as (
        collector,
        bridge,
    ):
        good = dict(bridge.configuration)
        bridge.configuration["unrouted"] = {"intake": "gone"}
        reload(bridge)
        send_lines(bridge.tcp, [b"<13>event %d" % i for i in range(100)])
        bridge.wait_received(100)
        bridge.configuration = good | {"intakes": {"all": good["intakes"]["all"]}}
        reload(bridge)
        held = intake(bridge, "gone")
        assert (held["state"], held["last_error"]) == ("parked", "not in the configuration")
        send_lines(bridge.tcp, [b"<13>for the other"])
        collector.wait_for(1)
        until(lambda: intake(bridge, "gone")["backlog_events"] == 100, lambda: f"{intake(bridge, 'gone')}")
        # It returns, with a collector that answers.
        bridge.configuration = good | {"intakes": {name: good["intakes"]["all"] for name in ("all", "gone")}}
        reload(bridge)
        assert len(collector.wait_for(101)) == 101
        bridge.wait_drained()


def test_renamed_listener_keeps_its_connections(tmp_path: Path) -> None:
    """An open connection of a renamed listener stays open, and routes use the new name."""
    with running(tmp_path, intakes={"all": {}, "other": {}}) as (collector, bridge), tcp(bridge.tcp) as connection:
        connection.sendall(b"<13>before\n")
        bridge.wait_received(1)
        bridge.configuration["listeners"][1]["name"] = "renamed"
        bridge.configuration["routes"] = [{"intake": "other", "listener": "renamed"}]
        reload(bridge)
        connection.sendall(b"<13>after\n")
        collector.wait_for(2)
        assert collector.texts(key_of("other")) == ["after"]
        assert bridge.status()["listeners"]["renamed"] == bridge.tcp


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


@pytest.mark.parametrize("times", [pytest.param(10, id="10"), pytest.param(100, id="100", marks=pytest.mark.long)])
def test_repeated_reloads_leak_no_descriptors_or_memory(tmp_path: Path, times: int) -> None:
    """The number of descriptors stays the same, and the second half of the reloads does not raise the memory."""
    with running(tmp_path, intakes={f"i{n}": {} for n in range(20)}) as (collector, bridge):
        assert bridge.process is not None
        pid = bridge.process.pid
        bridge.configuration["routes"] = [
            {"name": f"r{n}", "intake": f"i{n % 20}", "source": f"10.{n // 256}.{n % 256}.0/24"} for n in range(500)
        ]
        sizes = []
        for turn in range(times):
            bridge.configuration["timezone"] = ("UTC", "Europe/Paris")[turn % 2]
            # By command, which has an answer: repeated log lines are suppressed.
            cli(bridge, "reload")
            send_lines(bridge.tcp, [b"<13>after reload %d" % turn])
            bridge.wait_received(turn + 1)
            if turn in (0, times // 2, times - 1):
                bridge.wait_drained()
                sizes.append((_descriptors(pid), _resident_kib(pid)))
        collector.wait_for(times)
    (first, _), (_, middle), (last, end) = sizes
    print(f"descriptors {first} -> {last}, resident {middle} -> {end} KiB over {times // 2} reloads")
    # Up to three further connections to the collector, and what is open at that moment for a reader of the status or
    # the files of a batch. A leak would be one a reload.
    assert last <= first + 6, sizes
    assert end <= middle + 20_000, sizes


def test_configuration_that_is_not_confirmed_is_left_also_over_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, intakes={"all": {}, "other": {}}) as (_, bridge):
        good = bridge.status()["config_sha256"]
        bridge.configuration = bridge.configuration | {"unrouted": {"intake": "other"}}
        assert "syslog-bridge reload --confirmed" in cli(bridge, "reload", "--confirm", "1s").stdout
        until(lambda: bridge.status()["config_sha256"] == good, lambda: str(bridge.status()["alarms"]))
        assert "was not confirmed in time" in cli(bridge, "status").stdout
        until(lambda: metric(bridge, "config_last_reload_success") == "0.0", lambda: str(bridge.status()["alarms"]))
        report = cli(bridge, "report", "--actions").stdout
        assert "reload confirm_seconds=1: done" in report and "the bridge itself" in report
        bridge.kill()
        bridge.start()
        assert bridge.status()["config_sha256"] == good
        assert "the previous one is in use" in cli(bridge, "status").stdout
        cli(bridge, "reload", "--confirm", "1h")
        new = bridge.status()["config_sha256"]
        assert "the configuration is confirmed" in cli(bridge, "reload", "--confirmed").stdout
        assert new != good
        assert "waits for a confirmation" in cli(bridge, "reload", "--confirmed", code=1).stderr
        bridge.kill()
        bridge.start()
        assert bridge.status()["config_sha256"] == new
        assert bridge.status()["alarms"] == []
