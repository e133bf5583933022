"""Tests statistics in the form of the vendor's forwarder against the documented fields of its intake format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Config, parse_text
from bridge.monitoring.forwarder_statistics import ForwarderStatistics
from bridge.monitoring.self_events import SelfEvents, as_forwarder
from tests.harness.builders import NOON
from tests.unit.monitoring.test_status import StatusFixture

CONFIGURATION = """
collector: {{region: FRA1}}
listeners: [{{name: udp, udp: "*:514"}}, {{name: stream, tcp: "127.0.0.1:6514"}},
  {{name: local, unix_datagram: /run/x/log}}]
intakes: {{fw: {{intake_key: kkkkkkkkkkkkkkkk}}, ops: {{intake_key: llllllllllllllll}}}}
routes: [{{name: firewalls, intake: fw, source: 192.0.2.0/24}}]
unrouted: hold
spool: {{directory: unused}}
admin: {{alerts_intake: ops, alerts_format: {form}, alerts_statistics_every: 1m}}
"""

# The fields of the intake format "Sekoia.io forwarder logs", and the key of the event that each comes from.
FIELDS = {
    "action.failed": "failed", "action.processed": "processed", "action.resumed": "resumed",
    "action.suspended": "suspended", "input.submitted": "submitted", "output.bytes.sent": "bytes.sent",
    "queue.discarded.full": "discarded.full", "queue.discarded.nf": "discarded.nf", "queue.enqueued": "enqueued",
    "queue.full": "full", "queue.maxqsize": "maxqsize", "queue.size": "size", "stats.openfiles": "openfiles",
    "stats.stime": "stime", "stats.utime": "utime",
}  # fmt: skip


def extracted(message: str) -> dict[str, Any]:
    """Returns the documented fields of an event: the intake's name is behind the first hyphen of `name`, up to a
    bracket; the port is in parentheses."""
    event = json.loads(message)
    name = event["name"]
    found = {field: event[key] for field, key in FIELDS.items() if key in event}
    found |= {"module.name": name, "module.type": event["origin"]}
    found["intake.name"] = name.split("-", 1)[1].split("[")[0].split("(")[0]
    if "(" in name:
        found["input.port"] = name.split("(")[1].split(")")[0]
    return found


def is_detected(fields: dict[str, Any]) -> bool:
    """The vendor's detection rule for full queues."""
    return any(fields.get(f"queue.{name}", 0) > 0 for name in ("discarded.full", "discarded.nf", "full"))


def configuration(form: str) -> Config:
    return parse_text(CONFIGURATION.format(form=form), "bridge.yaml")


class Gateway(StatusFixture):
    """A gateway whose statistics the test reads."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        for method, counts in (("ports", {"udp": 514, "stream": 6514, "local": 0}), ("kernel_drops", {"udp": 0})):
            getattr(self.listener_set, method).return_value = counts
        self.written: list[tuple[str, list[str]]] = []
        self.self_events = SelfEvents(configuration("forwarder"), self.spool, self.ledger, lambda: self.now)
        self.self_events.write = lambda intake, events: self.written.append((intake, list(events)))  # type: ignore
        self.statistics = ForwarderStatistics(self.self_events, self.status, lambda: self.now)

    def look(self, seconds: int = 60) -> dict[str, dict[str, Any]]:
        """Lets some seconds pass. Returns the fields of the written events, by module name."""
        self.written.clear()
        for _ in range(seconds // 5):
            self.now += 5
            self.statistics.look()
        events = [extracted(event) for _, events in self.written for event in events]
        return {event["module.name"]: event for event in events}


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path / "spool")


def test_events_have_the_documented_fields(gateway: Gateway) -> None:
    gateway.receive("192.0.2.7", b"one", b"two")
    gateway.ledger.deliver("fw", 1, 100)
    found = gateway.look()
    assert list(found) == [
        "input-udp(*/514/IPv4)", "socket-udp", "input-stream(6514)", "input-local", "ruleset-fw", "output-fw",
        "TCP-intake.sekoia.io-443", "resource-usage",
    ]  # fmt: skip
    assert found["input-udp(*/514/IPv4)"] == {
        "module.name": "input-udp(*/514/IPv4)", "module.type": "imudp", "intake.name": "udp", "input.submitted": 2,
        "input.port": "*/514/IPv4",
    }  # fmt: skip
    assert found["input-stream(6514)"]["module.type"] == "imtcp"
    assert found["ruleset-fw"] == {
        "module.name": "ruleset-fw", "module.type": "core.queue", "intake.name": "fw", "queue.size": 2,
        "queue.enqueued": 2, "queue.full": 0, "queue.discarded.full": 0, "queue.discarded.nf": 0, "queue.maxqsize": 2,
    }  # fmt: skip
    assert found["output-fw"] == {
        "module.name": "output-fw", "module.type": "core.action", "intake.name": "fw", "action.processed": 1,
        "action.failed": 0, "action.suspended": 0, "action.resumed": 0,
    }  # fmt: skip
    assert found["TCP-intake.sekoia.io-443"]["output.bytes.sent"] == 100
    assert found["resource-usage"]["module.type"] == "impstats"
    assert found["resource-usage"]["stats.utime"] > 0
    assert not any(map(is_detected, found.values()))


def test_counters_begin_at_zero_each_time(gateway: Gateway) -> None:
    gateway.receive("192.0.2.7", b"one", b"two")
    gateway.look()
    gateway.receive("192.0.2.7", b"three")
    found = gateway.look()
    assert found["input-udp(*/514/IPv4)"]["input.submitted"] == 1
    assert (found["ruleset-fw"]["queue.enqueued"], found["ruleset-fw"]["queue.size"]) == (1, 3)


def test_full_spool_is_detected(gateway: Gateway) -> None:
    gateway.look()
    gateway.ledger.receive_dropped("fw", 7, "spool_full")
    gateway.disk_budget.reported_full.names.add("fw")
    found = gateway.look()
    assert found["ruleset-fw"]["queue.discarded.full"] == 7
    assert found["ruleset-fw"]["queue.full"] == 1
    assert [name for name, fields in found.items() if is_detected(fields)] == ["ruleset-fw"]
    # An intake that is still full is full in the next interval, too.
    assert gateway.look()["ruleset-fw"]["queue.full"] == 1
    gateway.disk_budget.reported_full.names.clear()
    gateway.look()
    assert not is_detected(gateway.look()["ruleset-fw"])


def test_datagrams_that_the_kernel_dropped_are_detected(gateway: Gateway) -> None:
    gateway.look()
    gateway.listener_set.kernel_drops.return_value = {"udp": 5}
    found = gateway.look()
    assert found["socket-udp"]["queue.discarded.full"] == 5
    assert found["socket-udp"]["intake.name"] == "udp"


def test_purged_events_are_no_loss_and_refused_ones_have_failed(gateway: Gateway) -> None:
    gateway.receive("192.0.2.7", b"one", b"two", b"three")
    gateway.look()
    gateway.ledger.drop_spooled("fw", 1, "purged")
    gateway.ledger.quarantine("fw", 1)
    gateway.ledger.drop_spooled("fw", 1, "collector_shortfall")
    found = gateway.look()
    assert (found["output-fw"]["action.failed"], found["output-fw"]["action.processed"]) == (2, 2)
    assert not any(map(is_detected, found.values()))


def test_suspension_of_an_intake_is_counted(gateway: Gateway) -> None:
    gateway.look(60)
    gateway.courier.state = "backing-off"
    gateway.look(30)
    gateway.courier.state = "parked"
    gateway.look(10)
    gateway.courier.state = "idle"
    event = gateway.look(20)["output-fw"]
    assert (event["action.suspended"], event["action.resumed"]) == (1, 1)
    (_, events), = gateway.written  # fmt: skip
    assert [json.loads(event)["suspended.duration"] for event in events if "suspended.duration" in event] == [40]


def test_frames_without_an_intake_have_a_queue_of_their_own(gateway: Gateway) -> None:
    gateway.receive("198.51.100.1", b"no route")
    gateway.look()
    gateway.ledger.drop_quarantined(None, 1, "unrouted_full")
    found = gateway.look()["quarantine-unrouted"]
    assert (found["intake.name"], found["queue.discarded.full"], found["queue.size"]) == ("unrouted", 1, 0)


def test_statistics_go_to_the_intake_for_self_events_at_the_interval(gateway: Gateway) -> None:
    gateway.look(55)
    assert gateway.written == []
    gateway.look(5)
    assert [intake for intake, _ in gateway.written] == ["ops"]


def test_text_format_writes_no_statistics_and_a_change_counts_from_then_on(gateway: Gateway) -> None:
    gateway.self_events.change(configuration("text"))
    gateway.receive("192.0.2.7", b"one", b"two")
    assert gateway.look(120) == {}
    gateway.self_events.change(configuration("forwarder"))
    gateway.receive("192.0.2.7", b"three")
    assert gateway.look(60)["ruleset-fw"]["queue.enqueued"] == 1


@pytest.mark.parametrize(
    ("text", "name", "state"),
    [
        ('alarm=parked state=on about="fw" message="401 \\"no\\""', "alarm-parked", "on"),
        ('alarm=full state=off about="fw (x)" message="room"', "alarm-full", "off"),
        ("anything else", "alarm-other", "on"),
    ],
)
def test_alarm_can_be_parsed_as_an_event_of_the_forwarder(text: str, name: str, state: str) -> None:
    message = as_forwarder(text)
    assert extracted(message)["module.name"] == name
    event = json.loads(message)
    assert event["state"] == state
    assert event["message"].startswith("syslog-bridge gateway=")
    assert event["message"].endswith(text)
    assert "\n" not in message


def test_events_are_written_to_the_spool_and_counted(tmp_path: Path) -> None:
    gateway = StatusFixture(tmp_path / "spool")
    self_events = SelfEvents(configuration("forwarder"), gateway.spool, gateway.ledger, lambda: float(NOON))
    self_events.write("ops", ['{"name": "a-b"}', "second\nline"])
    self_events.emit('alarm=parked state=on about="fw" message="x"')
    assert gateway.ledger.of("ops").received == gateway.ledger.of("ops").spooled == 3
    gateway.spool.seal_all()
    (path,) = (tmp_path / "spool" / "ops").iterdir()
    first, second, alarm = path.read_text().splitlines()
    assert (first, second) == ('{"name": "a-b"}', "second#012line")
    assert json.loads(alarm)["name"] == "alarm-parked"


def test_unix_socket_has_no_port(tmp_path: Path) -> None:
    found = Gateway(tmp_path / "spool").look()
    assert "input.port" not in found["input-local"]
    assert found["input-local"]["module.type"] == "imuxsock"
