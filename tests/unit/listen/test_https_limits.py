"""Tests how requests to an HTTPS listener are limited while they are received and answered."""

import base64
import gc
import gzip
import json
import re

import pytest
from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from bridge.collector.api import IntakeResource
from bridge.collector.credentials import Keys
from bridge.collector.delivery import Delivery, EventLines, EventRows
from bridge.collector.site import IntakeSite
from bridge.config import Listener
from bridge.host.limited_http import REQUEST_SECONDS
from bridge.listen.connections import Rejections
from bridge.listen.https_limits import HttpsLimits

KEY = "k" * 16
WITH_KEY = f"X-SEKOIAIO-INTAKE-KEY: {KEY}"


class Transport(StringTransport):
    """Also records an abort, and pauses its producer when told to."""

    def __init__(self, **addresses):
        super().__init__(**addresses)
        self._lenient = True
        self.aborted = False
        self.full = False

    def abortConnection(self):
        self.aborted = True

    def unregisterProducer(self):
        self.producer = None

    def write(self, data):
        super().write(data)
        if self.full and self.producer is not None:
            self.producer.pauseProducing()


class Sink:
    def __init__(self):
        self.events = []

    def accept(self, delivery):
        self.events += [row.event for row in delivery.content.rows()]
        return succeed(None)


class Site:
    """An intake site with a listener's limits. Keys are optional."""

    def __init__(self, **options):
        self.clock, self.sink = Clock(), Sink()
        listener = Listener.model_construct(name="post", **options)
        self.rejections = Rejections("post", self.clock.seconds)
        self.limits = HttpsLimits(listener, self.clock, self.rejections)
        resource = IntakeResource(self.sink, keys=Keys({KEY}, optional=True), limits=self.limits)
        self.site = IntakeSite(resource, self.clock, limits=self.limits, check_head=resource.check_head)
        self.connect()

    def connect(self, client="192.168.1.1"):
        self.channel = self.site.buildProtocol(None)
        self.transport = Transport(peerAddress=IPv6Address("TCP", client, 54321))
        self.channel.makeConnection(self.transport)

    def send(self, *head, body=b"", method="POST", path="/plain/batch", length=None):
        """Sends a request, or as much of it as is given. ``length`` replaces the Content-Length."""
        length = len(body) if length is None else length
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *head, f"Content-Length: {length}", "", ""]
        self.channel.dataReceived("\r\n".join(lines).encode() + body)
        return self.status

    @property
    def status(self):
        found = re.findall(rb"HTTP/1.1 (\d+) ", self.transport.value())
        return int(found[-1]) if found else None

    @property
    def error(self):
        return json.loads(self.transport.value().rpartition(b"\r\n\r\n")[2])["error"]


@pytest.fixture
def site():
    return Site()


def basic(text):
    return "Authorization: Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "head",
    [
        "X-SEKOIAIO-INTAKE-KEY: wrong",
        "X-SEKOIAIO-INTAKE-KEY:",
        basic("any:wrong"),
        basic("any:"),
        basic("no colon"),
        "Authorization: Basic",
        "Authorization: Basic !!!",
        f"Authorization: Bearer {KEY}",
        f"Authorization: {KEY}",
        "Authorization:",
    ],
)
def test_wrong_key_and_malformed_authorization_are_401_before_the_body(site, head):
    """Such a request is never treated as one without a key, which routes would decide."""
    assert site.send(head, "Expect: 100-continue", length=5_000_000) == 401
    assert b"100 Continue" not in site.transport.value()
    assert KEY not in site.error
    assert site.rejections.counts == {"intake_key": 1}
    site.channel.dataReceived(b"x" * 100_000)
    assert (site.limits.buffer.size, site.sink.events) == (0, [])


@pytest.mark.parametrize("head", [(), (WITH_KEY,), (basic(f"any:{KEY}"),)])
def test_100_continue_is_sent_for_a_request_that_may_be_sent(site, head):
    assert site.send(*head, "Expect: 100-continue", length=3) == 100
    site.channel.dataReceived(b"a\nb")
    assert (site.status, site.sink.events) == (200, [b"a", b"b"])


@pytest.mark.parametrize(
    "path, method, head, status",
    [
        ("/other", "POST", (), 404),
        ("/plain/batch", "PUT", (), 405),
        ("/plain/batch?status_code=500", "POST", (), 400),
        ("/plain/batch", "POST", ("X-SEKOIAIO-EVENT-TIMESTAMP: yesterday",), 400),
        ("/plain/batch", "POST", ("Content-Encoding: br",), 415),
        ("/api/v1/intake-http/plain/batch?intake_key=wrong", "POST", (), 401),
    ],
)
def test_head_is_checked_before_the_body(site, path, method, head, status):
    assert site.send(*head, path=path, method=method, length=1_000_000) == status
    site.channel.dataReceived(b"x" * 1_000_000)
    assert site.transport.disconnecting


def test_connection_goes_on_after_a_small_refused_request(site):
    assert site.send("X-SEKOIAIO-INTAKE-KEY: wrong", body=b"a") == 401
    assert site.send(WITH_KEY, body=b"b") == 200
    assert site.sink.events == [b"b"]


def test_too_large_content_length_is_413_at_once_and_the_rest_is_discarded_up_to_a_limit(site):
    assert site.send(length=11_000_000) == 413
    assert "larger than 10485760 bytes" in site.error
    for _ in range(25):
        site.channel.dataReceived(b"x" * 1_000_000)
    assert site.transport.disconnecting
    assert site.limits.buffer.size == 0
    assert not site.transport.aborted
    site.clock.advance(60)
    assert site.transport.aborted, "although the client does not close the connection"


@pytest.mark.parametrize(
    "path, body",
    [
        ("/plain/batch", b"a\n" * 1001),
        ("/plain/batch", b"\n\n".join([b"a"] * 1001)),
        ("/jsons", b"[" + b'"",' * 1000 + b'"a"]'),
        ("/jsons?path=$.x", b'{"x":[' + b'"a",' * 1000 + b'"a"]}'),
        ("/batch", b'{"jsons":[' + b'"a",' * 1000 + b'"a"],"intake_key":"' + KEY.encode() + b'"}'),
        ("/array", b"[" + b'{"json":"a"},' * 1000 + b'{"json":"a"}]'),
    ],
)
def test_more_events_than_max_events_per_request_are_413(path, body):
    site = Site(max_events_per_request=1000)
    assert site.send(path=path, body=body) == 413
    assert "more than 1000 events (max_events_per_request); no event was taken" in site.error
    assert site.send("Content-Encoding: gzip", path=path, body=gzip.compress(body)) == 413
    assert (site.sink.events, site.rejections.counts) == ([], {"request_too_large": 2})
    site = Site(max_events_per_request=1001)
    assert site.send(path=path, body=body) == 200


@pytest.mark.parametrize("path, events", [("/batch", b'"jsons":["a"]'), ("/jsons?path=$.x", b'"x":["a"]')])
def test_more_than_1000_names_beside_the_events_are_413(site, path, events):
    assert site.send(path=path, body=b"{" + b'"a":1,' * 999 + events + b"}") == 200
    assert site.send(path=path, body=b"{" + b'"a":1,' * 1000 + events + b"}") == 413
    assert "more than 1000 names" in site.error
    assert site.rejections.counts == {"request_too_large": 1}


def test_names_of_repeated_objects_count_together(site):
    body = b"{" + b",".join([b'"a":{' + b'"x":1,' * 20 + b'"b":[""]}'] * 100) + b"}"
    assert site.send(path="/jsons?path=$.a.b", body=body) == 413
    assert "more than 1000 names" in site.error


def test_path_of_more_than_20_names_is_400(site):
    for names, status in ((20, 200), (21, 400), (2000, 400)):
        body = b'{"a":' * names + b'["x"]' + b"}" * names
        assert site.send(path="/jsons?path=$" + ".a" * names, body=body) == status
    assert "at most 20 names" in site.error


def test_change_applies_to_the_next_request(site):
    site.limits.change(Listener.model_construct(name="post", max_events_per_request=1))
    assert site.send(body=b"a\nb") == 413


def test_slow_head_and_slow_body_end_at_the_deadline(site):
    for part in (b"POST /plain/batch HT", b"POST /plain/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"):
        site.connect()
        site.channel.dataReceived(part)
        for _ in range(59):
            site.clock.advance(1)
            site.channel.dataReceived(b"x")
        assert not site.transport.disconnecting
        site.clock.advance(1.1)
        assert site.transport.disconnecting
        # Nor does a client that does not close the connection keep it.
        site.clock.advance(60)
        assert site.transport.aborted
    assert site.status == 408
    assert site.rejections.counts == {"request_timeout": 2}
    assert site.limits.buffer.size == 0
    assert not [call for call in site.clock.getDelayedCalls() if "deadline" in str(call.func)]


def test_thin_line_is_served(site):
    """A body of 5 MB takes minutes at 17 KiB per second."""
    site.send(WITH_KEY, length=5_000_000)
    sent = 0
    while sent < 5_000_000:
        piece = min(17 * 1024, 5_000_000 - sent)
        site.channel.dataReceived(b"abcdefg\n" * (piece // 8) + b"x" * (piece % 8))
        sent += piece
        site.clock.advance(1)
    assert site.clock.seconds() > 280
    assert (site.status, site.transport.disconnecting) == (200, False) or site.error


def test_each_pipelined_request_has_its_own_deadline(site):
    first = f"POST /plain HTTP/1.1\r\nHost: x\r\n{WITH_KEY}\r\nContent-Length: 1\r\n\r\na"
    site.channel.dataReceived(first.encode() + b"POST /plain HTTP/1.1\r\n")
    assert site.status == 200
    for _ in range(7):
        site.clock.advance(10)
        if not site.transport.disconnecting:
            site.channel.dataReceived(b"A: b\r\n")
    assert site.transport.disconnecting


def test_idle_connection_has_no_deadline_but_the_idle_timeout(site):
    site.send(WITH_KEY, body=b"a")
    site.clock.advance(59)
    assert not site.transport.disconnecting
    site.clock.advance(2)
    assert site.transport.disconnecting
    assert not site.rejections.counts


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" * 100,
        b"nonsense\r\n" * 1000,
        b"POST /plain HTTP/1.1\r\n" + b"A: b\r\n" * 100_000,
        b"POST /plain HTTP/1.1\r\n" + b"A: " + b"x" * 200_000,
        b"POST /plain HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"zz\r\n" * 1000,
    ],
    ids=["HTTP/2", "not HTTP", "many headers", "long header", "bad chunks"],
)
def test_what_is_not_http_is_answered_at_most_once_and_closed(site, data):
    site.channel.dataReceived(data)
    assert site.transport.disconnecting
    assert site.transport.value().count(b"HTTP/1.1 400") <= 1
    written = len(site.transport.value())
    site.channel.dataReceived(data)
    assert len(site.transport.value()) == written


def test_buffered_bytes_are_limited_and_freed(site):
    site = Site(request_buffer=2_000_000)
    site.send(length=9_000_000)
    site.channel.dataReceived(b"x" * 999_000)
    assert (site.status, site.limits.buffer.size) == (None, 999_000)
    site.channel.dataReceived(b"x" * 2_000)
    assert (site.status, site.limits.buffer.size) == (503, 0)
    assert "request_buffer" in site.error
    for end in (lambda: site.channel.dataReceived(b"x"), lambda: site.channel.connectionLost(None)):
        site.connect()
        site.send(WITH_KEY, body=b"y" * 5000, length=5001)
        assert site.limits.buffer.size == 5000
        end()
        assert site.limits.buffer.size == 0


def test_addresses_of_one_ipv6_network_share_the_buffer():
    site = Site(request_buffer=2_000_000)
    for client, status in (
        ("2001:db8::1", None),
        ("2001:db8::2", None),
        ("2001:db8::3", 503),
        ("2001:db8:0:1::1", None),
    ):
        site.connect(client)
        assert site.send(body=b"x" * 400_000, length=400_001) == status
    assert "503" in site.rejections.sources.of("2001:db8::3")[0].text


def test_addresses_of_one_ipv6_network_take_turns_as_one(site):
    clients, turn = [], site.limits.queue.turn
    site.limits.queue.turn = lambda client: (clients.append(client), turn(client))[1]
    for client in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"):
        site.connect(client)
        site.send(body=b"a")
    assert clients[0] == clients[1] != clients[2]


def test_body_does_not_count_while_its_answer_is_not_read(site):
    site.transport.full = True
    assert site.send(WITH_KEY, body=b"\n".join([b"a"] * 50_000)) == 200
    assert not site.transport.value().endswith(b"]}")
    assert site.limits.buffer.size == 0


@pytest.mark.parametrize("path, body", [("/plain/batch", b"not held\nb"), ("/jsons", b'["not held","b"]')])
def test_events_are_not_held_while_the_sink_waits(site, path, body):
    stored = Deferred()
    site.sink.accept = lambda delivery: stored
    assert site.send(path=path, body=body) is None
    held = [each for each in gc.get_objects() if isinstance(each, Delivery | EventLines | EventRows)]
    assert not [each for each in held if "not held" in repr(each)]
    stored.callback(None)
    assert site.status == 200


def test_long_answer_is_written_as_it_is_read():
    site = Site()
    site.transport.full = True
    site.send(WITH_KEY, body=b"\n".join([b"a"] * 50_000))
    assert len(site.transport.value()) < 100_000
    while not site.transport.value().endswith(b"]}"):
        site.transport.producer.resumeProducing()
    site.transport.producer.resumeProducing()
    head, _, body = site.transport.value().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert len(set(json.loads(body)["event_ids"])) == 50_000
    assert not [call for call in site.clock.getDelayedCalls() if "abort" in str(call.func)]


def test_client_that_does_not_read_its_answer_is_disconnected():
    site = Site()
    site.transport.full = True
    site.send(WITH_KEY, body=b"\n".join([b"a"] * 50_000))
    site.clock.advance(60)
    assert not site.transport.aborted
    site.clock.advance(150)
    assert site.transport.aborted
    assert site.rejections.counts == {"answer_not_read": 1}
    assert "Check the line to this sender" in site.rejections.sources.all()[0].text


def test_answer_behind_unread_ones_waits_for_its_client(site):
    """As a client that pipelines and does not read."""
    site.channel.pauseProducing()
    written = len(site.transport.value())
    for count in (500, 50_000):
        site.send(WITH_KEY, body=b"\n".join([b"a"] * count))
    assert len(site.transport.value()) - written < 1000, "the head of the first answer only"
    while site.transport.value().count(b"]}") < 2:
        written = len(site.transport.value())
        site.channel.resumeProducing()
        assert len(site.transport.value()) > written
        if not site.transport.full:
            site.transport.full = True
    assert not [call for call in site.clock.getDelayedCalls() if "abort" in str(call.func)]


def test_slow_line_has_time_to_read_a_long_answer_before_the_connection_is_closed(site):
    """Of 2 MB, 16 KiB arrive per second."""
    site.send(WITH_KEY, "Connection: close", body=b"\n".join([b"a"] * 50_000))
    assert site.transport.disconnecting
    site.clock.advance(REQUEST_SECONDS + 100)
    assert not site.transport.aborted
    site.clock.advance(30)
    assert site.transport.aborted


def test_short_answer_leaves_the_usual_time_to_close(site):
    site.send(WITH_KEY, body=b"\n".join([b"a"] * 50_000))
    site.send(WITH_KEY, "Connection: close", body=b"a")
    site.clock.advance(REQUEST_SECONDS + 1)
    assert site.transport.aborted
