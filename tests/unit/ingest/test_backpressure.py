"""Tests ``when_full: pause``: streams are paused, datagrams are not, and held events are appended first."""

import errno
import os
from datetime import UTC

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from bridge.accounting import Ledger
from bridge.config import Listener
from bridge.ingest.peers import Peers
from bridge.listen.listener import ListenerContext
from bridge.listen.tcp_connection import SyslogFactory
from bridge.routing import Router
from bridge.syslog.frames import block_of
from tests.harness.builders import UnlimitedRoom, build_pipeline, build_spool
from tests.unit.ingest.test_pipeline import Intake, Route, Unrouted

NOON = 1_795_435_200


class FakeDiskBudget(UnlimitedRoom):
    """Pauses senders, and finds the disk full with each failed write."""

    def __init__(self):
        super().__init__()
        self.pauses = True

    def failed(self, intake, error):
        return "disk_full"


class BackpressureFixture:
    """A TCP listener with a real pipeline and spool, and a disk budget that a test controls."""

    def __init__(self, directory):
        self.clock, self.ledger, self.disk_budget = Clock(), Ledger(), FakeDiskBudget()
        self.spool = build_spool(directory, clock=self.clock.seconds)
        routes = [Route("b", "b", hostname=("b",)), Route("all", "a")]
        self.peers = Peers(
            Router(
                routes=routes, intakes={"a": Intake(), "b": Intake()}, listeners={"tcp": None, "udp": None},
                unrouted=Unrouted(), timezone=UTC,
            )
        )  # fmt: skip
        self.pipeline = build_pipeline(self.spool, self.ledger, on_error=lambda text: None, room=self.disk_budget)
        listener = Listener.model_construct(name="tcp", max_connections=10, max_connections_per_peer=10)
        self.factory = SyslogFactory(
            listener, ListenerContext(self.clock, self.pipeline, self.peers.get, max_frame_size=250 * 1024)
        )

    def connect(self):
        protocol = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 4000))
        protocol.makeConnection(StringTransport())
        return protocol

    def events(self, intake):
        self.spool.seal_all()
        return [
            line for path in sorted((self.spool.directory / intake).glob("*"))
            for line in path.read_bytes().split(b"\n")[:-1]
        ]  # fmt: skip

    def ledger_columns(self):
        assert self.ledger.imbalance == 0
        return {name: value for name, value in self.ledger.columns().items() if value}


@pytest.fixture
def fixture(tmp_path):
    return BackpressureFixture(tmp_path / "spool")


def frames(host, *texts):
    return b"".join(b"<13>Nov 24 00:00:00 %s t: %s\n" % (host, text) for text in texts)


def test_connection_pauses_and_its_events_are_held(fixture):
    fixture.disk_budget.full["a"] = "spool_full"
    held, other = fixture.connect(), fixture.connect()
    held.dataReceived(frames(b"a", b"1", b"2") + frames(b"b", b"3"))
    assert held.transport.producerState == "paused"
    assert fixture.ledger_columns() == {"received": 3, "buffered": 2, "spooled": 1}
    other.dataReceived(frames(b"b", b"4"))
    assert other.transport.producerState == "producing"
    fixture.factory.check_idle()
    fixture.pipeline.spool_writer.resume()
    assert held.transport.producerState == "paused", "the intake is still full"
    fixture.disk_budget.full.clear()
    fixture.pipeline.spool_writer.resume()
    assert held.transport.producerState == "producing"
    assert len(fixture.pipeline.spool_writer.backpressure) == 0
    held.dataReceived(frames(b"a", b"5"))
    assert fixture.ledger_columns() == {"received": 5, "spooled": 5}
    assert fixture.events("a") == [b"1", b"2", b"5"]
    assert fixture.events("b") == [b"3", b"4"]


def test_connection_waits_for_two_full_intakes(fixture):
    fixture.disk_budget.full = {"a": "spool_full", "b": "disk_full"}
    held = fixture.connect()
    held.dataReceived(frames(b"a", b"1") + frames(b"b", b"2"))
    del fixture.disk_budget.full["a"]
    fixture.pipeline.spool_writer.resume()
    assert held.transport.producerState == "paused"
    del fixture.disk_budget.full["b"]
    fixture.pipeline.spool_writer.resume()
    assert held.transport.producerState == "producing"


def test_nested_resume_appends_nothing_twice(fixture):
    fixture.disk_budget.full = {"a": "spool_full", "b": "spool_full"}
    first, second = fixture.connect(), fixture.connect()
    first.dataReceived(frames(b"a", b"1"))
    second.dataReceived(frames(b"b", b"2"))
    fixture.disk_budget.full.clear()
    reserve = fixture.disk_budget.reserve

    def resume_then_refuse(intake, size):
        # The disk budget does the same: it calls resume at once when it finds room.
        fixture.pipeline.spool_writer.resume()
        return reserve(intake, size)

    fixture.disk_budget.reserve = resume_then_refuse
    fixture.pipeline.spool_writer.resume()
    assert fixture.ledger_columns() == {"received": 2, "spooled": 2}
    assert (fixture.events("a"), fixture.events("b")) == ([b"1"], [b"2"])
    assert first.transport.producerState == second.transport.producerState == "producing"


def test_take_returns_what_happened_to_the_events(fixture):
    fixture.disk_budget.full["b"] = "spool_full"
    peer, connection = fixture.peers.get("tcp", "192.0.2.7"), fixture.connect()
    read = block_of([b"<13>Nov 24 00:00:00 %s t: x" % host for host in (b"a", b"a", b"b")])
    taken = fixture.pipeline.take(peer, read, sender=connection)
    assert (taken.spooled, taken.held, taken.lost) == (2, 1, 0)
    assert [(batch.intake, batch.count) for batch in taken.files] == [("a", 2)]
    taken = fixture.pipeline.take(peer, read)
    assert (taken.spooled, taken.held, taken.lost) == (2, 0, 1)
    fixture.spool.quarantine.add = lambda reason, entries, **awaited: (_ for _ in ()).throw(OSError(28, "No space"))
    assert fixture.pipeline.take_unfinished(peer, b"rest", "cut").lost == 1
    assert fixture.ledger_columns() == {
        "received": 7, "spooled": 4, "buffered": 1, "dropped": {"spool_full": 1, "quarantine_write_failed": 1}
    }  # fmt: skip


def test_datagrams_for_a_full_intake_are_dropped(fixture):
    fixture.disk_budget.full["a"] = "spool_full"
    fixture.pipeline.take_many([(fixture.peers.get("udp", "192.0.2.7"), [b"<13>x", b"<13>y"])], lambda frames: frames)
    assert fixture.ledger_columns() == {"received": 2, "dropped": {"spool_full": 2}}


def test_events_are_dropped_without_pause(fixture):
    fixture.disk_budget.full["a"] = "spool_full"
    fixture.disk_budget.pauses = False
    connection = fixture.connect()
    connection.dataReceived(frames(b"a", b"1"))
    assert connection.transport.producerState == "producing"
    assert fixture.ledger_columns() == {"received": 1, "dropped": {"spool_full": 1}}


def test_held_events_of_an_ended_connection_are_appended(fixture):
    fixture.disk_budget.full["a"] = "spool_full"
    held = fixture.connect()
    held.dataReceived(frames(b"a", b"1") + b"<13>Nov 24 00:00:00 a t: 2")
    held.connectionLost()
    assert fixture.ledger_columns() == {"received": 2, "buffered": 2}
    fixture.pipeline.spool_writer.finish()
    assert fixture.ledger_columns() == {"received": 2, "spooled": 2}
    assert fixture.events("a") == [b"1", b"2"]


def test_write_to_a_full_disk_is_held(fixture, monkeypatch):
    monkeypatch.setattr("bridge.spool.store.write_whole", lambda *args: (_ for _ in ()).throw(OSError(28, "No space")))
    held = fixture.connect()
    held.dataReceived(frames(b"a", b"1"))
    assert fixture.ledger_columns() == {"received": 1, "buffered": 1}
    assert held.transport.producerState == "paused"
    fixture.pipeline.spool_writer.finish()
    assert fixture.ledger_columns() == {"received": 1, "dropped": {"disk_full": 1}}


def fail_writes(monkeypatch, number):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("bridge.spool.store.write_whole", fail)


def test_held_events_stay_held_while_their_write_fails(fixture, monkeypatch):
    fixture.disk_budget.full["a"] = "disk_full"
    held = fixture.connect()
    held.dataReceived(frames(b"a", b"1"))
    fixture.disk_budget.full.clear()
    fail_writes(monkeypatch, errno.ENOSPC)
    fixture.pipeline.spool_writer.resume()
    assert fixture.ledger_columns() == {"received": 1, "buffered": 1}
    assert held.transport.producerState == "paused"
    monkeypatch.undo()
    fixture.pipeline.spool_writer.resume()
    assert fixture.ledger_columns() == {"received": 1, "spooled": 1}
    assert held.transport.producerState == "producing"
    assert fixture.events("a") == [b"1"]


@pytest.mark.parametrize("pauses", [True, False])
def test_spool_that_cannot_be_written_holds_senders_only_with_pause(fixture, monkeypatch, pauses):
    fixture.disk_budget.pauses = pauses
    fixture.disk_budget.failed = lambda intake, error: "spool_write_failed"
    fail_writes(monkeypatch, errno.EROFS)
    connection = fixture.connect()
    connection.dataReceived(frames(b"a", b"1"))
    if pauses:
        assert fixture.ledger_columns() == {"received": 1, "buffered": 1}
        monkeypatch.undo()
        fixture.pipeline.spool_writer.resume()
        assert fixture.ledger_columns() == {"received": 1, "spooled": 1}
    else:
        assert fixture.ledger_columns() == {"received": 1, "dropped": {"spool_write_failed": 1}}
    assert connection.transport.producerState == "producing"
