"""One read of a TLS socket is one parse, whatever its records and its end; and who is not in yet gives way."""

import ssl
import sys
from types import ModuleType

import pytest
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from bridge.config import Listener
from bridge.listen.listener import ListenerContext
from bridge.listen.tls import TlsFactory, TlsTransport
from tests.harness.pki import Authority
from tests.unit.ingest.test_pipeline import Bridge, Route


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

    def written(self):
        return self._out.read()

    def pass_on(self):
        """What the client has written, as one read; and back what the server has."""
        if self._out.pending:
            self.protocol.dataReceived(self.written())
        self._in.write(self.transport.value())
        self.transport.clear()

    def end(self):
        """The socket is closed."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


@pytest.fixture(params=["OpenSSL is asked", "pyOpenSSL is asked"])
def scene(tmp_path, request, monkeypatch):
    """A bridge, its TLS listener, and how to connect to it; also where pyOpenSSL has other insides than today."""
    if request.param == "pyOpenSSL is asked":
        monkeypatch.setitem(sys.modules, "OpenSSL._util", ModuleType("empty"))
    pki = Authority(tmp_path / "pki")
    issued = pki.issue("127.0.0.1")
    bridge = Bridge(tmp_path / "spool", [Route("all", "a")])
    listener = Listener.model_construct(
        name="tcp", certificate=issued.certificate, private_key=issued.private_key, max_connections=2,
    )  # fmt: skip
    factory = TlsFactory(
        listener, ListenerContext(bridge.clock, bridge.pipeline, bridge.peers.get, max_frame_size=250 * 1024)
    )
    wrapping = TLSMemoryBIOFactory(factory.context, False, factory, bridge.clock)
    wrapping.protocol = TlsTransport
    return bridge, factory, lambda host="192.0.2.7": Client(wrapping, pki.ca, host)


ONE = b"<13>Nov 23 12:00:00 gw app: %d\n"


def test_a_hundred_records_of_one_read_are_parsed_at_once(scene):
    bridge, factory, connect = scene
    client = connect().shake()
    for number in range(100):
        client.tls.write(ONE % number)
    client.pass_on()
    assert factory.reads == 1
    bridge.check(received=100, spooled=100)
    assert bridge.events("a") == [b"%d" % number for number in range(100)]


def test_pyopenssl_is_asked_only_for_what_is_no_record(scene, request, monkeypatch):
    _, _, connect = scene
    client = connect().shake()
    asked = []
    recv = SSL.Connection.recv
    monkeypatch.setattr(SSL.Connection, "recv", lambda *call: asked.append(call) or recv(*call))
    for number in range(100):
        client.tls.write(ONE % number)
    client.pass_on()
    assert len(asked) == (0 if "[OpenSSL" in request.node.name else 101)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.pass_on()
    assert len(asked) in (1, 102), "the end"


def test_records_end_where_they_like(scene):
    bridge, factory, connect = scene
    client = connect().shake()
    for number in range(10):
        client.tls.write(ONE % number)
    written = client.written()
    for byte in written[:100]:
        client.protocol.dataReceived(bytes([byte]))
    client.protocol.dataReceived(written[100:-1])
    bridge.check(received=9, spooled=9)
    client.protocol.dataReceived(written[-1:])
    assert bridge.events("a") == [b"%d" % number for number in range(10)]
    assert factory.reads == 3, "the first record, eight, and the last: what completes none is no read"


def test_a_message_longer_than_a_record(scene):
    bridge, factory, connect = scene
    client = connect().shake()
    text = b"x" * 200_000
    client.tls.write(b"<13>Nov 23 12:00:00 gw app: " + text + b"\n")
    client.pass_on()
    assert bridge.events("a") == [text]
    assert factory.reads <= 13


def test_an_end_behind_good_records(scene):
    bridge, factory, connect = scene
    client = connect().shake()
    for number in range(3):
        client.tls.write(ONE % number)
    client.tls.write(b"<13>Nov 23 12:00:00 gw app: without a line end")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.pass_on()
    assert client.transport.disconnecting
    client.tls.unwrap()  # the bridge has answered that it ends, too
    bridge.check(received=3, spooled=3)
    client.end()
    assert bridge.events("a") == [b"0", b"1", b"2", b"without a line end"]
    assert not factory.rejections.counts


def test_damage_behind_good_records(scene):
    bridge, factory, connect = scene
    client = connect().shake()
    for number in range(3):
        client.tls.write(ONE % number)
    client.protocol.dataReceived(client.written() + b"\x17\x03\x03\x00\x20" + bytes(32))
    assert client.transport.disconnecting
    bridge.check(received=3, spooled=3)
    client.end()
    assert bridge.events("a") == [b"0", b"1", b"2"]
    assert factory.rejections.counts == {"tls_broken": 1}


def test_an_end_without_a_word(scene):
    """Many senders do not say that they end."""
    bridge, factory, connect = scene
    client = connect().shake()
    client.tls.write(ONE % 1)
    client.protocol.dataReceived(client.written()[:-1])
    bridge.check()
    client.end()
    bridge.check()
    assert not factory.rejections.counts
    assert not factory.connections


def test_nothing_is_read_after_a_refusal(scene):
    bridge, factory, connect = scene
    client = connect().shake()
    client.tls.write(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
    client.pass_on()
    client.tls.write(ONE % 1)
    client.pass_on()
    assert factory.rejections.counts == {"proxy_header_from_stranger": 1}
    assert client.transport.disconnected
    bridge.check()


def test_who_is_held_stops_reading_and_goes_on(scene):
    bridge, factory, connect = scene
    client = connect().shake()
    take, connection = bridge.pipeline.take, client.protocol.wrappedProtocol

    def backpressure(peer, frames, single_second=None, sender=None):
        take(peer, frames, single_second, sender)
        sender.hold()

    bridge.pipeline.take = backpressure
    for number in range(50):
        client.tls.write(ONE % number)
    client.pass_on()
    assert client.transport.producerState == "paused"
    assert factory.reads == 1, "the whole read is one unit: it is kept or held as one"
    bridge.pipeline.take = take
    connection.go_on()
    assert client.transport.producerState == "producing"
    client.tls.write(ONE % 50)
    client.pass_on()
    assert bridge.events("a") == [b"%d" % number for number in range(51)]


def test_a_handshake_that_is_not_done_gives_way(scene):
    _, factory, connect = scene
    inside, half = connect().shake(), connect("192.0.2.8")
    assert list(factory.handshaking) == [half.protocol.wrappedProtocol]
    other = connect("192.0.2.9")
    assert other.protocol is not None
    assert half.transport.disconnecting or half.transport.disconnected
    assert factory.rejections.counts == {"handshake_timeout": 1}
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
    assert not factory.rejections.counts
    bridge.clock.advance(2)
    assert factory.rejections.counts == {"handshake_timeout": 2}
    assert silent.transport.disconnecting
    assert begun.transport.disconnecting
