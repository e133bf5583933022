"""Tests the unrouted inbox and the view of one source: the product, the reason, and the suggested route."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from bridge.config import parse_text
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.peers import Peers
from bridge.ingest.shape_changes import ShapeChanges
from bridge.monitoring import message_preview
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.format_drift import FormatDrift
from bridge.monitoring.message_preview import MessagePreview, SourceReports
from bridge.monitoring.sources import SourceList
from bridge.routing import Router

NOW = 1_795_418_640_000
CONFIG = parse_text(
    "collector: {region: FRA1}\nlisteners: [{name: udp, udp: '127.0.0.1:5514', intake: fw}]\n"
    f"intakes: {{fw: {{intake_key: {'k' * 16}, format: fortigate}}, other: {{intake_key: {'l' * 16}}}}}\n"
    "spool: {directory: x}\nunrouted: hold\n"
)
FORTIGATE = b'<189>date=2026-11-23 time=07:24:00 devname="fw" devid="FG1" logid="0000000013" type="traffic"'


class Unrouted:
    kind, intake = "hold", None


class Inbox:
    """A message preview over a few unrouted sources."""

    def __init__(self) -> None:
        self.peers = Peers(Router(routes=(), intakes={}, listeners={"udp": None}, unrouted=Unrouted(), timezone=UTC))
        self.samples = MessageSamples()
        sources = SourceList(self.peers, lambda: NOW / 1000)
        drift = FormatDrift(Alarms(), ShapeChanges(self.samples), self.peers, self.samples, lambda: NOW / 1000)
        self.preview = MessagePreview(
            lambda: CONFIG, self.peers, self.samples, sources, lambda: 0.0, SourceReports(lambda _: [], drift.report)
        )  # fmt: skip

    def receive(self, address: str, *frames: bytes) -> None:
        peer = self.peers.get("udp", address)
        peer.events += len(frames)
        peer.unrouted += len(frames)
        peer.last_seen_ms = NOW
        for frame in frames:
            self.samples.note(peer, frame, NOW)

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["address"]: row for row in self.preview.inbox()["unrouted"]}


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def test_inbox_names_the_product_and_the_intake_of_its_format(inbox: Inbox) -> None:
    inbox.receive("192.0.2.1", *[FORTIGATE] * 4)
    row = inbox.rows()["192.0.2.1"]
    assert row["guesses"] == [{"format": "fortinet-fortigate", "product": "Fortinet FortiGate"}]
    assert row["reason"] == "date= time= devname= devid= logid= in 4 of 4 messages"
    assert row["confidence"] > 0.9
    assert (row["runner_up"], row["matched"], row["examined"], row["relay_of"]) == (None, 4, 4, 0)
    assert row["clock"].startswith("its clock") or row["clock"].startswith("clock unknown")
    assert "  intake: fw\n" in row["route"]


def test_inbox_says_why_a_product_is_not_known(inbox: Inbox) -> None:
    inbox.receive("192.0.2.1", *[b"<13>pressure is high"] * 2)
    row = inbox.rows()["192.0.2.1"]
    assert (row["guesses"], row["guessed"], row["confidence"]) == ([], True, 0.0)
    assert row["reason"] == "no known product in 2 messages"
    assert "intake: INTAKE  # write the name of an intake: fw, other" in row["route"]


def test_product_without_format_suggests_no_format(inbox: Inbox) -> None:
    inbox.receive("192.0.2.1", b"<191>Nov 23 07:24:00 leaf-101 %LOG_LOCAL7-3-SYSTEM_MSG [F1547][major] dropped")
    row = inbox.rows()["192.0.2.1"]
    assert row["guesses"] == [{"format": None, "product": "Cisco ACI"}]
    assert "intake: INTAKE  # write the name of an intake: fw, other" in row["route"]


def test_source_is_identified_again_by_more_or_later_messages(inbox: Inbox) -> None:
    inbox.receive("192.0.2.1", b"<13>pressure is high")
    assert inbox.rows()["192.0.2.1"]["guesses"] == []
    inbox.receive("192.0.2.1", *[FORTIGATE] * 9)
    assert inbox.rows()["192.0.2.1"]["guesses"] != []
    inbox.receive("192.0.2.1", *[b"<13>pressure is low"] * 10)
    assert inbox.rows()["192.0.2.1"]["guesses"] == []


def test_response_identifies_few_sources_at_once(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each blocks the reactor for some milliseconds; the next responses identify the others."""
    monkeypatch.setattr(message_preview, "IDENTIFIED_AT_ONCE", 2)
    for number in range(5):
        inbox.receive(f"192.0.2.{number}", FORTIGATE)
    counts = []
    for _ in range(4):
        counts.append(sum(row["guessed"] for row in inbox.rows().values()))
    assert counts == [2, 4, 5, 5]


def test_source_shows_its_product(inbox: Inbox) -> None:
    inbox.receive("192.0.2.1", *[FORTIGATE] * 3)
    (seen,) = inbox.preview.source("192.0.2.1", None)["seen"]
    assert seen["identified"]["product"] == "Fortinet FortiGate"
    assert seen["identified"]["examined"] == 3


def test_nothing_is_identified_if_messages_may_not_be_shown(inbox: Inbox) -> None:
    inbox.samples.allow(False)
    inbox.receive("192.0.2.1", FORTIGATE)
    assert inbox.rows()["192.0.2.1"]["guesses"] == []
    (seen,) = inbox.preview.source("192.0.2.1", None)["seen"]
    assert seen["identified"] is None
