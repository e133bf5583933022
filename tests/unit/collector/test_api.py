"""Tests the endpoints with a real Agent and the real resource, in memory."""

import base64
import gzip
import json
import uuid
from datetime import UTC, datetime

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource

from bridge.collector.api import IntakeResource
from bridge.collector.output import Counting
from tests.harness.memory_sink import Memory

KEY = "k" * 16
OTHER = "o" * 16
NOW = datetime(2026, 11, 23, 7, 24, tzinfo=UTC)
HEADERS = {"X-SEKOIAIO-INTAKE-KEY": KEY}


class Client:
    """Posts to an IntakeResource; each call returns (status, JSON or text, headers)."""

    def __init__(self, sink=None, *, keys=frozenset({KEY, OTHER}), root=None, **options):
        self.sink = sink or Memory()
        self.intake = IntakeResource(self.sink, keys=keys, now=lambda: NOW, **options)
        self.treq = StubTreq(self.intake if root is None else root(self.intake))

    def start(self, path, data=b"", method="POST", headers=HEADERS, **options):
        return self.treq.request(method, "http://intake.test" + path, data=data, headers=headers, **options)

    def send(self, *args, **options):
        response = self.result_of(self.start(*args, **options))
        body = self.result_of(self.treq.content(response))
        is_json = response.headers.getRawHeaders("Content-Type") == ["application/json"]
        return response.code, json.loads(body) if is_json and body else body, response.headers

    def result_of(self, deferred):
        results = []
        deferred.addBoth(results.append)
        self.treq.flush()
        assert results, "no response"
        return results[0]

    @property
    def texts(self):
        return [event.event for event in self.sink.events]


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def logged():
    """Collects the log events of the test."""
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def dumps(value):
    return json.dumps(value).encode()


def test_plain_accepts_the_body_as_one_event(client):
    status, answer, _ = client.send("/plain", b"[764008:0] info: 198.51.100.10 example.org. A IN\nx\n")
    assert (status, answer["received"]) == (200, True)
    (event,) = client.sink.events
    assert event == (answer["event_id"], KEY, None, b"[764008:0] info: 198.51.100.10 example.org. A IN\nx\n")
    assert client.sink.deliveries[0].received == NOW
    assert str(uuid.UUID(event.event_id)) == event.event_id


def test_plain_batch_splits_at_line_feeds_only(client):
    status, answer, _ = client.send("/plain/batch", b"\n\na\n\n\nb\r\n\xff\x00c\n\n")
    assert status == 200
    assert client.texts == [b"a", b"b\r", b"\xff\x00c"]
    assert answer == {"received": True, "event_ids": [event.event_id for event in client.sink.events]}


def test_jsons_accepts_strings_and_objects(client):
    status, answer, _ = client.send("/jsons", dumps(["a", {"b": [1, "é"]}, "", "\ud800"]))
    assert status == 200
    assert client.texts == [b"a", '{"b":[1,"é"]}'.encode(), b"\xed\xa0\x80"]
    assert len(answer["event_ids"]) == 3


@pytest.mark.parametrize("path", ["$.a.b", "$.a.b[*]"])
def test_jsons_path_selects_the_array(client, path):
    assert client.send(f"/jsons?path={path}", dumps({"a": {"b": ["x", "y"]}}))[0] == 200
    assert client.texts == [b"x", b"y"]


@pytest.mark.parametrize("field", ["@timestamp", "timestamp"])
def test_structured_content_provides_key_and_time(client, field):
    body = dumps({"intake_key": OTHER, "json": "text", field: "2026-11-23T07:24:00Z"})
    status, answer, _ = client.send("/", body, headers={})
    assert status == 200
    assert client.sink.events == [(answer["event_id"], OTHER, "2026-11-23T07:24:00Z", b"text")]


def test_batch_uses_one_key_for_all_events(client):
    status, answer, _ = client.send("/batch", dumps({"intake_key": KEY, "jsons": ["a", "b"]}), headers={})
    assert (status, len(answer["event_ids"])) == (200, 2)
    assert [(event.intake_key, event.event) for event in client.sink.events] == [(KEY, b"a"), (KEY, b"b")]


def test_array_accepts_several_keys_and_times_in_one_delivery(client):
    records = [
        {"intake_key": KEY, "json": "a", "timestamp": "2026-11-23T07:24:00Z"},
        {"intake_key": OTHER, "json": "b", "@timestamp": "2026-11-23T07:24:01+01:00"},
        {"intake_key": KEY, "json": "c"},
    ]
    assert client.send("/array", dumps(records), headers={})[0] == 200
    (delivery,) = client.sink.deliveries
    assert [event[1:] for event in delivery.events] == [
        (KEY, "2026-11-23T07:24:00Z", b"a"),
        (OTHER, "2026-11-23T07:24:01+01:00", b"b"),
        (KEY, None, b"c"),
    ]
    assert delivery.counts == {KEY: 2, OTHER: 1}


def test_timestamp_header_is_kept_verbatim(client):
    headers = {**HEADERS, "X-SEKOIAIO-EVENT-TIMESTAMP": "2026-11-23T07:24:00.2500+00:00"}
    assert client.send("/plain/batch", b"a\nb", headers=headers)[0] == 200
    assert {event.event_timestamp for event in client.sink.events} == {"2026-11-23T07:24:00.2500+00:00"}


@pytest.mark.parametrize("time", ["yesterday", "2026-11-23", "2026-11-23T07:24:00", "2026-02-30T07:24:00Z", ""])
def test_malformed_timestamp_header_is_400(client, time):
    status, answer, _ = client.send("/plain", b"a", headers={**HEADERS, "X-SEKOIAIO-EVENT-TIMESTAMP": time})
    assert status == 400
    assert "X-SEKOIAIO-EVENT-TIMESTAMP" in answer["error"]


def basic(password, user="any"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "query, headers",
    [("", HEADERS), ("", basic(KEY)), ("", basic(KEY, user="")), (f"?intake_key={KEY}", {})],
    ids=["header", "basic", "basic without user", "query"],
)
def test_key_is_read_from_header_basic_auth_or_query(client, query, headers):
    assert client.send("/plain/batch" + query, b"a", headers=headers)[0] == 200
    assert client.sink.deliveries[0].counts == {KEY: 1}


UNKNOWN = "unknown-key-0000"


@pytest.mark.parametrize(
    "path, body, headers",
    [
        ("/plain", b"a", {}),
        ("/plain/batch", b"a", {"X-SEKOIAIO-INTAKE-KEY": UNKNOWN}),
        ("/plain/batch", b"a", {"X-SEKOIAIO-INTAKE-KEY": ""}),
        ("/plain/batch", b"a", basic(UNKNOWN)),
        ("/plain/batch", b"a", {"Authorization": "Basic !!!"}),
        ("/plain/batch", b"a", {"Authorization": f"Bearer {KEY}"}),
        (f"/plain/batch?intake_key={UNKNOWN}", b"a", {}),
        ("/plain/batch", b"a", {"X-SEKOIAIO-INTAKE-KEY": b"\xff\xfe"}),
        ("/jsons", b'["a"]', {}),
        ("/", dumps({"json": "a"}), {}),
        ("/", dumps({"json": "a", "intake_key": UNKNOWN}), HEADERS),
        ("/", dumps({"json": "a", "intake_key": "\ud800"}), {}),
        ("/batch", dumps({"jsons": ["a"], "intake_key": ""}), {}),
        ("/array", dumps([{"json": "a", "intake_key": KEY}, {"json": "a", "intake_key": UNKNOWN}]), {}),
        ("/array", dumps([{"json": "a", "intake_key": KEY}, {"json": "a"}]), {}),
    ],
)
def test_unknown_or_missing_key_is_401_and_accepts_nothing(client, path, body, headers):
    status, answer, got = client.send(path, body, headers=headers)
    assert status == 401
    assert got.getRawHeaders("WWW-Authenticate")[0].startswith("Basic ")
    assert not client.sink.deliveries
    assert UNKNOWN not in answer["error"] and KEY not in answer["error"]


def test_without_configured_keys_any_key_is_accepted_but_required():
    client = Client(keys=None)
    assert client.send("/plain", b"a", headers={"X-SEKOIAIO-INTAKE-KEY": "anything"})[0] == 200
    assert client.send("/plain", b"a", headers={})[0] == 401
    assert client.sink.deliveries[0].counts == {"anything": 1}


@pytest.mark.parametrize(
    "path, body",
    [
        ("/plain", b""),
        ("/plain/batch", b""),
        ("/plain/batch", b"\n\n\n"),
        ("/jsons", b""),
        ("/jsons", b"[]"),
        ("/jsons", b'[""]'),
        ("/jsons", b'["a"'),
        ("/jsons", b'["\xff"]'),
        ("/jsons", b'{"a": ["x"]}'),
        ("/jsons", b"[1]"),
        ("/jsons", b'[{"a": NaN}]'),
        ("/jsons", b'[{"a": 1e999}]'),
        ("/jsons", b'[{"a": ' + b"9" * 5000 + b"}]"),
        ("/jsons", b"[" * 100_000),
        ("/jsons?path=$.b", b'{"a": ["x"]}'),
        ("/jsons?path=$.a", b'{"a": "x"}'),
        ("/jsons?path=$..a", b'{"a": ["x"]}'),
        ("/jsons?path=a", b'{"a": ["x"]}'),
        ("/", b"[]"),
        ("/", b"text"),
        ("/", dumps({"intake_key": KEY})),
        ("/", dumps({"intake_key": KEY, "json": ""})),
        ("/", dumps({"intake_key": KEY, "json": {"a": 1}})),
        ("/", dumps({"intake_key": 5, "json": "a"})),
        ("/", dumps({"intake_key": KEY, "json": "a", "@timestamp": "now"})),
        ("/", dumps({"intake_key": KEY, "json": "a", "@timestamp": 1700000000})),
        ("/batch", dumps({"intake_key": KEY, "jsons": "a"})),
        ("/batch", dumps({"intake_key": KEY, "jsons": ["a", 1]})),
        ("/array", dumps({"intake_key": KEY, "json": "a"})),
        ("/array", dumps(["a"])),
        ("/plain?status_code=404", b"a"),
        ("/plain?status_code=1e2", b"a"),
        ("/plain?status_code=", b"a"),
    ],
)
def test_malformed_input_is_400_with_a_reason_and_accepts_nothing(client, logged, path, body):
    status, answer, _ = client.send(path, body)
    assert status == 400
    assert answer["error"] and KEY not in answer["error"]
    assert not client.sink.deliveries
    assert not [event for event in logged if "log_failure" in event]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_status_code_parameter_sets_the_success_status(client, status):
    assert client.send(f"/plain?status_code={status}", b"a")[0] == status
    assert client.texts == [b"a"]


@pytest.mark.parametrize("path", ["/plain/x", "/x", "/plain/batch/x", "//plain", "/api/v1/plain", "/jsons/batch"])
def test_unknown_path_is_404(client, path):
    status, answer, _ = client.send(path, b"a")
    assert (status, "/plain/batch" in answer["error"]) == (404, True)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_method_is_405(client, method):
    status, answer, headers = client.send("/plain", b"", method=method)
    assert (status, headers.getRawHeaders("Allow")) == (405, ["POST"])
    assert answer == b"" if method == "HEAD" else "POST" in answer["error"]


@pytest.mark.parametrize("path", ["/plain/", "/api/v1/intake-http/plain", "/api/v1/intake-http/plain/"])
def test_path_prefix_of_the_regions_is_accepted(client, path):
    assert client.send(path, b"a")[0] == 200


def test_resource_can_be_mounted_at_any_depth():
    def below_x_y(intake):
        root, middle = Resource(), Resource()
        root.putChild(b"x", middle)
        middle.putChild(b"y", intake)
        return root

    client = Client(root=below_x_y)
    assert client.send("/x/y/plain/batch", b"a\nb")[0] == 200
    assert client.send("/x/y", dumps({"json": "c"}))[0] == 200
    assert client.send("/x/y/api/v1/intake-http/", dumps({"json": "d"}))[0] == 200
    assert client.texts == [b"a", b"b", b"c", b"d"]


GZIP = {**HEADERS, "Content-Encoding": "gzip"}


def test_gzip_body_may_have_several_members(client):
    assert client.send("/plain/batch", gzip.compress(b"a\nb"), headers=GZIP)[0] == 200
    assert client.send("/plain/batch", gzip.compress(b"c\n") + gzip.compress(b"d"), headers=GZIP)[0] == 200
    assert client.texts == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize(
    "body",
    [
        b"plain text",
        b"",
        gzip.compress(b"a" * 1000)[:-3],
        gzip.compress(b"a") + b"trailer",
        gzip.compress(b"a")[:-8] + b"\x00" * 8,
        gzip.compress(b"") * 1000,
    ],
    ids=["none", "empty", "cut", "trailer", "checksum", "thousand members"],
)
def test_malformed_gzip_is_400(client, body):
    assert client.send("/plain", body, headers=GZIP)[0] == 400


def test_other_content_encoding_is_415(client):
    for encoding in ("br", "gzip, gzip", "deflate"):
        status, _, headers = client.send("/plain", b"a", headers={**HEADERS, "Content-Encoding": encoding})
        assert (status, headers.getRawHeaders("Accept-Encoding")) == (415, ["gzip"])
    assert client.send("/plain", b"a", headers={**HEADERS, "Content-Encoding": "identity"})[0] == 200


LIMIT = 256_000


def test_event_of_exactly_250_kib_is_accepted(client):
    assert client.send("/plain", b"x" * LIMIT)[0] == 200
    status, answer, _ = client.send("/plain/batch", b"\n".join([b"y" * LIMIT] * 3))
    assert (status, "errors" in answer) == (200, False)
    assert [len(text) for text in client.texts] == [LIMIT] * 4


@pytest.mark.parametrize("path", ["/plain/batch", "/jsons", "/batch", "/array"])
def test_oversize_event_of_a_batch_is_refused_alone(client, path):
    texts = ["a", "b" * (LIMIT + 1), "c" * LIMIT, "é" * (LIMIT // 2 + 1), "e"]
    body = {
        "/plain/batch": "\n".join(texts).encode(),
        "/jsons": dumps(texts),
        "/batch": dumps({"jsons": texts}),
        "/array": dumps([{"json": text} for text in texts]),
    }[path]
    status, answer, _ = client.send(path, body)
    assert status == 200
    assert [(error["index"], error["status"]) for error in answer["errors"]] == [(1, 413), (3, 413)]
    assert client.texts == [b"a", b"c" * LIMIT, b"e"]
    assert answer["event_ids"] == [event.event_id for event in client.sink.events]


@pytest.mark.parametrize("path", ["/plain", "/plain/batch", "/jsons"])
def test_413_if_every_event_is_oversize(client, path):
    large = b"x" * (LIMIT + 1)
    status, answer, _ = client.send(path, dumps([large.decode()]) if path == "/jsons" else large)
    assert (status, answer["errors"][0]["index"]) == (413, 0)
    assert not client.sink.deliveries


def test_413_if_the_sent_or_inflated_body_exceeds_the_limit():
    client = Client(body_limit=1000)
    assert client.send("/plain", b"x" * 1000)[0] == 200
    assert client.send("/plain", b"x" * 1001)[0] == 413
    assert client.send("/plain", gzip.compress(b"x" * 1000), headers=GZIP)[0] == 200
    assert client.send("/plain", gzip.compress(b"x" * 1001), headers=GZIP)[0] == 413
    assert client.send("/plain", gzip.compress(b"x" * 600) * 2, headers=GZIP)[0] == 413


def test_batch_of_20_000_events_is_accepted():
    client = Client(Counting())
    lines = [b"%05d %s" % (number, b"x" * 244) for number in range(20_000)]
    status, answer, _ = client.send("/plain/batch", b"\n".join(lines))
    assert status == 200
    assert len(set(answer["event_ids"])) == 20_000
    assert client.sink.counts == {KEY: 20_000}
    assert {str(uuid.UUID(each)) for each in answer["event_ids"]} == set(answer["event_ids"])


class DeferredSink:
    """A sink whose acceptance the test completes."""

    def __init__(self):
        self.done = Deferred()

    def accept(self, delivery):
        return self.done


def test_response_waits_for_the_sink():
    sink = DeferredSink()
    client = Client(sink)
    answers = []
    client.start("/plain", b"a").addCallback(answers.append)
    client.treq.flush()
    assert not answers
    sink.done.callback(None)
    client.treq.flush()
    assert answers[0].code == 200


def test_failing_sink_is_503_and_the_log_shows_no_key(logged):
    sink = DeferredSink()
    sink.done.errback(OSError(28, "No space left on device"))
    client = Client(sink)
    status, answer, _ = client.send(f"/plain?intake_key={KEY}", b"a")
    assert (status, "again" in answer["error"]) == (503, True)
    (event,) = [event for event in logged if "log_failure" in event]
    assert KEY not in event["log_failure"].getTraceback()
