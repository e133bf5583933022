"""Tests a courier with a fake poster: what it posts and settles, and that the ledger is exact after each step."""

import gzip
import random
from collections import Counter

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.deliver.client import Response
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.request import RequestTarget
from bridge.spool import BatchLimits, pack_writer
from tests.harness.builders import URL, build_courier, build_delivery_context, build_request_limits, build_spool

NOON = 1_795_435_200


class World:
    """One intake: a real spool, a courier, and a collector that answers when the test says so."""

    def __init__(self, directory, *, gzip=False, rate=None, in_flight=4, limits=None, request_limits=None):
        self.clock = Clock()
        self.ledger = Ledger()
        self.posted = []
        self.aside, self.alarms, self.receipts = [], Counter(), []
        self.spool = build_spool(
            directory, limits=limits or BatchLimits(), wall=lambda: NOON + self.clock.seconds(),
            clock=self.clock.seconds,
        )  # fmt: skip
        self.dispatcher = Dispatcher(self.clock, connections=8, rate=rate)
        context = build_delivery_context(
            self.clock, store=self, ledger=self.ledger, dispatcher=self.dispatcher, alarms=self,
            in_thread=self.in_thread,
        )  # fmt: skip
        self.courier = build_courier(
            "a",
            build_request_limits(in_flight=in_flight, **(request_limits or {})),
            context=context,
            target=RequestTarget(URL, lambda: {"X-Key": "k"}, gzip),
            poster=self,
        )
        self.spool.on_sealed = self.courier.add

    # The interfaces that the courier uses.
    def in_thread(self, job):
        return maybeDeferred(job)

    def post(self, url, body, headers):
        answer = Deferred()
        self.posted.append((body, headers, answer))
        return answer

    def acknowledge(self, batches, receipt):
        self.receipts.append(receipt)
        self.spool.remove(batches)

    def refuse(self, intake, refused, settled):
        raise AssertionError("nothing is refused here")

    def keep_evidence(self, intake, sequence, body):
        self.evidence = body

    def quarantine_batch(self, batch, why):
        self.aside.append(self.spool.quarantine.move_aside(batch.path))

    def pack(self, batches):
        return pack_writer.pack(batches, self.spool.cannot_remove)

    def merge(self, packs):
        return pack_writer.merge(packs, self.spool.on_error)

    def keep_damaged(self, pack, loss):
        self.aside.append(loss)

    def on(self, kind, about, text):
        self.alarms[kind] += 1

    def off(self, kind, about, text):
        pass

    # Steps of a test.
    def seal(self, *events, ms=0, encoding="lines", seal=True):
        data = b"".join(event + b"\n" for event in events)
        at = NOON * 1000 + ms
        self.spool.append(Group("a", encoding, at // 1000, at, at, len(events), data))
        self.ledger.receive_spooled("a", len(events))
        if seal:
            self.spool.seal_all()
        self.check()

    def accept(self, at=0, named=None):
        body, _, answer = self.posted.pop(at)
        count = body.count(b"\n") + 1 if named is None else named
        ids = ",".join(f'"{i}"' for i in range(count))
        answer.callback(Response(200, f'{{"event_ids":[{ids}]}}'.encode()))
        self.check()

    def fail(self, at=0, status=None):
        _, _, answer = self.posted.pop(at)
        if status is None:
            answer.errback(ConnectionRefusedError("refused"))
        else:
            answer.callback(Response(status, b"busy"))
        self.check()

    def next_request(self):
        """Advances the clock until a request is posted."""
        for _ in range(2000):
            if self.posted:
                return
            self.clock.advance(0.1)
        raise AssertionError("nothing was posted")

    def check(self):
        assert self.ledger.imbalance == 0
        assert self.ledger.of("a").spooled == self.courier.waiting_events + self.spool.open_amount("a")[0]
        assert self.dispatcher.in_flight == len(self.posted)

    @property
    def bodies(self):
        return [body for body, _, _ in self.posted]

    @property
    def files(self):
        folder = self.spool.directory / "a"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def make_world(tmp_path):
    return lambda **options: World(tmp_path / "spool", **options)


@pytest.fixture
def world(make_world):
    return make_world()


def test_a_batch_is_posted_and_goes(world):
    assert world.courier.state == "idle"
    world.seal(b"one", b"two", ms=250)
    ((body, headers, _),) = world.posted
    assert body == b"one\ntwo"
    assert headers["X-SEKOIAIO-EVENT-TIMESTAMP"] == "2026-11-23T12:00:00.250Z"
    assert (headers["X-Key"], headers["Content-Type"]) == ("k", "text/plain; charset=utf-8")
    assert headers["X-Request-ID"] == world.files[0].partition("-")[0]
    assert ".sending." in world.files[0]
    assert world.courier.state == "delivering"
    world.accept()
    assert (world.files, world.courier.state, world.ledger.of("a").delivered) == ([], "idle", 2)
    assert (world.courier.waiting_events, world.courier.waiting_bytes, world.courier.oldest) == (0, 0, None)


def test_no_time_no_header(world):
    world.seal(b"one", ms=-NOON * 1000)
    assert "X-SEKOIAIO-EVENT-TIMESTAMP" not in world.posted[0][1]


def test_gzip(make_world):
    world = make_world(gzip=True)
    world.seal(b"one", b"two")
    ((body, headers, _),) = world.posted
    assert (gzip.decompress(body), headers["Content-Encoding"]) == (b"one\ntwo", "gzip")


def test_json_batches_are_posted_as_lines(world):
    world.seal(b'"a\\nb"', b'"c"', encoding="json")
    assert world.bodies == [b"a#012b\nc"]
    world.accept()


@pytest.mark.parametrize("status", [None, 500, 429])
def test_a_failure_keeps_the_batch_and_waits(world, status):
    world.seal(b"one")
    world.fail(status=status)
    assert (world.courier.state, world.posted, world.ledger.of("a").spooled) == ("backing-off", [], 1)
    assert world.courier.last_error
    world.seal(b"two", ms=5000)
    world.clock.advance(0.4)
    assert world.posted == []
    world.next_request()
    # A courier that backs off sends one request at a time, however much waits.
    world.clock.advance(5)
    assert len(world.posted) == 1
    world.accept()
    world.next_request()
    while world.posted:
        world.accept()
    assert (world.courier.state, world.courier.last_error, world.files) == ("idle", None, [])
    assert world.ledger.of("a").delivered == 2


def test_waits_double_up_to_a_minute_and_have_jitter(world, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    world.seal(b"one")
    waits = []
    for _ in range(9):
        world.fail(status=500)
        waits.append(world.courier.next_attempt_in)
        world.clock.advance(world.courier.next_attempt_in)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_requests_that_fail_together_are_one_failure(world, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    for round_ in range(3):
        for i in range(4):
            world.seal(b"%d" % i, ms=10_000 * (4 * round_ + i))
        while world.posted and round_ < 2:
            world.accept()
    assert len(world.posted) > 1
    while world.posted:
        world.fail(status=500)
    assert world.courier.next_attempt_in == 1
    world.clock.advance(1)
    world.fail(status=500)
    assert world.courier.next_attempt_in == 2


def test_what_gathers_while_one_is_in_flight_is_joined(make_world):
    world = make_world(in_flight=1)
    world.seal(b"first")
    for i in range(5):
        world.seal(b"%d" % i, ms=i * 300)
    world.accept()
    # 0 to 900 ms are within a second; 1200 ms is not.
    assert world.bodies == [b"0\n1\n2\n3"]
    world.accept()
    assert world.bodies == [b"4"]
    world.accept()
    assert world.files == []


def test_the_header_of_a_join_is_its_earliest_event(make_world):
    world = make_world(in_flight=1)
    world.seal(b"first")
    world.seal(b"later", ms=900)
    world.seal(b"earlier", ms=100)
    world.accept()
    assert world.posted[0][0] == b"later\nearlier"
    assert world.posted[0][1]["X-SEKOIAIO-EVENT-TIMESTAMP"] == "2026-11-23T12:00:00.100Z"


def test_a_timed_batch_is_cut_and_goes_when_all_of_it_is_accepted(make_world):
    world = make_world(in_flight=1, limits=BatchLimits(max_slots=0))
    for ms in (5000, 0, 5400, 9000):
        world.seal(b"at %d" % ms, ms=ms, seal=False)
    world.spool.seal_all()
    assert world.bodies == [b"at 0"]
    world.accept()
    assert world.bodies == [b"at 5000\nat 5400"]
    assert len(world.files) == 1
    world.fail(status=500)
    world.next_request()
    assert world.bodies == [b"at 5000\nat 5400"]
    world.accept()
    world.next_request()
    assert world.bodies == [b"at 9000"]
    assert len(world.files) == 1
    world.accept()
    assert (world.files, world.ledger.of("a").delivered) == ([], 4)


def _seal_timed(world, *moments):
    for ms in moments:
        world.seal(b"at %d" % ms, ms=ms, seal=False)
    world.spool.seal_all()


def _deliver_all(world):
    """Delivers all waiting events and returns the bodies in their order."""
    bodies = []
    while world.courier.waiting_events:
        world.next_request()
        bodies += world.bodies
        world.accept()
    return bodies


def test_timed_batches_that_wait_together_share_their_requests(make_world):
    world = make_world(in_flight=1, limits=BatchLimits(max_slots=0))
    _seal_timed(world, 0)
    _seal_timed(world, 5000, 1000)
    _seal_timed(world, 1400, 9000)
    assert world.bodies == [b"at 0"]
    world.accept()
    assert len(world.files) == 2
    assert _deliver_all(world) == [b"at 1000\nat 1400", b"at 5000", b"at 9000"]
    assert (world.files, world.ledger.of("a").delivered) == ([], 5)


def test_a_backlog_of_timed_batches_is_cut_as_wide_as_it_may_be_joined(make_world):
    world = make_world(in_flight=1, limits=BatchLimits(max_slots=0))
    _seal_timed(world, 0, 5000)
    _seal_timed(world, 59_999, 0, 60_000)
    _seal_timed(world, 2000, 61_000)
    world.clock.advance(11)
    world.accept()
    assert world.bodies == [b"at 5000"]
    world.accept()
    assert _deliver_all(world) == [b"at 0\nat 59999\nat 2000", b"at 60000\nat 61000"]
    assert world.ledger.of("a").delivered == 7


def test_what_was_cut_wide_is_cut_again_once_nothing_is_held_up(make_world):
    world = make_world(in_flight=1, rate=2, limits=BatchLimits(max_slots=0), request_limits={"live_for": 1000.0})
    _seal_timed(world, 0)
    world.next_request()
    _seal_timed(world, 1000, 2000, 70_000, 75_000)
    world.accept()
    assert world.dispatcher.limited
    world.next_request()
    assert world.bodies == [b"at 1000\nat 2000"]
    world.clock.advance(60)
    assert not world.dispatcher.limited
    world.accept()
    assert _deliver_all(world) == [b"at 70000", b"at 75000"]
    assert world.ledger.of("a").delivered == 5


def test_a_shortfall_is_counted_and_shown(world):
    world.seal(b"one", b"two", b"three")
    world.accept(named=2)
    account = world.ledger.of("a")
    assert (account.delivered, account.dropped) == (2, {"collector_shortfall": 1})
    assert "confirmed 2 of 3" in world.courier.last_error
    assert world.evidence == b"one\ntwo\nthree"
    assert world.alarms["loss"] == 1


def test_a_strangers_answer_settles_nothing(world):
    world.seal(b"one")
    world.posted.pop()[2].callback(Response(200, b"<html>welcome</html>"))
    world.check()
    assert (world.ledger.of("a").delivered, len(world.files)) == (0, 1)
    assert "not from the collector" in world.courier.last_error


@pytest.mark.parametrize("damage", [b"", b"something else\n", b"one\ntw"])
def test_a_damaged_file_goes_aside_and_the_others_go_on(make_world, damage):
    world = make_world(in_flight=1)
    world.seal(b"first")
    world.seal(b"one", b"two", ms=100)
    world.seal(b"three", ms=200)
    path = next(path for path in (world.spool.directory / "a").iterdir() if "-2-8." in path.name)
    path.write_bytes(damage)
    world.accept()
    assert world.bodies == [b"three"]
    assert [path.read_bytes() for path in world.aside] == [damage]
    assert (world.ledger.of("a").quarantined, world.alarms["damaged"]) == (2, 1)
    world.accept()
    assert (world.files, world.courier.state) == ([], "idle")


def test_a_spool_that_cannot_be_read_loses_nothing(world, monkeypatch):
    path_type = type(world.spool.directory)
    monkeypatch.setattr(path_type, "read_bytes", lambda self: (_ for _ in ()).throw(OSError(5, "I/O error")))
    world.seal(b"one")
    assert (world.posted, world.courier.state) == ([], "backing-off")
    assert "I/O error" in world.courier.last_error
    monkeypatch.undo()
    world.next_request()
    world.accept()
    assert world.files == []


def test_a_file_that_is_gone_does_not_stop_the_intake(make_world):
    world = make_world(in_flight=1)
    world.seal(b"first")
    world.seal(b"gone", ms=10_000)
    world.seal(b"later", ms=20_000)
    next(path for path in (world.spool.directory / "a").iterdir() if "-1-5.lines" in path.name).unlink()
    world.accept()
    for _ in range(3000):
        world.clock.advance(0.1)
        while world.posted:
            world.accept()
    assert world.ledger.of("a").delivered == 2
    assert world.ledger.of("a").dropped == {"spool_file_missing": 1}


def test_the_rate_limit_joins_more_widely(make_world):
    world = make_world(rate=1)
    for i in range(12):
        world.seal(b"%d" % i, ms=i * 10_000)
    assert world.bodies == [b"0"]
    world.accept()
    world.clock.advance(1)
    # The batches are joined within catch_up_resolution (60 s), not sent one per request.
    assert world.bodies == [b"1\n2\n3\n4\n5\n6"]
    world.accept()
    world.clock.advance(1)
    assert world.bodies == [b"7\n8\n9\n10\n11"]
    world.accept()
    assert world.files == []


def test_headers_that_cannot_be_made_are_a_failure(world):
    def missing():
        raise OSError(2, "No such file", "/etc/key")

    object.__setattr__(world.courier._delivery_path.target, "headers", missing)
    world.seal(b"one")
    world.check()
    assert (world.posted, world.courier.state, world.ledger.of("a").spooled) == ([], "backing-off", 1)


@pytest.mark.parametrize("seed", range(20))
def test_any_answers_in_any_order(make_world, seed):
    """Checks conservation: each event is accepted once, whatever fails and in whichever order responses arrive."""
    chance = random.Random(seed)
    world = make_world()
    sent, taken = [], Counter()
    for i in range(120):
        act = chance.random()
        if act < 0.4:
            events = [b"%d.%d" % (i, k) for k in range(chance.randint(1, 4))]
            sent += events
            world.seal(*events, ms=chance.randint(0, 5000))
        elif act < 0.7 and world.posted:
            at = chance.randrange(len(world.posted))
            taken.update(world.bodies[at].split(b"\n"))
            world.accept(at)
        elif act < 0.8 and world.posted:
            world.fail(chance.randrange(len(world.posted)), chance.choice([500, 503, 429, None]))
        else:
            world.clock.advance(chance.choice([0.1, 1, 30]))
        world.check()
    for _ in range(400):
        while world.posted:
            taken.update(world.bodies[0].split(b"\n"))
            world.accept()
        world.clock.advance(1)
    assert taken == Counter(sent)
    assert (world.files, world.courier.state, world.courier.waiting_events) == ([], "idle", 0)


def test_the_oldest_batch_can_be_dropped_but_not_in_flight(make_world):
    world = make_world(in_flight=1)
    for i in range(3):
        world.seal(b"event%d" % i, ms=i * 60_000)
    disk = world.courier.waiting_disk
    dropped = world.courier.drop_oldest()
    world.ledger.drop_spooled("a", dropped.unacknowledged, "spool_full")
    world.spool.remove([dropped])
    world.check()
    assert world.bodies == [b"event0"]
    assert world.courier.waiting_disk == disk - dropped.disk
    world.accept()
    assert world.bodies == [b"event2"]
    assert world.courier.drop_oldest() is None
    world.accept()
    assert (world.courier.waiting_disk, world.courier.waiting_bytes, world.files) == (0, 0, [])


def test_the_join_width_grows_where_catching_up_cannot_keep_up_and_comes_back(make_world):
    world = make_world(rate=0.5)
    for second in range(240):
        world.seal(b"event", ms=second * 61_000)
        world.clock.advance(1)
        while world.posted:
            world.accept()
    assert world.alarms["width"] >= 1
    assert world.courier._width.grown
    for _ in range(3000):
        world.clock.advance(1)
        while world.posted:
            world.accept()
    world.seal(b"news", ms=10**9)
    world.next_request()
    assert not world.courier._width.grown
    assert world.ledger.of("a").delivered == 240
