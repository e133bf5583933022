"""Tests the HTTP client against servers whose answers are larger, slower or stranger than those of a collector."""

import contextlib
import gzip
import socket
import ssl
import tracemalloc
from tempfile import TemporaryDirectory

import trustme
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from bridge.deliver import exchange, watched_connection
from bridge.deliver.answer_body import MAX_ANSWER, MAX_ERROR_PAGE, MAX_PARTS, AnswerBody, AnswerError
from bridge.deliver.client import Client, NoProgress
from bridge.deliver.error_text import describe_failure
from bridge.deliver.exchange import Progress
from bridge.deliver.http_connect import HttpProxy
from bridge.deliver.outcome import Verdict, of_failure, read
from bridge.deliver.tls import Trust
from tests.harness.accepting import ThreadedServer
from tests.harness.hostile_server import ATTACKS, OK, answering, bomb, read_request, until_closed, with_length

COOKIES = b"Set-Cookie: a=%b; Path=/\r\nSet-Cookie: b=c" % (b"x" * 3000)
ANSWER = with_length(b'{"received":true}')


class HostileCase(TestCase):
    timeout = 60

    def serve(self, behaviour):
        def handle(connection):
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                behaviour(connection)

        server = ThreadedServer(handle)
        self.addCleanup(server.close)
        return server

    def client(self, timeout=20.0, **options):
        client = Client(reactor, connections=2, timeout=timeout, **options)

        def close():
            closed = Deferred()
            Deferred.fromCoroutine(client.close()).addBoth(lambda nothing: reactor.callLater(0.1, closed.callback, 0))
            return closed

        self.addCleanup(close)
        return client

    @inlineCallbacks
    def failure_of(self, behaviour, body=b"x", **options):
        failures = []
        url = self.serve(behaviour).url
        yield self.client(**options).post(url, body, {"X-Key": "k"}).addErrback(failures.append)
        self.assertEqual(len(failures), 1)
        yield turn()
        # A Failure itself would fail the caller.
        return failures

    @inlineCallbacks
    def test_endless_header_is_broken_off_and_the_events_are_kept(self):
        for name in ("headers", "short-headers", "one-header", "folded-header", "status-line", "interim"):
            (failure,) = yield self.failure_of(ATTACKS[name])
            self.assertTrue(failure.check(AnswerError), (name, failure))
            result = of_failure(failure)
            self.assertEqual((result.verdict, result.uncertain, result.cut_off), (Verdict.RETRY, True, False))
            self.assertIn("the answer was broken off: ", result.reason)

    @inlineCallbacks
    def test_endless_body_is_cut_at_the_limit_and_is_no_acceptance(self):
        for name, size, why in (
            ("body", MAX_ERROR_PAGE, "its body is far larger than the answer to a batch: "),
            ("body-until-close", MAX_ERROR_PAGE, "its body is far larger than the answer to a batch: "),
            ("chunks", 2 * (MAX_PARTS + MAX_PARTS // 7), " bytes on average: "),
        ):
            response = yield self.client().post(self.serve(ATTACKS[name]).url, b"x", {})
            self.assertTrue(size <= len(response.body) <= size + 2, len(response.body))
            result = read(response, 1, now=0.0)
            self.assertTrue(result.foreign and why in result.reason, result.reason)
        acceptance = answering(OK + b'\r\n{"received":true}', b" " * (MAX_ANSWER + 1), then=until_closed)
        response = yield self.client().post(self.serve(acceptance).url, b"x", {})
        self.assertEqual(read(response, 1, now=0.0).verdict, Verdict.RETRY)

    @inlineCallbacks
    def test_acceptance_with_a_chunk_for_each_id_is_read(self):
        count = MAX_PARTS + 1
        chunks = b"".join(b"27\r\n%b\r\n" % (b'"%036d",' % number) for number in range(count - 1))
        body = b'10\r\n{"event_ids":  [\r\n' + chunks + b'28\r\n"%036d"]}\r\n0\r\n\r\n' % count
        url = self.serve(answering(OK + b"Transfer-Encoding: chunked\r\n\r\n" + body)).url
        result = read((yield self.client().post(url, b"x", {})), count, now=0.0)
        self.assertEqual((result.verdict, result.accepted), (Verdict.ACCEPTED, count))

    @inlineCallbacks
    def test_error_page_is_cut_earlier(self):
        page = answering(with_length(b"x" * 10 * MAX_ERROR_PAGE, status=b"500 Sorry"), then=until_closed)
        response = yield self.client().post(self.serve(page).url, b"x", {})
        self.assertEqual((response.status, len(response.body)), (500, MAX_ERROR_PAGE))

    @inlineCallbacks
    def test_endless_chunk_extension_and_trailers_fail(self):
        for name in ("chunk-extension", "trailers"):
            (failure,) = yield self.failure_of(ATTACKS[name])
            self.assertEqual(of_failure(failure).verdict, Verdict.RETRY)

    @inlineCallbacks
    def test_body_that_inflates_beyond_the_limit_is_cut(self):
        for size in (1 << 27, MAX_ANSWER + (1 << 20)):
            url = self.serve(answering(with_length(bomb(size), b"Content-Encoding: gzip"))).url
            response = yield self.client().post(url, b"x", {})
            yield turn()
            self.assertEqual((len(response.body), response.cut is not None), (MAX_ERROR_PAGE, True))

    @inlineCallbacks
    def test_compressed_body_is_inflated_and_a_wrong_one_fails(self):
        packed = gzip.compress(b'{"received":true}')
        url = self.serve(answering(with_length(packed, b"Content-Encoding: GZIP"), then=lambda c: None)).url
        response = yield self.client().post(url, b"x", {})
        self.assertEqual(response.body, b'{"received":true}')
        (failure,) = yield self.failure_of(answering(with_length(b"plain", b"Content-Encoding: gzip")))
        self.assertTrue(failure.check(AnswerError), failure)

    @inlineCallbacks
    def test_no_cookie_is_kept_or_sent(self):
        heads = []

        def serve(connection):
            while True:
                heads.append(read_request(connection))
                connection.sendall(with_length(b"", COOKIES))

        client, url = self.client(), self.serve(serve).url
        for _ in range(5):
            yield client.post(url, b"x", {"X-Key": "k"})
        self.assertEqual((len(heads), len(set(heads))), (5, 1))
        self.assertNotIn(b"cookie", heads[0].lower())

    @inlineCallbacks
    def test_answer_that_drips_is_late(self):
        for _ in range(5):
            (failure,) = yield self.failure_of(ATTACKS["blanks"], timeout=2.0)
            self.assertTrue(failure.check(NoProgress))
            if not describe_failure(failure).startswith("no progress for"):
                break
            # This process, which is also the server, has stood still.
        self.assertIn("at less than 16 KiB/s", describe_failure(failure))
        for name in ("slow-head", "slow-trailers"):
            (failure,) = yield self.failure_of(ATTACKS[name], timeout=0.5)
            self.assertTrue(failure.check(NoProgress), name)

    @inlineCallbacks
    def test_impossible_status_is_no_answer(self):
        for status in (b"9" * 4000, b"1000", b"-200", b"0", b"7"):
            (failure,) = yield self.failure_of(answering(with_length(b"page", status=status + b" OK")))
            self.assertEqual(of_failure(failure).verdict, Verdict.RETRY)
            self.assertLess(len(of_failure(failure).reason), 300)

    @inlineCallbacks
    def test_second_answer_is_not_that_of_the_next_request(self):
        requests = []

        def serve(connection):
            read_request(connection)
            requests.append(connection)
            # The second one would accept events that are not sent yet.
            connection.sendall(with_length(b"first", status=b"503 Busy") + ANSWER)
            until_closed(connection)

        client, url = self.client(timeout=1.0), self.serve(serve).url
        for _ in range(2):
            response = yield client.post(url, b"x", {}).addErrback(lambda failure: None)
            self.assertTrue(response is None or response.status == 503, response)

    @inlineCallbacks
    def test_connection_ends_although_the_server_reads_nothing_and_confirms_no_end(self):
        self.patch(watched_connection, "CLOSE_TIMEOUT", 0.3)
        ended = Deferred()

        def serve(connection):
            # Not HTTP. The client closes the connection, but the rest of its body is not read.
            connection.sendall(b"220 mail.example ESMTP\r\n\r\n")
            while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01":
                pass
            reactor.callFromThread(ended.callback, None)

        yield self.failure_of(serve, b"x" * 5_000_000, timeout=3.0)
        yield ended

    @inlineCallbacks
    def test_idle_tls_connection_ends_although_the_server_confirms_no_end(self):
        self.patch(watched_connection, "CLOSE_TIMEOUT", 0.3)
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        authority.cert_pem.write_to_path(file := f"{folder.name}/ca.pem")
        ended = Deferred()

        def serve(connection):
            secure = context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
            read_request(secure)
            secure.sendall(ANSWER)
            # Reads the raw socket, and so never answers the client's close_notify.
            while socket.socket.recv(secure, 65536):
                pass
            reactor.callFromThread(ended.callback, None)

        server = self.serve(lambda connection: suppress_errors(serve, connection, ended))
        client = Client(reactor, connections=1, timeout=10.0, trust=Trust(ca_file=file))
        yield client.post(f"https://127.0.0.1:{server.port}/", b"x", {})
        yield Deferred.fromCoroutine(client.close())
        yield ended

    @inlineCallbacks
    def test_tls_handshake_that_never_ends_or_is_too_old_fails_before_anything_is_sent(self):
        url = self.serve(until_closed).url.replace("http:", "https:")
        failures = []
        yield self.client(timeout=0.5).post(url, b"x", {}).addErrback(failures.append)
        self.assertTrue(failures[0].check(NoProgress))
        # A server hello of TLS 1.0.
        hello = b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01" + bytes(32) + b"\x00\x00\x2f\x00"
        url = self.serve(lambda c: (c.recv(65536), c.sendall(hello), until_closed(c))).url.replace("http:", "https:")
        yield self.client(timeout=5.0).post(url, b"x", {}).addErrback(failures.append)
        result = of_failure(failures[1])
        self.assertEqual((result.verdict, result.uncertain), (Verdict.RETRY, False), result)

    @inlineCallbacks
    def test_name_lookup_that_never_ends_is_no_connection(self):
        @implementer(IHostnameResolver)
        class Resolver:
            def resolveHostName(self, receiver, *rest, **named):
                receiver.resolutionBegan(self)
                return self

        self.addCleanup(reactor.installNameResolver, reactor.installNameResolver(Resolver()))
        failures = []
        yield self.client(timeout=0.3).post("http://collector.test/", b"x", {}).addErrback(failures.append)
        result = of_failure(failures[0])
        self.assertEqual(result.reason, "no connection within 0.3 s: a name lookup or the server does not answer")
        self.assertEqual((result.uncertain, result.cut_off), (False, False))
        client = self.client(timeout=0.3, proxy=HttpProxy("proxy.test", 3128))
        yield client.post("http://collector.test/", b"x", {}).addErrback(failures.append)
        self.assertIn("a name lookup, the proxy proxy.test:3128 or the server", of_failure(failures[1]).reason)

    @inlineCallbacks
    def test_data_on_an_idle_connection_ends_it(self):
        ended = []

        def serve(connection):
            read_request(connection)
            connection.sendall(ANSWER)
            try:
                while True:
                    connection.sendall(b"x" * 65536)
            except OSError:
                ended.append(connection)

        client, url = self.client(), self.serve(serve).url
        for count in (1, 2):
            response = yield client.post(url, b"x", {})
            self.assertEqual(response.body, b'{"received":true}')
            while len(ended) < count:
                yield deferLater(reactor, 0.01)

    @inlineCallbacks
    def test_proxy_cannot_answer_without_end_nor_repeat_the_password(self):
        def proxied(answer, *, endless=True):
            def serve(connection):
                connection.recv(65536)
                while True:
                    connection.sendall(answer)
                    if not endless:
                        until_closed(connection)
                        return

            return HttpProxy("127.0.0.1", self.serve(serve).port, ("us", "secret-password"))

        for answer in (
            OK + b"X-Filler: x\r\n" * 100,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
            b"HTTP/1.1 200 " + b"x" * 9999,
        ):
            failures = []
            proxy = proxied(answer)
            client = self.client(proxy=proxy)
            yield client.post("http://collector.test/", b"x", {}).addErrback(failures.append)
            text = describe_failure(failures[0])
            self.assertIn("proxy", text)
            self.assertFalse(of_failure(failures[0]).uncertain)
        echo = b"HTTP/1.1 407 secret-password\r\n%b\r\nx %b" % (
            b"Proxy-Authenticate: a-b\r\n" * 500, b"dXM6c2VjcmV0LXBhc3N3b3Jk \x1b[2J" * 10,
        )  # fmt: skip
        failures = []
        client = self.client(proxy=proxied(echo, endless=False))
        yield client.post("http://collector.test/", b"x", {}).addErrback(failures.append)
        text = describe_failure(failures[0])
        self.assertNotIn("secret-p", text)
        self.assertNotIn("dXM6", text)
        self.assertTrue(text.isprintable() and len(text) < 600, text)


def turn():
    """Lets Twisted end the read in which an answer was complete."""
    return deferLater(reactor, 0)


def suppress_errors(serve, connection, ended):
    """Fires ``ended`` also if the client has reset the connection."""
    try:
        serve(connection)
    except OSError:
        reactor.callFromThread(lambda: ended.called or ended.callback(None))


def test_answer_must_keep_the_minimum_rate():
    clock, request = Clock(), Deferred()
    request.addErrback(lambda failure: None)
    progress = Progress(clock)
    progress.watch(request, 10.0)
    progress.answer_begins()
    for _ in range(100):
        # Ten times the timeout, at the minimum rate.
        clock.advance(1.0)
        progress.received(exchange.MIN_RATE)
    assert not progress.expired
    for _ in range(11):
        clock.advance(1.0)
        progress.received(1)
    assert progress.expired and progress.late


def test_bomb_is_inflated_up_to_the_limit_only():
    aborted = []
    progress = Progress(Clock())
    progress.begin(lambda: aborted.append(True))
    reader = AnswerBody(progress, 200, packed=True)
    packed = bomb(1 << 28)
    tracemalloc.start()
    try:
        reader.dataReceived(packed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert aborted and reader.cut
    assert peak < 4 * MAX_ANSWER
