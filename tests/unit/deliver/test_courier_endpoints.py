"""Tests couriers for every endpoint and both spool encodings, and changes between endpoints while files wait."""

import itertools
import json
from dataclasses import replace

import pytest
from twisted.python.failure import Failure

from bridge.batching import Group
from bridge.batching.endpoints import ENDPOINTS
from bridge.collector import formats
from bridge.collector.credentials import Keys
from bridge.deliver.context import DeliveryPath
from bridge.deliver.exchange import Response
from bridge.deliver.request import RequestTarget, authentication
from bridge.spool import BatchLimits
from tests.harness.parsed import parsed
from tests.unit.deliver.test_courier import NOON, CourierFixture

PARSERS = {
    "/plain/batch": formats.plain_batch, "/plain": formats.plain, "/jsons": formats.jsons,
    "/batch": formats.structured_batch, "/": formats.structured, "/array": formats.array,
}  # fmt: skip
KEY = "0123456789abcdef"


def target(path, *, gzip=False):
    endpoint = ENDPOINTS[path]
    headers = dict if endpoint.key_in_body else lambda: authentication("header", KEY)
    return RequestTarget(f"http://collector.test{path}", headers, gzip, endpoint, lambda: KEY)


class EndpointFixture(CourierFixture):
    """Provides a courier for an endpoint, and collects (event, time) pairs as the API reads them."""

    def __init__(self, directory, path="/plain/batch", **options):
        super().__init__(directory, **options)
        self.path = path
        self.received = []
        self.urls = []
        self.change(target(path))

    def change(self, new):
        delivery_path = self.courier._delivery_path
        self.courier.change(DeliveryPath(new, self.post, delivery_path.base_urls), self.courier._limits)

    def post(self, url, body, headers):
        self.urls.append(url)
        return super().post(url, body, headers)

    def accept_first(self):
        """Reads the first request as the collector does, and accepts it."""
        body, headers, answer = self.posted.pop(0)
        parser = PARSERS[self.urls.pop(0).removeprefix("http://collector.test")]
        envelope = formats.Envelope(
            keys=Keys({KEY}), intake_key=headers.get("X-SEKOIAIO-INTAKE-KEY"),
            event_timestamp=headers.get("X-SEKOIAIO-EVENT-TIMESTAMP"),
        )  # fmt: skip
        rows = parsed(parser, body, envelope).content.rows()
        self.received += [(row.event, row.event_timestamp) for row in rows]
        response = (
            {"event_id": "1"} if parser in (formats.plain, formats.structured) else {"event_ids": ["1"] * len(rows)}
        )
        answer.callback(Response(200, json.dumps(response).encode()))
        self.check()

    def drain(self):
        for _ in range(1000):
            if not self.courier.waiting_events:
                return
            if self.posted:
                self.accept_first()
            else:
                self.clock.advance(1)
        raise AssertionError("events still wait after 1,000 steps")


def at(ms):
    return f"2026-11-23T12:00:{ms // 1000:02}.{ms % 1000:03}Z"


@pytest.mark.parametrize("path", PARSERS)
@pytest.mark.parametrize("encoding", ["lines", "json"])
def test_every_endpoint_receives_all_spooled_events(tmp_path, path, encoding):
    fixture = EndpointFixture(tmp_path / "spool", path)
    for ms, events in ((0, (b"one", b"two")), (500, (b"three",)), (2000, (b"four",))):
        quoted = [json.dumps(event.decode()).encode() for event in events] if encoding == "json" else events
        fixture.seal(*quoted, ms=ms, encoding=encoding)
    fixture.drain()
    assert sorted(event for event, _ in fixture.received) == [b"four", b"one", b"three", b"two"]
    times = dict(fixture.received)
    assert (times[b"one"], times[b"two"], times[b"four"]) == (at(0), at(0), at(2000))
    assert (fixture.files, fixture.ledger.of("a").delivered) == ([], 4)


def seal_timed(fixture, *rows):
    """Seals one batch file in which each event has its own time."""
    data = b"".join(b"%d\t%b\n" % (NOON * 1000 + ms, json.dumps(event).encode()) for ms, event in rows)
    moments = [NOON * 1000 + ms for ms, _ in rows]
    fixture.spool.append(Group("a", "json", NOON, min(moments), max(moments), len(rows), data, timed=True))
    fixture.ledger.receive_spooled("a", len(rows))
    fixture.spool.seal_all()
    fixture.check()


@pytest.mark.parametrize("path", ["/array", "/"])
def test_each_event_has_its_exact_time(tmp_path, path):
    fixture = EndpointFixture(tmp_path / "spool", path)
    seal_timed(fixture, (250, "b"), (0, "a\nb"), (59_999, "c"))
    seal_timed(fixture, (1, "d"))
    fixture.drain()
    assert sorted(fixture.received) == [(b"a\nb", at(0)), (b"b", at(250)), (b"c", at(59_999)), (b"d", at(1))]
    assert fixture.ledger.of("a").delivered == 4


def test_array_joins_batches_of_any_times(tmp_path):
    fixture = EndpointFixture(tmp_path / "spool", "/array", in_flight=1)
    seal_timed(fixture, (0, "first"))
    seal_timed(fixture, (30_000, "second"), (7, "third"))
    fixture.seal(b"fourth", ms=45_000)
    fixture.accept_first()
    assert len(fixture.posted) == 1
    fixture.accept_first()
    assert [event for event, _ in fixture.received] == [b"first", b"third", b"second", b"fourth"]


def test_refused_event_is_isolated_and_the_others_keep_their_times(tmp_path):
    fixture = EndpointFixture(tmp_path / "spool", "/array")
    refused_pieces = []
    fixture.refuse = lambda intake, refused, settled: (refused_pieces.extend(refused), fixture.spool.remove(settled))
    seal_timed(fixture, *((i * 100, f"event {i}") for i in range(16)))
    for _ in range(100):
        if not fixture.posted:
            if not fixture.courier.waiting_events:
                break
            if not fixture.courier._pending.split_queue and fixture.courier.waiting_events == 1:
                seal_timed(fixture, (50_000, "one more"))
            fixture.clock.advance(1)
        elif b"event 11" in fixture.bodies[0]:
            fixture.urls.pop(0)
            fixture.fail(status=400)
        else:
            fixture.accept_first()
    assert [piece.lines for piece, _ in refused_pieces] == [b'"event 11"\n']
    expected = {(f"event {i}".encode(), at(i * 100)) for i in range(16) if i != 11}
    assert expected <= set(fixture.received)
    assert len(fixture.received) == len(set(fixture.received))


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(PARSERS, 2)))
def test_endpoint_change_delivers_waiting_files_once(tmp_path, old, new):
    """Files of both kinds wait, one is being searched for a refused event, and some pieces are in memory."""
    fixture = EndpointFixture(tmp_path / "spool", old, limits=BatchLimits(max_slots=1))
    fixture.seal(b"one", b"two", b"three", b"four")
    if ENDPOINTS[old].exact:
        seal_timed(fixture, (9_000, "five"), (5_000, "six"))
    else:
        fixture.seal(b"five", ms=9_000, seal=False)
        fixture.seal(b"six", ms=5_000)
    expected = {b"one", b"two", b"three", b"four", b"five", b"six"}
    if not ENDPOINTS[old].single:
        fixture.urls.pop(0)
        fixture.fail(status=400)
    while fixture.posted:
        fixture.urls.pop(0)
        fixture.fail(status=500)
    fixture.change(target(new))
    fixture.drain()
    assert {event for event, _ in fixture.received} == expected
    assert len(fixture.received) == len(expected)
    times = dict(fixture.received)
    assert abs(int(times[b"five"][17:19]) - 9) < 1
    assert fixture.files == []
    assert fixture.ledger.of("a").delivered == 6


# --- the scattered endpoint -------------------------------------------------------------------------------------------


class ScatteredFixture(EndpointFixture):
    """Provides a courier that sends scattered times to ``/array``."""

    def __init__(self, directory, path="/plain/batch", **options):
        super().__init__(directory, path, **options)
        self.change(replace(target(path), scattered=target("/array")))

    @property
    def paths(self):
        return [url.removeprefix("http://collector.test") for url in self.urls]

    def seal_scattered(self, *rows):
        """Seals one timed batch file of the encoding ``lines``."""
        data = b"".join(b"%d\t%b\n" % (NOON * 1000 + ms, event) for ms, event in rows)
        moments = [NOON * 1000 + ms for ms, _ in rows]
        self.spool.append(Group("a", "lines", NOON, min(moments), max(moments), len(rows), data, timed=True))
        self.ledger.receive_spooled("a", len(rows))
        self.spool.seal_all()
        self.check()


@pytest.mark.parametrize("path", ["/plain/batch", "/plain", "/jsons", "/batch"])
def test_timed_batch_is_one_request_to_the_scattered_endpoint(tmp_path, path):
    fixture = ScatteredFixture(tmp_path / "spool", path)
    rows = [(ms, b"event %d\xe9" % ms) for ms in range(0, 59_000, 1000)]
    fixture.seal_scattered(*rows)
    assert fixture.paths == ["/array"]
    fixture.accept_first()
    assert fixture.received == [(f"event {ms}é".encode(), at(ms)) for ms, _ in rows]
    fixture.seal(b"of one second", ms=2000)
    assert fixture.paths == [path]
    fixture.accept_first()
    assert fixture.received[-1] == (b"of one second", at(2000))
    assert (fixture.files, fixture.ledger.of("a").delivered) == ([], len(rows) + 1)


def test_timed_batch_takes_many_requests_without_a_scattered_endpoint(tmp_path):
    fixture = ScatteredFixture(tmp_path / "spool")
    fixture.change(target("/plain/batch"))
    fixture.seal_scattered(*((ms, b"event") for ms in range(0, 59_000, 1000)))
    assert set(fixture.paths) == {"/plain/batch"}
    requests = 0
    while fixture.courier.waiting_events:
        fixture.accept_first() if fixture.posted else fixture.clock.advance(1)
        requests += 1
    assert requests > 50


def test_timed_batches_are_cut_together_while_the_request_rate_is_the_limit(tmp_path):
    """Each batch has an event of every minute, so each batch that is cut alone needs a request for every event."""
    fixture = ScatteredFixture(tmp_path / "spool", rate=4, in_flight=1, request_limits={"catch_up_ms": 60_000})
    fixture.change(target("/plain/batch"))
    windows, batches, requests, steps = 120, 30, 0, 0
    while steps < 8 * batches or fixture.courier.waiting_events:
        if steps % 8 == 0 and steps < 8 * batches:
            fixture.seal_scattered(*((60_000 * window, b"%d of %d" % (window, steps)) for window in range(windows)))
        fixture.clock.advance(0.25)
        steps += 1
        while fixture.posted:
            fixture.accept_first()
            requests += 1
    assert len(set(fixture.received)) == len(fixture.received) == windows * batches
    # Those of the first batch, and those of the groups that gather meanwhile.
    assert requests < 4 * windows


def test_small_requests_are_filled_while_the_request_rate_is_the_limit(tmp_path):
    """Random clocks also fill the open slots: 64 files of an event or two, besides the timed file."""
    fixture = ScatteredFixture(tmp_path / "spool", rate=1, in_flight=1)
    for second in range(40):
        fixture.seal(b"event %d" % second, ms=1000 * second + 7)
    fixture.seal_scattered((50_000, b"first"), (49_000, b"second"))
    requests = 0
    while fixture.courier.waiting_events:
        if fixture.posted:
            requests += 1
            fixture.accept_first()
        else:
            fixture.clock.advance(1)
    assert requests < 6
    expected = [(b"event %d" % second, at(1000 * second + 7)) for second in range(40)]
    assert sorted(fixture.received) == sorted([*expected, (b"first", at(50_000)), (b"second", at(49_000))])
    assert fixture.alarms["width"] == 0


def test_batches_of_one_time_keep_the_endpoint_while_the_request_rate_is_the_limit(tmp_path):
    fixture = ScatteredFixture(tmp_path / "spool", rate=1, in_flight=1)
    for number in range(20):
        fixture.seal(b"event %d" % number, ms=number)
    paths = []
    while fixture.courier.waiting_events:
        if fixture.posted:
            paths += fixture.paths
            fixture.accept_first()
        else:
            fixture.clock.advance(1)
    assert set(paths) == {"/plain/batch"}


@pytest.mark.parametrize("status", [413, 400])
def test_parts_of_a_scattered_request_keep_the_endpoint_and_their_times(tmp_path, status):
    fixture = ScatteredFixture(tmp_path / "spool", in_flight=1)
    rows = [(1000 * second, b"event %d" % second) for second in range(40)]
    fixture.seal_scattered(*rows)
    fixture.urls.pop(0)
    fixture.fail(status=status)
    while fixture.courier.waiting_events:
        assert set(fixture.paths) <= {"/array"}
        fixture.accept_first() if fixture.posted else fixture.clock.advance(1)
    assert sorted(fixture.received) == sorted((event, at(ms)) for ms, event in rows)


def test_scattered_batches_wait_after_a_failure_and_survive_a_reload(tmp_path):
    fixture = ScatteredFixture(tmp_path / "spool", in_flight=1)
    rows = [(1000 * second, b"event %d" % second) for second in range(40)]
    fixture.seal_scattered(*rows)
    fixture.urls.pop(0)
    fixture.fail(status=500)
    fixture.change(target("/plain/batch"))
    assert fixture.paths != ["/array"]
    fixture.drain()
    assert sorted(event for event, _ in fixture.received) == sorted(event for _, event in rows)
    assert fixture.ledger.of("a").delivered == 40


@pytest.mark.parametrize("path", ["/batch", "/array"])
@pytest.mark.parametrize("gzip", [False, True])
def test_evidence_contains_no_key(tmp_path, path, gzip):
    fixture = EndpointFixture(tmp_path / "spool", path)
    fixture.change(target(path, gzip=gzip))
    fixture.seal(b"one", b"two")
    _, _, answer = fixture.posted.pop(0)
    answer.callback(Response(200, b'{"event_ids":["1"]}'))
    assert KEY.encode() not in fixture.evidence
    assert b'"one"' in fixture.evidence
    assert repr(target(path)) == f"Target(http://collector.test{path})"


def test_key_echoed_by_the_collector_is_masked(tmp_path):
    fixture = EndpointFixture(tmp_path / "spool", "/array")
    fixture.seal(b"one")
    body, _, answer = fixture.posted.pop(0)
    answer.callback(Response(401, body))
    assert fixture.courier.parked is not None
    assert KEY not in fixture.courier.parked
    assert "****" in fixture.courier.parked


@pytest.mark.parametrize("form", [KEY, "c3lzbG9nLWJyaWRnZTowMTIzNDU2Nzg5YWJjZGVm"])
def test_key_that_an_error_quotes_is_masked_before_the_error_is_cut(tmp_path, form):
    fixture = EndpointFixture(tmp_path / "spool")
    basic = RequestTarget("http://collector.test/", lambda: authentication("basic", KEY), False, key=lambda: KEY)
    fixture.change(basic)
    for length in (290, 300 - len(form) // 2):
        fixture.seal(b"one")
        _, _, answer = fixture.posted.pop(0)
        answer.errback(ValueError("x" * length + form + " and more" * 50))
        assert form[:5] not in fixture.courier.last_error and "x****" in fixture.courier.last_error
        fixture.clock.advance(60)


def test_file_that_cannot_be_encoded_raises_a_damage_alarm(tmp_path):
    fixture = EndpointFixture(tmp_path / "spool", "/jsons", in_flight=1)
    fixture.seal(b"first")
    fixture.seal(b'"good"', encoding="json", ms=5000)
    (path,) = (fixture.spool.directory / "a").glob("*.json")
    path.write_bytes(b"12345 \n")
    assert path.stat().st_size == len(b'"good"\n')
    fixture.drain()
    assert [event for event, _ in fixture.received] == [b"first"]
    assert fixture.alarms["damaged"] == 1
    assert not isinstance(fixture.courier.last_error, Failure)


def test_authentication_option_selects_the_header():
    assert authentication("header", "k") == {"X-SEKOIAIO-INTAKE-KEY": "k"}
    assert authentication("basic", "k") == {"Authorization": "Basic c3lzbG9nLWJyaWRnZTpr"}
