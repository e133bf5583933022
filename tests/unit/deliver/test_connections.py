"""Tests the HTTP client against servers that answer early, close connections, or move."""

from tempfile import TemporaryDirectory

import trustme
from twisted.internet import reactor, ssl
from twisted.internet.address import IPv4Address
from twisted.internet.defer import inlineCallbacks
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from bridge.deliver import client as module
from bridge.deliver import outcome
from bridge.deliver.client import Client
from bridge.deliver.error_text import describe_failure
from bridge.deliver.tls import Trust
from tests.harness.black_holes import FullAcceptQueue

LARGE = b"x" * 8_000_000
PAGE = b"<html><h1>413 Request Entity Too Large</h1></html>"
EMPTY_413 = b"HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
PAGE_413 = (
    b"HTTP/1.1 413 Request Entity Too Large\r\nServer: nginx\r\nContent-Type: text/html\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(PAGE), PAGE)
)
PART_OF_413 = PAGE_413.removesuffix(PAGE)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Scripted(Protocol):
    """Answers the first request of each connection from its header alone, with `factory.answer`, and reads no more.

    `factory.close`: True closes with unread data, so that the client gets a reset; False leaves the connection open.
    """

    def connectionMade(self):
        self.head = b""
        self.factory.connections += 1

    def dataReceived(self, data):
        self.head += data
        if b"\r\n\r\n" not in self.head:
            return
        self.transport.pauseProducing()
        self.transport.write(self.factory.answer)
        if self.factory.close:
            self.transport.loseConnection()
        self.factory.protocols.append(self)


class ClosedOnReuse(Protocol):
    """Answers one request per connection, and resets the connection at the first byte of the next request."""

    def connectionMade(self):
        self.received, self.length, self.answered = b"", None, False
        self.factory.connections += 1

    def dataReceived(self, data):
        if self.answered:
            self.transport.abortConnection()
            return
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if end and len(body) == int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            self.factory.bodies.append(len(body))
            self.answered = True
            self.transport.write(OK)


class Addresses(Resource):
    """Records the address at which each request arrives."""

    isLeaf = True

    def __init__(self):
        super().__init__()
        self.hosts = []

    def render_POST(self, request):
        self.hosts.append(request.getHost().host)
        return b"{}"


class ConnectionsCase(TestCase):
    timeout = 60

    def listen(self, factory, context=None, interface="127.0.0.1", port=0):
        listening = (
            reactor.listenSSL(port, factory, context, interface=interface)
            if context
            else reactor.listenTCP(port, factory, interface=interface)
        )
        self.addCleanup(listening.stopListening)
        return listening.getHost().port

    def script(self, protocol, context=None, **attributes):
        """Starts a server of a protocol. Returns its factory and port."""
        factory = Factory.forProtocol(protocol)
        vars(factory).update({"connections": 0, "protocols": [], "bodies": []} | attributes)
        port = self.listen(factory, context)
        self.addCleanup(lambda: [each.transport.abortConnection() for each in factory.protocols])
        return factory, port

    def client(self, **options):
        client = Client(reactor, **{"connections": 2, "timeout": 5.0} | options)
        self.addCleanup(client.close)
        return client

    @inlineCallbacks
    def test_413_before_the_body_is_read_is_the_answer(self):
        for answer in (EMPTY_413, PAGE_413, PART_OF_413):
            for close in (True, False):
                factory, port = self.script(Scripted, answer=answer, close=close)
                client = self.client(timeout=1.0)
                response = yield client.post(f"http://127.0.0.1:{port}/", LARGE, {})
                self.assertEqual((response.status, factory.connections), (413, 1))
                self.assertEqual(outcome.read(response, 2, now=0.0).verdict, outcome.Verdict.SPLIT)

    @inlineCallbacks
    def test_413_before_the_body_is_read_is_the_answer_over_tls(self):
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        pem = b"".join([certificate.private_key_pem.bytes(), *(c.bytes() for c in certificate.cert_chain_pems)])
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        authority.cert_pem.write_to_path(f"{folder.name}/ca.pem")
        context = ssl.PrivateCertificate.loadPEM(pem).options()
        for answer in (EMPTY_413, PAGE_413, PART_OF_413):
            _, port = self.script(Scripted, context, answer=answer, close=True)
            client = self.client(trust=Trust(ca_file=f"{folder.name}/ca.pem"))
            response = yield client.post(f"https://localhost:{port}/", LARGE, {})
            self.assertEqual(response.status, 413)

    @inlineCallbacks
    def test_success_before_the_body_is_read_is_not_believed(self):
        _, port = self.script(Scripted, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", close=True)
        failures = []
        yield self.client().post(f"http://127.0.0.1:{port}/", LARGE, {}).addErrback(failures.append)
        self.assertEqual(len(failures), 1)

    @inlineCallbacks
    def test_reset_in_the_middle_of_a_body_counts_as_cut_off_and_as_not_accepted(self):
        factory, port = self.script(Scripted, answer=b"", close=True)
        failures = []
        yield self.client().post(f"http://127.0.0.1:{port}/", LARGE, {}).addErrback(failures.append)
        result = outcome.of_failure(failures[0])
        self.assertEqual((result.cut_off, result.uncertain, factory.connections), (True, False, 2))
        self.assertEqual(describe_failure(failures[0]), "the connection ended before the whole body was sent")

    @inlineCallbacks
    def test_body_that_was_sent_once_completely_may_be_accepted_whatever_ends_the_repetition(self):
        class Twice(Scripted):
            """Reads the first body and closes; resets the second connection in the middle of the body."""

            def dataReceived(self, data):
                self.head += data
                if self.factory.connections > 1:
                    super().dataReceived(b"")
                elif len(self.head.partition(b"\r\n\r\n")[2]) == len(LARGE):
                    self.transport.loseConnection()

        for answer in (b"", EMPTY_413):
            factory, port = self.script(Twice, answer=answer, close=True)
            results = []
            yield self.client().post(f"http://127.0.0.1:{port}/", LARGE, {}).addBoth(results.append)
            self.assertEqual(factory.connections, 2)
            if answer:
                self.assertEqual((results[0].status, results[0].repeated), (413, True))
            else:
                self.assertTrue(outcome.of_failure(results[0]).uncertain)

    @inlineCallbacks
    def test_request_on_a_connection_that_the_server_closes_is_repeated_at_once_on_a_new_one(self):
        for body in (b"small", LARGE):
            factory, port = self.script(ClosedOnReuse)
            client = self.client()
            for _ in range(3):
                response = yield client.post(f"http://127.0.0.1:{port}/", body, {})
                self.assertEqual(response.status, 200)
            self.assertEqual(factory.bodies, [len(body)] * 3)
            self.assertEqual(factory.connections, 3)

    def resolve_to(self, addresses):
        """Lets each name resolve to the addresses that the list has at that time."""

        class Resolver:
            def resolveHostName(self, receiver, host, portNumber=0, *rest, **named):
                receiver.resolutionBegan(self)
                for address in addresses:
                    receiver.addressResolved(IPv4Address("TCP", address, portNumber))
                receiver.resolutionComplete()
                return receiver

        self.addCleanup(
            reactor.installNameResolver, reactor.installNameResolver(implementer(IHostnameResolver)(Resolver)())
        )

    @inlineCallbacks
    def test_address_that_drops_packets_delays_no_request(self):
        # The first address answers no SYN. The timeout is the same for the connection and for the request.
        hole = FullAcceptQueue()
        self.addCleanup(hole.close)
        resource = Addresses()
        port = self.listen(Site(resource), interface="127.0.0.2", port=int(hole.url.rpartition(":")[2]))
        self.resolve_to(["127.0.0.1", "127.0.0.2"])
        response = yield self.client(timeout=10.0).post(f"http://collector.test:{port}/", b"x", {})
        self.assertEqual((response.status, resource.hosts), (200, ["127.0.0.2"]))

    @inlineCallbacks
    def test_requests_go_to_the_new_address_of_a_name_while_the_old_one_still_answers(self):
        self.patch(module, "CONNECTION_LIFETIME", 0.2)
        addresses = ["127.0.0.1"]
        self.resolve_to(addresses)
        resource = Addresses()
        port = self.listen(Site(resource))
        self.listen(Site(resource), interface="127.0.0.2", port=port)
        client = self.client()
        yield client.post(f"http://collector.test:{port}/", b"x", {})
        addresses[:] = ["127.0.0.2"]
        while resource.hosts[-1] == "127.0.0.1":
            # Traffic never pauses, so the first connection is never idle.
            yield client.post(f"http://collector.test:{port}/", b"x", {})
        self.assertGreater(len(resource.hosts), 2)
