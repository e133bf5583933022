"""Tests that no client of the admin port or the control socket can use much of the gateway's memory or descriptors."""

import json
import re
import tempfile

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent

from bridge.admin.auth import Authentication
from bridge.admin.control import MAX_BODY_BYTES, Control
from bridge.admin.resource import site
from bridge.admin.site import MAX_CONNECTIONS, AdminLimits
from bridge.operations.actions import ActionLog

TOKEN = "a-token-of-32-characters-in-all.."
PAGES = {"healthz": lambda query: (200, "alive\n"), "api/status": lambda query: {"fields": len(query)}}


class Transport(StringTransport):
    def __init__(self):
        super().__init__()
        self._lenient = True
        self.aborted = False

    def abortConnection(self):
        self.aborted = True

    def unregisterProducer(self):
        self.producer = None


class AdminFixture:
    """The admin site, with a token, and the control socket's, with one command."""

    def __init__(self):
        self.clock = Clock()
        self.limits = AdminLimits("admin.listen", self.clock)
        self.public = site(PAGES, Authentication(lambda: TOKEN, self.limits.note_refused), self.limits)
        self.given = []
        self.actions = ActionLog(lambda command, fields: defer.succeed(None), self.clock.seconds)
        control_limits = AdminLimits("control.sock", self.clock, body_limit=MAX_BODY_BYTES)
        self.control = site(PAGES, limits=control_limits)
        self.control.resource.putChild(b"control", Control({"echo": self.echo}, self.clock, self.actions))
        for each in (self.public, self.control):
            each.reactor = self.clock

    async def echo(self, parameters, progress):
        self.given.append(parameters)
        return {}

    def connect(self, where=None):
        channel, transport = (where or self.public).buildProtocol(None), Transport()
        channel.makeConnection(transport)
        return channel, transport

    def request(self, line, *head, body=b"", where=None):
        channel, transport = self.connect(where)
        channel.dataReceived("\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *head, "", ""]).encode() + body)
        return channel, transport

    def status(self, *args, **options):
        return status_of(self.request(*args, **options)[1])


def status_of(transport):
    found = re.search(rb"HTTP/1.1 (\d+)", transport.value())
    return int(found[1]) if found else None


@pytest.fixture
def fixture(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("a body was written to a temporary file")

    monkeypatch.setattr(tempfile, "TemporaryFile", forbidden)
    return AdminFixture()


@pytest.mark.parametrize("line", ["GET /healthz", "POST /api/status", "PUT /nothing", "POST /control/echo"])
@pytest.mark.parametrize("head", [("Content-Length: 300000000",), ("Transfer-Encoding: chunked",)])
def test_body_is_refused_before_it_is_read_with_and_without_the_token(fixture, line, head):
    for token in ((), (f"Authorization: Bearer {TOKEN}",)):
        channel, transport = fixture.request(line, *head, *token, "Expect: 100-continue")
        assert status_of(transport) == 413
        assert b"100 Continue" not in transport.value()
        assert b"X-Content-Type-Options: nosniff" in transport.value()
        assert b"Connection: close" in transport.value()
        if "chunked" not in head[0]:
            for _ in range(30):
                channel.dataReceived(b"x" * 1_000_000)
            assert transport.aborted
    assert fixture.limits.rejections.counts == {"request_too_large": 2}
    assert "pages of the admin endpoint take none" in fixture.limits.rejections.sources.all()[0].text


def test_log_names_the_socket_and_calls_it_no_listener(fixture):
    with capturedLogs() as logs:
        fixture.request("POST /control/echo", "Content-Length: 300000000", where=fixture.control)
    (line,) = [formatEvent(event) for event in logs if "why" in event]
    assert line.startswith("admin socket control.sock: request from ")
    assert "the body is longer than" in line


def test_request_without_body_is_answered(fixture):
    assert fixture.status("GET /healthz", "Content-Length: 0") == 200
    assert fixture.status("GET /api/status", f"Authorization: Bearer {TOKEN}") == 200


def test_command_takes_a_body_of_limited_length(fixture):
    body = json.dumps({"x": "y" * (MAX_BODY_BYTES - 20)}).encode()
    length = f"Content-Length: {len(body)}"
    assert fixture.status("POST /control/echo", length, body=body, where=fixture.control) == 200
    assert fixture.given == [json.loads(body)]
    large = f"Content-Length: {MAX_BODY_BYTES + 1}"
    assert fixture.status("POST /control/echo", large, where=fixture.control) == 413
    assert fixture.status("POST /control/echo", "Transfer-Encoding: chunked", where=fixture.control) == 413
    assert len(fixture.given) == 1


@pytest.mark.parametrize("fields, status", [(20, 200), (21, 400), (2000, 400)])
def test_more_than_20_query_fields_are_400(fixture, fields, status):
    query = "&".join(f"{number}=" for number in range(fields))
    _, transport = fixture.request(f"GET /api/status?{query}", where=fixture.control)
    assert status_of(transport) == status
    if status == 400 and fields == 21:
        assert b"more than 20 fields" in transport.value()


def test_connection_that_has_been_idle_longest_is_closed_for_a_new_one(fixture):
    connections = [fixture.connect() for _ in range(MAX_CONNECTIONS)]
    used = connections[0]
    used[0].dataReceived(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(3):
        assert fixture.status("GET /healthz") == 200
    assert [transport.aborted for _, transport in connections[:5]] == [False, True, True, True, False]
    assert fixture.limits.rejections.counts == {"max_connections": 3}
    for channel, _ in connections:
        channel.connectionLost()
    assert len(fixture.limits._open) == 3


def test_slow_head_ends_at_the_deadline(fixture):
    channel, transport = fixture.connect()
    for _ in range(61):
        channel.dataReceived(b"G")
        fixture.clock.advance(1)
    assert transport.disconnecting
    fixture.clock.advance(60)
    assert transport.aborted


def test_wrong_tokens_are_counted_and_logged_at_a_limited_rate(fixture):
    for number in range(60):
        assert fixture.status("GET /api/status", f"Authorization: Bearer {number}") == 401
    assert fixture.limits.rejections.counts == {"admin_token": 60}
    assert len(fixture.limits.rejections._logged) == 1
