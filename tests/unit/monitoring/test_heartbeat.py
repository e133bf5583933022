"""Tests the heartbeat: its interval, its content, and that it never takes the place of other events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.config import parse_text
from bridge.monitoring.heartbeat import MAX_TEXT, Heartbeat, heartbeat
from bridge.monitoring.self_events import SelfEvents
from tests.unit.monitoring.test_forwarder_statistics import extracted
from tests.unit.monitoring.test_status import StatusFixture

CONFIGURATION = """
collector: {{region: FRA1}}
listeners: [{{name: udp, udp: "*:514"}}]
intakes: {{fw: {{intake_key: SECRETkkkkkkkkkk}}, ops: {{intake_key: SECRETllllllllll}}}}
routes: [{{name: firewalls, intake: fw, source: 192.0.2.0/24}}]
unrouted: hold
spool: {{directory: unused}}
admin: {{heartbeat: {terms}}}
"""
EVERY_MINUTE = "{intake: ops, every: 1m}"


class Gateway(StatusFixture):
    """A gateway whose heartbeats the test reads."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.written: list[tuple[str, dict[str, Any]]] = []
        self.disk_budget.full = set()
        self.listener_set.kernel_drops.return_value = {"udp": 4}
        self.self_events = SelfEvents(self.configured(EVERY_MINUTE), self.spool, self.ledger, lambda: self.now)
        self.self_events.write = self.write  # type: ignore[method-assign]
        self.heartbeat = Heartbeat(self.self_events, self.status, lambda: self.now)

    @staticmethod
    def configured(terms: str) -> Any:
        return parse_text(CONFIGURATION.format(terms=terms), "bridge.yaml")

    def write(self, intake: str, events: list[str]) -> None:
        (event,) = events
        assert "SECRET" not in event
        assert "\n" not in event
        self.written.append((intake, json.loads(event)))

    def wait(self, seconds: int) -> int:
        """Lets some seconds pass. Returns the number of heartbeats."""
        self.written.clear()
        for _ in range(seconds // 5):
            self.now += 5
            self.heartbeat.look()
        return len(self.written)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path / "spool")


def test_first_heartbeat_comes_at_the_start_and_others_at_the_interval(gateway: Gateway) -> None:
    assert gateway.wait(5) == 1
    assert gateway.wait(55) == 0
    assert gateway.wait(5) == 1
    assert gateway.wait(600) == 10


def test_content_accounts_for_all_events(gateway: Gateway) -> None:
    gateway.receive("192.0.2.7", b"one", b"two", b"three")
    gateway.receive("198.51.100.1", b"no route")
    gateway.ledger.deliver("fw", 1, 100)
    gateway.ledger.receive_dropped("fw", 5, "spool_full")
    gateway.wait(5)
    ((intake, event),) = gateway.written
    assert intake == "ops"
    assert event["received"] == 9
    assert (event["delivered"], event["waiting"], event["quarantined"], event["dropped"]) == (1, 2, 1, 5)
    left = event["received"] + event["recovered"] + event["replayed"]
    assert left == event["delivered"] + event["waiting"] + event["quarantined"] + event["filtered"] + event["dropped"]
    assert (event["dropped_by_reason"], event["dropped_by_kernel"]) == ({"spool_full": 5}, 4)
    assert (event["config_sha256"], event["uptime_seconds"], event["sources"]) == ("c" * 64, 65, 2)
    assert list(event)[:6] == ["event", "name", "origin", "product", "gateway", "version"]
    assert extracted(json.dumps(event))["intake.name"] == event["gateway"]


def test_worst_problem_is_named(gateway: Gateway) -> None:
    gateway.receive("192.0.2.7", b"one")
    gateway.wait(5)
    assert (gateway.written[0][1]["state"], gateway.written[0][1]["problem"]) == ("healthy", None)
    gateway.courier.state, gateway.courier.last_error = "parked", "answered 401" + "!" * 1000
    gateway.wait(60)
    event = gateway.written[0][1]
    assert event["state"] == "critical"
    assert event["problems"]["critical"] == 1
    assert event["problem"]["kind"] == "parked"
    assert len(event["problem"]["text"]) == MAX_TEXT


@pytest.mark.parametrize("state", ["full", "unready"])
def test_heartbeat_waits_while_the_spool_has_no_room(gateway: Gateway, state: str) -> None:
    gateway.disk_budget.full = {"ops"} if state == "full" else set()
    gateway.disk_budget.unready = (lambda: ["the spool is full"]) if state == "unready" else list
    assert gateway.wait(300) == 0
    gateway.disk_budget.full, gateway.disk_budget.unready = {"fw"}, list
    assert gateway.wait(5) == 1


def test_configuration_can_change(gateway: Gateway) -> None:
    gateway.wait(5)
    gateway.self_events.change(gateway.configured("null"))
    assert gateway.wait(3600) == 0
    gateway.self_events.change(gateway.configured("{intake: fw, every: 1h}"))
    assert gateway.wait(3600) == 1
    assert gateway.written[0][0] == "fw"


def test_status_without_figures_of_the_disk_makes_a_heartbeat(gateway: Gateway) -> None:
    assert heartbeat(gateway.status.report(sources=0))["spool_bytes"] is None
