"""Tests that no collector and no proxy can stop the gateway, fill its memory, or write into its log what it wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness import altered
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.hostile_server import ATTACKS, HostileServer, hostile
from tests.harness.messages import rfc5424
from tests.harness.polling import until
from tests.harness.resources import memory_kib
from tests.harness.running import BATCH_AGE, bridging, collecting
from tests.harness.send import send_lines

MAX_GROWTH_KIB = 150 * 1024
EVENT = b"x" * 300
NEIGHBOUR = "127.0.2.200"

SLOW = ("blanks", "slow-head", "slow-trailers", "silent", "never-reads", "garbage")
"Attacks that end with a timeout."


@contextmanager
def attacked(directory: Path, names: list[str]) -> Iterator[tuple[Bridge, Collector, dict[str, HostileServer]]]:
    """Runs a bridge with an intake for each attack, and an intake `neighbour` at a good collector."""
    sources = {name: f"127.0.2.{number}" for number, name in enumerate(names, start=1)} | {"neighbour": NEIGHBOUR}
    with (
        hostile({name: ATTACKS[name] for name in names}) as servers,
        collecting(directory) as collector,
        bridging(
            directory, collector.url,
            intakes={"neighbour": {}} | {name: {"url": server.url} for name, server in servers.items()},
            routes=[{"intake": name, "source": source} for name, source in sources.items()],
            batch={"max_age": BATCH_AGE, "max_events": 2000},
        ) as bridge,
    ):  # fmt: skip
        bridge.configuration["collector"] |= {"timeout": "2s", "connections": 64}
        altered.start(bridge, constants=altered.SHORT_WAITS)
        for name in names:
            # More than fits into the buffers of the sockets where the server does not read.
            count = 40_000 if name == "never-reads" else 1
            send_lines(bridge.tcp, [rfc5424(0, datetime.now(UTC)).frame + EVENT] * count, source=sources[name])
        yield bridge, collector, servers


def rows(bridge: Bridge) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in bridge.status()["intakes"]}


def failed(row: dict[str, Any]) -> int:
    return sum(count for outcome, count in row["requests"].items() if outcome != "accepted")


def test_every_attack_ends_and_costs_no_memory(tmp_path: Path) -> None:
    """All attacks at once, while a neighbour is served."""
    names = list(ATTACKS)
    with attacked(tmp_path, names) as (bridge, _, _):
        assert bridge.process is not None
        idle = memory_kib(bridge.process.pid, "VmRSS")
        sent = 0

        def ended() -> bool:
            nonlocal sent
            send_lines(bridge.tcp, [rfc5424(sent, datetime.now(UTC)).frame], source=NEIGHBOUR)
            sent += 1
            return all(failed(row) >= 2 for name, row in rows(bridge).items() if name != "neighbour")

        until(ended, lambda: str({name: (row["requests"], row["last_error"]) for name, row in rows(bridge).items()}),
              every_seconds=0.2)  # fmt: skip
        until(lambda: rows(bridge)["neighbour"]["delivered"] == sent, lambda: str(rows(bridge)["neighbour"]))
        growth = memory_kib(bridge.process.pid) - idle
        status = bridge.status()
        metrics = bridge.get("/metrics")[1].decode()
        (stall,) = (line.split()[-1] for line in metrics.splitlines() if line.startswith("syslog_bridge_reactor_stall"))
        print(f"{sent} neighbour events; RSS grew by {growth >> 10} MiB; longest stall {stall} s")
        assert growth < MAX_GROWTH_KIB, f"{growth} KiB"
        found = {row["name"]: row for row in status["intakes"] if row["name"] != "neighbour"}
        assert all(row["delivered"] == 0 and row["backlog_events"] >= 1 for row in found.values())
        texts = [str(row["last_error"]) for row in found.values()]
        assert all(0 < len(text) <= 600 and text.isprintable() for text in texts), texts
        assert status["headline"]["state"] == "critical"
        # Nothing of an attack is left once its request has ended.
        shown = str(status) + bridge.process.stderr
        assert key_of("echo")[:10] not in shown
        log = bridge.process.stderr
        assert "Traceback" not in log and "defect" not in log, log
        assert "\x1b" not in log and "\u202e" not in log and max(map(len, log.splitlines())) < 1000


@pytest.mark.parametrize("name", ["garbage", "never-reads"])
def test_failed_requests_leave_no_connection_behind(tmp_path: Path, name: str) -> None:
    with attacked(tmp_path, [name]) as (bridge, _, servers):
        server = servers[name]
        until(lambda: server.connections >= 8, lambda: str(rows(bridge)))
        until(lambda: server.open <= 4, lambda: f"{server.open} of {server.connections} connections are open")


def test_event_that_waits_is_an_alarm_although_its_request_has_not_failed(tmp_path: Path) -> None:
    """The collector accepts connections and is silent; the timeout is longer than the test."""
    with (
        hostile({"silent": ATTACKS["silent"]}) as servers,
        bridging(tmp_path, servers["silent"].url, batch={"max_age": "100ms"}) as bridge,
    ):
        bridge.configuration["collector"] |= {"timeout": "1h"}
        constants = {
            "bridge.monitoring.waiting_events.OVERDUE_SECONDS": 1.0, "bridge.deliver.from_config.REQUEST_SECONDS": 0.5,
        }  # fmt: skip
        altered.start(bridge, constants=constants)
        send_lines(bridge.tcp, [rfc5424(0, datetime.now(UTC)).frame])

        def alarms() -> list[str]:
            return [alarm["text"] for alarm in bridge.status()["alarms"] if alarm["kind"] == "waiting"]

        until(alarms, lambda: str(bridge.status()))
        status = bridge.status()
        (row,) = status["intakes"]
        assert (row["state"], row["last_error"], row["requests"]["retry"]) == ("delivering", None, 0)
        assert status["headline"]["state"] != "healthy" and "wait" in status["headline"]["text"]
        assert bridge.process is not None
        assert bridge.process.stderr.count("its oldest event has waited") == 1
