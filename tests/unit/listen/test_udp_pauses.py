"""Tests the UDP listener's pauses with a real socket: they follow the rate, and each drain is counted at once."""

import socket

import pytest

from bridge.listen import datagram_reader, udp
from bridge.listen.datagram_reader import MOST_DATAGRAMS
from bridge.listen.drain_pause import LONGEST, SHORTEST
from bridge.listen.udp import UdpListener
from tests.unit.ingest.test_pipeline import Listener, ListenerContext, grow_receive_buffer, make_bridge  # noqa: F401
from tests.unit.listen.test_udp import Reactor


class PausedUdp:
    """A listener with a buffer of 16 MiB on a reactor whose time the test sets."""

    def __init__(self, bridge):
        self.bridge = bridge
        self.reactor = Reactor()
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        if grow_receive_buffer(bound, 16 << 20) < 16 << 20:
            bound.close()
            pytest.skip("net.core.rmem_max is too small, and this user may not pass it")
        bound.bind(("127.0.0.1", 0))
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect(bound.getsockname())
        context = ListenerContext(self.reactor, bridge.pipeline, bridge.peers.get, max_frame_size=250 * 1024)
        self.listener = UdpListener(Listener.model_construct(name="udp", receive_buffer=4096), bound, context)
        self.listener.start()
        self.sent = 0

    def drain(self, count):
        """Sends datagrams, drains them, and returns the length of the pause; 0 if the listener goes on reading."""
        for _ in range(count):
            self.sender.send(b"<13>Nov 23 12:00:00 gw app: %d" % self.sent)
            self.sent += 1
        assert self.reactor.readers == [self.listener]
        self.listener.doRead()
        self.bridge.check(received=self.sent, spooled=self.sent)
        timers = self.reactor.getDelayedCalls()
        assert len(timers) == (not self.reactor.readers)
        return timers[0].getTime() - self.reactor.seconds() if timers else 0

    def end_pause(self):
        self.reactor.advance(self.reactor.getDelayedCalls()[0].getTime() - self.reactor.seconds())

    def close(self):
        self.listener.close(shared=False)
        self.sender.close()


@pytest.fixture(params=["recvmmsg", "recvfrom"])
def paused(request, make_bridge, monkeypatch):  # noqa: F811
    if request.param == "recvfrom":
        monkeypatch.setattr(datagram_reader, "find_recvmmsg", lambda: None)
    built = PausedUdp(make_bridge())
    yield built
    built.close()


def test_pause_grows_with_the_rate_and_shrinks_in_silence(paused):
    assert paused.drain(1) == SHORTEST
    paused.end_pause()
    assert paused.drain(20) == pytest.approx(LONGEST), "10,000 datagrams per second"
    paused.end_pause()
    assert paused.drain(100) == pytest.approx(LONGEST)
    paused.end_pause()
    paused.reactor.advance(60)
    assert paused.drain(1) == pytest.approx(SHORTEST), "the first datagram after silence"
    paused.end_pause()
    assert paused.drain(500) == pytest.approx(SHORTEST * 0.8 * MOST_DATAGRAMS / 500), "250,000 datagrams per second"


def test_full_drain_is_continued_at_once(paused):
    paused.drain(1)
    paused.end_pause()
    for _ in range(MOST_DATAGRAMS + 76):
        paused.sender.send(b"")
    paused.listener.doRead()
    assert paused.reactor.readers == [paused.listener]
    paused.listener.doRead()
    paused.bridge.check(received=1, spooled=1)


def test_listener_without_the_use_of_its_buffer_keeps_the_shortest_pause(paused, monkeypatch):
    monkeypatch.setattr(udp, "receive_buffer_used", lambda bound: None)
    for _ in range(3):
        assert paused.drain(50) == pytest.approx(SHORTEST)
        paused.end_pause()


def test_close_during_a_long_pause_reads_the_rest(paused):
    paused.drain(1)
    paused.end_pause()
    paused.drain(50)
    for _ in range(7):
        paused.sender.send(b"<13>late")
    paused.listener.close(shared=False)
    paused.bridge.check(received=paused.sent + 7, spooled=paused.sent + 7)
    assert paused.reactor.getDelayedCalls() == []
