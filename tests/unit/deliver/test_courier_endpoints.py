"""Tests couriers for every endpoint and both spool encodings, and changes between endpoints while files wait."""

import itertools
import json

import pytest
from twisted.python.failure import Failure

from bridge.batching import Group
from bridge.batching.endpoints import ENDPOINTS
from bridge.collector import formats
from bridge.collector.credentials import Keys
from bridge.deliver.client import Response
from bridge.deliver.context import DeliveryPath
from bridge.deliver.request import RequestTarget, authentication
from bridge.spool import BatchLimits
from tests.unit.deliver.test_courier import NOON, World

PARSERS = {
    "/plain/batch": formats.plain_batch, "/plain": formats.plain, "/jsons": formats.jsons,
    "/batch": formats.structured_batch, "/": formats.structured, "/array": formats.array,
}  # fmt: skip
KEY = "0123456789abcdef"


def target(path, *, gzip=False):
    endpoint = ENDPOINTS[path]
    headers = dict if endpoint.key_in_body else lambda: authentication("header", KEY)
    return RequestTarget(f"http://collector.test{path}", headers, gzip, endpoint, lambda: KEY)


class Posts(World):
    """A world with an endpoint. It collects (event, time) pairs as the API reads them."""

    def __init__(self, directory, path="/plain/batch", **options):
        super().__init__(directory, **options)
        self.path = path
        self.taken = []
        self.urls = []
        self.change(target(path))

    def change(self, new):
        delivery_path = self.courier._delivery_path
        self.courier.change(DeliveryPath(new, self, delivery_path.base_urls), self.courier._limits)

    def post(self, url, body, headers):
        self.urls.append(url)
        return super().post(url, body, headers)

    def take(self):
        """Reads the first request as the collector would, and accepts it."""
        body, headers, answer = self.posted.pop(0)
        parser = PARSERS[self.urls.pop(0).removeprefix("http://collector.test")]
        envelope = formats.Envelope(
            keys=Keys({KEY}), intake_key=headers.get("X-SEKOIAIO-INTAKE-KEY"),
            event_timestamp=headers.get("X-SEKOIAIO-EVENT-TIMESTAMP"),
        )  # fmt: skip
        rows = parser(body, envelope).content.rows()
        self.taken += [(row.event, row.event_timestamp) for row in rows]
        said = {"event_id": "1"} if parser in (formats.plain, formats.structured) else {"event_ids": ["1"] * len(rows)}
        answer.callback(Response(200, json.dumps(said).encode()))
        self.check()

    def drain(self):
        for _ in range(1000):
            if not self.courier.waiting_events:
                return
            if self.posted:
                self.take()
            else:
                self.clock.advance(1)
        raise AssertionError("it does not end")


def at(ms):
    return f"2026-11-23T12:00:{ms // 1000:02}.{ms % 1000:03}Z"


@pytest.mark.parametrize("path", PARSERS)
@pytest.mark.parametrize("encoding", ["lines", "json"])
def test_every_endpoint_takes_what_the_spool_has(tmp_path, path, encoding):
    world = Posts(tmp_path / "spool", path)
    for ms, events in ((0, (b"one", b"two")), (500, (b"three",)), (2000, (b"four",))):
        quoted = [json.dumps(event.decode()).encode() for event in events] if encoding == "json" else events
        world.seal(*quoted, ms=ms, encoding=encoding)
    world.drain()
    assert sorted(event for event, _ in world.taken) == [b"four", b"one", b"three", b"two"]
    times = dict(world.taken)
    assert (times[b"one"], times[b"two"], times[b"four"]) == (at(0), at(0), at(2000))
    assert (world.files, world.ledger.of("a").delivered) == ([], 4)


def timed(world, *rows):
    """Adds a file whose events each have a time."""
    data = b"".join(b"%d\t%b\n" % (NOON * 1000 + ms, json.dumps(event).encode()) for ms, event in rows)
    moments = [NOON * 1000 + ms for ms, _ in rows]
    world.spool.append(Group("a", "json", NOON, min(moments), max(moments), len(rows), data, timed=True))
    world.ledger.receive_spooled("a", len(rows))
    world.spool.seal_all()
    world.check()


@pytest.mark.parametrize("path", ["/array", "/"])
def test_each_event_has_its_exact_time(tmp_path, path):
    world = Posts(tmp_path / "spool", path)
    timed(world, (250, "b"), (0, "a\nb"), (59_999, "c"))
    timed(world, (1, "d"))
    world.drain()
    assert sorted(world.taken) == [(b"a\nb", at(0)), (b"b", at(250)), (b"c", at(59_999)), (b"d", at(1))]
    assert world.ledger.of("a").delivered == 4


def test_array_joins_batches_of_any_times(tmp_path):
    world = Posts(tmp_path / "spool", "/array", in_flight=1)
    timed(world, (0, "first"))
    timed(world, (30_000, "second"), (7, "third"))
    world.seal(b"fourth", ms=45_000)
    world.take()
    assert len(world.posted) == 1
    world.take()
    assert [event for event, _ in world.taken] == [b"first", b"third", b"second", b"fourth"]


def test_a_refused_event_among_exact_ones_is_found_and_the_others_keep_their_times(tmp_path):
    world = Posts(tmp_path / "spool", "/array")
    aside = []
    world.refuse = lambda intake, refused, settled: (aside.extend(refused), world.spool.remove(settled))
    timed(world, *((i * 100, f"event {i}") for i in range(16)))
    for _ in range(100):
        if not world.posted:
            if not world.courier.waiting_events:
                break
            if not world.courier._pending.split_queue and world.courier.waiting_events == 1:
                timed(world, (50_000, "one more"))
            world.clock.advance(1)
        elif b"event 11" in world.bodies[0]:
            world.urls.pop(0)
            world.fail(status=400)
        else:
            world.take()
    assert [piece.lines for piece, _ in aside] == [b'"event 11"\n']
    expected = {(f"event {i}".encode(), at(i * 100)) for i in range(16) if i != 11}
    assert expected <= set(world.taken)
    assert len(world.taken) == len(set(world.taken))


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(PARSERS, 2)))
def test_from_any_endpoint_to_any_other_with_files_waiting(tmp_path, old, new):
    """Files of both kinds wait, one of them is being searched for a bad event, and some pieces are in memory."""
    world = Posts(tmp_path / "spool", old, limits=BatchLimits(max_slots=1))
    world.seal(b"one", b"two", b"three", b"four")
    if ENDPOINTS[old].exact:
        timed(world, (9_000, "five"), (5_000, "six"))
    else:
        world.seal(b"five", ms=9_000, seal=False)
        world.seal(b"six", ms=5_000)
    expected = {b"one", b"two", b"three", b"four", b"five", b"six"}
    if not ENDPOINTS[old].single:
        world.urls.pop(0)
        world.fail(status=400)
    while world.posted:
        world.urls.pop(0)
        world.fail(status=500)
    world.change(target(new))
    world.drain()
    assert {event for event, _ in world.taken} == expected
    assert len(world.taken) == len(expected)
    times = dict(world.taken)
    assert abs(int(times[b"five"][17:19]) - 9) < 1
    assert world.files == []
    assert world.ledger.of("a").delivered == 6


@pytest.mark.parametrize("path", ["/batch", "/array"])
@pytest.mark.parametrize("gzip", [False, True])
def test_no_key_is_kept_with_the_evidence(tmp_path, path, gzip):
    world = Posts(tmp_path / "spool", path)
    world.change(target(path, gzip=gzip))
    world.seal(b"one", b"two")
    _, _, answer = world.posted.pop(0)
    answer.callback(Response(200, b'{"event_ids":["1"]}'))
    assert KEY.encode() not in world.evidence
    assert b'"one"' in world.evidence
    assert repr(target(path)) == f"Target(http://collector.test{path})"


def test_what_a_collector_echoes_shows_no_key(tmp_path):
    world = Posts(tmp_path / "spool", "/array")
    world.seal(b"one")
    body, _, answer = world.posted.pop(0)
    answer.callback(Response(401, body))
    assert world.courier.parked is not None
    assert KEY not in world.courier.parked
    assert "****" in world.courier.parked


def test_a_body_that_cannot_be_made_is_damage_of_its_file(tmp_path):
    world = Posts(tmp_path / "spool", "/jsons", in_flight=1)
    world.seal(b"first")
    world.seal(b'"good"', encoding="json", ms=5000)
    (path,) = (world.spool.directory / "a").glob("*.json")
    path.write_bytes(b"12345 \n")
    assert path.stat().st_size == len(b'"good"\n')
    world.drain()
    assert [event for event, _ in world.taken] == [b"first"]
    assert world.alarms["damaged"] == 1
    assert not isinstance(world.courier.last_error, Failure)


def test_authentication():
    assert authentication("header", "k") == {"X-SEKOIAIO-INTAKE-KEY": "k"}
    assert authentication("basic", "k") == {"Authorization": "Basic c3lzbG9nLWJyaWRnZTpr"}
