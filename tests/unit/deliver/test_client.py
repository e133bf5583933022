"""Tests the HTTP client against a real server on loopback."""

import errno
import socket
from tempfile import TemporaryDirectory

import trustme
from twisted.internet import reactor, ssl
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from bridge.deliver.answer_body import MAX_ANSWER, MAX_ERROR_PAGE
from bridge.deliver.client import Client, NoProgress
from bridge.deliver.error_text import describe_failure
from bridge.deliver.exchange import MIN_RATE
from bridge.deliver.outcome import Verdict, of_failure
from bridge.deliver.tls import Trust

SHORT = 0.3
"Timeout in seconds for tests that wait for it."


class Echo(Resource):
    """Sends the response that the request's path selects."""

    isLeaf = True

    def __init__(self):
        super().__init__()
        self.requests = []
        self.peers = set()

    def render_POST(self, request):
        body = request.content.read()
        self.requests.append((request.path, body, dict(request.requestHeaders.getAllRawHeaders())))
        self.peers.add((request.client.host, request.client.port))
        kind = request.path.strip(b"/")
        if kind == b"silent":
            return NOT_DONE_YET
        if kind == b"half":
            request.setHeader("Content-Length", "100")
            request.write(b"half")
            return NOT_DONE_YET
        if kind == b"slow":
            # As fast as an answer must be.
            part = bytes(int(SHORT * MIN_RATE))
            calls = [reactor.callLater(SHORT / 2 * (i + 1), request.write, part) for i in range(6)]
            calls.append(reactor.callLater(SHORT * 3.5, request.finish))
            request.notifyFinish().addErrback(lambda gone: [call.cancel() for call in calls if call.active()])
            return NOT_DONE_YET
        if kind == b"large":
            return b"x" * (MAX_ANSWER + 100_000)
        if kind == b"redirect":
            request.redirect(b"/elsewhere")
            return b""
        if kind.isdigit():
            request.setResponseCode(int(kind))
        request.setHeader("X-Some", "first")
        request.responseHeaders.addRawHeader("X-Some", "last")
        return body.upper()


class NonReadingProtocol(Protocol):
    """Accepts a connection and reads nothing."""

    def connectionMade(self):
        self.transport.pauseProducing()
        self.factory.protocols.append(self)


class ClosingProtocol(Protocol):
    """Closes the connection at the first byte."""

    def dataReceived(self, data):
        self.transport.loseConnection()


class ClientCase(TestCase):
    timeout = 30

    def setUp(self):
        self.resource = Echo()
        self.clients = []
        self.port = self.listen(Site(self.resource))
        self.url = f"http://127.0.0.1:{self.port}/"

    def listen(self, factory, context=None):
        port = reactor.listenSSL(0, factory, context, interface="127.0.0.1") if context else reactor.listenTCP(
            0, factory, interface="127.0.0.1"
        )  # fmt: skip
        self.addCleanup(port.stopListening)
        return port.getHost().port

    def client(self, **options):
        names = ("ca_file", "extra_ca_file", "client_cert_file", "client_key_file")
        trust = Trust(**{name: options.pop(name, None) for name in names})
        new_client = Client(reactor, **{"connections": 2, "timeout": 5.0, "trust": trust} | options)
        self.clients.append(new_client)
        self.addCleanup(lambda: self.close_client(new_client))
        return new_client

    def close_client(self, new_client):
        """Closes the client, and waits until the reactor has closed its connections."""
        closed = Deferred()
        closing = new_client.close()
        closing = Deferred.fromCoroutine(closing) if hasattr(closing, "send") else closing
        closing.addBoth(lambda result: reactor.callLater(0, closed.callback, None))
        return closed

    @inlineCallbacks
    def test_post_returns_status_body_and_headers(self):
        response = yield self.client().post(self.url, b"body", {"X-Key": "k"})
        self.assertEqual((response.status, response.body, response.headers["x-some"]), (200, b"BODY", "last"))
        ((_, body, headers),) = self.resource.requests
        self.assertEqual((body, headers[b"X-Key"], headers[b"Content-Length"]), (b"body", [b"k"], [b"4"]))
        self.assertTrue(headers[b"User-Agent"][0].startswith(b"syslog-bridge/"))
        self.assertNotIn(b"Transfer-Encoding", headers)

    @inlineCallbacks
    def test_any_status_is_returned_and_redirects_are_not_followed(self):
        client = self.client()
        for status in (201, 400, 404, 500, 503):
            response = yield client.post(f"{self.url}{status}", b"x", {})
            self.assertEqual(response.status, status)
        response = yield client.post(self.url + "redirect", b"x", {})
        self.assertEqual((response.status, len(self.resource.requests)), (302, 6))

    @inlineCallbacks
    def test_connection_is_reused_after_any_response(self):
        client = self.client()
        for path in ("a", "500", "b"):
            yield client.post(self.url + path, b"x", {})
        self.assertEqual(len(self.resource.peers), 1)

    @inlineCallbacks
    def test_empty_and_large_bodies_arrive_unchanged(self):
        client = self.client()
        for body in (b"", b"x" * 3_000_000):
            response = yield client.post(self.url, body, {})
            self.assertEqual((response.body == body.upper(), self.resource.requests[-1][1] == body), (True, True))

    @inlineCallbacks
    def test_response_body_beyond_the_limit_is_cut(self):
        response = yield self.client().post(self.url + "large", b"x", {})
        self.assertEqual((len(response.body), response.cut is not None), (MAX_ERROR_PAGE, True))

    @inlineCallbacks
    def test_missing_response_raises_no_progress(self):
        # Long enough for the connections, also if this process, which is the server too, stands still for a moment.
        client = self.client(timeout=1.5)
        failure = yield self.assertFailure(client.post(self.url + "silent", b"x", {}), NoProgress)
        self.assertEqual(str(failure), "no progress for 1.5 s")
        response = yield client.post(self.url, b"next", {})
        self.assertEqual(response.body, b"NEXT")

    @inlineCallbacks
    def test_partial_response_raises_no_progress(self):
        yield self.assertFailure(self.client(timeout=SHORT).post(self.url + "half", b"x", {}), NoProgress)

    @inlineCallbacks
    def test_unread_request_body_raises_no_progress(self):
        factory = Factory.forProtocol(NonReadingProtocol)
        factory.protocols = []
        url = f"http://127.0.0.1:{self.listen(factory)}/"
        yield self.assertFailure(self.client(timeout=SHORT).post(url, b"x" * 30_000_000, {}), NoProgress)
        for protocol in factory.protocols:
            protocol.transport.abortConnection()

    @inlineCallbacks
    def test_slow_response_is_progress(self):
        for attempt in reversed(range(5)):
            try:
                response = yield self.client(timeout=SHORT).post(self.url + "slow", b"x", {})
                break
            except NoProgress:
                # This process, which is also the server, may have stood still.
                if not attempt:
                    raise
        self.assertEqual(len(response.body), 6 * int(SHORT * MIN_RATE))

    @inlineCallbacks
    def test_refused_connection_is_described_without_the_key(self):
        port = self.listen(Factory.forProtocol(ClosingProtocol))
        yield self.assertFailure(self.client().post(f"http://127.0.0.1:{port}/", b"x", {}), Exception)
        free = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        url = f"http://127.0.0.1:{free.getHost().port}/"
        yield free.stopListening()
        failures = []
        yield self.client().post(url, b"x", {"X-SEKOIAIO-INTAKE-KEY": "secret"}).addErrback(failures.append)
        self.assertIn("refused", describe_failure(failures[0]).lower())
        self.assertNotIn("secret", describe_failure(failures[0]))

    @inlineCallbacks
    def test_forbidden_connection_names_the_address_and_what_to_check(self):
        self.patch(socket.socket, "connect_ex", lambda self, address: errno.EACCES)
        failures = []
        yield self.client().post(self.url, b"x", {}).addErrback(failures.append)
        outcome = of_failure(failures[0])
        self.assertIn(f"this machine forbids the connection to 127.0.0.1:{self.port}", outcome.reason)
        self.assertIn("SELinux", outcome.reason)
        self.assertEqual((outcome.verdict, outcome.network, outcome.uncertain), (Verdict.RETRY, True, False))

    @inlineCallbacks
    def tls(self, authority, **options):
        certificate = authority.issue_cert(options.pop("name", "localhost"))
        pem = b"".join([certificate.private_key_pem.bytes(), *(c.bytes() for c in certificate.cert_chain_pems)])
        port = self.listen(Site(self.resource), ssl.PrivateCertificate.loadPEM(pem).options())
        outcome = []
        yield self.client(**options).post(f"https://localhost:{port}/", b"x", {}).addBoth(outcome.append)
        # A Deferred that yields a failure would fail, so the failure is returned in a list.
        return outcome

    def pem(self, authority):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/ca.pem"
        authority.cert_pem.write_to_path(path)
        return path

    @inlineCallbacks
    def test_name_is_resolved_for_each_new_connection(self):
        """Resolves both address families: no server listens on the first address."""
        resolved_names = []

        class Resolver:
            def resolveHostName(self, receiver, host, portNumber=0, *rest, **named):
                resolved_names.append(host)
                receiver.resolutionBegan(self)
                for address in (IPv6Address("TCP", "::1", portNumber), IPv4Address("TCP", "127.0.0.1", portNumber)):
                    receiver.addressResolved(address)
                receiver.resolutionComplete()
                return receiver

        self.addCleanup(
            reactor.installNameResolver, reactor.installNameResolver(implementer(IHostnameResolver)(Resolver)())
        )
        url = f"http://collector.test:{self.listen(Site(self.resource))}/"
        client = self.client()
        for closing in (False, False, True):
            response = yield client.post(url, b"x", {})
            self.assertEqual(response.status, 200)
            if closing or len(self.resource.requests) == 2:
                yield client.close()
        self.assertEqual(resolved_names, ["collector.test", "collector.test"])

    @inlineCallbacks
    def test_server_certificate_of_a_trusted_ca_is_accepted(self):
        authority = trustme.CA()
        for option in ("ca_file", "extra_ca_file"):
            (response,) = yield self.tls(authority, **{option: self.pem(authority)})
            self.assertEqual((response.status, response.body), (200, b"X"))

    @inlineCallbacks
    def test_server_certificate_of_an_untrusted_issuer_is_rejected(self):
        (failure,) = yield self.tls(trustme.CA(), ca_file=self.pem(trustme.CA()))
        self.assertIn("untrusted issuer", describe_failure(failure))
        (failure,) = yield self.tls(trustme.CA())
        self.assertIn("untrusted issuer", describe_failure(failure))
        self.assertEqual(self.resource.requests, [])

    @inlineCallbacks
    def test_server_certificate_for_another_name_is_rejected(self):
        authority = trustme.CA()
        (failure,) = yield self.tls(authority, ca_file=self.pem(authority), name="other.example")
        self.assertIn("for another name", describe_failure(failure))
        self.assertEqual(self.resource.requests, [])
