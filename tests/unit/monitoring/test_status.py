"""Tests what `/api/status` reports of intakes, unrouted sources, alarms and readiness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.config import parse_text
from bridge.deliver.outcome import Outcome, Verdict
from bridge.deliver.response_handler import Answered
from bridge.ingest import from_config as ingest_config
from bridge.ingest.peers import Peers
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.held_frames import HeldFrames
from bridge.monitoring.kept_problems import KeptProblems
from bridge.monitoring.problem_file import ProblemFile
from bridge.monitoring.problem_history import ProblemHistory
from bridge.monitoring.sources import SourceList
from bridge.monitoring.status import Status
from bridge.monitoring.sync_monitor import SyncMonitor
from bridge.spool.forecast import TimeToFull
from bridge.syslog.frames import block_of
from bridge.syslog.timestamps import rfc3339
from bridge.tls.refused_clients import RefusedClient, RefusedClients
from bridge.tls.seen_clients import SeenClient, Sighting
from tests.harness.builders import NOON, build_fsync_policy, build_pipeline, build_spool

CONFIGURATION = """
collector: {region: FRA1}
listeners: [{name: udp, udp: "127.0.0.1:0"}]
intakes: {fw: {intake_key: kkkkkkkkkkkkkkkk}}
routes: [{name: firewalls, intake: fw, source: 192.0.2.0/24}]
unrouted: hold
spool: {directory: unused}
"""


class StatusFixture:
    """A status over a real spool, ledger, pipeline and peers. Delivery and sockets are stand-ins."""

    def __init__(self, directory: Path, *, monotonic_uptime: Callable[[], float] | None = None) -> None:
        self.now = float(NOON)
        self.ledger, self.alarms = Ledger(), Alarms()
        self.spool = build_spool(directory, wall=lambda: self.now)
        self.peers = Peers(ingest_config.router(parse_text(CONFIGURATION, "bridge.yaml")))
        self.courier: Any = SimpleNamespace(
            name="fw", state="idle", server="collector", waiting_events=0, waiting_bytes=0, oldest_sequence=None,
            last_error=None, last_cause=None, failing_seconds=None, next_attempt_in=None, last_answer=None,
            last_acceptance=None, delivered=0, unconfirmed=0, requests={}, learned_body_limit=None, late_after=34.0,
        )  # fmt: skip
        self.pipeline = build_pipeline(self.spool, self.ledger, wall=lambda: self.now)
        self.disk_budget: Any = SimpleNamespace(
            reported_full=SimpleNamespace(names=set()), report=dict, unready=list, time_to_full=TimeToFull()
        )
        self.listener_set = Mock()
        self.listener_set.open_ = True
        for method in ("kernel_drops", "ports", "refused", "rejections", "health_checks", "details"):
            getattr(self.listener_set, method).return_value = {}
        self.listener_set.refused_clients.return_value = {}
        self.mirror: Any = SimpleNamespace(sent=Counter(), dropped=Counter())
        self.rate_history: Any = SimpleNamespace(received=0.0, delivered=0.0, rates={}, changes={}, moving=frozenset())
        gateway_clock: Any = SimpleNamespace(offset=None)
        runtime_metrics: Any = None
        history = ProblemHistory(lambda: self.now, lambda at: rfc3339(int(at * 1000)))
        self.status = Status(
            ledger=self.ledger, couriers={"fw": self.courier}, spool=self.spool, pipeline=self.pipeline,
            peers=self.peers, listener_set=self.listener_set, alarms=self.alarms, runtime_metrics=runtime_metrics,
            config_sha256="c" * 64, wall=lambda: self.now, disk_budget=self.disk_budget,
            sync_monitor=SyncMonitor(build_fsync_policy(directory), self.alarms, lambda: self.now),
            quota=lambda name: {},
            certificates=lambda: {"secure": 86_400.4}, losses=list, incidents=list,
            held=HeldFrames(self.alarms, self.spool.quarantine).rows,
            history=history, kept=KeptProblems(ProblemFile(directory, Mock(), lambda: self.now), history), silent=dict,
            silent_names=dict, drifts=list,
            mirror=self.mirror,
            senders=SourceList(self.peers, lambda: self.now), rate_history=self.rate_history,
            gateway_clock=gateway_clock, started=NOON - 60.0, monotonic_uptime=monotonic_uptime,
        )  # fmt: skip

    def receive(self, address: str, *texts: bytes) -> None:
        frames = [b"<13>Nov 23 12:00:00 gw app: " + text for text in texts]
        self.pipeline.take(self.peers.get("udp", address), block_of(frames))

    @property
    def intake(self) -> dict[str, Any]:
        (row,) = self.status.intakes()
        return row


@pytest.fixture
def gateway(tmp_path: Path) -> StatusFixture:
    return StatusFixture(tmp_path / "spool")


def test_events_in_an_open_batch_are_backlog(gateway: StatusFixture) -> None:
    gateway.receive("192.0.2.7", b"one", b"two")
    gateway.now += 5
    row = gateway.intake
    assert (row["backlog_events"], row["backlog_bytes"]) == (2, len(b"one\ntwo\n"))
    assert row["oldest_seconds"] == pytest.approx(5, abs=0.1)


def test_sealed_and_open_batches_add_up_and_the_oldest_counts(gateway: StatusFixture) -> None:
    gateway.receive("192.0.2.7", b"one")
    gateway.courier.waiting_events, gateway.courier.waiting_bytes = 10, 1000
    gateway.courier.oldest_sequence = (NOON - 30) * 1_000_000
    row = gateway.intake
    assert (row["backlog_events"], row["backlog_bytes"]) == (11, 1000 + len(b"one\n"))
    assert row["oldest_seconds"] == 30.0


def test_intake_without_backlog_has_no_oldest_event(gateway: StatusFixture) -> None:
    row = gateway.intake
    assert (row["backlog_events"], row["oldest_seconds"]) == (0, None)


def test_full_intake_is_full_whatever_its_courier_does(gateway: StatusFixture) -> None:
    gateway.courier.state = "backing-off"
    assert gateway.intake["state"] == "backing-off"
    gateway.disk_budget.reported_full.names.add("fw")
    assert gateway.intake["state"] == "full"


def test_intake_that_moves_events_is_delivering(gateway: StatusFixture) -> None:
    assert gateway.intake["state"] == "idle"
    gateway.rate_history.moving = frozenset({"fw"})
    assert gateway.intake["state"] == "delivering", "it has received or delivered events lately"
    gateway.rate_history.moving = frozenset()
    gateway.receive("192.0.2.7", b"one")
    assert gateway.intake["state"] == "delivering", "its open batch has events"
    gateway.courier.state = "parked"
    assert gateway.intake["state"] == "parked"


def test_last_response_is_shown_with_its_time_and_ids(gateway: StatusFixture) -> None:
    outcome = Outcome(Verdict.ACCEPTED, status=200, accepted=3, first_id="a", last_id="c")
    gateway.courier.last_answer = gateway.courier.last_acceptance = Answered(float(NOON), outcome)
    answer = gateway.intake["last_answer"]
    assert answer["at"] == "2026-11-23T12:00:00.000Z"
    assert (answer["status"], answer["accepted"], answer["first_id"], answer["last_id"]) == (200, 3, "a", "c")
    assert gateway.intake["last_acceptance"] == answer


def test_unrouted_sources_are_listed_with_their_events(gateway: StatusFixture) -> None:
    gateway.receive("192.0.2.7", b"routed")
    gateway.receive("198.51.100.1", b"no", b"route")
    (row,) = gateway.status.unrouted()
    assert (row["address"], row["listener"], row["events"]) == ("198.51.100.1", "udp", 2)


def test_report_counts_agree_with_the_ledger(gateway: StatusFixture) -> None:
    gateway.receive("192.0.2.7", b"one", b"two")
    gateway.receive("198.51.100.1", b"held")
    report: dict[str, Any] = gateway.status.report()
    assert (report["ledger"]["received"], report["ledger"]["spooled"], report["ledger"]["quarantined"]) == (3, 2, 1)
    assert report["quarantine"] == {"unrouted": 1}
    assert report["routes"] == {"firewalls": 2, "unrouted": 1}
    assert report["uptime_seconds"] == 60
    assert report["certificates"] == {"secure": 86_400}


def test_report_limits_the_source_rows_but_not_their_count(gateway: StatusFixture) -> None:
    for last in range(5):
        gateway.receive(f"192.0.2.{last + 1}", b"text")
    report: dict[str, Any] = gateway.status.report(sources=2)
    assert len(report["sources"]) == 2
    assert report["sources_count"]["total"] == 5
    assert gateway.status.report(sources=0)["sources"] == []


def test_report_names_the_latest_refused_clients_and_counts_all(gateway: StatusFixture) -> None:
    client = SeenClient("secure", ("a.b.example",))
    found = RefusedClient(client, Sighting("192.0.2.1", (NOON - 60) * 1000), "*.*.example")
    gateway.listener_set.refused_clients.return_value = {"secure": RefusedClients(25, [found])}
    report: dict[str, Any] = gateway.status.report()
    assert report["clients_not_in_client_names"] == [
        {"listener": "secure", "names": ["a.b.example"], "address": "192.0.2.1", "pattern": "*.*.example",
         "last_seen": "2026-11-23T11:59:00.000Z", "silent_seconds": 60},
    ]  # fmt: skip
    assert report["clients_not_in_client_names_count"] == 25


def test_alarms_and_delivery_errors_are_problems(gateway: StatusFixture) -> None:
    gateway.alarms.on("loss", "fw", "events were lost")
    gateway.alarms.on("parked", "fw", "intake fw is parked")
    gateway.courier.state, gateway.courier.last_error = "parked", "HTTP 401"
    # A parked intake is named once, by its courier, and losses have their own list.
    assert gateway.status.problem_texts() == [
        "critical: Intake fw is parked: HTTP 401; 0 events safe on disk; not growing"
    ]
    report: dict[str, Any] = gateway.status.report()
    alarm = report["alarms"][0]
    assert (alarm["kind"], alarm["about"], alarm["text"]) == ("loss", "fw", "events were lost")


def test_gateway_is_ready_while_listeners_are_open_and_the_spool_has_room(gateway: StatusFixture) -> None:
    gateway.courier.last_error = "no connection"
    assert gateway.status.unready() == []
    gateway.listener_set.open_ = False
    gateway.disk_budget.unready = lambda: ["the disk is full"]
    assert gateway.status.unready() == ["the listeners are not open", "the disk is full"]


def test_waiting_returns_the_backlog_and_the_oldest_age(gateway: StatusFixture) -> None:
    assert gateway.status.waiting() == ({"fw": 0}, 0.0)
    gateway.spool.append(Group("fw", "lines", NOON, NOON * 1000, NOON * 1000, 3, b"a\nb\nc\n"))
    gateway.now += 10
    events, oldest = gateway.status.waiting()
    assert events == {"fw": 3}
    assert oldest == pytest.approx(10, abs=0.1)


def test_start_time_is_the_same_in_each_report_and_follows_a_clock_that_was_set(tmp_path: Path) -> None:
    monotonic = 60.0
    gateway = StatusFixture(tmp_path / "spool", monotonic_uptime=lambda: monotonic)

    def started(milliseconds: int) -> str:
        nonlocal monotonic
        gateway.now += milliseconds / 1000
        # Some time passes between the readings of the two clocks.
        monotonic += (milliseconds + milliseconds % 3) / 1000
        return str(gateway.status.report()["started"])

    assert {started(milliseconds) for milliseconds in range(100)} == {"2026-11-23T11:59:00.000Z"}
    gateway.now += 86_400
    assert started(0).startswith("2026-11-24T11:58:59.")
