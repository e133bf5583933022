"""Tests coalescing: nothing is lost, counted twice or out of order."""

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from bridge.batching import Window
from bridge.config import Listener
from bridge.ingest import pipeline
from bridge.ingest.coalescing import Coalescer
from bridge.listen.listener import ListenerContext
from bridge.listen.tcp_connection import SyslogFactory
from tests.unit.ingest.test_pipeline import Bridge, Route, lost, make_bridge  # noqa: F401


class CoalescingFixture:
    """Connections of a listener whose reactor turn ends when the test calls ``end_turn``."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.waiting = []
        listener = Listener.model_construct(name="tcp", max_connections=9, max_connections_per_peer=9)
        coalescer = Coalescer(bridge.pipeline, self.waiting.append)
        listener_context = ListenerContext(
            bridge.clock, bridge.pipeline, bridge.peers.get, max_frame_size=9000, coalescer=coalescer
        )
        self.factory = SyslogFactory(listener, listener_context)

    def connect(self, host):
        protocol = self.factory.buildProtocol(IPv4Address("TCP", host, 4000))
        protocol.makeConnection(StringTransport())
        return protocol

    def end_turn(self):
        calls, self.waiting[:] = list(self.waiting), []
        for call in calls:
            call()


@pytest.fixture
def fixture(make_bridge):  # noqa: F811
    return CoalescingFixture(make_bridge())


def line(text):
    return b"<13>Nov 23 12:00:00 gw app: " + text + b"\n"


def test_reads_of_one_turn_are_coalesced(fixture, monkeypatch):
    first, second, same_peer = fixture.connect("192.0.2.1"), fixture.connect("192.0.2.2"), fixture.connect("192.0.2.1")
    blocks = []
    parse = pipeline._parse
    monkeypatch.setattr(
        pipeline, "_parse", lambda profile, frames, reader: blocks.append(frames) or parse(profile, frames, reader)
    )
    first.dataReceived(line(b"1"))
    second.dataReceived(line(b"2") + b"\n \n" + line(b"3"))
    same_peer.dataReceived(line(b"4"))
    first.dataReceived(line(b"5"))
    fixture.bridge.check()
    assert len(fixture.waiting) == 1
    fixture.end_turn()
    assert len(blocks) == 1
    fixture.bridge.check(received=5, spooled=5)
    assert fixture.bridge.events("a") == [b"1", b"4", b"5", b"2", b"3"]
    assert [fixture.bridge.peers.get("tcp", f"192.0.2.{n}").events for n in (1, 2)] == [3, 2]
    assert fixture.bridge.pipeline.read_counts.by_listener["tcp"] == 5
    fixture.end_turn()
    first.dataReceived(line(b"6"))
    fixture.end_turn()
    fixture.bridge.check(received=6, spooled=6)


def test_reads_of_a_source_whose_clock_is_wrong_are_coalesced_with_its_own(make_bridge, monkeypatch):  # noqa: F811
    fixture = CoalescingFixture(make_bridge(window=Window(60_000, 60_000)))
    wrong, right = fixture.connect("192.0.2.1"), fixture.connect("192.0.2.2")
    ahead = b"<13>Nov 24 12:00:00 gw app: tomorrow\n"
    reads = []
    parse = pipeline._parse
    monkeypatch.setattr(
        pipeline, "_parse", lambda profile, frames, reader: reads.append(frames) or parse(profile, frames, reader)
    )
    for _ in range(2):
        for connection, text in ((wrong, ahead), (right, line(b"1")), (wrong, ahead), (right, line(b"2"))):
            connection.dataReceived(text)
        fixture.end_turn()
    # Together in the first turn, which shows whose clock is wrong, and apart in the second.
    own, others = 2 * ahead, line(b"1") + line(b"2")
    assert [read.split() for read in reads] == [(own + others).split(), own.split(), others.split()]
    assert [fixture.bridge.peers.get("tcp", f"192.0.2.{n}").outside for n in (1, 2)] == [4, 0]
    fixture.bridge.check(received=8, spooled=8)


def test_long_read_follows_earlier_small_reads(fixture):
    connection = fixture.connect("192.0.2.1")
    connection.dataReceived(line(b"1"))
    connection.dataReceived(3 * line(b"x" * 6000))
    fixture.bridge.check(received=4, spooled=4)
    connection.dataReceived(line(b"2"))
    fixture.end_turn()
    assert fixture.bridge.events("a") == [b"1", *3 * [b"x" * 6000], b"2"]


def test_many_small_reads_are_flushed_before_the_turn_ends(fixture):
    connection = fixture.connect("192.0.2.1")
    for _ in range(1100):
        connection.dataReceived(line(b"x" * 1000))
    assert fixture.bridge.ledger.columns()["received"] >= 1000
    fixture.end_turn()
    fixture.bridge.check(received=1100, spooled=1100)


def test_last_frame_of_a_connection_comes_last(fixture):
    connection = fixture.connect("192.0.2.1")
    connection.dataReceived(line(b"1") + b"<13>tail")
    lost(connection)
    assert fixture.bridge.events("a") == [b"1", b"tail"]
    fixture.end_turn()
    fixture.bridge.check(received=2, spooled=2)


def test_peers_that_are_not_mergeable_are_not_coalesced(make_bridge):  # noqa: F811
    fixture = CoalescingFixture(make_bridge(Route("some", "a", app_name=("app",)), Route("all", "b")))
    fixture.connect("192.0.2.1").dataReceived(line(b"1"))
    fixture.bridge.check(received=1, spooled=1)
    assert not fixture.waiting


def test_nothing_is_coalesced_while_senders_may_be_paused(fixture, monkeypatch):
    monkeypatch.setattr(fixture.bridge.pipeline.spool_writer.room, "pauses", True, raising=False)
    fixture.connect("192.0.2.1").dataReceived(line(b"1"))
    fixture.bridge.check(received=1, spooled=1)


def test_many_tiny_frames_are_flushed_before_the_turn_ends(fixture):
    """They cost as much as frames of usual length, which the limit in bytes is made for."""
    connection = fixture.connect("192.0.2.1")
    tiny = b"<13>\n" * 400
    reads = Coalescer.FLUSH_FRAMES // 400
    for _ in range(reads):
        connection.dataReceived(tiny)
    fixture.bridge.check()
    connection.dataReceived(tiny)
    fixture.bridge.check(received=400 * (reads + 1), spooled=400 * (reads + 1))
