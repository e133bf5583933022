"""One read of a TLS socket is one parse, however many records it holds; and who is not in yet gives way."""

import ssl

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory

from bridge.config import Listener
from bridge.listen.door import Hall
from bridge.listen.tls_door import TlsFactory, TlsTransport
from tests.harness.pki import Authority
from tests.unit.listen.test_road import Bridge, Route


class Transport(StringTransport):
    def getHandle(self):
        return None  # no socket is behind it


class Client:
    """Python's TLS in memory, against one connection of a factory."""

    def __init__(self, wrapping, ca, host="192.0.2.7"):
        self.protocol = wrapping.buildProtocol(IPv4Address("TCP", host, 4000))
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=ca)
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")

    def shake(self):
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            self.pass_on()
        return self

    def pass_on(self):
        """What the client has written, as one read; and back what the server has."""
        self.protocol.dataReceived(self._out.read() or b"") if self._out.pending else None
        self._in.write(self.transport.value())
        self.transport.clear()


@pytest.fixture
def scene(tmp_path):
    pki = Authority(tmp_path / "pki")
    issued = pki.issue("127.0.0.1")
    bridge = Bridge(tmp_path / "spool", [Route("all", "a")])
    listener = Listener.model_construct(
        name="tcp", certificate=issued.certificate, private_key=issued.private_key, max_connections=2,
    )  # fmt: skip
    factory = TlsFactory(listener, Hall(bridge.clock, bridge.road, bridge.peers.get, max_frame_size=250 * 1024))
    wrapping = TLSMemoryBIOFactory(factory.context, False, factory, bridge.clock)
    wrapping.protocol = TlsTransport
    return bridge, factory, lambda host="192.0.2.7": Client(wrapping, pki.ca, host)


def test_a_hundred_records_of_one_read_are_parsed_at_once(scene):
    bridge, factory, connect = scene
    client = connect().shake()
    for number in range(100):
        client.tls.write(b"<13>Nov 23 12:00:00 gw app: %d\n" % number)
    client.pass_on()
    assert factory.reads == 1
    bridge.check(received=100, spooled=100)
    assert bridge.events("a") == [b"%d" % number for number in range(100)]


def test_a_handshake_that_is_not_done_gives_way(scene):
    _, factory, connect = scene
    inside, half = connect().shake(), connect("192.0.2.8")
    assert list(factory.handshaking) == [half.protocol.wrappedProtocol]
    other = connect("192.0.2.9")
    assert other.protocol is not None
    assert half.transport.disconnecting or half.transport.disconnected
    assert factory.refusals.counts == {"handshake_timeout": 1}
    other.shake()
    assert not factory.handshaking
    # All places have somebody who is in: nobody gives way.
    assert factory.buildProtocol(IPv4Address("TCP", "192.0.2.10", 4000)) is None
    assert not inside.transport.disconnecting


def test_a_handshake_has_its_time(scene):
    bridge, factory, connect = scene
    silent, begun = connect(), connect("192.0.2.8")
    begun.protocol.dataReceived(b"\x16\x03\x01")
    bridge.clock.advance(9)
    assert not factory.refusals.counts
    bridge.clock.advance(2)
    assert factory.refusals.counts == {"handshake_timeout": 2}
    assert silent.transport.disconnecting
    assert begun.transport.disconnecting
