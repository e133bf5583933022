"""Tests how answers of an HTTP proxy to CONNECT are read: a tunnel, a refusal, or a page of its own."""

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from bridge.deliver import outcome
from bridge.deliver.client import Client
from bridge.deliver.error_text import describe_failure
from bridge.deliver.http_connect import HttpProxy, ProxyEndpoint, ProxyError
from tests.harness.accepting import ThreadedServer

PROXY = HttpProxy("proxy.test", 3128)
SERVER_HELLO = b"\x16\x03\x03\x00\x7a"


class Transport(StringTransport):
    aborted = False

    def abortConnection(self):
        self.aborted = True


class Recording(Protocol):
    """Records what arrives through the tunnel."""

    def __init__(self):
        self.received = b""

    def dataReceived(self, data):
        self.received += data


class TunnelFixture:
    """Connects through a proxy whose answers the test sends."""

    def __init__(self):
        self.transport, self.results = Transport(), []
        endpoint = ProxyEndpoint(Clock(), self, PROXY, host="collector.test", port=443, timeout=5.0)
        endpoint.connect(Factory.forProtocol(Recording)).addBoth(self.results.append)

    def connect(self, factory):
        self.tunnel = factory.buildProtocol(None)
        self.tunnel.makeConnection(self.transport)
        return succeed(self.tunnel)

    def answer(self, *segments):
        for segment in segments:
            self.tunnel.dataReceived(segment)
        return self

    @property
    def inner(self):
        (protocol,) = self.results
        assert isinstance(protocol, Recording)
        return protocol

    @property
    def error(self):
        (failure,) = self.results
        return str(failure.check(ProxyError) and failure.value)


TUNNELS = {
    "content length": [b"HTTP/1.1 200 Connection established\r\nContent-Length: 10\r\n\r\n"],
    "chunked": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    "two segments": [b"HTTP/1.0 200 O", b"K\r\n\r\n"],
    "byte by byte": [bytes((byte,)) for byte in b"HTTP/1.0 200 OK\r\nVia: x\r\n\r\n"],
    "interim response": [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    "bare line feeds": [b"HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nVia: x\n\n"],
    "bare line feed at the end": [b"HTTP/1.1 200 OK\r\nVia: x\n\r\n"],
    "interim responses in one segment": [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
}


@pytest.mark.parametrize("segments", TUNNELS.values(), ids=TUNNELS.keys())
@pytest.mark.parametrize("first", [SERVER_HELLO, b"HTTP/1.1 200 OK\r\n"])
def test_tunnel_is_open_after_the_header_and_passes_all_bytes(segments, first):
    tunnel = TunnelFixture().answer(*segments)
    assert tunnel.inner.received == b""
    tunnel.answer(first, b"and more")
    assert tunnel.inner.received == first + b"and more"


def test_page_behind_a_header_with_bare_line_feeds_is_refused_at_once():
    tunnel = TunnelFixture().answer(b"HTTP/1.1 200 OK\n\n", b"")
    assert tunnel.inner.received == b""
    tunnel = TunnelFixture().answer(b"HTTP/1.1 200 OK\n\nLog in first")
    assert "with its own page instead of a tunnel" in tunnel.error and tunnel.transport.aborted
    tunnel = TunnelFixture().answer(b"HTTP/1.1 407 x\nProxy-Authenticate: NTLM\n\n")
    assert "it requires NTLM" in tunnel.error


def test_407_names_the_schemes_if_basic_is_not_among_them():
    head = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: %b\r\nContent-Length: 652\r\n\r\n"
    page = b"<html><title>x</title>" + b"denied " * 90
    ntlm = TunnelFixture().answer(head % b"NTLM" + page)
    assert "it requires NTLM, but the gateway supports only Basic" in ntlm.error
    assert "\n" not in ntlm.error and ntlm.transport.aborted
    both = TunnelFixture().answer(head % b"Negotiate\r\nProxy-Authenticate: NTLM")
    assert "it requires Negotiate or NTLM" in both.error
    basic = TunnelFixture().answer(head % b'Negotiate\r\nProxy-Authenticate: Basic realm="x"')
    assert basic.error.endswith("check proxy.username and proxy.password")


def test_page_in_the_segment_of_the_header_is_refused():
    tunnel = TunnelFixture().answer(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n<html>Welcome</html>")
    assert "its own page instead of a tunnel to collector.test:443: Welcome" in tunnel.error


class LatePageCase(TestCase):
    timeout = 30

    @inlineCallbacks
    def test_late_page_is_described_and_no_event_counts_as_sent(self):
        def serve(connection):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
            # The TLS greeting of the client shows that it has read the header.
            connection.recv(65536)
            connection.sendall(b"<html>Welcome</html>")

        server = ThreadedServer(serve)
        self.addCleanup(server.close)
        client = Client(reactor, connections=1, timeout=5.0, proxy=HttpProxy("127.0.0.1", server.port))
        for body in (b"x", b"x" * 3_000_000):
            failures = []
            yield client.post("https://collector.test/", body, {}).addErrback(failures.append)
            self.assertIn("TLS failed through the tunnel of the proxy 127.0.0.1", describe_failure(failures[0]))
            self.assertFalse(outcome.of_failure(failures[0]).uncertain)
            self.assertFalse(outcome.of_failure(failures[0]).cut_off)
        closed = Deferred()
        reactor.callLater(0, closed.callback, None)
        yield closed
