"""Tests the pause between two drains: it is made only with a large receive buffer, and loses nothing."""

import socket

import pytest
from twisted.internet.task import Clock

from bridge.config import Listener
from bridge.listen import datagram_reader, drain_pause
from bridge.listen.drain_pause import SHORTEST
from bridge.listen.listener import ListenerContext
from bridge.listen.udp import UdpListener
from tests.unit.ingest.test_pipeline import make_bridge  # noqa: F401


class Reactor(Clock):
    """A clock that records the registered readers."""

    def __init__(self):
        super().__init__()
        self.readers = []

    def addReader(self, reader):
        self.readers.append(reader)

    def removeReader(self, reader):
        if reader in self.readers:
            self.readers.remove(reader)


class UdpFixture:
    def __init__(self, bridge):
        self.bridge = bridge
        self.reactor = Reactor()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.to = self.socket.getsockname()
        self.reader = UdpListener(
            Listener.model_construct(name="udp", receive_buffer=4096), self.socket,
            ListenerContext(self.reactor, bridge.pipeline, bridge.peers.get, max_frame_size=250 * 1024),
        )  # fmt: skip
        self.reader.start()

    def send(self, *texts):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for text in texts:
                sender.sendto(b"<13>Nov 23 12:00:00 gw app: " + text, self.to)


@pytest.fixture
def fixture(make_bridge, monkeypatch):  # noqa: F811
    monkeypatch.setattr(drain_pause, "LARGE_BUFFER", 1)
    built = UdpFixture(make_bridge())
    yield built
    built.reader.close(shared=False)


def test_reader_pauses_after_a_drain(fixture):
    fixture.send(b"1", b"2")
    fixture.reader.doRead()
    assert fixture.reactor.readers == []
    fixture.bridge.check(received=2, spooled=2)
    fixture.reactor.advance(SHORTEST)
    assert fixture.reactor.readers == [fixture.reader]


def test_stop_reads_datagrams_that_arrived_during_a_pause(fixture):
    fixture.send(b"1")
    fixture.reader.doRead()
    fixture.send(b"2")
    fixture.reader.close(shared=False)
    fixture.bridge.check(received=2, spooled=2)
    fixture.reactor.advance(SHORTEST)
    assert fixture.reactor.readers == []


def test_reader_continues_at_once_after_a_full_drain(fixture, monkeypatch):
    monkeypatch.setattr(datagram_reader, "MOST_DATAGRAMS", 2)
    fixture.send(b"1", b"2", b"3")
    fixture.reader.doRead()
    assert fixture.reactor.readers == [fixture.reader]


def test_reader_does_not_pause_with_a_small_buffer(make_bridge, monkeypatch):  # noqa: F811
    monkeypatch.setattr(drain_pause, "LARGE_BUFFER", 1 << 30)
    fixture = UdpFixture(make_bridge())
    fixture.send(b"1")
    fixture.reader.doRead()
    assert fixture.reactor.readers == [fixture.reader]
    fixture.reader.close(shared=False)
