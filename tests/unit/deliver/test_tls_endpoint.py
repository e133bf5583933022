"""Tests that megabytes over TLS arrive whole and in few steps."""

import os
import ssl

import pytest
from twisted.internet import defer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from bridge.deliver.tls import CachedPolicy, Trust
from bridge.deliver.tls_endpoint import TlsEndpoint
from bridge.tls.records import Records
from tests.harness.pki import Authority


class Kept(Protocol):
    """Keeps the received bytes."""

    def __init__(self):
        self.reads = []
        self.lost = None

    def dataReceived(self, data):
        self.reads.append(data)

    def connectionLost(self, reason):
        self.lost = reason


class Wire(StringTransport):
    """Counts writes."""

    def __init__(self):
        super().__init__()
        self.writes = 0

    def write(self, data):
        self.writes += 1
        super().write(data)


class Server:
    """A TLS server in memory, from Python's ssl module, at the other end of a pipe."""

    def __init__(self, tmp_path):
        pki = Authority(tmp_path)
        issued = pki.issue("127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate, issued.private_key)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)
        self.wire = Wire()
        policy = CachedPolicy(Trust(ca_file=pki.ca))
        pipe = TlsEndpoint(policy.creatorForNetloc(b"127.0.0.1", 443), self, Records())
        connecting = pipe.connect(Factory.forProtocol(Kept))
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            self.pass_on()
        found = []
        connecting.addCallback(found.append)
        (self.client,) = found

    def connect(self, factory):
        """Connects the client to the pipe."""
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.wire)
        return defer.succeed(self.protocol)

    def pass_on(self):
        """Passes on what either side has written; the client gets it as one read."""
        self._in.write(self.wire.value())
        self.wire.clear()
        if self._out.pending:
            self.protocol.dataReceived(self._out.read())
            self._in.write(self.wire.value())
            self.wire.clear()

    def read(self):
        whole = b""
        while True:
            try:
                whole += self.tls.read(1 << 20)
            except ssl.SSLWantReadError:
                return whole


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path)


def test_a_body_is_handed_on_in_few_pieces(server):
    body = os.urandom(1_000_000)
    before = server.wire.writes
    server.client.transport.write(body)
    assert server.wire.writes - before <= 8, "a million bytes are 62 records"
    server.pass_on()
    assert server.read() == body


def test_an_answer_is_taken_a_read_at_a_time(server):
    answer = os.urandom(300_000)
    server.tls.write(answer)
    server.pass_on()
    assert b"".join(server.client.reads) == answer
    assert len(server.client.reads) <= 4, "it came in 19 records"


def test_who_aborts_gets_no_more(server):
    received = server.client.dataReceived

    def abort(data):
        received(data)
        server.client.transport.abortConnection()

    server.client.dataReceived = abort
    server.tls.write(os.urandom(300_000))
    server.pass_on()
    assert len(server.client.reads) == 1
    assert server.wire.disconnected


def test_the_end_is_told(server):
    server.tls.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.unwrap()
    server.pass_on()
    assert b"".join(server.client.reads) == b"last"
    assert server.wire.disconnecting


def test_damage_ends_the_connection(server):
    server.protocol.dataReceived(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert server.wire.disconnecting
    assert server.wire.value(), "an alert is sent to the server"
