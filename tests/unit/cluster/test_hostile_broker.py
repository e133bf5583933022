"""Tests sessions with brokers that do not answer, or answer without end."""

import contextlib
import struct
import time
from types import SimpleNamespace

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from bridge.cluster import amqp
from bridge.cluster.amqp_channel import describe_error
from bridge.cluster.broker import BrokerError, BrokerLost
from tests.harness.accepting import ThreadedServer
from tests.harness.hostile_server import CONTROL, until_closed

SHARE = SimpleNamespace(username=None, client_cert_file=None, virtual_host="/")


def method(channel, class_id, method_id, arguments=b""):
    payload = struct.pack(">HH", class_id, method_id) + arguments
    return struct.pack(">BHL", 1, channel, len(payload)) + payload + b"\xce"


def long_text(text):
    return struct.pack(">L", len(text)) + text


CAPABILITIES = b"\x12publisher_confirmst\x01\x0abasic.nackt\x01"
PROPERTIES = b"\x0ccapabilitiesF" + long_text(CAPABILITIES)
START = method(0, 10, 10, b"\x00\x09" + long_text(PROPERTIES) + long_text(b"PLAIN") + long_text(b"en_US"))
TUNE = method(0, 10, 30, struct.pack(">HLH", 100, 131072, 0))
OPEN_OK = method(0, 10, 41, b"\x00")
CHANNEL_OPEN_OK = method(1, 20, 11, long_text(b""))
CONFIRM_OK = method(1, 85, 11)
REQUESTS = {
    TUNE: struct.pack(">HH", 10, 11), OPEN_OK: struct.pack(">HH", 10, 40), CHANNEL_OPEN_OK: struct.pack(">HH", 20, 10),
    CONFIRM_OK: struct.pack(">HH", 85, 10),
}  # fmt: skip
"Beginning of the request to which each answer belongs."
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"


def test_failed_handshake_names_no_option_of_the_collector():
    error = SSL.Error([("SSL routines", "", "sslv3 alert handshake failure")])
    assert describe_error(error) == "the TLS handshake failed: sslv3 alert handshake failure"


class HostileBrokerCase(TestCase):
    timeout = 60

    def setUp(self):
        # A loaded machine may need seconds for each step. A test that waits for the end of a limit shortens it once the
        # steps before it are done.
        for limit in ("CONNECT_TIMEOUT", "OPEN_TIMEOUT", "ANSWER_TIMEOUT"):
            self.patch(amqp, limit, 40.0)
        self.ended = 0

    def broker(self, *answers, then=until_closed):
        """Starts a broker that gives these answers, each after its request. Returns its address."""

        def serve(connection):
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                received = b""
                for answer in answers:
                    received += connection.recv(65536)
                    while REQUESTS.get(answer, b"") not in received:
                        received += connection.recv(65536)
                    connection.sendall(answer)
                then(connection)
            self.ended += 1

        server = ThreadedServer(serve)
        self.addCleanup(server.close)
        return f"amqp://127.0.0.1:{server.port}"

    def connect(self, *answers, **options):
        rabbit = amqp.Rabbit(reactor, SHARE, lambda: None, name="test")
        return rabbit.connect(self.broker(*answers, **options))

    @inlineCallbacks
    def wait_ended(self):
        while not self.ended:
            yield self.pause()

    def pause(self):
        return deferLater(reactor, 0.01)

    @inlineCallbacks
    def test_broker_without_a_handshake_is_left(self):
        class Connected(amqp._Protocol):
            def connectionMade(connected):
                super().connectionMade()
                self.patch(amqp, "OPEN_TIMEOUT", 0.1)

        self.patch(amqp, "_Protocol", Connected)
        error = yield self.assertFailure(self.connect(), BrokerError)
        self.assertIn("no AMQP handshake within 0.1 s", str(error))
        yield self.wait_ended()

    @inlineCallbacks
    def test_name_lookup_without_an_answer_is_no_connection(self):
        @implementer(IHostnameResolver)
        class Resolver:
            def resolveHostName(self, receiver, *rest, **named):
                receiver.resolutionBegan(self)
                return self

        self.addCleanup(reactor.installNameResolver, reactor.installNameResolver(Resolver()))
        self.patch(amqp, "OPEN_TIMEOUT", 0.1)
        rabbit = amqp.Rabbit(reactor, SHARE, lambda: None, name="test")
        error = yield self.assertFailure(rabbit.connect("amqp://broker.test"), BrokerError)
        self.assertEqual(str(error), "no connection within 0.1 s. Check the broker's name and the firewall.")

    @inlineCallbacks
    def test_endless_frame_ends_the_connection(self):
        def flood(connection):
            while True:
                connection.sendall(bytes(1 << 16))

        error = yield self.assertFailure(self.connect(b"\x01\x00\x00\xff\xff\xff\xff", then=flood), BrokerError)
        self.assertIn("the broker sends a frame of 4,294,967,295 bytes", str(error))
        yield self.wait_ended()

    @inlineCallbacks
    def test_what_is_not_amqp_ends_the_connection(self):
        for answer in (method(0, 99, 99), b"HTTP/1.1 400 Bad Request\r\n\r\n", START[:-1] + b"\x00"):
            error = yield self.assertFailure(self.connect(answer), BrokerError)
            self.assertTrue(str(error).isprintable() and len(str(error)) < 300, error)
        yield self.wait_ended()

    @inlineCallbacks
    def test_reason_of_the_broker_is_cut_and_printable(self):
        text = (CONTROL * 20)[:255]
        close = method(0, 10, 50, struct.pack(">HB", 541, len(text)) + text + bytes(4))
        error = yield self.assertFailure(self.connect(START, TUNE, close), BrokerError)
        self.assertTrue(str(error).isprintable() and len(str(error)) <= 300, error)
        yield self.wait_ended()

    @inlineCallbacks
    def test_heartbeats_alone_are_no_answer(self):
        def beat(connection):
            while True:
                time.sleep(0.05)
                connection.sendall(HEARTBEAT)

        session = yield self.connect(START, TUNE, OPEN_OK, then=beat)
        lost = []
        session.on_lost(lost.append)
        self.patch(amqp, "ANSWER_TIMEOUT", 0.5)
        error = yield self.assertFailure(session.channel(), BrokerLost)
        self.assertIn("the broker has not answered within 0.5 s", str(error))
        yield self.wait_ended()
        yield self.pause()
        self.assertEqual(lost, ["the broker has not answered within 0.5 s"])

    @inlineCallbacks
    def test_question_about_a_queue_must_be_answered(self):
        session = yield self.connect(START, TUNE, OPEN_OK, CHANNEL_OPEN_OK, CONFIRM_OK)
        channel = yield session.channel()
        self.patch(amqp, "ANSWER_TIMEOUT", 0.5)
        error = yield self.assertFailure(channel.inspect("queue"), BrokerLost)
        self.assertIn("has not answered", str(error))
        yield self.wait_ended()
        yield self.pause()
        self.assertFalse(channel.open)
