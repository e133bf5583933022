"""Tests listen(): TLS with treq as the client, addresses, and a port that is in use."""

import tempfile
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import trustme
from treq.client import HTTPClient
from twisted.internet import reactor
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool

from bridge.collector.api import IntakeResource
from bridge.collector.listening import CollectorError, ListenAddress, listen, parse_address
from bridge.collector.site import IntakeSite
from tests.harness.memory_sink import Memory

ANY_PORT = ListenAddress("127.0.0.1", 0)


class ListenTests(TestCase):
    timeout = 30

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(dir=self.make_parent_folder()))
        self.authority = trustme.CA()
        self.issued = self.authority.issue_cert("127.0.0.1", "localhost")
        self.pem = self.folder / "both.pem"
        self.issued.private_key_and_cert_chain_pem.write_to_path(self.pem)
        self.sink = Memory()

    def make_parent_folder(self):
        parent = tempfile.TemporaryDirectory()
        self.addCleanup(parent.cleanup)
        return parent.name

    def client(self):
        """Returns a treq client that trusts only the test's CA and keeps connections alive."""
        root = trustRootFromCertificates([Certificate.loadPEM(self.authority.cert_pem.bytes())])
        pool = HTTPConnectionPool(reactor)
        self.addCleanup(pool.closeCachedConnections)
        return HTTPClient(Agent(reactor, BrowserLikePolicyForHTTPS(root), pool=pool))

    async def serve(self, address=ANY_PORT, **options):
        site = IntakeSite(IntakeResource(self.sink), reactor)
        port = await listen(reactor, address, site, **options)
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def test_tls_client_with_basic_auth_is_accepted(self):
        port = await self.serve(certificate=self.pem)
        client = self.client()
        for body in (b"a\nb", b"c"):
            response = await client.post(f"https://127.0.0.1:{port}/plain/batch", data=body, auth=("", "key"))
            self.assertEqual((response.code, (await response.json())["received"]), (200, True))
        self.assertEqual([event[1::2] for event in self.sink.events], [("key", each) for each in (b"a", b"b", b"c")])

    async def test_wildcard_address_accepts_ipv4_and_ipv6(self):
        port = await self.serve(parse_address("*:0"))

        def post(host):
            with closing(HTTPConnection(host, port, timeout=20)) as connection:
                connection.request("POST", "/plain?intake_key=key", b"a")
                return connection.getresponse().status

        for host in ("127.0.0.1", "::1"):
            self.assertEqual(await deferToThread(post, host), 200)

    async def test_port_in_use_raises_collector_error(self):
        port = await self.serve()
        with self.assertRaisesRegex(CollectorError, f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            await self.serve(ListenAddress("127.0.0.1", port))


def test_addresses_are_parsed():
    assert str(parse_address("127.0.0.1:80")) == "127.0.0.1:80"
    assert parse_address("[::1]:65535") == ListenAddress("::1", 65535)
    assert str(parse_address("[::1]:0")) == "[::1]:0"
    assert parse_address("localhost:1") == ListenAddress("127.0.0.1", 1)
