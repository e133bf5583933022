"""Tests which held events wait for what, and how much closed connections may bring."""

from __future__ import annotations

import pytest

from bridge.batching import Group
from bridge.ingest import backpressure
from bridge.ingest.backpressure import Backpressure
from bridge.listen import tcp_connection
from tests.unit.ingest.test_backpressure import BackpressureFixture, frames


@pytest.fixture
def fixture(tmp_path):
    return BackpressureFixture(tmp_path / "spool")


def test_events_that_nobody_acknowledges_do_not_wait_for_a_sync(fixture):
    """While fsync fails, senders without acknowledgement are resumed once there is room; the others wait."""
    fixture.disk_budget.full["a"] = "spool_full"
    acknowledged, plain = fixture.connect(), fixture.connect()
    acknowledged.acknowledges = True
    acknowledged.dataReceived(frames(b"a", b"1"))
    plain.dataReceived(frames(b"a", b"2"))
    fixture.disk_budget.full.clear()
    fixture.disk_budget.unsynced = True
    fixture.pipeline.spool_writer.resume()
    assert (acknowledged.transport.producerState, plain.transport.producerState) == ("paused", "producing")
    assert fixture.ledger_columns() == {"received": 2, "spooled": 1, "buffered": 1}
    fixture.disk_budget.unsynced = False
    fixture.pipeline.spool_writer.resume()
    assert acknowledged.transport.producerState == "producing"
    assert fixture.events("a") == [b"2", b"1"]


def test_closed_connections_are_read_up_to_a_limit_in_all(fixture, monkeypatch):
    """Each is read once, and what it may bring counts until it has ended."""
    monkeypatch.setattr(backpressure, "MAX_HELD", 1000)
    monkeypatch.setattr(tcp_connection, "bytes_left", lambda transport: 300)
    fixture.disk_budget.full["a"] = "spool_full"
    waiting = [fixture.connect() for _ in range(5)]
    for connection in waiting:
        connection.dataReceived(frames(b"a", b"1"))
    held = fixture.pipeline.spool_writer.backpressure
    assert held.size < 100
    for _ in range(3):
        fixture.factory.check_idle()
        states = [connection.transport.producerState for connection in waiting]
        assert states == ["producing"] * 3 + ["paused"] * 2
    waiting[0].dataReceived(frames(b"a", b"x" * 250))
    waiting[0].connectionLost()
    fixture.factory.check_idle()
    assert waiting[3].transport.producerState == "paused", "what the first one has brought is held"
    waiting[1].connectionLost()
    fixture.factory.check_idle()
    assert waiting[3].transport.producerState == "producing"
    assert waiting[4].transport.producerState == "paused"


def test_grant_counts_once_per_connection():
    class Sender:
        acknowledges = False

        def pause(self): ...

        def appended(self, batch): ...

        def resume(self): ...

    held, first, second = Backpressure(), Sender(), Sender()
    held.hold(Group("a", "lines", 0, 0, 0, 1, b"x" * 100, timed=False), first)
    assert held.grant(first, backpressure.MAX_HELD - 100)
    assert held.grant(first, backpressure.MAX_HELD - 100)
    assert not held.grant(second, 1)
    held.forget(first)
    assert held.grant(second, backpressure.MAX_HELD - 100)
