"""Tests a courier with a fake poster: what it posts and settles, and that the ledger is exact after each step."""

import errno
import gzip
import os
import random
from collections import Counter

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.exchange import Response
from bridge.deliver.request import RequestTarget
from bridge.spool import BatchLimits, pack_writer
from tests.harness.builders import URL, build_courier, build_delivery_context, build_request_limits, build_spool

NOON = 1_795_435_200


class Publisher:
    """Hands nothing over by itself."""

    stuck = False

    def wake(self):
        pass


class CourierFixture:
    """Provides a courier over a real spool, and a collector whose responses the test sends."""

    def __init__(self, directory, *, gzip=False, rate=None, in_flight=4, limits=None, request_limits=None):
        self.clock = Clock()
        self.ledger = Ledger()
        self.posted = []
        self.quarantined, self.alarms, self.receipts, self.errors = [], Counter(), [], []
        self.kept_disk = {}
        self.spool = build_spool(
            directory, limits=limits or BatchLimits(), wall=lambda: NOON + self.clock.seconds(),
            clock=self.clock.seconds,
        )  # fmt: skip
        self.dispatcher = Dispatcher(self.clock, connections=8, rate=rate)
        context = build_delivery_context(
            self.clock, store=self, ledger=self.ledger, dispatcher=self.dispatcher, alarms=self,
            run=self.run, on_error=self.errors.append,
        )  # fmt: skip
        self.courier = build_courier(
            "a",
            build_request_limits(in_flight=in_flight, **(request_limits or {})),
            context=context,
            target=RequestTarget(URL, lambda: {"X-Key": "k"}, gzip),
            poster=self,
        )
        self.spool.subscribe(self.courier.add)

    # Interfaces that the courier uses.
    def run(self, job):
        return maybeDeferred(job)

    def post(self, url, body, headers):
        answer = Deferred()
        self.posted.append((body, headers, answer))
        return answer

    def acknowledge(self, batches, receipt):
        self.receipts.append(receipt)
        self.spool.remove(batches)

    def refuse(self, intake, refused, settled):
        raise AssertionError("unexpected refusal")

    def keep_evidence(self, intake, sequence, body):
        self.evidence = body

    def quarantine_batch(self, batch, why):
        self.quarantined.append(self.spool.quarantine.move_aside(batch.path))

    def pack(self, batches):
        return pack_writer.pack(batches, self.spool.removals.failed)

    def merge(self, packs):
        return pack_writer.merge(packs, self.spool.on_error)

    def keep_damaged(self, pack, loss):
        self.quarantined.append(loss)

    def on(self, kind, about, text, *, lasts=None):
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

    def accept(self, at=0, id_count=None):
        body, _, answer = self.posted.pop(at)
        count = body.count(b"\n") + 1 if id_count is None else id_count
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
        raise AssertionError("no request was posted")

    def check(self):
        assert self.ledger.imbalance == 0
        assert self.ledger.of("a").spooled == self.courier.waiting_events + self.spool.open_amount("a")[0]
        assert len(self.dispatcher._slots) == len(self.posted)

    @property
    def bodies(self):
        return [body for body, _, _ in self.posted]

    @property
    def files(self):
        folder = self.spool.directory / "a"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def make_fixture(tmp_path):
    return lambda **options: CourierFixture(tmp_path / "spool", **options)


@pytest.fixture
def fixture(make_fixture):
    return make_fixture()


def test_accepted_batch_is_posted_and_removed(fixture):
    assert fixture.courier.state == "idle"
    fixture.seal(b"one", b"two", ms=250)
    ((body, headers, _),) = fixture.posted
    assert body == b"one\ntwo"
    assert headers["X-SEKOIAIO-EVENT-TIMESTAMP"] == "2026-11-23T12:00:00.250Z"
    assert (headers["X-Key"], headers["Content-Type"]) == ("k", "text/plain; charset=utf-8")
    assert headers["X-Request-ID"] == fixture.files[0].partition("-")[0]
    assert ".sending." in fixture.files[0]
    assert fixture.courier.state == "delivering"
    fixture.accept()
    assert (fixture.files, fixture.courier.state, fixture.ledger.of("a").delivered) == ([], "idle", 2)
    assert (fixture.courier.waiting_events, fixture.courier.waiting_bytes) == (0, 0)
    assert fixture.courier.oldest_sequence is None


def test_batch_without_time_is_posted_without_timestamp_header(fixture):
    fixture.seal(b"one", ms=-NOON * 1000)
    assert "X-SEKOIAIO-EVENT-TIMESTAMP" not in fixture.posted[0][1]


def test_gzip_compresses_the_body(make_fixture):
    fixture = make_fixture(gzip=True)
    fixture.seal(b"one", b"two")
    ((body, headers, _),) = fixture.posted
    assert (gzip.decompress(body), headers["Content-Encoding"]) == (b"one\ntwo", "gzip")


def test_json_batches_are_posted_as_lines(fixture):
    fixture.seal(b'"a\\nb"', b'"c"', encoding="json")
    assert fixture.bodies == [b"a#012b\nc"]
    fixture.accept()


@pytest.mark.parametrize("status", [None, 500, 429])
def test_failed_request_keeps_the_batch_and_backs_off(fixture, status):
    fixture.seal(b"one")
    fixture.fail(status=status)
    assert (fixture.courier.state, fixture.posted, fixture.ledger.of("a").spooled) == ("backing-off", [], 1)
    assert fixture.courier.last_error
    fixture.seal(b"two", ms=5000)
    fixture.clock.advance(0.4)
    assert fixture.posted == []
    fixture.next_request()
    # A courier that backs off sends one request at a time, however much waits.
    fixture.clock.advance(5)
    assert len(fixture.posted) == 1
    fixture.accept()
    fixture.next_request()
    while fixture.posted:
        fixture.accept()
    assert (fixture.courier.state, fixture.courier.last_error, fixture.files) == ("idle", None, [])
    assert fixture.ledger.of("a").delivered == 2


def test_waits_double_up_to_a_minute(fixture, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    fixture.seal(b"one")
    waits = []
    for _ in range(9):
        fixture.fail(status=500)
        waits.append(fixture.courier.next_attempt_in)
        fixture.clock.advance(fixture.courier.next_attempt_in)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_requests_that_fail_together_are_one_failure(fixture, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    for round_ in range(3):
        for i in range(4):
            fixture.seal(b"%d" % i, ms=10_000 * (4 * round_ + i))
        while fixture.posted and round_ < 2:
            fixture.accept()
    assert len(fixture.posted) > 1
    while fixture.posted:
        fixture.fail(status=500)
    assert fixture.courier.next_attempt_in == 1
    fixture.clock.advance(1)
    fixture.fail(status=500)
    assert fixture.courier.next_attempt_in == 2


def test_batches_sealed_during_a_request_are_joined(make_fixture):
    fixture = make_fixture(in_flight=1)
    fixture.seal(b"first")
    for i in range(5):
        fixture.seal(b"%d" % i, ms=i * 300)
    fixture.accept()
    # 0 to 900 ms are within a second; 1200 ms is not.
    assert fixture.bodies == [b"0\n1\n2\n3"]
    fixture.accept()
    assert fixture.bodies == [b"4"]
    fixture.accept()
    assert fixture.files == []


def test_timestamp_header_of_joined_batches_is_the_earliest_time(make_fixture):
    fixture = make_fixture(in_flight=1)
    fixture.seal(b"first")
    fixture.seal(b"later", ms=900)
    fixture.seal(b"earlier", ms=100)
    fixture.accept()
    assert fixture.posted[0][0] == b"later\nearlier"
    assert fixture.posted[0][1]["X-SEKOIAIO-EVENT-TIMESTAMP"] == "2026-11-23T12:00:00.100Z"


def test_timed_batch_is_removed_when_all_its_pieces_are_accepted(make_fixture):
    fixture = make_fixture(in_flight=1, limits=BatchLimits(max_slots=0))
    for ms in (5000, 0, 5400, 9000):
        fixture.seal(b"at %d" % ms, ms=ms, seal=False)
    fixture.spool.seal_all()
    assert fixture.bodies == [b"at 0"]
    fixture.accept()
    assert fixture.bodies == [b"at 5000\nat 5400"]
    assert len(fixture.files) == 1
    fixture.fail(status=500)
    fixture.next_request()
    assert fixture.bodies == [b"at 5000\nat 5400"]
    fixture.accept()
    fixture.next_request()
    assert fixture.bodies == [b"at 9000"]
    assert len(fixture.files) == 1
    fixture.accept()
    assert (fixture.files, fixture.ledger.of("a").delivered) == ([], 4)


def _seal_timed(fixture, *moments):
    for ms in moments:
        fixture.seal(b"at %d" % ms, ms=ms, seal=False)
    fixture.spool.seal_all()


def _deliver_all(fixture):
    """Delivers all waiting events and returns the bodies in their order."""
    bodies = []
    while fixture.courier.waiting_events:
        fixture.next_request()
        bodies += fixture.bodies
        fixture.accept()
    return bodies


def test_waiting_timed_batches_share_requests(make_fixture):
    fixture = make_fixture(in_flight=1, limits=BatchLimits(max_slots=0))
    _seal_timed(fixture, 0)
    _seal_timed(fixture, 5000, 1000)
    _seal_timed(fixture, 1400, 9000)
    assert fixture.bodies == [b"at 0"]
    fixture.accept()
    assert len(fixture.files) == 2
    assert _deliver_all(fixture) == [b"at 1000\nat 1400", b"at 5000", b"at 9000"]
    assert (fixture.files, fixture.ledger.of("a").delivered) == ([], 5)


def test_timed_backlog_is_cut_at_the_join_width_of_the_backlog(make_fixture):
    fixture = make_fixture(in_flight=1, limits=BatchLimits(max_slots=0))
    _seal_timed(fixture, 0, 5000)
    _seal_timed(fixture, 59_999, 0, 60_000)
    _seal_timed(fixture, 2000, 61_000)
    fixture.clock.advance(11)
    fixture.accept()
    assert fixture.bodies == [b"at 5000"]
    fixture.accept()
    assert _deliver_all(fixture) == [b"at 0\nat 59999\nat 2000", b"at 60000\nat 61000"]
    assert fixture.ledger.of("a").delivered == 7


def test_wide_pieces_are_cut_again_when_the_rate_limit_ends(make_fixture):
    fixture = make_fixture(in_flight=1, rate=2, limits=BatchLimits(max_slots=0), request_limits={"live_for": 1000.0})
    _seal_timed(fixture, 0)
    fixture.next_request()
    _seal_timed(fixture, 1000, 2000, 70_000, 75_000)
    fixture.accept()
    assert fixture.dispatcher.limited
    fixture.next_request()
    assert fixture.bodies == [b"at 1000\nat 2000"]
    fixture.clock.advance(60)
    assert not fixture.dispatcher.limited
    fixture.accept()
    assert _deliver_all(fixture) == [b"at 70000", b"at 75000"]
    assert fixture.ledger.of("a").delivered == 5


def test_missing_event_ids_are_counted_and_raise_an_alarm(fixture):
    fixture.seal(b"one", b"two", b"three")
    fixture.accept(id_count=2)
    totals = fixture.ledger.of("a")
    assert (totals.delivered, totals.dropped) == (2, {"collector_shortfall": 1})
    assert "confirmed 2 of 3" in fixture.courier.last_error
    assert fixture.evidence == b"one\ntwo\nthree"
    assert fixture.alarms["loss"] == 1


def test_response_not_from_the_collector_settles_nothing(fixture):
    fixture.seal(b"one")
    fixture.posted.pop()[2].callback(Response(200, b"<html>welcome</html>"))
    fixture.check()
    assert (fixture.ledger.of("a").delivered, len(fixture.files)) == (0, 1)
    assert "not from the collector" in fixture.courier.last_error


@pytest.mark.parametrize("damage", [b"", b"something else\n", b"one\ntw"])
def test_damaged_file_is_quarantined_and_the_others_are_sent(make_fixture, damage):
    fixture = make_fixture(in_flight=1)
    fixture.seal(b"first")
    fixture.seal(b"one", b"two", ms=100)
    fixture.seal(b"three", ms=200)
    path = next(path for path in (fixture.spool.directory / "a").iterdir() if "-2-8." in path.name)
    path.write_bytes(damage)
    fixture.accept()
    assert fixture.bodies == [b"three"]
    assert [path.read_bytes() for path in fixture.quarantined] == [damage]
    assert (fixture.ledger.of("a").quarantined, fixture.alarms["damaged"]) == (2, 1)
    fixture.accept()
    assert (fixture.files, fixture.courier.state) == ([], "idle")


def test_read_error_of_the_spool_loses_no_event(fixture, monkeypatch):
    def fail(path):
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    monkeypatch.setattr("bridge.spool.batch_reader.read_regular", fail)
    fixture.seal(b"one")
    assert (fixture.posted, fixture.courier.state) == ([], "backing-off")
    assert "Too many open files" in fixture.courier.last_error
    monkeypatch.undo()
    fixture.next_request()
    fixture.accept()
    assert fixture.files == []


@pytest.mark.parametrize("packed", [False, True])
def test_file_that_cannot_be_renamed_is_sent_and_removed_later(fixture, monkeypatch, packed):
    """On a read-only filesystem, stored events are still delivered, each once."""
    fixture.courier.pause()
    for i in range(3):
        fixture.seal(b"event %d" % i, ms=10_000 * i)
    path_type = type(fixture.spool.directory)
    if packed:
        batches = list(fixture.courier.release())
        fixture.courier.add_pack(pack_writer.pack([batch for batch, _ in batches], fixture.spool.removals.failed)[0])

    def refuse(self, *args, **named):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(path_type, "rename", refuse)
    monkeypatch.setattr(path_type, "unlink", refuse)
    fixture.courier.resume()
    sent = []
    while len(sent) < 3:
        fixture.next_request()
        sent += fixture.posted[0][0].split(b"\n")
        fixture.accept()
    assert sorted(sent) == [b"event 0", b"event 1", b"event 2"]
    assert (fixture.ledger.of("a").delivered, fixture.courier.state) == (3, "idle")
    assert fixture.files != []
    assert any("cannot mark or sync files of intake a" in text for text in fixture.errors)
    monkeypatch.undo()
    fixture.clock.advance(2)
    fixture.spool.seal_due()
    assert fixture.files == []


def test_missing_file_does_not_stop_the_intake(make_fixture):
    fixture = make_fixture(in_flight=1)
    fixture.seal(b"first")
    fixture.seal(b"gone", ms=10_000)
    fixture.seal(b"later", ms=20_000)
    next(path for path in (fixture.spool.directory / "a").iterdir() if "-1-5.lines" in path.name).unlink()
    fixture.accept()
    for _ in range(3000):
        fixture.clock.advance(0.1)
        while fixture.posted:
            fixture.accept()
    assert fixture.ledger.of("a").delivered == 2
    assert fixture.ledger.of("a").dropped == {"spool_file_missing": 1}


def test_rate_limited_batches_are_joined_more_widely(make_fixture):
    fixture = make_fixture(rate=1)
    for i in range(12):
        fixture.seal(b"%d" % i, ms=i * 10_000)
    assert fixture.bodies == [b"0"]
    fixture.accept()
    fixture.clock.advance(1)
    # The batches are joined within backlog_timestamp_resolution (60 s), not sent one per request.
    assert fixture.bodies == [b"1\n2\n3\n4\n5\n6"]
    fixture.accept()
    fixture.clock.advance(1)
    assert fixture.bodies == [b"7\n8\n9\n10\n11"]
    fixture.accept()
    assert fixture.files == []


def test_error_while_building_headers_backs_off(fixture):
    def missing():
        raise OSError(2, "No such file", "/etc/key")

    object.__setattr__(fixture.courier._delivery_path.target, "headers", missing)
    fixture.seal(b"one")
    fixture.check()
    assert (fixture.posted, fixture.courier.state, fixture.ledger.of("a").spooled) == ([], "backing-off", 1)


@pytest.mark.parametrize("seed", range(20))
def test_each_event_is_accepted_once_for_any_responses_in_any_order(make_fixture, seed):
    """Checks that no event is lost or duplicated, whichever requests fail and in whichever order responses arrive."""
    rng = random.Random(seed)
    fixture = make_fixture()
    sealed, accepted = [], Counter()
    for i in range(120):
        action = rng.random()
        if action < 0.4:
            events = [b"%d.%d" % (i, k) for k in range(rng.randint(1, 4))]
            sealed += events
            fixture.seal(*events, ms=rng.randint(0, 5000))
        elif action < 0.7 and fixture.posted:
            at = rng.randrange(len(fixture.posted))
            accepted.update(fixture.bodies[at].split(b"\n"))
            fixture.accept(at)
        elif action < 0.8 and fixture.posted:
            fixture.fail(rng.randrange(len(fixture.posted)), rng.choice([500, 503, 429, None]))
        else:
            fixture.clock.advance(rng.choice([0.1, 1, 30]))
        fixture.check()
    for _ in range(400):
        while fixture.posted:
            accepted.update(fixture.bodies[0].split(b"\n"))
            fixture.accept()
        fixture.clock.advance(1)
    assert accepted == Counter(sealed)
    assert (fixture.files, fixture.courier.state, fixture.courier.waiting_events) == ([], "idle", 0)


def test_drop_oldest_skips_the_batch_in_flight(make_fixture):
    fixture = make_fixture(in_flight=1)
    for i in range(3):
        fixture.seal(b"event%d" % i, ms=i * 60_000)
    disk = fixture.courier.waiting_disk
    dropped = fixture.courier.drop_oldest()
    fixture.ledger.drop_spooled("a", dropped.unacknowledged, "spool_full")
    fixture.spool.remove([dropped])
    fixture.check()
    assert fixture.bodies == [b"event0"]
    assert fixture.courier.waiting_disk == disk - dropped.disk
    fixture.accept()
    assert fixture.bodies == [b"event2"]
    assert fixture.courier.drop_oldest() is None
    fixture.accept()
    assert (fixture.courier.waiting_disk, fixture.courier.waiting_bytes, fixture.files) == (0, 0, [])


@pytest.mark.parametrize("how", ["release", "withdraw", "drop_oldest", "packed"])
def test_intake_whose_events_are_taken_away_does_not_fail_any_more(make_fixture, how):
    """`spool move` during an outage: no request would ever end the back-off."""
    fixture = make_fixture(in_flight=1)
    fixture.seal(b"event")
    fixture.fail()
    assert (fixture.courier.state, fixture.courier.last_error is None) == ("backing-off", False)
    if how == "withdraw":
        taken = fixture.courier.withdraw(list(fixture.courier._pending.batches))
    elif how == "drop_oldest":
        taken = [fixture.courier.drop_oldest()]
    else:
        taken = [stored for stored, _ in fixture.courier.release()]
    if how == "packed":
        fixture.courier.add_pack(pack_writer.pack(taken, fixture.spool.removals.failed)[0])
        fixture.next_request()
        fixture.fail()
        assert fixture.courier.state == "backing-off"
        taken = [stored for stored, _ in fixture.courier.release()]
    assert len(taken) == 1
    assert (fixture.courier.state, fixture.courier.last_error, fixture.courier.failing_seconds) == ("idle", None, None)


def test_join_width_grows_while_the_backlog_grows_and_is_restored(make_fixture):
    fixture = make_fixture(rate=0.5)
    for second in range(240):
        fixture.seal(b"event", ms=second * 61_000)
        fixture.clock.advance(1)
        while fixture.posted:
            fixture.accept()
    assert fixture.alarms["width"] >= 1
    assert fixture.courier._selector._width.ms > 60_000
    for _ in range(3000):
        fixture.clock.advance(1)
        while fixture.posted:
            fixture.accept()
    fixture.seal(b"news", ms=10**9)
    fixture.next_request()
    assert fixture.courier._selector._width.ms == 60_000
    assert fixture.ledger.of("a").delivered == 240


def test_when_quiescent_fires_once_nothing_is_in_flight(make_fixture):
    fixture = make_fixture(in_flight=2)
    assert fixture.courier.when_quiescent().called
    fixture.seal(b"one")
    fixture.courier.pause()
    quiescent, cancelled = fixture.courier.when_quiescent(), fixture.courier.when_quiescent()
    cancelled.addErrback(lambda failure: None).cancel()
    fixture.seal(b"two")
    assert not quiescent.called
    fixture.accept()
    assert quiescent.called
    assert fixture.posted == []


def test_when_quiescent_waits_for_a_piece_that_is_handed_over(make_fixture):
    fixture = make_fixture()
    fixture.courier.pause()
    fixture.seal(b"one")
    fixture.courier.delegate_to(Publisher())
    fixture.courier.resume()
    piece = fixture.courier.take_for_handover()
    quiescent = fixture.courier.when_quiescent()
    assert not quiescent.called
    fixture.courier.put_back_handover([piece])
    assert quiescent.called


def test_settled_batches_that_must_stay_count_as_waiting_disk(fixture):
    fixture.kept_disk = {"a": 4096, "b": 8192}
    assert fixture.courier.waiting_disk == 4096
