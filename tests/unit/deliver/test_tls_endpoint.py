"""Tests that large bodies over TLS arrive complete, in few reads and writes."""

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


class RecordingProtocol(Protocol):
    """Keeps the received bytes."""

    def __init__(self):
        self.reads = []
        self.lost = None

    def dataReceived(self, data):
        self.reads.append(data)

    def connectionLost(self, reason):
        self.lost = reason


class CountingTransport(StringTransport):
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
        self.wire = CountingTransport()
        policy = CachedPolicy(Trust(ca_file=pki.ca))
        pipe = TlsEndpoint(policy.creatorForNetloc(b"127.0.0.1", 443), self, Records())
        connecting = pipe.connect(Factory.forProtocol(RecordingProtocol))
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            self.exchange()
        found = []
        connecting.addCallback(found.append)
        (self.client,) = found

    def connect(self, factory):
        """Connects the client to the pipe."""
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.wire)
        return defer.succeed(self.protocol)

    def exchange(self):
        """Transfers what either side has written; the client receives it as one read."""
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


def test_body_is_sent_in_few_writes(server):
    body = os.urandom(1_000_000)
    before = server.wire.writes
    server.client.transport.write(body)
    assert server.wire.writes - before <= 8, "a million bytes are 62 records"
    server.exchange()
    assert server.read() == body


def test_response_is_received_in_few_reads(server):
    response = os.urandom(300_000)
    server.tls.write(response)
    server.exchange()
    assert b"".join(server.client.reads) == response
    assert len(server.client.reads) <= 4, "300,000 bytes are 19 records"


def test_aborted_connection_receives_no_more_data(server):
    received = server.client.dataReceived

    def abort(data):
        received(data)
        server.client.transport.abortConnection()

    server.client.dataReceived = abort
    server.tls.write(os.urandom(300_000))
    server.exchange()
    assert len(server.client.reads) == 1
    assert server.wire.disconnected


def test_close_notify_closes_the_connection_after_the_last_data(server):
    server.tls.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.unwrap()
    server.exchange()
    assert b"".join(server.client.reads) == b"last"
    assert server.wire.disconnecting


def test_damaged_record_closes_the_connection_with_an_alert(server):
    server.protocol.dataReceived(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert server.wire.disconnecting
    assert server.wire.value(), "no alert was sent to the server"
