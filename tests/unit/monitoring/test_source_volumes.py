"""Tests that the volumes of sources are measured once an hour, complete, and in bounded lines."""

from datetime import UTC

import pytest

from bridge.accounting import Ledger
from bridge.ingest.peers import Peers
from bridge.monitoring import source_volumes
from bridge.monitoring.source_volumes import SourceVolumes
from bridge.routing import Router
from bridge.syslog.timestamps import TimeReader
from tests.unit.ingest.test_pipeline import Unrouted

NOON = 1_772_366_400.0  # 2026-03-01T12:00:00Z
ROUTER = Router(routes=(), intakes={}, listeners={"udp": None}, unrouted=Unrouted(), timezone=UTC)


class Measured:
    """Senders whose clock the test sets."""

    def __init__(self):
        self.now = NOON + 600
        self.ledger, self.peers = Ledger(), Peers(ROUTER)
        self.volumes = SourceVolumes(self.peers, self.ledger, lambda: self.now)

    def send(self, address, count, size=100):
        peer = self.peers.get("udp", address)
        self.ledger.receive_spooled("fw", count)
        peer.note_read(count, int(self.now * 1000))
        peer.sample(b"x" * size, int(self.now * 1000), TimeReader())


@pytest.fixture
def measured():
    return Measured()


def test_measurement_is_due_at_each_full_hour(measured):
    measured.send("192.0.2.1", 3)
    measured.now = NOON + 3599
    assert measured.volumes.take(False) is None
    measured.now = NOON + 3600
    assert measured.volumes.take(False) == {
        "sources": [["udp", "192.0.2.1", None, 3, 300]], "sources_other": [0, 0], "sources_seconds": 3000,
    }  # fmt: skip
    assert measured.volumes.take(False) is None


def test_stop_measures_what_is_left(measured):
    measured.send("192.0.2.1", 3)
    measured.volumes.take(True)
    measured.send("192.0.2.1", 1, 50)
    assert measured.volumes.take(True)["sources"] == [["udp", "192.0.2.1", None, 1, 50]]


def test_busiest_are_listed_and_the_others_added_up(measured, monkeypatch):
    monkeypatch.setattr(source_volumes, "MOST_SOURCES", 2)
    for number in range(5):
        measured.send(f"192.0.2.{number}", number)
    found = measured.volumes.take(True)
    assert [row[1] for row in found["sources"]] == ["192.0.2.4", "192.0.2.3"]
    assert found["sources_other"] == [3, 300]


def test_events_of_forgotten_sources_count_as_others(measured):
    measured.send("192.0.2.1", 3)
    measured.peers.expire(int((measured.now + 8 * 86_400) * 1000))
    measured.ledger.receive_spooled("fw", 2)
    assert measured.volumes.take(True) == {
        "sources": [], "sources_other": [5, 0], "sources_seconds": 0,
    }  # fmt: skip
