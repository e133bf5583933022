"""Tests TLS connections: one socket read is one pipeline read, and unfinished handshakes are closed for new clients."""

import gc
import ssl
import sys
import weakref
from types import ModuleType

import pytest
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from bridge.config import Listener
from bridge.listen.handshake import TlsTransportFactory
from bridge.listen.listener import ListenerContext
from bridge.listen.relp import RelpTlsConnection
from bridge.listen.tcp_connection import SyslogFactory
from bridge.listen.tls import TlsConnection, load_context
from bridge.tls.records import Records
from tests.harness.pki import Authority
from tests.unit.ingest.test_pipeline import Bridge, Route


class Transport(StringTransport):
    def getHandle(self):
        return None  # there is no socket


class Client:
    """A TLS client in memory, connected to one connection of a factory."""

    def __init__(self, wrapping, ca, host="192.0.2.7"):
        self.protocol = wrapping.buildProtocol(IPv4Address("TCP", host, 4000))
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=ca)
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")

    def handshake(self):
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            self.exchange()
        return self

    def written(self):
        return self._out.read()

    def exchange(self):
        """Passes the client's data to the server as one read, and the server's data to the client."""
        if self._out.pending:
            self.protocol.dataReceived(self.written())
        self._in.write(self.transport.value())
        self.transport.clear()

    def end(self):
        """Closes the socket."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


@pytest.fixture(params=["OpenSSL reads", "pyOpenSSL reads"])
def fixture(tmp_path, request, monkeypatch):
    """A bridge, its TLS listener and a connect function, with and without access to pyOpenSSL's internals."""
    if request.param == "pyOpenSSL reads":
        monkeypatch.setitem(sys.modules, "OpenSSL._util", ModuleType("empty"))
    pki = Authority(tmp_path / "pki")
    issued = pki.issue("127.0.0.1")
    bridge = Bridge(tmp_path / "spool", [Route("all", "a")])
    listener = Listener.model_construct(
        name="tcp", cert_file=issued.certificate, key_file=issued.private_key, max_connections=2,
    )  # fmt: skip
    listener_context = ListenerContext(bridge.clock, bridge.pipeline, bridge.peers.get, max_frame_size=250 * 1024)
    factory = SyslogFactory(listener, listener_context, TlsConnection)
    wrapping = TlsTransportFactory(load_context(listener), factory, bridge.clock)
    return bridge, factory, lambda host="192.0.2.7", wrapping=wrapping: Client(wrapping, pki.ca, host)


def counted_reads(factory):
    """Returns a list with one item for each pipeline read from now on."""
    reads = []
    factory.connections.watch(lambda: reads.append(None))
    return reads


FRAME = b"<13>Nov 23 12:00:00 gw app: %d\n"


def test_hundred_records_of_one_read_are_one_pipeline_read(fixture):
    bridge, factory, connect = fixture
    client, reads = connect().handshake(), counted_reads(factory)
    for number in range(100):
        client.tls.write(FRAME % number)
    client.exchange()
    assert len(reads) == 1
    bridge.check(received=100, spooled=100)
    assert bridge.events("a") == [b"%d" % number for number in range(100)]


def test_pyopenssl_is_called_only_for_close_notify(fixture, request, monkeypatch):
    _, _, connect = fixture
    client = connect().handshake()
    recv_calls = []
    recv = SSL.Connection.recv
    monkeypatch.setattr(SSL.Connection, "recv", lambda *call: recv_calls.append(call) or recv(*call))
    for number in range(100):
        client.tls.write(FRAME % number)
    client.exchange()
    assert len(recv_calls) == (0 if "[OpenSSL" in request.node.name else 101)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.exchange()
    assert len(recv_calls) in (1, 102), "one further call for the close_notify"


def test_records_may_be_split_at_any_byte(fixture):
    bridge, factory, connect = fixture
    client, reads = connect().handshake(), counted_reads(factory)
    for number in range(10):
        client.tls.write(FRAME % number)
    written = client.written()
    for byte in written[:100]:
        client.protocol.dataReceived(bytes([byte]))
    client.protocol.dataReceived(written[100:-1])
    bridge.check(received=9, spooled=9)
    client.protocol.dataReceived(written[-1:])
    assert bridge.events("a") == [b"%d" % number for number in range(10)]
    assert len(reads) == 3, "the first record, eight, and the last: data without a complete record is no read"


def test_message_longer_than_a_record_is_spooled(fixture):
    bridge, factory, connect = fixture
    client, reads = connect().handshake(), counted_reads(factory)
    text = b"x" * 200_000
    client.tls.write(b"<13>Nov 23 12:00:00 gw app: " + text + b"\n")
    client.exchange()
    assert bridge.events("a") == [text]
    assert len(reads) <= 13


@pytest.mark.parametrize("count", [3, Records.FEW, 3 * Records.FEW])
def test_records_before_close_notify_are_spooled(fixture, count):
    bridge, factory, connect = fixture
    client = connect().handshake()
    for number in range(count):
        client.tls.write(FRAME % number)
    client.tls.write(b"<13>Nov 23 12:00:00 gw app: without a line end")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.exchange()
    assert client.transport.disconnecting
    client.tls.unwrap()  # the bridge has answered with its own close_notify
    bridge.check(received=count, spooled=count)
    client.end()
    assert bridge.events("a") == [*(b"%d" % number for number in range(count)), b"without a line end"]
    assert not factory.connections.rejections.counts


@pytest.mark.parametrize("count", [3, Records.FEW, 3 * Records.FEW])
def test_records_before_a_damaged_record_are_spooled(fixture, count):
    bridge, factory, connect = fixture
    client = connect().handshake()
    for number in range(count):
        client.tls.write(FRAME % number)
    client.protocol.dataReceived(client.written() + b"\x17\x03\x03\x00\x20" + bytes(32))
    assert client.transport.disconnecting
    bridge.check(received=count, spooled=count)
    client.end()
    assert bridge.events("a") == [b"%d" % number for number in range(count)]
    assert factory.connections.rejections.counts == {"tls_broken": 1}


def test_close_without_close_notify_is_not_a_rejection(fixture):
    """Many senders close the connection without close_notify."""
    bridge, factory, connect = fixture
    client = connect().handshake()
    client.tls.write(FRAME % 1)
    client.protocol.dataReceived(client.written()[:-1])
    bridge.check()
    client.end()
    bridge.check()
    assert not factory.connections.rejections.counts
    assert not factory.connections


def test_nothing_is_read_after_a_rejection(fixture):
    bridge, factory, connect = fixture
    client = connect().handshake()
    client.tls.write(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
    client.exchange()
    client.tls.write(FRAME % 1)
    client.exchange()
    assert factory.connections.rejections.counts == {"proxy_header_from_stranger": 1}
    assert client.transport.disconnected
    bridge.check()


def test_paused_connection_stops_reading_and_resumes(fixture):
    bridge, factory, connect = fixture
    client, reads = connect().handshake(), counted_reads(factory)
    take, connection = bridge.pipeline.take, client.protocol.wrappedProtocol

    def backpressure(peer, frames, reader=None, sender=None):
        take(peer, frames, reader, sender)
        sender.pause()

    bridge.pipeline.take = backpressure
    for number in range(50):
        client.tls.write(FRAME % number)
    client.exchange()
    assert client.transport.producerState == "paused"
    assert len(reads) == 1, "the whole read is one unit: it is appended or held as one"
    bridge.pipeline.take = take
    connection.resume()
    assert client.transport.producerState == "producing"
    client.tls.write(FRAME % 50)
    client.exchange()
    assert bridge.events("a") == [b"%d" % number for number in range(51)]


def test_oldest_unfinished_handshake_is_closed_for_a_new_client(fixture):
    _, factory, connect = fixture
    connected, unfinished = connect().handshake(), connect("192.0.2.8")
    other = connect("192.0.2.9")
    assert other.protocol is not None
    assert unfinished.transport.disconnecting or unfinished.transport.disconnected
    assert factory.connections.rejections.counts == {"handshake_timeout": 1}
    other.handshake()
    # All connections have finished their handshake: none is closed.
    assert factory.buildProtocol(IPv4Address("TCP", "192.0.2.10", 4000)) is None
    assert not connected.transport.disconnecting


def test_unfinished_handshakes_time_out(fixture):
    bridge, factory, connect = fixture
    silent, partial = connect(), connect("192.0.2.8")
    partial.protocol.dataReceived(b"\x16\x03\x01")
    bridge.clock.advance(9)
    assert not factory.connections.rejections.counts
    bridge.clock.advance(2)
    assert factory.connections.rejections.counts == {"handshake_timeout": 2}
    assert silent.transport.disconnecting
    assert partial.transport.disconnecting
    # Their slots are free at once, although the sockets close in a later reactor turn.
    assert [connect(host).protocol is not None for host in ("192.0.2.9", "192.0.2.10")] == [True, True]
    assert factory.connections.rejections.counts == {"handshake_timeout": 2}


def test_relp_over_tls_is_acknowledged(fixture):
    bridge, factory, connect = fixture
    relp = SyslogFactory(factory.listener, factory.listener_context, RelpTlsConnection)
    client = connect(wrapping=TlsTransportFactory(load_context(relp.listener), relp, bridge.clock)).handshake()
    frame = b"<13>Nov 23 12:00:00 gw app: one"
    client.tls.write(b"1 syslog %d %b\n" % (len(frame), frame))
    client.exchange()
    bridge.clock.advance(0)  # TLS joins the writes of one reactor turn
    client.exchange()
    assert client.tls.read(100) == b"1 rsp 6 200 OK\n"
    assert bridge.events("a") == [b"one"]
    relp.connections.end()
    bridge.clock.advance(0)
    client.exchange()
    assert client.tls.read(100) == b"0 serverclose 0\n"


@pytest.mark.parametrize("finishes", [True, False])
def test_ended_connection_is_freed_without_garbage_collection(fixture, finishes):
    _, _, connect = fixture
    client = connect()
    connection = weakref.ref(client.protocol.wrappedProtocol)
    if finishes:
        client.handshake()
    gc.disable()
    try:
        client.end()
        assert connection() is None
    finally:
        gc.enable()


def test_oversize_frames_of_several_reads_are_quarantined(fixture):
    bridge, _, connect = fixture
    client = connect().handshake()
    for _ in range(2):
        client.tls.write(b"x" * 260 * 1024 + b"\n")
        client.exchange()
    bridge.check(received=2, quarantined=2)


def test_connection_that_has_ended_can_be_aborted(fixture):
    """Twisted's web server does this when it times out a client that has gone."""
    _, _, connect = fixture
    client = connect().handshake()
    client.end()
    client.protocol.abortConnection()
